/*
 * Text of `arguments` -> struct: json-c parses, the walk over the tables fills and checks.
 *
 * json-c gets only what the lexer let through, so what is left to check are duplicate keys
 * (json-c keeps the last: fewer members than the lexer counted) and integers beyond 64 bits
 * (json-c refuses them: they are handed over as doubles, which is what they are to the
 * protocol). No memory of json-c outlives the call.
 */
#include "protocol/json/convert.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include <json-c/json.h>

#include "protocol/base/mem.h"
#include "protocol/codes.h"
#include "protocol/json/base64.h"
#include "protocol/json/huge.h"
#include "protocol/json/lexer.h"
#include "protocol/json/place.h"
#include "protocol/json/table_access.h"

/* What a conversion carries along. */
struct reader {
    struct bh_arena *arena;
    struct bh_error *error;
    uint64_t lifted;
};

static void put_object(struct json_object **object)
{
    json_object_put(*object);
}

static void free_tokener(struct json_tokener **tokener)
{
    if (*tokener)
        json_tokener_free(*tokener);
}

/* Parses the text; an exponent of 0 is put behind each huge integer. NULL if json-c refuses. */
static struct json_object *parse(const char *text, size_t len)
{
    BH_CLEANUP(free_tokener) struct json_tokener *tokener = json_tokener_new_ex((int)BH_DEPTH_MAX);
    const char *end = text + len, *huge;

    if (!tokener)
        return NULL;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    while ((huge = bh_find_huge(text, end))) {
        (void)json_tokener_parse_ex(tokener, text, (int)(huge - text));
        (void)json_tokener_parse_ex(tokener, "e0", 2);
        text = huge;
    }
    return json_tokener_parse_ex(tokener, text, (int)(end - text));
}

/* Members of all objects inside; the depth is bounded by the parser. */
static uint32_t count_members(struct json_object *value)
{
    uint32_t n = 0;
    size_t i;

    if (json_object_is_type(value, json_type_array))
        for (i = 0; i < json_object_array_length(value); i++)
            n += count_members(json_object_array_get_idx(value, i));
    if (json_object_is_type(value, json_type_object)) {
        json_object_object_foreach(value, key, member)
        {
            (void)key;
            n += 1 + count_members(member);
        }
    }
    return n;
}

static int read_int(struct reader *reader, const struct bh_field *field, const struct bh_place *place,
                    struct json_object *value, int64_t *ret)
{
    int64_t n;

    if (!json_object_is_type(value, json_type_int) || json_object_get_uint64(value) > INT64_MAX)
        return bh_place_type(place, "integer", reader->error);
    n = json_object_get_int64(value);
    if (n < field->min || n > (int64_t)field->max)
        return bh_place_range(place, json_object_get_string(value), reader->error);
    *ret = n;
    return 0;
}

static int read_uint(struct reader *reader, const struct bh_field *field, const struct bh_place *place,
                     struct json_object *value, uint64_t *ret)
{
    uint64_t n;

    if (!json_object_is_type(value, json_type_int))
        return bh_place_uint64(place, reader->error);
    n = json_object_get_int64(value) < 0 ? (uint64_t)json_object_get_int64(value)
                                         : json_object_get_uint64(value);
    if (n > field->max)
        return bh_place_range(place, json_object_get_string(value), reader->error);
    *ret = n;
    return 0;
}

static int read_number(struct reader *reader, const struct bh_place *place, struct json_object *value,
                       double *ret)
{
    double n;

    if (!json_object_is_type(value, json_type_double) && !json_object_is_type(value, json_type_int))
        return bh_place_type(place, "number", reader->error);
    n = json_object_get_double(value);
    if (!isfinite(n))
        return bh_place_range(place, json_object_get_string(value), reader->error);
    *ret = n;
    return 0;
}

static int read_str(struct reader *reader, const struct bh_field *field, const struct bh_place *place,
                    struct json_object *value, struct bh_str *ret)
{
    size_t len;

    if (!json_object_is_type(value, json_type_string))
        return bh_place_type(place, "string", reader->error);
    len = (size_t)json_object_get_string_len(value);
    if (len > field->limit)
        return bh_place_long(place, field->limit, "bytes", reader->error);
    if (memchr(json_object_get_string(value), '\0', len))
        return bh_fail(reader->error, BH_E_JSON_ESCAPE, "a string must not contain U+0000");
    *ret = bh_arena_str(reader->arena, json_object_get_string(value), len);
    return ret->ptr ? 0 : -ENOMEM;
}

