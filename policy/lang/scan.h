/*
 * Tokens of the policy language. A line ends a statement, but after a comma and inside
 * braces, where the parser passes over line ends.
 *
 * Invariants: every byte is looked at once; the text is UTF-8 without control
 * characters but line feed and tab; strings have only the escapes \" and \\.
 *
 * Trust: in = CONFIG; out = CHECKED; called by = lang/parse.c
 */
#pragma once

#include "policy/lang/lang.h"

enum bh_token_kind {
    BH_TOKEN_END,
    BH_TOKEN_LINE,   /* end of a line */
    BH_TOKEN_WORD,   /* letters, digits and _ . / @ : + = % - */
    BH_TOKEN_STRING, /* text without its quotes */
    BH_TOKEN_COMMA,
    BH_TOKEN_OPEN,
    BH_TOKEN_CLOSE,
    BH_TOKEN_BAD, /* an error was reported */
};

struct bh_pos {
    struct bh_str file;
    uint32_t line, column;
};

struct bh_token {
    enum bh_token_kind kind;
    struct bh_pos pos;
    struct bh_str text; /* words and strings: NUL-terminated, in the arena */
};

struct bh_scan {
    struct bh_diags *diags;
    const char *text;
    size_t len, at;
    struct bh_pos pos; /* of text[at] */
};

/* Begins a file; false (with an error reported) if it is too large or not text. */
bool bh_scan_begin(struct bh_scan *scan, struct bh_diags *diags, struct bh_str file, struct bh_str text);

struct bh_token bh_scan_next(struct bh_scan *scan);

/* Reports at a position. */
void bh_report(struct bh_diags *diags, enum bh_severity severity, struct bh_pos pos, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#define bh_error_at(diags, pos, ...) bh_report(diags, BH_SEVERITY_ERROR, pos, __VA_ARGS__)
