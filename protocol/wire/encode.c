/*
 * Struct -> bytes, over the tables. One walk runs twice: first with no memory, to check every value and to
 * count, then into memory of exactly that size.
 *
 * Invariants: the second walk cannot fail, since the first one met the same values; `used` never passes
 * `cap`.
 */
#include "protocol/wire/codec.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "protocol/wire/utf8.h"
#include "protocol/wire/walk.h"

struct writer {
    uint8_t *data; /* NULL: count only */
    size_t used, cap;
};

static int put(struct writer *writer, const void *in, size_t n)
{
    if (n > writer->cap - writer->used)
        return -E2BIG;
    if (writer->data && n > 0)
        memcpy(writer->data + writer->used, in, n);
    writer->used += n;
    return 0;
}

/* A byte that must be below `end`: an enum or a bool, which is read as a byte because it may hold anything.
 */
static int put_byte(struct writer *writer, uint8_t end, const void *in)
{
    uint8_t byte;

    memcpy(&byte, in, 1);
    return byte < end ? put(writer, &byte, 1) : -EINVAL;
}

static int encode_number(struct writer *writer, const struct bh_field *field, const void *in)
{
    union {
        int64_t i;
        uint64_t u;
        double d;
    } value;

    memcpy(&value, in, sizeof(value));
    if (field->kind == BH_KIND_INT && (value.i < field->min || value.i > (int64_t)field->max))
        return -E2BIG;
    if (field->kind == BH_KIND_UINT && value.u > field->max)
        return -E2BIG;
    if (field->kind == BH_KIND_NUMBER && !isfinite(value.d))
        return -EINVAL;
    return put(writer, &value, sizeof(value));
}

static int encode_text(struct writer *writer, const struct bh_field *field, const void *ptr, uint32_t len)
{
    int r;

    if (len > field->limit)
        return -E2BIG;
    if (len > 0 && !ptr)
        return -EINVAL;
    if (len > 0 && field->kind == BH_KIND_STR && (memchr(ptr, '\0', len) || !bh_utf8_valid(ptr, len)))
        return -EINVAL;
    r = put(writer, &len, sizeof(len));
    return r < 0 ? r : put(writer, ptr, len);
}

static int encode_struct(struct writer *writer, const struct bh_type *type, const void *in);

static int encode_value(struct writer *writer, const struct bh_field *field, const void *in)
{
    const struct bh_bytes *bytes = in;
    const struct bh_str *str = in;

    switch ((enum bh_kind)field->kind) {
    case BH_KIND_BOOL:
        return put_byte(writer, 2, in);
    case BH_KIND_ENUM:
        return put_byte(writer, field->of.enumeration->n_values, in);
    case BH_KIND_INT:
    case BH_KIND_UINT:
    case BH_KIND_NUMBER:
        return encode_number(writer, field, in);
    case BH_KIND_STR:
        return encode_text(writer, field, str->ptr, str->len);
    case BH_KIND_BYTES:
        return encode_text(writer, field, bytes->ptr, bytes->len);
    case BH_KIND_STRUCT:
        return encode_struct(writer, field->of.type, in);
    }
    __builtin_unreachable();
}

static int encode_list(struct writer *writer, const struct bh_field *field, const char *base)
{
    size_t size = bh_field_size(field);
    const char *elements;
    uint32_t n;
    int r;

    memcpy(&elements, base + field->offset, sizeof(elements));
    memcpy(&n, base + field->count, sizeof(n));
    if (n > field->items)
        return -E2BIG;
    if (n > 0 && !elements)
        return -EINVAL;
    r = put(writer, &n, sizeof(n));
    for (uint32_t i = 0; i < n && r == 0; i++)
        r = encode_value(writer, field, elements + i * size);
    return r;
}

static int encode_field(struct writer *writer, const struct bh_field *field, const char *base)
{
    if (bh_field_has(field, BH_FIELD_OPTIONAL)) {
        int r = put_byte(writer, 2, base + field->has);

        if (r < 0 || !base[field->has])
            return r;
    }
    if (bh_field_has(field, BH_FIELD_BULK))
        return 0;
    if (bh_field_has(field, BH_FIELD_LIST))
        return encode_list(writer, field, base);
    return encode_value(writer, field, base + field->offset);
}

static int encode_struct(struct writer *writer, const struct bh_type *type, const void *in)
{
    for (uint32_t i = 0; i < type->n_fields; i++) {
        int r = encode_field(writer, &type->fields[i], in);

        if (r < 0)
            return r;
    }
    return 0;
}

int bh_encode(const struct bh_type *type, const void *in, size_t cap, struct bh_arena *arena,
              struct bh_bytes *ret)
{
    struct writer writer = { .cap = cap < UINT32_MAX ? cap : UINT32_MAX };
    int r = encode_struct(&writer, type, in);

    if (r < 0)
        return r;
    writer = (struct writer){ .data = bh_arena_alloc(arena, writer.used), .cap = writer.used };
    if (!writer.data)
        return -ENOMEM;
    r = encode_struct(&writer, type, in);
    if (r < 0)
        return r;
    *ret = (struct bh_bytes){ writer.data, (uint32_t)writer.used };
    return 0;
}
