/* The typing of args.h. */
#include "broker/ctl/args.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/ctl/ctl.h"
#include "protocol/base/mem.h"

#define JSON_MAX (80u * 1024u * 1024u) /* bytes from standard input: base64 of 48 MiB and some */

static int from_json(const char *text, struct json_object **ret)
{
    enum json_tokener_error error;
    struct json_object *value = json_tokener_parse_verbose(text, &error);

    if (value && json_object_is_type(value, json_type_object)) {
        *ret = value;
        return CTL_OK;
    }
    json_object_put(value);
    return ctl_fail(CTL_USAGE, "the arguments are not a JSON object: %s", json_tokener_error_desc(error));
}

static int from_input(struct json_object **ret)
{
    size_t len;
    _cleanup_free_ char *text = ctl_read_file("-", JSON_MAX, &len);

    if (!text)
        return ctl_fail(CTL_USAGE, "standard input cannot be read: %s", strerror(errno));
    return from_json(text, ret);
}

static const struct bh_field *find_field(const struct bh_command *command, const char *name, size_t len)
{
    for (uint32_t i = 0; command->args && i < command->args->n_fields; i++) {
        const struct bh_field *field = &command->args->fields[i];

        if (strlen(field->name) == len && memcmp(field->name, name, len) == 0)
            return field;
    }
    return NULL;
}

static struct json_object *integer(const struct bh_field *field, const char *text)
{
    char *end;

    errno = 0;
    if (field->kind == BH_KIND_UINT && text[0] != '-') {
        uint64_t value = strtoull(text, &end, 10);

        return *text && !*end && !errno ? json_object_new_uint64(value) : NULL;
    } else {
        int64_t value = strtoll(text, &end, 10);

        return *text && !*end && !errno ? json_object_new_int64(value) : NULL;
    }
}

/* A value's name, or another spelling of it that is no string: true, 0. */
static struct json_object *enumerated(const struct bh_field *field, const char *text)
{
    for (uint8_t i = 0; i < field->of.enumeration->n_aliases; i++)
        if (strcmp(field->of.enumeration->aliases[i].literal, text) == 0)
            return json_tokener_parse(text);
    return json_object_new_string(text);
}

/* One value of the field's type; NULL if the text is none. */
static struct json_object *scalar(const struct bh_field *field, const char *text)
{
    char *end;
    double number;

    switch (field->kind) {
    case BH_KIND_BOOL:
        if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
            return json_object_new_boolean(text[0] == 't');
        return NULL;
    case BH_KIND_INT:
    case BH_KIND_UINT:
        return integer(field, text);
    case BH_KIND_NUMBER:
        number = strtod(text, &end);
        return *text && !*end ? json_object_new_double(number) : NULL;
    case BH_KIND_STRUCT:
        return json_tokener_parse(text);
    case BH_KIND_ENUM:
        return enumerated(field, text);
    default: /* strings and base64 */
        return json_object_new_string(text);
    }
}

/* Adds an element to a list, or replaces it by a JSON list. */
static struct json_object *list(const struct bh_field *field, struct json_object *old, const char *text)
{
    struct json_object *whole = text[0] == '[' ? json_tokener_parse(text) : NULL, *element;

    if (whole && !old && json_object_is_type(whole, json_type_array))
        return whole;
    json_object_put(whole);
    element = scalar(field, text);
    if (!element)
        return NULL;
    whole = old ? json_object_get(old) : json_object_new_array();
    json_object_array_add(whole, element);
    return whole;
}

static int add_word(const struct bh_command *command, const char *word, struct json_object *arguments)
{
    static const char *const kinds[] = {
        [BH_KIND_BOOL] = "true or false", [BH_KIND_INT] = "an integer",       [BH_KIND_UINT] = "an integer",
        [BH_KIND_NUMBER] = "a number",    [BH_KIND_STR] = "a string",         [BH_KIND_BYTES] = "base64",
        [BH_KIND_ENUM] = "a name",        [BH_KIND_STRUCT] = "a JSON object",
    };
    const char *equals = strchr(word, '=');
    const struct bh_field *field = equals ? find_field(command, word, (size_t)(equals - word)) : NULL;
    struct json_object *old = NULL, *value;

    if (!equals)
        return ctl_fail(CTL_USAGE, "%s is neither key=value nor a JSON object", word);
    if (!field)
        return ctl_fail(CTL_USAGE, "%s has no argument %.*s", command->name, (int)(equals - word), word);
    (void)json_object_object_get_ex(arguments, field->name, &old);
    if (old && !(field->flags & BH_FIELD_LIST))
        return ctl_fail(CTL_USAGE, "%s is given twice", field->name);
    value = field->flags & BH_FIELD_LIST ? list(field, old, equals + 1) : scalar(field, equals + 1);
    if (!value)
        return ctl_fail(CTL_USAGE, "%s takes %s, and '%s' is none", field->name, kinds[field->kind],
                        equals + 1);
    json_object_object_add(arguments, field->name, value);
    return CTL_OK;
}

int ctl_args(const struct bh_command *command, int n, char **words, struct json_object **ret)
{
    struct json_object *arguments;
    int status = CTL_OK;

    *ret = NULL;
    if (n == 0)
        return CTL_OK;
    if (n == 1 && strcmp(words[0], "-") == 0)
        return from_input(ret);
    if (n == 1 && words[0][0] == '{')
        return from_json(words[0], ret);
    if (!command)
        return ctl_fail(CTL_USAGE,
                        "there is no such command in this build: give its arguments as one JSON object");
    arguments = json_object_new_object();
    for (int i = 0; i < n && status == CTL_OK; i++)
        status = add_word(command, words[i], arguments);
    if (status == CTL_OK)
        *ret = arguments;
    else
        json_object_put(arguments);
    return status;
}