static int read_bytes(struct reader *reader, const struct bh_field *field, const struct bh_place *place,
                      struct json_object *value, struct bh_bytes *ret)
{
    struct bh_base64 state = { 0 };
    uint8_t *bytes;
    size_t len;
    long n;

    if (!json_object_is_type(value, json_type_string))
        return bh_place_type(place, "string", reader->error);
    len = (size_t)json_object_get_string_len(value);
    bytes = bh_arena_alloc(reader->arena, BH_BASE64_DECODED_MAX(len));
    if (!bytes)
        return -ENOMEM;
    n = bh_base64_decode(&state, json_object_get_string(value), len, bytes);
    if (n < 0 || bh_base64_decode_end(&state) < 0)
        return bh_place_base64(place, reader->error);
    if (n > (long)field->limit)
        return bh_place_long(place, field->limit, "bytes", reader->error);
    *ret = (struct bh_bytes){ bytes, (uint32_t)n };
    return 0;
}

static bool alias_is(const struct bh_alias *alias, struct json_object *value)
{
    const char *text = json_object_get_string(value);
    size_t len = strlen(text);

    if (!json_object_is_type(value, json_type_string))
        return strcmp(alias->literal, text) == 0;
    return strlen(alias->literal) == len + 2 && alias->literal[0] == '"' &&
           memcmp(alias->literal + 1, text, len) == 0;
}

/* True if some alias is of the JSON type of `value`, so that another value of that type is just a wrong one.
 */
static bool takes_type(const struct bh_enumeration *of, struct json_object *value)
{
    unsigned i;
    char c;

    if (json_object_is_type(value, json_type_string))
        return true;
    for (i = 0; i < of->n_aliases; i++) {
        c = of->aliases[i].literal[0];
        if (json_object_is_type(value, json_type_boolean) && (c == 't' || c == 'f'))
            return true;
        if (json_object_is_type(value, json_type_int) && (c == '-' || (c >= '0' && c <= '9')))
            return true;
    }
    return false;
}

static bool only_strings(const struct bh_enumeration *of)
{
    unsigned i;

    for (i = 0; i < of->n_aliases; i++)
        if (of->aliases[i].literal[0] != '"')
            return false;
    return true;
}

static int read_enum(struct reader *reader, const struct bh_field *field, const struct bh_place *place,
                     struct json_object *value, uint8_t *ret)
{
    const struct bh_enumeration *of = field->of.enumeration;
    unsigned i;

    if (!takes_type(of, value))
        return bh_place_type(place, only_strings(of) ? "string" : of->name, reader->error);
    for (i = 0; i < of->n_values; i++)
        if (json_object_is_type(value, json_type_string) &&
            strcmp(of->values[i], json_object_get_string(value)) == 0) {
            *ret = (uint8_t)i;
            return 0;
        }
    for (i = 0; i < of->n_aliases; i++)
        if (alias_is(&of->aliases[i], value)) {
            *ret = of->aliases[i].value;
            return 0;
        }
    return bh_place_value(place, json_object_get_string(value), reader->error);
}

static int read_struct(struct reader *reader, const struct bh_type *type, const struct bh_place *place,
                       struct json_object *object, void *out);

static int read_one(struct reader *reader, const struct bh_field *field, const struct bh_place *place,
                    struct json_object *value, void *out)
{
    switch ((enum bh_kind)field->kind) {
    case BH_KIND_BOOL:
        if (!json_object_is_type(value, json_type_boolean))
            return bh_place_type(place, "boolean", reader->error);
        *(bool *)out = json_object_get_boolean(value);
        return 0;
    case BH_KIND_INT:
        return read_int(reader, field, place, value, out);
    case BH_KIND_UINT:
        return read_uint(reader, field, place, value, out);
    case BH_KIND_NUMBER:
        return read_number(reader, place, value, out);
    case BH_KIND_STR:
        return read_str(reader, field, place, value, out);
    case BH_KIND_BYTES:
        return read_bytes(reader, field, place, value, out);
    case BH_KIND_ENUM:
        return read_enum(reader, field, place, value, out);
    case BH_KIND_STRUCT:
        break;
    }
    if (!json_object_is_type(value, json_type_object))
        return bh_place_type(place, "object", reader->error);
    return read_struct(reader, field->of.type, place, value, out);
}

