/* The parser of keyfile.h: one pass over the lines, each cut where it ends. */
#include "broker/supervisor/keyfile.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "protocol/wire/utf8.h"

#define WHITE " \t\f\r" /* in a line */

struct parser {
    unsigned line;
    const char *start;              /* of the line */
    const char *group;              /* NULL: none yet */
    bool first;                     /* it is the first group of the file */
    struct bh_keyfile_error *error; /* where to say what is wrong */
};

static int refuse(const struct parser *parser, const char *at, const char *what)
{
    *parser->error = (struct bh_keyfile_error){ parser->line, (unsigned)(at - parser->start) + 1, what };
    return -EINVAL;
}

/* "[name]" with nothing but blanks behind it; returns the bracket, or NULL: it is no group line. */
static char *group_end(char *line)
{
    char *close = line[0] == '[' ? strchr(line, ']') : NULL;

    return close && close[1 + strspn(close + 1, " \t")] == '\0' ? close : NULL;
}

static int take_group(struct parser *parser, char *name, char *end)
{
    *end = '\0';
    if (name == end)
        return refuse(parser, name, "a group needs a name; the one that is read is [general]");
    for (const char *p = name; *p; p++)
        if (*p == '[' || iscntrl((unsigned char)*p))
            return refuse(parser, p, "the name of a group may have neither brackets nor control characters");
    parser->first = !parser->group || (parser->first && !strcmp(parser->group, name));
    parser->group = name;
    return 0;
}

/* A key may name a language behind it: "key[de]". NULL, or the place that is wrong. */
static const char *key_fault(const char *key)
{
    const char *p = key + strcspn(key, "[]");

    if (*p == '[') {
        if (p > key && strchr(WHITE, p[-1]))
            return p;
        p++;
        while (isalnum((unsigned char)*p) || (*p && strchr("-_.@", *p)))
            p++;
        if (*p != ']')
            return p;
        p++;
    }
    return *p ? p : NULL;
}

static bool encoding_is_foreign(const struct parser *parser, const char *key, const char *value)
{
    return parser->first && !strcmp(key, "Encoding") && strcasecmp(value, "UTF-8") != 0;
}

static int take_pair(struct parser *parser, char *key,
                     void (*take)(void *context, const struct bh_keyfile_entry *entry), void *context)
{
    char *equals = strchr(key, '='), *value, *end;
    const char *fault;

    if (!equals)
        return refuse(parser, key, "this is neither a comment (#) nor [group] nor key=value");
    if (equals == key)
        return refuse(parser, key, "a key is missing before the '='");
    if (!parser->group)
        return refuse(parser, key, "this stands before any group; begin the file with [general]");
    for (end = equals; end[-1] && strchr(WHITE, end[-1]); end--)
        ;
    *end = '\0';
    fault = key_fault(key);
    if (fault)
        return refuse(parser, fault, "this character may not stand in a key");
    value = equals + 1 + strspn(equals + 1, WHITE);
    if (encoding_is_foreign(parser, key, value))
        return refuse(parser, value, "only UTF-8 is read");
    take(context, &(struct bh_keyfile_entry){ parser->group, key, value, parser->line,
                                              (unsigned)(value - parser->start) + 1 });
    return 0;
}

static int take_line(struct parser *parser, char *line,
                     void (*take)(void *context, const struct bh_keyfile_entry *entry), void *context)
{
    char *end;

    parser->start = line;
    line += strspn(line, WHITE);
    if (*line == '\0' || *line == '#')
        return 0;
    end = group_end(line);
    return end ? take_group(parser, line + 1, end) : take_pair(parser, line, take, context);
}

int bh_keyfile_parse(char *text, size_t len,
                     void (*take)(void *context, const struct bh_keyfile_entry *entry), void *context,
                     struct bh_keyfile_error *ret)
{
    struct parser parser = { .error = ret };
    char *const all_end = text + len;
    int r = 0;

    while (text < all_end && r == 0) {
        char *end = memchr(text, '\n', (size_t)(all_end - text)), *nul;

        parser.line++;
        parser.start = text;
        end = end ? end : all_end;
        nul = memchr(text, '\0', (size_t)(end - text));
        if (nul)
            return refuse(&parser, nul, "a NUL byte; this is no text file");
        *end = '\0';
        if (end > text && end[-1] == '\r')
            end[-1] = '\0';
        r = take_line(&parser, text, take, context);
        text = end + 1;
    }
    return r;
}

static int refuse_value(const struct bh_keyfile_entry *entry, size_t offset, const char *what,
                        struct bh_keyfile_error *ret)
{
    *ret = (struct bh_keyfile_error){ entry->line, entry->column + (unsigned)offset, what };
    return -EINVAL;
}

int bh_keyfile_string(const struct bh_keyfile_entry *entry, struct bh_keyfile_error *ret)
{
    static const char escapes[] = "sntr\\", meant[] = " \n\t\r\\";
    char *out = entry->value;

    if (!bh_utf8_valid(entry->value, strlen(entry->value)))
        return refuse_value(entry, 0, "the value is not UTF-8", ret);
    for (const char *p = entry->value; *p; p++) {
        const char *escape = *p == '\\' && p[1] ? strchr(escapes, p[1]) : NULL;

        if (*p == '\\' && !escape)
            return refuse_value(entry, (size_t)(p - entry->value),
                                "a backslash must be followed by s, n, t, r or another one", ret);
        *out++ = escape ? meant[escape - escapes] : *p;
        p += escape != NULL;
    }
    *out = '\0';
    return 0;
}

int bh_keyfile_boolean(const struct bh_keyfile_entry *entry, bool *ret, struct bh_keyfile_error *ret_error)
{
    static const struct {
        const char *word;
        bool means;
    } words[] = { { "true", true }, { "1", true }, { "false", false }, { "0", false } };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i].word);

        if (strncmp(entry->value, words[i].word, len) == 0 &&
            entry->value[len + strspn(entry->value + len, WHITE)] == '\0') {
            *ret = words[i].means;
            return 0;
        }
    }
    return refuse_value(entry, 0, "the value must be true, false, 1 or 0", ret_error);
}

void bh_keyfile_print(FILE *out, const char *key, const char *value)
{
    bool leading = true; /* white space is lost there unless it is escaped */

    fprintf(out, "%s=", key);
    for (; *value; value++) {
        leading = leading && (*value == ' ' || *value == '\t');
        if (leading)
            fputs(*value == ' ' ? "\\s" : "\\t", out);
        else if (*value == '\n')
            fputs("\\n", out);
        else if (*value == '\r')
            fputs("\\r", out);
        else if (*value == '\\')
            fputs("\\\\", out);
        else
            fputc(*value, out);
    }
    fputc('\n', out);
}
