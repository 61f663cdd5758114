/*
 * The lexer's state, shared by its topics: lexer.c (grammar), string.c (strings), token.c
 * (numbers and keywords), envelope.c (the request's members and what is lifted).
 *
 * `p` and `end` are the piece being eaten; a step moves `p` behind what it understood and
 * leaves it on the offending byte when it fails.
 *
 * Trust: in = HOST; out = CHECKED; called by = the lexer's files only
 */
#pragma once

#include "protocol/json/lexer.h"
#include "protocol/json/text.h"

enum bh_step {
    BH_STEP_ON,   /* go on, there may be bytes left */
    BH_STEP_DONE, /* the request is complete */
    BH_STEP_FAIL, /* the error is filled */
};

enum bh_string_state {
    BH_STRING_PLAIN,
    BH_STRING_UTF8,   /* inside a character of several bytes */
    BH_STRING_ESCAPE, /* behind a backslash */
    BH_STRING_HEX,    /* inside the four digits of \u */
    BH_STRING_LOW,    /* behind a high surrogate: the backslash of the low one is due */
    BH_STRING_LOW_U,  /* then its u */
};

struct bh_string {
    uint8_t state;   /* enum bh_string_state */
    uint8_t n, need; /* bytes or digits that are there, that are needed */
    char quote;
    char utf8[4];
    uint32_t code; /* of the digits so far */
    uint32_t high; /* surrogate that waits for its other half; 0 = none */
};

enum bh_member { BH_MEMBER_NONE, BH_MEMBER_EXECUTE, BH_MEMBER_ID, BH_MEMBER_ARGUMENTS, BH_MEMBER_UNKNOWN };

struct bh_lexer {
    bh_lift_fn lift;
    void *context;
    struct bh_error *error; /* where the current call wants its error */

    const char *p, *end; /* what is left of the piece */
    const char *piece;   /* its start */
    uint64_t before;     /* bytes of this request in earlier pieces */

    uint8_t state;       /* enum of lexer.c */
    bool is_key;         /* the string being read is a member's name */
    uint8_t token_state; /* of a number */
    uint32_t depth;
    uint64_t objects;  /* bit per depth: 1 = object, 0 = array */
    uint32_t token_at; /* where the current string, number or keyword stands in the text */
    uint32_t total;    /* members and elements */
    struct bh_string string;

    uint8_t member;    /* enum bh_member: of the envelope, being read */
    uint32_t value_at; /* where its value begins in the text */
    int which;         /* of the argument being read, if it may be lifted; else -1 */
    bool lifting;
    uint32_t lift_left; /* bytes that the lifted string may still have */

    struct bh_canon canon;
    struct bh_text text;
};

/* Bytes that occur in no UTF-8 text and by which a client drops what it has half sent. */
static inline bool bh_lexer_is_reset(char c)
{
    return (unsigned char)c >= 0xfe;
}

/* Fills the error: `sentence` says what to mend; the place is added. Returns BH_STEP_FAIL. */
enum bh_step bh_lexer_fail(struct bh_lexer *lexer, uint16_t code, const char *sentence);

/* The text is full. */
enum bh_step bh_lexer_fail_size(struct bh_lexer *lexer);

/* A value is complete: what comes next depends on where it stands. */
enum bh_step bh_lexer_end_value(struct bh_lexer *lexer);

/* string.c: a string whose opening quote is at `p`; then the bytes of one, *ret_ended when its end was eaten.
 */
enum bh_step bh_string_begin(struct bh_lexer *lexer);
enum bh_step bh_string_step(struct bh_lexer *lexer, bool *ret_ended);

/* token.c */
bool bh_token_begins(char c);
enum bh_step bh_number_begin(struct bh_lexer *lexer);
enum bh_step bh_number_step(struct bh_lexer *lexer);
enum bh_step bh_keyword_begin(struct bh_lexer *lexer);
enum bh_step bh_keyword_step(struct bh_lexer *lexer);

/* envelope.c: a member's name is complete; a value begins, ends; the request is complete. */
enum bh_step bh_envelope_key(struct bh_lexer *lexer);
void bh_envelope_value_begins(struct bh_lexer *lexer, char first);
void bh_envelope_value_ended(struct bh_lexer *lexer);
enum bh_step bh_envelope_finish(struct bh_lexer *lexer);

/* True if a string that begins here goes to `lift`. */
bool bh_envelope_lifts(const struct bh_lexer *lexer);
