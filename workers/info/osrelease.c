/* The reader of osrelease.h: one line at a time, each value unquoted into the arena. */
#include "workers/info/osrelease.h"

#include <errno.h>
#include <string.h>

#include "protocol/base/mem.h"

struct key {
    const char *name;
    size_t has, value; /* offsets of the members */
};

#define KEY(name, member)                                                                                    \
    {                                                                                                        \
        name, offsetof(struct bh_guest_os_info, has_##member), offsetof(struct bh_guest_os_info, member)     \
    }

static const struct key keys[] = {
    KEY("ID", id),
    KEY("NAME", name),
    KEY("PRETTY_NAME", pretty_name),
    KEY("VERSION", version),
    KEY("VERSION_ID", version_id),
    KEY("VARIANT", variant),
    KEY("VARIANT_ID", variant_id),
};

static const struct key *find_key(const char *name, size_t len)
{
    for (size_t i = 0; i < BH_ARRAY_SIZE(keys); i++)
        if (strlen(keys[i].name) == len && memcmp(keys[i].name, name, len) == 0)
            return &keys[i];
    return NULL;
}

/* Length of the value between quotes, up to `end`; SIZE_MAX if the quote is not closed. */
static size_t quoted_len(const char *text, size_t end, char quote)
{
    for (size_t i = 0; i < end; i++) {
        if (text[i] == '\\' && quote == '"')
            i++;
        else if (text[i] == quote)
            return i;
    }
    return SIZE_MAX;
}

/* A bare value ends where a shell would end it. */
static size_t bare_len(const char *text, size_t end)
{
    size_t n = 0;

    while (n < end && !memchr(" \t\r;#", text[n], 5))
        n += text[n] == '\\' && n + 1 < end ? 2 : 1;
    return n;
}

/* Copies without escapes; in double quotes a backslash before another character stays. */
static size_t unescape(char *out, const char *text, size_t len, char quote)
{
    size_t used = 0;

    for (size_t i = 0; i < len; i++) {
        bool escape = quote != '\'' && text[i] == '\\' && i + 1 < len;

        if (escape && (!quote || memchr("\"'$\\`", text[i + 1], 5)))
            i++;
        out[used++] = text[i];
    }
    return used;
}

static int set_value(struct bh_guest_os_info *info, const struct key *key, const char *text, size_t len,
                     struct bh_arena *arena)
{
    char quote = len > 0 && (text[0] == '"' || text[0] == '\'') ? text[0] : '\0';
    struct bh_str value;
    size_t n;
    char *copy;
    bool yes = true;

    n = quote ? quoted_len(text + 1, len - 1, quote) : bare_len(text, len);
    if (n == SIZE_MAX)
        return 0;
    copy = bh_arena_alloc(arena, n + 1);
    if (!copy)
        return -ENOMEM;
    value = (struct bh_str){ copy, (uint32_t)unescape(copy, quote ? text + 1 : text, n, quote) };
    memcpy((char *)info + key->value, &value, sizeof(value));
    memcpy((char *)info + key->has, &yes, sizeof(yes));
    return 0;
}

static int parse_line(const char *line, size_t len, struct bh_arena *arena, struct bh_guest_os_info *info)
{
    const char *equals;
    const struct key *key;

    while (len > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    equals = memchr(line, '=', len);
    key = equals ? find_key(line, (size_t)(equals - line)) : NULL;
    if (!key)
        return 0;
    return set_value(info, key, equals + 1, len - (size_t)(equals + 1 - line), arena);
}

int bh_os_release_parse(const char *text, size_t len, struct bh_arena *arena, struct bh_guest_os_info *info)
{
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t n = end ? (size_t)(end - text) : len;
        int r = parse_line(text, n, arena, info);

        if (r < 0)
            return r;
        text += n + (end ? 1 : 0);
        len -= n + (end ? 1 : 0);
    }
    return 0;
}
