/*
 * Strings, streamed: clean runs of ASCII go on as they are, in pieces as long as the input
 * has them; escapes and characters of several bytes are put together one by one, across
 * pieces. The result goes to the text (escaped again as JSON demands) or to `lift` (plain).
 */
#include <string.h>

#include "protocol/codes.h"
#include "protocol/json/lexer_state.h"
#include "protocol/json/utf8.h"
#include "protocol/wire/utf8.h"

static enum bh_step fail_lift(struct bh_lexer *lexer)
{
    return bh_lexer_fail(lexer, BH_E_JSON_LIFT, "the data of this argument is refused or too long");
}

/* Hands plain bytes on; there must be room, except for a single character. */
static enum bh_step lift_bytes(struct bh_lexer *lexer, const char *data, size_t len)
{
    if (len > lexer->lift_left || !lexer->lift(lexer->context, (unsigned)lexer->which, data, len))
        return fail_lift(lexer);
    lexer->lift_left -= (uint32_t)len;
    return BH_STEP_ON;
}

static enum bh_step put_char(struct bh_lexer *lexer, uint32_t c)
{
    char utf8[4];
    enum bh_step step;

    if (!lexer->lifting)
        return bh_canon_put_char(&lexer->canon, c) ? BH_STEP_ON : bh_lexer_fail_size(lexer);
    step = lift_bytes(lexer, utf8, bh_utf8_encode(c, utf8));
    explicit_bzero(utf8, sizeof(utf8));
    return step;
}

enum bh_step bh_string_begin(struct bh_lexer *lexer)
{
    lexer->token_at = lexer->canon.len;
    lexer->string = (struct bh_string){ .quote = *lexer->p };
    lexer->lifting = !lexer->is_key && bh_envelope_lifts(lexer);
    if (!bh_canon_put_byte(&lexer->canon, '"'))
        return bh_lexer_fail_size(lexer);
    if (lexer->lifting) {
        if (lexer->text.lifted & 1ull << lexer->which)
            return bh_lexer_fail(lexer, BH_E_JSON_DUPLICATE, "this argument stands twice in the request");
        lexer->text.lifted |= 1ull << lexer->which;
        lexer->lift_left = BH_LIFT_MAX;
        if (!lexer->lift(lexer->context, (unsigned)lexer->which, "", 0))
            return fail_lift(lexer);
    }
    lexer->p++;
    return BH_STEP_ON;
}

/* The longest clean run at `p`, as much of it as there is room for. */
static enum bh_step eat_run(struct bh_lexer *lexer, size_t len)
{
    size_t room = lexer->lifting ? lexer->lift_left : BH_TEXT_MAX - lexer->canon.len;
    enum bh_step step = BH_STEP_ON;

    if (len > room)
        len = room;
    if (len == 0)
        return lexer->lifting ? fail_lift(lexer) : bh_lexer_fail_size(lexer);
    if (lexer->lifting)
        step = lift_bytes(lexer, lexer->p, len);
    else if (!bh_canon_put(&lexer->canon, lexer->p, len))
        step = bh_lexer_fail_size(lexer);
    if (step == BH_STEP_ON)
        lexer->p += len;
    return step;
}

static enum bh_step end_string(struct bh_lexer *lexer, bool *ret_ended)
{
    if (!bh_canon_put_byte(&lexer->canon, '"'))
        return bh_lexer_fail_size(lexer);
    lexer->lifting = false;
    lexer->p++;
    *ret_ended = true;
    return BH_STEP_ON;
}

static enum bh_step utf8_begin(struct bh_lexer *lexer)
{
    struct bh_string *string = &lexer->string;
    unsigned need = bh_utf8_need((unsigned char)*lexer->p);

    if (!need)
        return bh_lexer_fail(lexer, BH_E_JSON_UTF8, "this byte is not UTF-8");
    string->state = BH_STRING_UTF8;
    string->need = (uint8_t)need;
    string->n = 1;
    string->utf8[0] = *lexer->p++;
    return BH_STEP_ON;
}

static enum bh_step plain_step(struct bh_lexer *lexer, bool *ret_ended)
{
    char c = *lexer->p;
    size_t run;

    if (c == lexer->string.quote)
        return end_string(lexer, ret_ended);
    if (c == '\\') {
        lexer->string.state = BH_STRING_ESCAPE;
        lexer->p++;
        return BH_STEP_ON;
    }
    if ((unsigned char)c >= 0x80)
        return utf8_begin(lexer);
    if ((unsigned char)c < 0x20)
        return bh_lexer_fail(lexer, BH_E_JSON_TOKEN,
                             "write control characters in strings as escapes, and end the string");
    run = bh_clean_run(lexer->p, (size_t)(lexer->end - lexer->p), lexer->string.quote);
    if (run > 0)
        return eat_run(lexer, run);
    if (put_char(lexer, (unsigned char)c) != BH_STEP_ON) /* a double quote between single ones */
        return BH_STEP_FAIL;
    lexer->p++;
    return BH_STEP_ON;
}

