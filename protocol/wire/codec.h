/*
 * Payload bytes <-> struct, driven by the tables of table.h.
 *
 * Encoding: the fields in table order. Optional: one byte 0 or 1, then the value if
 * 1. bool: one byte 0 or 1. int, uint, number: 8 bytes. str, bytes: u32 length and
 * the bytes. enum: one byte. struct: its fields. list: u32 count and the elements.
 * Native byte order (both ends are one build on one machine). Bulk fields take no
 * bytes.
 *
 * The decoder trusts nothing: every bound of the table holds afterwards, strings are
 * UTF-8 without NUL, flags are 0 or 1, nothing is left over, nesting is that of the
 * tables, and all memory comes from the arena, where strings get a NUL behind them.
 * On any error the output is undefined and the arena is to be reset.
 *
 * Trust: in = PEER (decode); out = CHECKED; called by = front, workers
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocol/base/arena.h"
#include "protocol/wire/table.h"

/* Decodes into `out` (type->size bytes, zeroed here). 0, -EPROTO (malformed), -E2BIG (a bound of the table),
 * -ENOMEM. */
int bh_decode(const struct bh_type *type, const void *data, size_t len, struct bh_arena *arena, void *out);

/*
 * Encodes `in` into memory of the arena. 0, -E2BIG (a bound, or more than `cap` bytes), -EINVAL (a value that
 * the table forbids: our own bug, refused before it reaches a peer), -ENOMEM.
 */
int bh_encode(const struct bh_type *type, const void *in, size_t cap, struct bh_arena *arena,
              struct bh_bytes *ret);
