/* The parser of cases.h: words, and one stretch of JSON that ends where its braces do. */
#include "policy/lang/cases.h"

#include <errno.h>
#include <string.h>

struct line {
    const char *at, *end;
};

void bh_cases_begin(struct bh_cases *cases, const char *text, size_t len)
{
    *cases = (struct bh_cases){ text, len, 0 };
}

static struct line next_line(struct bh_cases *cases)
{
    const char *end = memchr(cases->text, '\n', cases->len);
    struct line line = { cases->text, end ? end : cases->text + cases->len };
    size_t taken = (size_t)(line.end - line.at) + (end ? 1 : 0);

    cases->text += taken;
    cases->len -= taken;
    cases->line++;
    return line;
}

static void skip_blank(struct line *line)
{
    while (line->at < line->end && (*line->at == ' ' || *line->at == '\t'))
        line->at++;
    if (line->at < line->end && *line->at == '#')
        line->at = line->end;
}

/* The next word, as a stretch; false at the end of the line. */
static bool next_word(struct line *line, struct bh_str *ret)
{
    const char *start;

    skip_blank(line);
    start = line->at;
    while (line->at < line->end && !strchr(" \t#{", *line->at))
        line->at++;
    *ret = (struct bh_str){ start, (uint32_t)(line->at - start) };
    return ret->len > 0;
}

static bool is(struct bh_str word, const char *text)
{
    return word.len == strlen(text) && memcmp(word.ptr, text, word.len) == 0;
}

/* From the first brace to the one that closes it; braces in strings do not count. */
static bool take_json(struct line *line, struct bh_str *ret)
{
    const char *start = line->at;
    unsigned depth = 0;
    bool quoted = false;

    for (; line->at < line->end; line->at++) {
        char c = *line->at;

        if (quoted && c == '\\' && line->at + 1 < line->end)
            line->at++;
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && c == '{')
            depth++;
        else if (!quoted && c == '}' && --depth == 0) {
            line->at++;
            *ret = (struct bh_str){ start, (uint32_t)(line->at - start) };
            return true;
        }
    }
    return false;
}

/* What stands after the verdict. NULL, or what is wrong. */
static const char *parse_rest(struct line *line, struct bh_case *ret)
{
    struct bh_str word;

    if (!next_word(line, &ret->command))
        return "a command should stand after the verdict";
    skip_blank(line);
    if (line->at < line->end && *line->at == '{' && !take_json(line, &ret->json))
        return "the arguments do not end: a } is missing";
    while (next_word(line, &word)) {
        struct bh_str *place = is(word, "on")       ? &ret->channel
                               : is(word, "rule")   ? &ret->rule
                               : is(word, "object") ? &ret->object
                                                    : NULL;

        if (!place || place->len > 0)
            return "only `object NAME`, `on CHANNEL` and `rule NAME`, each once, may stand after the request";
        if (!next_word(line, place))
            return "a name should stand after `object`, `on` and `rule`";
    }
    return line->at < line->end ? "this does not belong here" : NULL;
}

static const char *parse(struct line *line, struct bh_case *ret)
{
    struct bh_str word;

    if (!next_word(line, &word) || (!is(word, "allow") && !is(word, "deny")))
        return "a case begins with `allow` or `deny`";
    ret->allow = is(word, "allow");
    return parse_rest(line, ret);
}

static bool own(struct bh_arena *arena, struct bh_str *text)
{
    *text = bh_arena_str(arena, text->len ? text->ptr : "", text->len);
    return text->ptr;
}

int bh_cases_next(struct bh_cases *cases, struct bh_arena *arena, struct bh_case *ret, const char **ret_why)
{
    while (cases->len > 0) {
        struct line line = next_line(cases);

        *ret = (struct bh_case){ .line = cases->line };
        skip_blank(&line);
        if (line.at == line.end)
            continue;
        *ret_why = memchr(line.at, '\0', (size_t)(line.end - line.at)) ? "a NUL byte stands in this line"
                                                                       : parse(&line, ret);
        if (*ret_why)
            return -EBADMSG;
        if (!own(arena, &ret->command) || !own(arena, &ret->json) || !own(arena, &ret->channel) ||
            !own(arena, &ret->rule) || !own(arena, &ret->object))
            return -ENOMEM;
        return 1;
    }
    return 0;
}
