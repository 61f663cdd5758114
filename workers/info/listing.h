/*
 * What is listed by name: whether this channel may see it.
 *
 * Trust: in = PEER (names are bytes that users of the guest choose); out = CHECKED; called by = info
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* May the client see what has this name (any bytes)? */
typedef bool (*bh_shown_fn)(void *context, const char *name, size_t len);

/* The policy's answer; `call` is the struct bh_call of the listing command. */
bool bh_listing_shown(void *call, const char *name, size_t len);
