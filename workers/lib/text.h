/*
 * What the guest calls something, as text that a reply may hold.
 *
 * Trust: in = PEER (names are bytes that users of the guest choose); out = CHECKED; called by = info, storage
 */
#pragma once

#include <stddef.h>

#include "protocol/base/arena.h"

/* The bytes as UTF-8 without NUL; U+FFFD stands for each byte that is none. .ptr is NULL without room. */
struct bh_str bh_text_of(struct bh_arena *arena, const char *bytes, size_t len);
