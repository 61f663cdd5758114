/*
 * How the generated tables are written, so that the compiler refuses a row that does not fit its struct.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = the generated tables.c only
 */
#pragma once

#include <stddef.h>

#include "protocol/wire/table.h"

/* Offset of member `m` of `s`; does not compile unless the member has exactly the type `t`. */
#define BH_AT(s, m, t) ((uint32_t)offsetof(s, m) + _Generic(((s *)NULL)->m, t : 0u))

/* The beginning of a row: its JSON name `n` and its member. */
#define BH_ROW(n, s, m, t) .name = (n), .offset = BH_AT(s, m, t)

#define BH_SAME_LENGTH(a, n) _Static_assert(sizeof(a) / sizeof((a)[0]) == (n), "one row per number")

_Static_assert(sizeof(bool) == 1 && sizeof(double) == 8, "the codec copies these as they are");