static enum bh_step utf8_step(struct bh_lexer *lexer)
{
    struct bh_string *string = &lexer->string;
    uint32_t c;

    if (((unsigned char)*lexer->p & 0xc0) != 0x80)
        return bh_lexer_fail(lexer, BH_E_JSON_UTF8, "a character is cut before this byte");
    string->utf8[string->n++] = *lexer->p;
    if (string->n == string->need) {
        if (!bh_utf8_decode(string->utf8, string->n, &c) || bh_utf8_is_nonchar(c))
            return bh_lexer_fail(lexer, BH_E_JSON_UTF8,
                                 "this character is overlong, a surrogate or no character of Unicode");
        if (put_char(lexer, c) != BH_STEP_ON)
            return BH_STEP_FAIL;
        string->state = BH_STRING_PLAIN;
    }
    lexer->p++;
    return BH_STEP_ON;
}

static enum bh_step escape_step(struct bh_lexer *lexer)
{
    static const char named[256] = {
        ['"'] = '"',  ['\''] = '\'', ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
        ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r',  ['t'] = '\t',
    };
    struct bh_string *string = &lexer->string;
    char c = named[(unsigned char)*lexer->p];

    if (*lexer->p == 'u') {
        string->state = BH_STRING_HEX;
        string->n = 0;
        string->code = 0;
    } else if (!c) {
        return bh_lexer_fail(lexer, BH_E_JSON_ESCAPE, "this is not an escape that JSON has");
    } else {
        if (put_char(lexer, (unsigned char)c) != BH_STEP_ON)
            return BH_STEP_FAIL;
        string->state = BH_STRING_PLAIN;
    }
    lexer->p++;
    return BH_STEP_ON;
}

/* The four digits are there: a character, or half of one. `p` is still on the last digit. */
static enum bh_step end_hex(struct bh_lexer *lexer)
{
    struct bh_string *string = &lexer->string;
    uint32_t code = string->code;
    bool is_low = code >= 0xdc00 && code < 0xe000;

    if (is_low != (string->high != 0))
        return bh_lexer_fail(lexer, BH_E_JSON_ESCAPE, "half of a surrogate pair stands alone");
    if (code >= 0xd800 && code < 0xdc00) {
        string->high = code;
        string->state = BH_STRING_LOW;
        return BH_STEP_ON;
    }
    if (is_low)
        code = 0x10000 + ((string->high - 0xd800) << 10) + (code - 0xdc00);
    if (code == 0 || bh_utf8_is_nonchar(code))
        return bh_lexer_fail(lexer, BH_E_JSON_ESCAPE,
                             code ? "this is no character of Unicode" : "a string must not contain U+0000");
    string->high = 0;
    string->state = BH_STRING_PLAIN;
    return put_char(lexer, code);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static enum bh_step hex_step(struct bh_lexer *lexer)
{
    struct bh_string *string = &lexer->string;
    int digit = hex_value(*lexer->p);

    if (digit < 0)
        return bh_lexer_fail(lexer, BH_E_JSON_ESCAPE, "\\u needs four hexadecimal digits");
    string->code = string->code << 4 | (uint32_t)digit;
    if (++string->n == 4 && end_hex(lexer) != BH_STEP_ON)
        return BH_STEP_FAIL;
    lexer->p++;
    return BH_STEP_ON;
}

static enum bh_step low_step(struct bh_lexer *lexer)
{
    struct bh_string *string = &lexer->string;
    bool slash = string->state == BH_STRING_LOW;

    if (*lexer->p != (slash ? '\\' : 'u'))
        return bh_lexer_fail(lexer, BH_E_JSON_ESCAPE, "half of a surrogate pair stands alone");
    string->state = slash ? BH_STRING_LOW_U : BH_STRING_HEX;
    string->n = 0;
    string->code = 0;
    lexer->p++;
    return BH_STEP_ON;
}

enum bh_step bh_string_step(struct bh_lexer *lexer, bool *ret_ended)
{
    switch ((enum bh_string_state)lexer->string.state) {
    case BH_STRING_PLAIN:
        return plain_step(lexer, ret_ended);
    case BH_STRING_UTF8:
        return utf8_step(lexer);
    case BH_STRING_ESCAPE:
        return escape_step(lexer);
    case BH_STRING_HEX:
        return hex_step(lexer);
    case BH_STRING_LOW:
    case BH_STRING_LOW_U:
        break;
    }
    return low_step(lexer);
}
