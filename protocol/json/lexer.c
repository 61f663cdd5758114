/*
 * The lexer's grammar: one state per "what may come now", one bit per open bracket, and the
 * loop that eats a piece. Strings, numbers and the envelope are in their own files.
 *
 * A byte of 0xFE or more is looked for before any state sees it, since it resets whatever is
 * going on, a number at its end included. Skipping is a state like the others: it begins on the offending
 * byte, which was not eaten, so a line feed that is itself the error ends the skipping at once.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "protocol/codes.h"
#include "protocol/json/lexer_state.h"

enum state {
    START,         /* between requests */
    VALUE,         /* a value must come */
    VALUE_COMMA,   /* as VALUE, in an array behind a comma */
    FIRST_ELEMENT, /* behind '[': a value, or ']' */
    FIRST_KEY,     /* behind '{': a name, or '}' */
    KEY,           /* behind a comma in an object: a name */
    COLON,         /* behind a name */
    AFTER,         /* behind a value: ',' or the closing bracket */
    STRING,
    NUMBER,
    KEYWORD,
    DONE, /* a request was returned; the next call begins a new one */
    SKIP, /* an error was returned; the rest of the text is passed over */
};

struct bh_lexer *bh_lexer_new(bh_lift_fn lift, void *context)
{
    struct bh_lexer *lexer = calloc(1, sizeof(*lexer));

    if (lexer)
        *lexer = (struct bh_lexer){ .lift = lift, .context = context, .which = -1 };
    return lexer;
}

void bh_lexer_free(struct bh_lexer *lexer)
{
    if (lexer)
        bh_canon_deinit(&lexer->canon);
    free(lexer);
}

bool bh_lexer_idle(const struct bh_lexer *lexer)
{
    return lexer->state == START || lexer->state == DONE;
}

/* Forgets the request. `p` stays where it is: the next one is counted from there. */
static void begin(struct bh_lexer *lexer)
{
    bh_canon_reset(&lexer->canon);
    lexer->text = (struct bh_text){ 0 };
    lexer->string = (struct bh_string){ 0 };
    lexer->state = START;
    lexer->depth = 0;
    lexer->total = 0;
    lexer->member = BH_MEMBER_NONE;
    lexer->which = -1;
    lexer->lifting = false;
    lexer->before = 0;
    lexer->piece = lexer->p;
}

enum bh_step bh_lexer_fail(struct bh_lexer *lexer, uint16_t code, const char *sentence)
{
    uint64_t at = lexer->before + (uint64_t)(lexer->p - lexer->piece) + 1;

    (void)bh_fail(lexer->error, code, "JSON parse error at byte %" PRIu64 " of the request: %s", at,
                  sentence);
    return BH_STEP_FAIL;
}

enum bh_step bh_lexer_fail_size(struct bh_lexer *lexer)
{
    return bh_lexer_fail(lexer, BH_E_JSON_SIZE, "the request is too long");
}

static bool in_object(const struct bh_lexer *lexer)
{
    return lexer->depth > 0 && (lexer->objects >> (lexer->depth - 1) & 1);
}

enum bh_step bh_lexer_end_value(struct bh_lexer *lexer)
{
    lexer->state = AFTER;
    if (lexer->depth == 0)
        return bh_envelope_finish(lexer);
    bh_envelope_value_ended(lexer);
    return BH_STEP_ON;
}

static enum bh_step open_bracket(struct bh_lexer *lexer, bool object)
{
    uint64_t bit = 1ull << lexer->depth % 64;

    if (lexer->depth == BH_DEPTH_MAX)
        return bh_lexer_fail(lexer, BH_E_JSON_DEPTH, "objects and arrays are nested too deeply");
    if (!bh_canon_put_byte(&lexer->canon, *lexer->p))
        return bh_lexer_fail_size(lexer);
    lexer->objects = object ? lexer->objects | bit : lexer->objects & ~bit;
    lexer->depth++;
    lexer->state = object ? FIRST_KEY : FIRST_ELEMENT;
    lexer->p++;
    return BH_STEP_ON;
}

static enum bh_step close_bracket(struct bh_lexer *lexer)
{
    if (!bh_canon_put_byte(&lexer->canon, *lexer->p))
        return bh_lexer_fail_size(lexer);
    lexer->depth--;
    lexer->p++;
    return bh_lexer_end_value(lexer);
}

