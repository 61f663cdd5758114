/*
 * Numbers and keywords. They have no closing byte: they end at the first byte that cannot
 * belong to them, which is not eaten. A number is checked by a small table of states and
 * written as it came.
 */
#include <stdio.h>
#include <string.h>

#include "protocol/codes.h"
#include "protocol/json/lexer_state.h"

#define KEYWORD_MAX 5u

enum number_state { N_NONE, N_MINUS, N_ZERO, N_INT, N_POINT, N_FRACTION, N_E, N_SIGN, N_EXPONENT, N_COUNT };
enum number_class { C_OTHER, C_ZERO, C_DIGIT, C_POINT, C_E, C_PLUS, C_MINUS, C_COUNT };

/* From state and class of the byte to the next state; N_NONE = the byte does not belong there. */
static const uint8_t next_state[N_COUNT][C_COUNT] = {
    [N_NONE] = { [C_MINUS] = N_MINUS, [C_ZERO] = N_ZERO, [C_DIGIT] = N_INT },
    [N_MINUS] = { [C_ZERO] = N_ZERO, [C_DIGIT] = N_INT },
    [N_ZERO] = { [C_POINT] = N_POINT, [C_E] = N_E },
    [N_INT] = { [C_ZERO] = N_INT, [C_DIGIT] = N_INT, [C_POINT] = N_POINT, [C_E] = N_E },
    [N_POINT] = { [C_ZERO] = N_FRACTION, [C_DIGIT] = N_FRACTION },
    [N_FRACTION] = { [C_ZERO] = N_FRACTION, [C_DIGIT] = N_FRACTION, [C_E] = N_E },
    [N_E] = { [C_ZERO] = N_EXPONENT, [C_DIGIT] = N_EXPONENT, [C_PLUS] = N_SIGN, [C_MINUS] = N_SIGN },
    [N_SIGN] = { [C_ZERO] = N_EXPONENT, [C_DIGIT] = N_EXPONENT },
    [N_EXPONENT] = { [C_ZERO] = N_EXPONENT, [C_DIGIT] = N_EXPONENT },
};
static const bool may_end[N_COUNT] = {
    [N_ZERO] = true, [N_INT] = true, [N_FRACTION] = true, [N_EXPONENT] = true
};

static enum number_class class_of(char c)
{
    if (c >= '1' && c <= '9')
        return C_DIGIT;
    switch (c) {
    case '0':
        return C_ZERO;
    case '.':
        return C_POINT;
    case 'e':
    case 'E':
        return C_E;
    case '+':
        return C_PLUS;
    case '-':
        return C_MINUS;
    default:
        return C_OTHER;
    }
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool bh_token_begins(char c)
{
    return is_word(c) || c == '-' || c == '+' || c == '.';
}

enum bh_step bh_number_begin(struct bh_lexer *lexer)
{
    lexer->token_at = lexer->canon.len;
    lexer->token_state = N_NONE;
    return bh_number_step(lexer);
}

enum bh_step bh_number_step(struct bh_lexer *lexer)
{
    uint8_t next;

    while (lexer->p < lexer->end && !bh_lexer_is_reset(*lexer->p)) {
        next = next_state[lexer->token_state][class_of(*lexer->p)];
        if (next == N_NONE) {
            if (may_end[lexer->token_state] && !bh_token_begins(*lexer->p))
                return bh_lexer_end_value(lexer);
            return bh_lexer_fail(lexer, BH_E_JSON_TOKEN, "this is not a number as JSON writes it");
        }
        if (!bh_canon_put_byte(&lexer->canon, *lexer->p))
            return bh_lexer_fail_size(lexer);
        lexer->token_state = next;
        lexer->p++;
    }
    return BH_STEP_ON;
}

enum bh_step bh_keyword_begin(struct bh_lexer *lexer)
{
    lexer->token_at = lexer->canon.len;
    return bh_keyword_step(lexer);
}

static enum bh_step end_keyword(struct bh_lexer *lexer)
{
    static const char *const keywords[] = { "true", "false", "null" };
    const char *word = lexer->canon.data + lexer->token_at;
    size_t len = lexer->canon.len - lexer->token_at, i;
    char sentence[80];

    for (i = 0; i < 3; i++)
        if (len == strlen(keywords[i]) && memcmp(word, keywords[i], len) == 0)
            return bh_lexer_end_value(lexer);
    (void)snprintf(sentence, sizeof(sentence), "invalid keyword '%.*s' (true, false and null exist)",
                   (int)len, word);
    return bh_lexer_fail(lexer, BH_E_JSON_TOKEN, sentence);
}

enum bh_step bh_keyword_step(struct bh_lexer *lexer)
{
    while (lexer->p < lexer->end && !bh_lexer_is_reset(*lexer->p)) {
        if (!is_word(*lexer->p) || lexer->canon.len - lexer->token_at > KEYWORD_MAX)
            return end_keyword(lexer);
        if (!bh_canon_put_byte(&lexer->canon, *lexer->p))
            return bh_lexer_fail_size(lexer);
        lexer->p++;
    }
    return BH_STEP_ON;
}
