/* Small steps of the parser, lists and values: parser.h says what each takes. */
#include <string.h>

#include "policy/lang/parser.h"

void bh_parser_advance(struct bh_parser *parser)
{
    if (parser->token.kind == BH_TOKEN_OPEN)
        parser->depth++;
    if (parser->token.kind == BH_TOKEN_CLOSE && parser->depth > 0)
        parser->depth--;
    parser->token = bh_scan_next(&parser->scan);
}

bool bh_parser_expected(struct bh_parser *parser, const char *what)
{
    static const char *const found[] = { "the file ends", "the line ends", NULL, NULL, "a comma", "{", "}" };
    const struct bh_token *token = &parser->token;

    if (token->kind == BH_TOKEN_BAD)
        return false;
    if (token->kind == BH_TOKEN_WORD || token->kind == BH_TOKEN_STRING)
        bh_error_at(parser->model->diags, token->pos, "%s should stand here, not '%.64s'", what,
                    token->text.ptr);
    else
        bh_error_at(parser->model->diags, token->pos, "%s should stand here, but here %s%s", what,
                    token->kind <= BH_TOKEN_LINE ? "" : "is ", found[token->kind]);
    return false;
}

bool bh_parser_is_word(const struct bh_parser *parser, const char *word)
{
    return parser->token.kind == BH_TOKEN_WORD && strcmp(parser->token.text.ptr, word) == 0;
}

bool bh_parser_accept(struct bh_parser *parser, const char *word)
{
    if (!bh_parser_is_word(parser, word))
        return false;
    bh_parser_advance(parser);
    return true;
}

bool bh_parser_take(struct bh_parser *parser, enum bh_token_kind kind, const char *what, struct bh_token *ret)
{
    if (parser->token.kind != kind)
        return bh_parser_expected(parser, what);
    *ret = parser->token;
    bh_parser_advance(parser);
    return true;
}

bool bh_parser_comma(struct bh_parser *parser)
{
    if (parser->token.kind != BH_TOKEN_COMMA)
        return false;
    bh_parser_advance(parser);
    bh_parser_skip_lines(parser);
    return true;
}

void bh_parser_skip_lines(struct bh_parser *parser)
{
    while (parser->token.kind == BH_TOKEN_LINE)
        bh_parser_advance(parser);
}

bool bh_parser_name_ok(struct bh_parser *parser, const struct bh_token *token, const char *what)
{
    const char *name = token->text.ptr;

    if (name[0] >= 'a' && name[0] <= 'z' && token->text.len <= BH_POLICY_NAME_MAX &&
        strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == token->text.len)
        return true;
    bh_error_at(
        parser->model->diags, token->pos,
        "'%.64s' cannot be the name of a %s: use a small letter, then small letters, digits and '-', at most "
        "%u in all",
        name, what, BH_POLICY_NAME_MAX);
    return false;
}

bool bh_parser_refs(struct bh_parser *parser, const char *what, struct bh_ref **ret)
{
    do {
        struct bh_token token;
        struct bh_ref *ref;

        if (!bh_parser_take(parser, BH_TOKEN_WORD, what, &token))
            return false;
        ref = bh_model_alloc(parser->model, sizeof(*ref));
        if (!ref)
            return false;
        *ref = (struct bh_ref){ .next = *ret, .name = token.text, .pos = token.pos };
        *ret = ref;
    } while (bh_parser_comma(parser));
    return true;
}

bool bh_parser_targets(struct bh_parser *parser, enum bh_effect effect, struct bh_targets *ret)
{
    bool ok = true;

    do {
        struct bh_token token;

        if (!bh_parser_take(parser, BH_TOKEN_WORD, "a command or a class", &token))
            return false;
        if (bh_targets_add(ret, token.text, effect))
            continue;
        ok = false;
        bh_error_at(parser->model->diags, token.pos,
                    "there is no %s '%.64s': see the list in bulkhead-policy(5)",
                    token.text.ptr[0] == '@' ? "class" : "command", token.text.ptr);
    } while (bh_parser_comma(parser));
    return ok;
}

