/*
 * Struct -> text: the growing output, its strings, and the walk over the tables.
 *
 * Doubles rely on the "C" locale, which no program of ours leaves.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/json/base64.h"
#include "protocol/json/convert.h"
#include "protocol/json/table_access.h"
#include "protocol/json/utf8.h"
#include "protocol/wire/utf8.h"

#define CAP_FIRST 512u
#define REPLACEMENT 0xfffdu

void bh_out_init(struct bh_out *out, size_t limit)
{
    *out = (struct bh_out){ .limit = limit };
}

void bh_out_deinit(struct bh_out *out)
{
    free(out->data);
    *out = (struct bh_out){ 0 };
}

/* Room for `more` bytes behind the text, or NULL. */
static char *reserve(struct bh_out *out, size_t more)
{
    size_t cap = out->cap ? out->cap : CAP_FIRST;
    char *data;

    if (out->failed || more > out->limit - out->len) {
        out->failed = true;
        return NULL;
    }
    if (more > out->cap - out->len) {
        while (cap - out->len < more)
            cap *= 2;
        data = realloc(out->data, cap);
        if (!data) {
            out->failed = true;
            return NULL;
        }
        out->data = data;
        out->cap = cap;
    }
    return out->data + out->len;
}

void bh_out_raw(struct bh_out *out, const char *text, size_t len)
{
    char *to = reserve(out, len);

    if (!to)
        return;
    if (len)
        memcpy(to, text, len);
    out->len += len;
}

static void put(struct bh_out *out, const char *text)
{
    bh_out_raw(out, text, strlen(text));
}

static void put_unicode(struct bh_out *out, uint32_t c)
{
    char text[16];
    int len;

    if (c < 0x10000)
        len = snprintf(text, sizeof(text), "\\u%04X", (unsigned)c);
    else
        len = snprintf(text, sizeof(text), "\\u%04X\\u%04X", (unsigned)(0xd800 + ((c - 0x10000) >> 10)),
                       (unsigned)(0xdc00 + (c & 0x3ff)));
    bh_out_raw(out, text, (size_t)len);
}

/* One character that cannot stand as it is; bytes of `text` that it took. */
static size_t put_escaped(struct bh_out *out, const char *text, size_t len)
{
    static const char named[] = "\"\\\b\f\n\r\t", escapes[] = "\"\\bfnrt";
    const char *found = *text ? strchr(named, *text) : NULL;
    uint32_t c;
    unsigned used;

    if (found) {
        bh_out_raw(out, (const char[]){ '\\', escapes[found - named] }, 2);
        return 1;
    }
    used = bh_utf8_decode(text, len, &c);
    put_unicode(out, used ? c : REPLACEMENT);
    return used ? used : 1;
}

void bh_out_string(struct bh_out *out, const char *text, size_t len)
{
    size_t run;

    put(out, "\"");
    while (len > 0 && !out->failed) {
        run = bh_clean_run(text, len, 0x7f);
        bh_out_raw(out, text, run);
        if (run < len)
            run += put_escaped(out, text + run, len - run);
        text += run;
        len -= run;
    }
    put(out, "\"");
}

static void put_base64(struct bh_out *out, const struct bh_bytes *bytes)
{
    struct bh_base64 state = { 0 };
    char *to = reserve(out, BH_BASE64_ENCODED_MAX((size_t)bytes->len) + 2);
    size_t n = 1;

    if (!to)
        return;
    to[0] = '"';
    n += bh_base64_encode(&state, bytes->ptr, bytes->len, to + n);
    n += bh_base64_encode_end(&state, to + n);
    to[n++] = '"';
    out->len += n;
}

static void put_members(const struct bh_type *type, const void *in, const char *separator,
                        struct bh_out *out);

static void put_one(const struct bh_field *field, const void *value, struct bh_out *out)
{
    const struct bh_str *str = value;
    char text[40];

    text[0] = '\0';
    switch ((enum bh_kind)field->kind) {
    case BH_KIND_BOOL:
        put(out, *(const bool *)value ? "true" : "false");
        return;
    case BH_KIND_INT:
        (void)snprintf(text, sizeof(text), "%" PRId64, *(const int64_t *)value);
        break;
    case BH_KIND_UINT:
        (void)snprintf(text, sizeof(text), "%" PRIu64, *(const uint64_t *)value);
        break;
    case BH_KIND_NUMBER:
        (void)snprintf(text, sizeof(text), "%.17g", *(const double *)value);
        break;
    case BH_KIND_STR:
        bh_out_string(out, str->ptr, str->len);
        return;
    case BH_KIND_BYTES:
        put_base64(out, value);
        return;
    case BH_KIND_ENUM:
        (void)snprintf(text, sizeof(text), "\"%s\"", field->of.enumeration->values[*(const uint8_t *)value]);
        break;
    case BH_KIND_STRUCT:
        put(out, "{");
        put_members(field->of.type, value, "", out);
        put(out, "}");
        return;
    }
    put(out, text);
}

static void put_value(const struct bh_field *field, const void *in, struct bh_out *out)
{
    const char *element = bh_at(in, field->offset);
    uint32_t i, n;

    if (!(field->flags & BH_FIELD_LIST)) {
        put_one(field, element, out);
        return;
    }
    element = *(const char *const *)(const void *)element;
    n = *(const uint32_t *)bh_at(in, field->count);
    put(out, "[");
    for (i = 0; i < n && !out->failed; i++, element += bh_field_size(field)) {
        if (i > 0)
            put(out, ", ");
        put_one(field, element, out);
    }
    put(out, "]");
}

/* `separator` stands before the first member, ", " before the others. */
static void put_members(const struct bh_type *type, const void *in, const char *separator, struct bh_out *out)
{
    const struct bh_field *field;

    for (field = type->fields; field < type->fields + type->n_fields; field++) {
        if (field->flags & BH_FIELD_BULK)
            continue;
        if ((field->flags & BH_FIELD_OPTIONAL) && !*(const bool *)bh_at(in, field->has))
            continue;
        put(out, separator);
        put(out, "\"");
        put(out, field->name);
        put(out, "\": ");
        put_value(field, in, out);
        separator = ", ";
    }
}

void bh_struct_to_json(const struct bh_type *type, const void *in, bool bare, struct bh_out *out)
{
    if (bare) {
        put_value(&type->fields[0], in, out);
        return;
    }
    put(out, "{");
    put_members(type, in, "", out);
    put(out, "}");
}

void bh_members_to_json(const struct bh_type *type, const void *in, bool first, struct bh_out *out)
{
    put_members(type, in, first ? "" : ", ", out);
}
