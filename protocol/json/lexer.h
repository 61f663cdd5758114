/*
 * Hostile bytes -> one request at a time, incrementally.
 *
 * The lexer accepts the dialect of the protocol (JSON, plus single-quoted strings and
 * \'), finds where a request ends (its closing brace: no newline is needed), and
 * writes it as canonical JSON text: double quotes, no white space, strings as UTF-8
 * with only the escapes that JSON demands, numbers as they were written. It keeps no
 * more than BH_TEXT_MAX bytes of it. On the way it takes three things out:
 * - the envelope's members `execute`, `id`, `arguments`, as spans of the text;
 * - bulk and secret strings of `arguments` (fields with BH_FIELD_BULK or
 *   BH_FIELD_SECRET; the generated list bh_lifted[]): their decoded bytes go to
 *   `lift` piece by piece, "" stands in the text;
 * - the number of members of all objects, by which convert.h finds duplicate keys.
 *
 * Invariants: memory is bounded by the struct and the text buffer, whatever comes in;
 * every byte is looked at once; 0xFF or 0xFE anywhere resets (BH_LEX_RESET). After an
 * error the rest of the broken text is skipped up to and including the next LF or up
 * to a 0xFF: one error for one broken text.
 *
 * Trust: in = HOST; out = CHECKED (well-formed text within the limits; its meaning is
 *        not checked); called by = front, bulkheadctl
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/err.h"

#define BH_TEXT_MAX (1024u * 1024u) /* bytes of canonical text of one request */
#define BH_DEPTH_MAX 64u            /* nested objects and arrays, the envelope included */
#define BH_MEMBERS_MAX 65536u       /* members and elements of one request */
#define BH_LIFT_MAX                                                                                          \
    (68u * 1024u * 1024u) /* decoded bytes of one lifted string: base64 of 48 MiB with line breaks */

/* A stretch of the canonical text; len 0: the member is absent. */
struct bh_span {
    uint32_t at, len;
};

/* A request, valid until the next call of bh_lexer_feed. */
struct bh_text {
    const char *text; /* canonical, NUL-terminated */
    uint32_t len;
    struct bh_span execute;   /* the string without its quotes, escapes undone; only if execute_is_string */
    struct bh_span id;        /* any value, canonical */
    struct bh_span arguments; /* any value, canonical */
    struct bh_span
        unknown; /* name of the first unexpected member of the envelope; an empty name with its quotes */
    bool is_object, execute_is_string, has_execute, has_arguments, has_id,
        repeated;     /* repeated: a member of the
                        envelope stands twice */
    uint32_t members; /* of all objects inside `arguments` */
    uint64_t lifted;  /* bit per index of bh_lifted[]: this request had it */
};

enum bh_lex_result {
    BH_LEX_MORE,    /* all input is eaten, no request is complete */
    BH_LEX_REQUEST, /* ret_text is filled */
    BH_LEX_ERROR,   /* reterr is filled (BH_E_JSON_*); the rest of the text is being skipped */
    BH_LEX_RESET,   /* a run of 0xFF was eaten; `half`: a half-read request was dropped, whose error is still
                       owed (not so for the rest of a broken text: its error was reported) */
};

/*
 * Bytes of a lifted string: `which` indexes bh_lifted[]. Returns false to have the request refused
 * (reterr was filled by the callee in its own place; the lexer then reports BH_E_JSON_LIFT).
 * Called with len 0 once when the string begins. A second string of the same name in one request is an error.
 */
typedef bool (*bh_lift_fn)(void *context, unsigned which, const char *data, size_t len);

/* 200 bytes and the text buffer, which grows as needed and is given back when a large request is over.
 */
struct bh_lexer;

/* With `lift` NULL nothing is lifted: all strings stand in the text. NULL if there is no memory. */
struct bh_lexer *bh_lexer_new(bh_lift_fn lift, void *context);
void bh_lexer_free(struct bh_lexer *lexer);

/*
 * Eats bytes of `data` up to the end of a request, an error, or a 0xFF; *ret_eaten <= len says how many. It
 * may be 0 (the offending byte of an error and the byte behind a bare number are not eaten): call again with
 * the rest.
 */
enum bh_lex_result bh_lexer_feed(struct bh_lexer *lexer, const char *data, size_t len, size_t *ret_eaten,
                                 struct bh_text *ret_text, struct bh_error *reterr, bool *ret_half);

/* True if nothing of a request has been read: between requests. */
bool bh_lexer_idle(const struct bh_lexer *lexer);

/* One lifted argument: which command's, which field. Generated into protocol/commands.h as bh_lifted[]. */
struct bh_lifted {
    const char *name; /* "buf-b64"; unique over all commands */
    uint8_t worker;   /* enum bh_worker_id it belongs to */
    bool secret;
};
extern const struct bh_lifted bh_lifted[];
extern const unsigned bh_n_lifted;
