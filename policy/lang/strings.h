/*
 * The string section of a slice: each string once, in the order of first use.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = lang/emit.c
 */
#pragma once

#include "protocol/base/arena.h"

struct bh_strings {
    char *bytes;
    uint32_t len;
    uint32_t *table; /* open addressing: offset + 1, or 0 */
    uint32_t mask;
};

/* Room for `n` strings of `bytes` in all, NULs included. 0 or -ENOMEM. */
int bh_strings_init(struct bh_strings *strings, struct bh_arena *arena, uint32_t n, size_t bytes);

/* Offset of the string. The room promised at init must hold. */
uint32_t bh_strings_add(struct bh_strings *strings, struct bh_str text);