static int read_list(struct reader *reader, const struct bh_field *field, const struct bh_place *place,
                     struct json_object *list, void *out)
{
    size_t size = bh_field_size(field), n, i;
    char *elements;
    int r;

    if (!json_object_is_type(list, json_type_array))
        return bh_place_type(place, "array", reader->error);
    n = json_object_array_length(list);
    if (n > field->items)
        return bh_place_long(place, field->items, "elements", reader->error);
    elements = bh_arena_array(reader->arena, n, size);
    if (!elements)
        return -ENOMEM;
    for (i = 0; i < n; i++) {
        const struct bh_place at = { .up = place, .index = (uint32_t)i };

        r = read_one(reader, field, &at, json_object_array_get_idx(list, i), elements + i * size);
        if (r)
            return r;
    }
    *(void **)bh_at_mut(out, field->offset) = elements;
    *(uint32_t *)bh_at_mut(out, field->count) = (uint32_t)n;
    return 0;
}

static bool was_lifted(const struct reader *reader, const struct bh_field *field)
{
    unsigned i;

    for (i = 0; i < bh_n_lifted; i++)
        if (strcmp(bh_lifted[i].name, field->name) == 0)
            return reader->lifted >> i & 1;
    return false;
}

/* The lexer has taken the content out: only whether the member is there, and was a string, is left to see. */
static int read_lifted(struct reader *reader, const struct bh_field *field, const struct bh_place *place)
{
    return was_lifted(reader, field) ? 0 : bh_place_type(place, "string", reader->error);
}

static int read_field(struct reader *reader, const struct bh_field *field, const struct bh_place *up,
                      struct json_object *object, void *out)
{
    const struct bh_place place = { .up = up, .name = field->name };
    struct json_object *value = NULL;
    bool has = object && json_object_object_get_ex(object, field->name, &value);

    if (field->flags & BH_FIELD_OPTIONAL)
        *(bool *)bh_at_mut(out, field->has) = has;
    else if (!has)
        return bh_place_missing(&place, reader->error);
    if (!has)
        return 0;
    if (field->flags & (BH_FIELD_BULK | BH_FIELD_SECRET))
        return read_lifted(reader, field, &place);
    if (field->flags & BH_FIELD_LIST)
        return read_list(reader, field, &place, value, out);
    return read_one(reader, field, &place, value, bh_at_mut(out, field->offset));
}

static bool has_field(const struct bh_type *type, const char *name)
{
    uint32_t i;

    for (i = 0; type && i < type->n_fields; i++)
        if (strcmp(type->fields[i].name, name) == 0)
            return true;
    return false;
}

static int read_struct(struct reader *reader, const struct bh_type *type, const struct bh_place *place,
                       struct json_object *object, void *out)
{
    uint32_t i;
    int r;

    for (i = 0; type && i < type->n_fields; i++) {
        r = read_field(reader, &type->fields[i], place, object, out);
        if (r)
            return r;
    }
    if (!object)
        return 0;
    json_object_object_foreach(object, name, value)
    {
        (void)value;
        if (!has_field(type, name))
            return bh_place_unexpected(place, name, reader->error);
    }
    return 0;
}

int bh_json_to_struct(const struct bh_type *type, const char *text, size_t len, uint32_t members,
                      uint64_t lifted, struct bh_arena *arena, void *out, struct bh_error *reterr)
{
    BH_CLEANUP(put_object) struct json_object *object = NULL;
    struct reader reader = { .arena = arena, .error = reterr, .lifted = lifted };

    if (type)
        memset(out, 0, type->size);
    if (!text || (len == 2 && memcmp(text, "{}", 2) == 0))
        return read_struct(&reader, type, NULL, NULL, out);
    if (*text != '{')
        return bh_fail(reterr, BH_E_ENVELOPE, "QMP input member 'arguments' must be an object");
    object = parse(text, len);
    if (!object)
        return bh_fail(reterr, BH_E_JSON_SYNTAX, "the arguments are not JSON");
    if (count_members(object) != members)
        return bh_fail(reterr, BH_E_JSON_DUPLICATE, "an object of the arguments names the same member twice");
    return read_struct(&reader, type, NULL, object, out);
}
