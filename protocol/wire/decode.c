/*
 * Bytes -> struct, over the tables.
 *
 * Invariants: `left` only shrinks, and nothing is read before it was compared with `left`; a bound is checked
 * before memory is taken for what it bounds; a list costs no more elements than bytes that are still there,
 * so that a short message cannot claim a long list. Recursion is as deep as the tables nest, which have no
 * cycles.
 */
#include "protocol/wire/codec.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "protocol/wire/utf8.h"
#include "protocol/wire/walk.h"

struct reader {
    const uint8_t *at;
    size_t left;
    struct bh_arena *arena;
};

static int take(struct reader *reader, void *out, size_t n)
{
    if (reader->left < n)
        return -EPROTO;
    memcpy(out, reader->at, n);
    reader->at += n;
    reader->left -= n;
    return 0;
}

/* A byte below `end`. */
static int take_byte(struct reader *reader, uint8_t end, uint8_t *out)
{
    int r = take(reader, out, 1);

    if (r < 0)
        return r;
    return *out < end ? 0 : -EPROTO;
}

static int decode_number(struct reader *reader, const struct bh_field *field, void *out)
{
    union {
        int64_t i;
        uint64_t u;
        double d;
    } value;
    int r = take(reader, &value, sizeof(value));

    if (r < 0)
        return r;
    if (field->kind == BH_KIND_INT && (value.i < field->min || value.i > (int64_t)field->max))
        return -E2BIG;
    if (field->kind == BH_KIND_UINT && value.u > field->max)
        return -E2BIG;
    if (field->kind == BH_KIND_NUMBER && !isfinite(value.d))
        return -EPROTO;
    memcpy(out, &value, sizeof(value));
    return 0;
}

/* Strings and bytes: both get a NUL behind them, which only strings promise. */
static int decode_text(struct reader *reader, const struct bh_field *field, void *out)
{
    struct bh_str text;
    uint32_t len;
    int r = take(reader, &len, sizeof(len));

    if (r < 0)
        return r;
    if (len > field->limit)
        return -E2BIG;
    if (len > reader->left)
        return -EPROTO;
    if (field->kind == BH_KIND_STR &&
        (memchr(reader->at, '\0', len) || !bh_utf8_valid((const char *)reader->at, len)))
        return -EPROTO;
    text = bh_arena_str(reader->arena, (const char *)reader->at, len);
    if (!text.ptr)
        return -ENOMEM;
    reader->at += len;
    reader->left -= len;
    if (field->kind == BH_KIND_STR)
        *(struct bh_str *)out = text;
    else
        *(struct bh_bytes *)out = (struct bh_bytes){ (const uint8_t *)text.ptr, len };
    return 0;
}

static int decode_struct(struct reader *reader, const struct bh_type *type, void *out);

static int decode_value(struct reader *reader, const struct bh_field *field, void *out)
{
    switch ((enum bh_kind)field->kind) {
    case BH_KIND_BOOL:
        return take_byte(reader, 2, out);
    case BH_KIND_ENUM:
        return take_byte(reader, field->of.enumeration->n_values, out);
    case BH_KIND_INT:
    case BH_KIND_UINT:
    case BH_KIND_NUMBER:
        return decode_number(reader, field, out);
    case BH_KIND_STR:
    case BH_KIND_BYTES:
        return decode_text(reader, field, out);
    case BH_KIND_STRUCT:
        return decode_struct(reader, field->of.type, out);
    }
    __builtin_unreachable();
}

static int decode_list(struct reader *reader, const struct bh_field *field, char *base)
{
    size_t size = bh_field_size(field);
    uint32_t n;
    char *elements;
    int r = take(reader, &n, sizeof(n));

    if (r < 0)
        return r;
    if (n > field->items)
        return -E2BIG;
    if (n > reader->left)
        return -EPROTO;
    elements = bh_arena_array(reader->arena, n, size);
    if (!elements)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++) {
        r = decode_value(reader, field, elements + i * size);
        if (r < 0)
            return r;
    }
    memcpy(base + field->offset, &elements, sizeof(elements));
    memcpy(base + field->count, &n, sizeof(n));
    return 0;
}

static int decode_field(struct reader *reader, const struct bh_field *field, char *base)
{
    uint8_t present = 1;
    int r = 0;

    if (bh_field_has(field, BH_FIELD_OPTIONAL)) {
        r = take_byte(reader, 2, &present);
        if (r < 0)
            return r;
        base[field->has] = (char)present;
    }
    if (!present || bh_field_has(field, BH_FIELD_BULK))
        return 0;
    if (bh_field_has(field, BH_FIELD_LIST))
        return decode_list(reader, field, base);
    return decode_value(reader, field, base + field->offset);
}

static int decode_struct(struct reader *reader, const struct bh_type *type, void *out)
{
    for (uint32_t i = 0; i < type->n_fields; i++) {
        int r = decode_field(reader, &type->fields[i], out);

        if (r < 0)
            return r;
    }
    return 0;
}

int bh_decode(const struct bh_type *type, const void *data, size_t len, struct bh_arena *arena, void *out)
{
    struct reader reader = { data, len, arena };
    int r;

    memset(out, 0, type->size);
    r = decode_struct(&reader, type, out);
    if (r < 0)
        return r;
    return reader.left == 0 ? 0 : -EPROTO;
}