/* Digits in a base, up to the first other character. False if there are none or the value is above `most`. */
static bool digits(const char **text, unsigned base, uint64_t most, uint64_t *ret)
{
    const char *p = *text;
    uint64_t value = 0;

    for (; *p >= '0' && *p < (char)('0' + base); p++)
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value) || value > most)
            return false;
    if (p == *text)
        return false;
    *text = p;
    *ret = value;
    return true;
}

bool bh_parser_number(struct bh_parser *parser, const char *what, uint64_t most, uint64_t *ret)
{
    const char *text = parser->token.text.ptr;

    if (parser->token.kind != BH_TOKEN_WORD || !digits(&text, 10, most, ret) || *text != '\0')
        return bh_parser_expected(parser, what);
    bh_parser_advance(parser);
    return true;
}

/* A number and the letter of a unit; `units` are pairs of letter and factor. */
struct unit {
    char letter;
    uint64_t factor;
};

static bool scaled(const char *text, const struct unit *units, uint64_t *ret)
{
    if (!digits(&text, 10, UINT64_MAX, ret))
        return false;
    while (units->letter && units->letter != *text)
        units++;
    if (__builtin_mul_overflow(*ret, units->letter ? units->factor : 1, ret))
        return false;
    return text[units->letter ? 1 : 0] == '\0' && (units->letter || units->factor || *ret == 0);
}

static bool word_index(const char *text, const char *const *words, uint64_t *ret)
{
    for (uint64_t i = 0; words[i]; i++)
        if (strcmp(words[i], text) == 0) {
            *ret = i;
            return true;
        }
    return false;
}

/* The last row: may the unit be missing? Without it only 0 is clear. */
static const struct unit sizes[] = {
    { 'K', 1ull << 10 }, { 'M', 1ull << 20 }, { 'G', 1ull << 30 }, { 'T', 1ull << 40 }, { 0, 1 }
};
static const struct unit durations[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 0, 0 } };

/* N/DURATION, where the duration may be one unit: 6/min, 1/10s. The seconds are below the number. */
static bool rate(const char *text, uint64_t most, uint64_t *ret)
{
    static const char *const words[] = { "s", "min", "h", "d", NULL };
    static const uint64_t factors[] = { 1, 60, 3600, 86400 };
    uint64_t times, seconds;

    if (!digits(&text, 10, most, &times) || *text++ != '/')
        return false;
    if (word_index(text, words, &seconds))
        seconds = factors[seconds];
    else if (!scaled(text, durations, &seconds))
        return false;
    *ret = times << 32 | seconds;
    return times > 0 && seconds > 0 && seconds <= BH_EXEC_TIMEOUT_MAX_S;
}

/* CPUs, or a percentage of one. */
static bool cpu(const char *text, uint64_t most, uint64_t *ret)
{
    if (!digits(&text, 10, most, ret))
        return false;
    if (strcmp(text, "%") == 0)
        return true;
    *ret *= 100;
    return *text == '\0';
}

static bool number(const char *text, uint64_t most, uint64_t *ret)
{
    return digits(&text, 10, most, ret) && *text == '\0';
}

static bool convert(const struct bh_setting_row *row, const char *text, uint64_t *ret)
{
    switch ((enum bh_setting_type)row->type) {
    case BH_TYPE_SIZE:
        return scaled(text, sizes, ret);
    case BH_TYPE_DURATION:
        return scaled(text, durations, ret);
    case BH_TYPE_NUMBER:
        return number(text, row->most, ret);
    case BH_TYPE_CPU:
        return cpu(text, row->most, ret);
    case BH_TYPE_RATE:
        return rate(text, row->most, ret);
    case BH_TYPE_MODE:
        return text[0] == '0' && digits(&text, 8, row->most, ret) && *text == '\0';
    default:
        return word_index(text, row->words, ret);
    }
}