static enum bh_step no_value(struct bh_lexer *lexer, char c)
{
    if (lexer->state == START && (c == '}' || c == ']'))
        return bh_lexer_fail(lexer, BH_E_JSON_SYNTAX, "this bracket closes nothing");
    if (lexer->state == VALUE_COMMA && c == ']')
        return bh_lexer_fail(lexer, BH_E_JSON_SYNTAX, "remove the comma before ']'");
    if (c == '}' || c == ']' || c == ',' || c == ':')
        return bh_lexer_fail(lexer, BH_E_JSON_SYNTAX, "a value is missing here");
    return bh_lexer_fail(lexer, BH_E_JSON_TOKEN, "this byte begins no value");
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static enum bh_step value_begins(struct bh_lexer *lexer, char c)
{
    if (lexer->depth > 0 && !in_object(lexer) && ++lexer->total > BH_MEMBERS_MAX)
        return bh_lexer_fail(lexer, BH_E_JSON_MEMBERS, "the request has too many members and elements");
    bh_envelope_value_begins(lexer, c);
    if (c == '{' || c == '[')
        return open_bracket(lexer, c == '{');
    if (c == '"' || c == '\'') {
        lexer->state = STRING;
        lexer->is_key = false;
        return bh_string_begin(lexer);
    }
    lexer->state = is_letter(c) ? KEYWORD : NUMBER;
    return is_letter(c) ? bh_keyword_begin(lexer) : bh_number_begin(lexer);
}

static enum bh_step step_value(struct bh_lexer *lexer, char c)
{
    if (lexer->state == FIRST_ELEMENT && c == ']')
        return close_bracket(lexer);
    if (c == '{' || c == '[' || c == '"' || c == '\'' || bh_token_begins(c))
        return value_begins(lexer, c);
    return no_value(lexer, c);
}

static enum bh_step step_key(struct bh_lexer *lexer, char c)
{
    if (c == '"' || c == '\'') {
        lexer->state = STRING;
        lexer->is_key = true;
        return bh_string_begin(lexer);
    }
    if (c == '}' && lexer->state == FIRST_KEY)
        return close_bracket(lexer);
    return bh_lexer_fail(lexer, BH_E_JSON_SYNTAX,
                         c == '}' ? "remove the comma before '}'"
                                  : "the name of a member, a string in quotes, is missing here");
}

static enum bh_step step_colon(struct bh_lexer *lexer, char c)
{
    if (c != ':')
        return bh_lexer_fail(lexer, BH_E_JSON_SYNTAX, "put ':' between a member's name and its value");
    if (!bh_canon_put_byte(&lexer->canon, ':'))
        return bh_lexer_fail_size(lexer);
    lexer->state = VALUE;
    lexer->p++;
    return BH_STEP_ON;
}

static enum bh_step step_after(struct bh_lexer *lexer, char c)
{
    bool object = in_object(lexer);

    if (c == (object ? '}' : ']'))
        return close_bracket(lexer);
    if (c != ',')
        return bh_lexer_fail(lexer, BH_E_JSON_SYNTAX,
                             object ? "put ',' or '}' behind a member" : "put ',' or ']' behind an element");
    if (!bh_canon_put_byte(&lexer->canon, ','))
        return bh_lexer_fail_size(lexer);
    lexer->state = object ? KEY : VALUE_COMMA;
    lexer->p++;
    return BH_STEP_ON;
}

static enum bh_step step_string(struct bh_lexer *lexer)
{
    bool ended = false;
    enum bh_step step = bh_string_step(lexer, &ended);

    if (step != BH_STEP_ON || !ended)
        return step;
    if (!lexer->is_key)
        return bh_lexer_end_value(lexer);
    lexer->state = COLON;
    return bh_envelope_key(lexer);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* One token or one run of a string. White space means nothing outside of tokens. */
static enum bh_step step(struct bh_lexer *lexer)
{
    char c = *lexer->p;

    if (lexer->state == STRING)
        return step_string(lexer);
    if (lexer->state == NUMBER)
        return bh_number_step(lexer);
    if (lexer->state == KEYWORD)
        return bh_keyword_step(lexer);
    if (is_space(c)) {
        lexer->p++;
        if (lexer->state == START)
            lexer->piece = lexer->p;
        return BH_STEP_ON;
    }
    switch (lexer->state) {
    case FIRST_KEY:
    case KEY:
        return step_key(lexer, c);
    case COLON:
        return step_colon(lexer, c);
    case AFTER:
        return step_after(lexer, c);
    default:
        return step_value(lexer, c);
    }
}

/* Passes over the rest of a broken text; the line feed that ends it is eaten, a reset is not. */
static void skip(struct bh_lexer *lexer)
{
    while (lexer->p < lexer->end && *lexer->p != '\n' && !bh_lexer_is_reset(*lexer->p))
        lexer->p++;
    if (lexer->p < lexer->end && *lexer->p == '\n') {
        lexer->p++;
        begin(lexer);
    }
}

static enum bh_lex_result reset(struct bh_lexer *lexer, bool *ret_half)
{
    *ret_half = lexer->state != START && lexer->state != SKIP;
    while (lexer->p < lexer->end && bh_lexer_is_reset(*lexer->p))
        lexer->p++;
    begin(lexer);
    return BH_LEX_RESET;
}

static enum bh_lex_result eat(struct bh_lexer *lexer, struct bh_text *ret_text, bool *ret_half)
{
    while (lexer->p < lexer->end) {
        if (bh_lexer_is_reset(*lexer->p))
            return reset(lexer, ret_half);
        if (lexer->state == SKIP) {
            skip(lexer);
            continue;
        }
        switch (step(lexer)) {
        case BH_STEP_ON:
            break;
        case BH_STEP_DONE:
            lexer->state = DONE;
            *ret_text = lexer->text;
            return BH_LEX_REQUEST;
        case BH_STEP_FAIL:
            begin(lexer);
            lexer->state = SKIP;
            return BH_LEX_ERROR;
        }
    }
    return BH_LEX_MORE;
}

enum bh_lex_result bh_lexer_feed(struct bh_lexer *lexer, const char *data, size_t len, size_t *ret_eaten,
                                 struct bh_text *ret_text, struct bh_error *reterr, bool *ret_half)
{
    enum bh_lex_result result;

    lexer->p = lexer->piece = data;
    lexer->end = data + len;
    lexer->error = reterr;
    if (lexer->state == DONE)
        begin(lexer);
    result = eat(lexer, ret_text, ret_half);
    *ret_eaten = (size_t)(lexer->p - data);
    lexer->before += (uint64_t)(lexer->p - lexer->piece);
    return result;
}
