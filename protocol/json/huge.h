/*
 * Integers that json-c cannot hold.
 *
 * Trust: in = HOST (canonical text); out = CHECKED; called by = convert.c
 */
#pragma once

/*
 * The end of the next integer outside of -2^63 .. 2^64-1 in the canonical text from `p` (not inside a string)
 * to `end`, or NULL. The text is followed by a byte that belongs to no number.
 */
const char *bh_find_huge(const char *p, const char *end);
