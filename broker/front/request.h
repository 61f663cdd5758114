/*
 * Text -> request: the envelope's members, the command, whether this channel may use it
 * at all, and its arguments as a struct. The last place that sees JSON on the way in.
 *
 * Trust: in = HOST (well-formed text from the lexer); out = CHECKED; called by = front
 */
#pragma once

#include "policy/blob.h"
#include "protocol/base/arena.h"
#include "protocol/base/err.h"
#include "protocol/json/lexer.h"
#include "protocol/wire/frozen.h"
#include "protocol/wire/table.h"

struct bh_request {
    struct bh_str id;             /* canonical text of the member, to be echoed; len 0: there was none */
    uint16_t command;             /* enum bh_command_id, or BH_NO_COMMAND if it was not found */
    const struct bh_command *row; /* of the command; NULL if it was not found */
    void *args;                   /* struct of row->args, in the arena */
    struct bh_str rule;           /* the deny rule that keeps the whole command from this channel, or empty */
};

/*
 * Fills `ret`, its `id` and `command` also on an error as far as they are known. 0, or a positive BH_E_* with
 * the error set. `ret` points into the text, which lives until the lexer is fed again.
 */
int bh_request_read(const struct bh_text *text, const struct bh_policy *policy,
                    const struct bh_frozen *frozen, struct bh_arena *arena, struct bh_request *ret,
                    struct bh_error *reterr);

/* The error of a request whose arguments or reply do not fit into its memory; returns its code. */
int bh_request_no_memory(struct bh_error *reterr);
