/*
 * What the decoder and the encoder both need to know about a field of the tables.
 *
 * Trust: in = CHECKED (rows of the generated tables); out = CHECKED; called by = decode.c, encode.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "protocol/base/arena.h"
#include "protocol/wire/table.h"

/* Bytes of one value in memory: of the member, or of one element of its list. */
static inline size_t bh_field_size(const struct bh_field *field)
{
    switch ((enum bh_kind)field->kind) {
    case BH_KIND_BOOL:
        return sizeof(bool);
    case BH_KIND_INT:
    case BH_KIND_UINT:
    case BH_KIND_NUMBER:
        return sizeof(uint64_t);
    case BH_KIND_STR:
        return sizeof(struct bh_str);
    case BH_KIND_BYTES:
        return sizeof(struct bh_bytes);
    case BH_KIND_ENUM:
        return sizeof(uint8_t);
    case BH_KIND_STRUCT:
        return field->of.type->size;
    }
    __builtin_unreachable();
}

static inline bool bh_field_has(const struct bh_field *field, enum bh_field_flag flag)
{
    return (field->flags & flag) != 0;
}
