/*
 * `args` and `rest`: what one argument may be. A position is one matcher or a set of them; `dash-ok` behind
 * it lets what a glob or `any` matches begin with a dash.
 */
#include <string.h>

#include "policy/evalexec.h"
#include "policy/lang/parser.h"

#define RANGE_HINT "a range of numbers such as 1..500"

/* A decimal number, as arguments are compared: no leading zero. False if there is none, or it is too large.
 */
static bool take_int(const char **text, int64_t *ret)
{
    struct bh_str digits = { *text, 0 };

    while (digits.ptr[digits.len] == '-' || (digits.ptr[digits.len] >= '0' && digits.ptr[digits.len] <= '9'))
        digits.len++;
    *text += digits.len;
    return bh_exec_parse_int(digits, ret);
}

static bool parse_range(struct bh_parser *parser, struct bh_match_line *match)
{
    const char *text = parser->token.text.ptr;

    if (parser->token.kind != BH_TOKEN_WORD || !take_int(&text, &match->least) || strncmp(text, "..", 2) != 0)
        return bh_parser_expected(parser, RANGE_HINT);
    text += 2;
    if (!take_int(&text, &match->most) || *text || match->least > match->most)
        return bh_parser_expected(parser, RANGE_HINT);
    bh_parser_advance(parser);
    match->text = BH_STR("");
    return true;
}

static bool parse_text(struct bh_parser *parser, struct bh_match_line *match, const char *what)
{
    struct bh_token token;

    if (!bh_parser_take(parser, BH_TOKEN_STRING, what, &token))
        return false;
    match->text = token.text;
    if (match->kind != BH_MATCH_BENEATH || bh_path_is_clean(token.text.ptr, token.text.len))
        return true;
    bh_error_at(parser->model->diags, token.pos, BH_PATH_HINT);
    return false;
}

/* The kind is known from the first token. */
static bool parse_matcher(struct bh_parser *parser, struct bh_match_line *match)
{
    if (parser->token.kind == BH_TOKEN_STRING) {
        match->kind = BH_MATCH_LITERAL;
        return parse_text(parser, match, "a string");
    }
    if (bh_parser_accept(parser, "int")) {
        match->kind = BH_MATCH_INT;
        return parse_range(parser, match);
    }
    if (bh_parser_accept(parser, "beneath")) {
        match->kind = BH_MATCH_BENEATH;
        return parse_text(parser, match, "a path in quotes");
    }
    if (bh_parser_accept(parser, "glob")) {
        match->kind = BH_MATCH_GLOB;
        return parse_text(parser, match, "a pattern in quotes");
    }
    match->kind = BH_MATCH_ANY;
    match->text = BH_STR("");
    return bh_parser_accept(parser, "any") ||
           bh_parser_expected(parser, "a string, a set in braces, `int`, `beneath`, `glob` or `any`");
}

static bool add_matcher(struct bh_parser *parser, struct bh_arg_line *arg)
{
    struct bh_match_line *match = bh_model_alloc(parser->model, sizeof(*match)), **end = &arg->matches;
    struct bh_pos pos = parser->token.pos;

    if (!match || !parse_matcher(parser, match))
        return false;
    if (arg->n_matches++ == BH_EXEC_MATCHES_MAX) {
        bh_error_at(parser->model->diags, pos,
                    "a set has at most %u alternatives: use a glob, or another rule", BH_EXEC_MATCHES_MAX);
        return false;
    }
    while (*end)
        end = &(*end)->next;
    *end = match;
    return true;
}

static bool parse_set(struct bh_parser *parser, struct bh_arg_line *arg)
{
    struct bh_token token;

    bh_parser_advance(parser);
    bh_parser_skip_lines(parser);
    do
        if (!add_matcher(parser, arg))
            return false;
    while (bh_parser_comma(parser));
    bh_parser_skip_lines(parser);
    return bh_parser_take(parser, BH_TOKEN_CLOSE, "a comma or } at the end of the set", &token);
}

/* Does `dash-ok` have a meaning here, and is it there where nothing would match without it? */
static bool dash_fits(struct bh_parser *parser, const struct bh_arg_line *arg, struct bh_pos pos)
{
    bool open = false;

    for (const struct bh_match_line *match = arg->matches; match; match = match->next) {
        open = open || match->kind == BH_MATCH_GLOB || match->kind == BH_MATCH_ANY;
        if (match->kind == BH_MATCH_GLOB && match->text.ptr[0] == '-' && !arg->dash_ok) {
            bh_error_at(parser->model->diags, pos,
                        "this glob matches nothing, for what it matches begins with a dash: write `dash-ok` "
                        "behind it");
            return false;
        }
    }
    if (open || !arg->dash_ok)
        return true;
    bh_error_at(parser->model->diags, pos, "`dash-ok` has no meaning without a glob or `any`: remove it");
    return false;
}

bool bh_parser_arg(struct bh_parser *parser, struct bh_arg_line **ret)
{
    struct bh_arg_line *arg = bh_model_alloc(parser->model, sizeof(*arg));
    struct bh_pos pos = parser->token.pos;

    if (!arg || !(parser->token.kind == BH_TOKEN_OPEN ? parse_set(parser, arg) : add_matcher(parser, arg)))
        return false;
    arg->dash_ok = bh_parser_accept(parser, "dash-ok");
    *ret = arg;
    return dash_fits(parser, arg, pos);
}
