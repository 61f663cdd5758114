/*
 * Case files: requests with the verdict that a policy must give. One case a line,
 *
 *   allow|deny COMMAND [{JSON arguments}] [object NAME] [on CHANNEL] [rule NAME]
 *
 * `#` begins a comment, but not inside the JSON. What the arguments mean is the
 * caller's business.
 *
 * Trust: in = CONFIG; out = CHECKED (shape only); called by = bulkheadctl, tests
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/arena.h"

struct bh_case {
    uint32_t line; /* from 1 */
    bool allow;
    struct bh_str command;
    struct bh_str json; /* with its braces; empty: no arguments */
    struct bh_str
        object; /* what the command might list or act on; what a program's name leads to; empty: none */
    struct bh_str channel; /* empty: the first one */
    struct bh_str rule;    /* that must decide; empty: any */
};

struct bh_cases {
    const char *text; /* what is left */
    size_t len;
    uint32_t line;
};

void bh_cases_begin(struct bh_cases *cases, const char *text, size_t len);

/*
 * The next case; its strings are the arena's. 1 = got one, 0 = the end, -EBADMSG with *ret_why saying what is
 * wrong in ret->line (the next call goes on after that line), -ENOMEM.
 */
int bh_cases_next(struct bh_cases *cases, struct bh_arena *arena, struct bh_case *ret, const char **ret_why);