/* "one of 'a', 'b'", for a message. */
static const char *words_hint(struct bh_parser *parser, const char *const *words)
{
    struct bh_str hint = BH_STR("one of these words:");

    for (; *words; words++)
        hint = bh_arena_printf(parser->model->arena, "%s %s", hint.ptr ? hint.ptr : "", *words);
    return hint.ptr ? hint.ptr : "a word";
}

static const char *time_hint(struct bh_parser *parser, const struct bh_setting_row *row)
{
    bool days = row->most % 86400 == 0;
    struct bh_str hint =
        bh_arena_printf(parser->model->arena, "a time such as 30s, 10m, 2h or 1d (%llu%s is the most%s)",
                        (unsigned long long)(row->most / (days ? 86400 : 3600)), days ? "d" : "h",
                        row->least ? ", 1s the least" : "; 0 for never");

    return hint.ptr ? hint.ptr : "a time";
}

static const char *number_hint(struct bh_parser *parser, const struct bh_setting_row *row)
{
    struct bh_str hint = bh_arena_printf(parser->model->arena, "a number from %llu to %llu",
                                         (unsigned long long)row->least, (unsigned long long)row->most);

    return hint.ptr ? hint.ptr : "a number";
}

static const char *size_hint(struct bh_parser *parser, const struct bh_setting_row *row)
{
    struct bh_str hint =
        bh_arena_printf(parser->model->arena, "a size such as 512K, 1M or 4096, not 0 (%lluM is the most)",
                        (unsigned long long)(row->most >> 20));

    return hint.ptr && row->most < INT64_MAX ? hint.ptr : "a size such as 512K, 1M or 4096, not 0";
}

static const char *value_hint(struct bh_parser *parser, const struct bh_setting_row *row)
{
    switch ((enum bh_setting_type)row->type) {
    case BH_TYPE_SIZE:
        return size_hint(parser, row);
    case BH_TYPE_NUMBER:
        return number_hint(parser, row);
    case BH_TYPE_CPU:
        return "a number of CPUs such as 2, or a percentage of one such as 50%,";
    case BH_TYPE_RATE:
        return "a number in a time, such as 6/min or 1/10s,";
    case BH_TYPE_DURATION:
        return time_hint(parser, row);
    case BH_TYPE_MODE:
        return "an octal mode such as 0640, at most 0777,";
    default:
        return words_hint(parser, row->words);
    }
}

bool bh_parser_value(struct bh_parser *parser, const struct bh_setting_row *row, uint64_t *ret)
{
    uint64_t value = 0;

    if (row->type == BH_TYPE_WORDS) {
        if (!bh_parser_words(parser, row, &value))
            return false;
        *ret = value;
        return true;
    }
    if (parser->token.kind != BH_TOKEN_WORD || !convert(row, parser->token.text.ptr, &value))
        return bh_parser_expected(parser, value_hint(parser, row));
    if (!row->words && row->type != BH_TYPE_RATE && (value < row->least || value > row->most))
        return bh_parser_expected(parser, value_hint(parser, row));
    bh_parser_advance(parser);
    *ret = value;
    return true;
}

bool bh_parser_words(struct bh_parser *parser, const struct bh_setting_row *row, uint64_t *ret)
{
    uint64_t index;

    do {
        if (parser->token.kind != BH_TOKEN_WORD || !word_index(parser->token.text.ptr, row->words, &index))
            return bh_parser_expected(parser, words_hint(parser, row->words));
        *ret |= 1ull << index;
        bh_parser_advance(parser);
    } while (parser->token.kind != BH_TOKEN_LINE && parser->token.kind != BH_TOKEN_CLOSE &&
             parser->token.kind != BH_TOKEN_END);
    return true;
}
