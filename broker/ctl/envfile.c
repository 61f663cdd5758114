/*
 * Lines of envfile.h: NAME=VALUE, where the value is pieces in double quotes, in single
 * quotes or bare, one behind the other. A backslash at the end of a line joins the next
 * one; another takes the next character as it is.
 */
#include "broker/ctl/envfile.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

struct reader {
    char *at;      /* what is left of the text */
    char *out;     /* where the value's next byte goes: never ahead of `at` */
    unsigned line; /* of `at`, from 1 */
    const char *dubious;
};

static bool is_end(char c)
{
    return c == '\0' || c == '\n';
}

static void skip_line(struct reader *reader)
{
    while (!is_end(*reader->at))
        reader->at++;
    reader->line += *reader->at == '\n';
    reader->at += *reader->at == '\n';
}

static void take(struct reader *reader)
{
    reader->line += *reader->at == '\n';
    *reader->out++ = *reader->at++;
}

/* A backslash and what it means; in double quotes only some characters lose theirs. */
static void take_escape(struct reader *reader, bool quoted)
{
    char next = reader->at[1];

    if (next == '\n') {
        reader->at += 2;
        reader->line++;
        return;
    }
    if (next == '\0' || (quoted && !strchr("\"\\$`", next))) {
        take(reader);
        return;
    }
    reader->at++;
    take(reader);
}

/* Up to the closing quote, which is passed over. False: there is none. */
static bool take_quoted(struct reader *reader, char quote)
{
    reader->at++;
    while (*reader->at && *reader->at != quote) {
        if (quote == '"' && strchr("$`", *reader->at))
            reader->dubious =
                "has a $ or a ` in it, which a shell would replace: write out what it stands for";
        if (quote == '"' && *reader->at == '\\')
            take_escape(reader, true);
        else
            take(reader);
    }
    if (!*reader->at)
        return false;
    reader->at++;
    return true;
}

static void take_bare(struct reader *reader)
{
    if (strchr("$`;&|<>()", *reader->at))
        reader->dubious = "has a character in it that means something to a shell: put it into quotes";
    if (*reader->at == '\\')
        take_escape(reader, false);
    else
        take(reader);
}

/* Behind the blank that ends a bare value: a comment, or what a shell takes for something else. */
static void end_value(struct reader *reader)
{
    while (*reader->at == ' ' || *reader->at == '\t' || *reader->at == '\r')
        reader->at++;
    if (!is_end(*reader->at))
        reader->dubious = "has a blank in it that is not in quotes: put all of the value into quotes";
    skip_line(reader);
}

static bool take_value(struct reader *reader)
{
    while (!is_end(*reader->at) && !strchr(" \t\r", *reader->at)) {
        char c = *reader->at;

        if (c == '"' || c == '\'') {
            if (!take_quoted(reader, c))
                return false;
        } else {
            take_bare(reader);
        }
    }
    end_value(reader);
    return true;
}

/* NAME up to '='; NULL: it is none. */
static char *take_name(struct reader *reader)
{
    char *name = reader->at, *end;

    if (strncmp(name, "export ", strlen("export ")) == 0)
        name += strlen("export ");
    for (end = name; isalnum((unsigned char)*end) || *end == '_'; end++)
        ;
    if (end == name || isdigit((unsigned char)*name) || *end != '=')
        return NULL;
    *end = '\0';
    reader->at = end + 1;
    return name;
}

int ctl_envfile_read(char *text, ctl_envfile_fn fn, void *context, unsigned *ret_line)
{
    struct reader reader = { .at = text, .line = 1 };

    while (*reader.at) {
        char *name, *value;

        while (*reader.at == ' ' || *reader.at == '\t')
            reader.at++;
        *ret_line = reader.line;
        if (is_end(*reader.at) || strchr("#;\r", *reader.at)) {
            skip_line(&reader);
            continue;
        }
        name = take_name(&reader);
        if (!name)
            return -EBADMSG;
        value = reader.out = reader.at;
        reader.dubious = NULL;
        if (!take_value(&reader))
            return -EBADMSG;
        *reader.out = '\0';
        if (!fn(context, name, value, reader.dubious, *ret_line))
            return -ECANCELED;
    }
    return 0;
}
