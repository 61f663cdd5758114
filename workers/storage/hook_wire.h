/*
 * What goes between the storage worker and bulkhead-hook: a question of eight bytes, an answer of fixed size,
 * over a SOCK_SEQPACKET pair.
 *
 * A question says nothing but "freeze" or "thaw": which programs are run is root's configuration, and no byte
 * of it comes from a client.
 *
 * The end of the socket is a message too: whoever asked for the freeze is gone, and what is owed is done.
 *
 * Trust: in = PEER; out = CHECKED; called by = storage, hook
 */
#pragma once

#include <stdint.h>

#include "protocol/base/err.h"

#define BH_HOOK_MAGIC 0x4b48u
#define BH_HOOK_NAME_MAX 512u   /* bytes of a hook's path as an answer shows it, with the NUL */
#define BH_HOOK_OUTPUT_MAX 512u /* bytes of a hook's output that a client is told */

enum bh_hook_op { BH_HOOK_FREEZE = 1, BH_HOOK_THAW, BH_HOOK_OP_END };

struct bh_hook_request {
    uint16_t magic; /* BH_HOOK_MAGIC */
    uint16_t op;    /* enum bh_hook_op */
    uint32_t id;    /* the answer repeats it */
};

enum bh_hook_outcome {
    BH_HOOK_DONE,      /* every hook ended with status 0 */
    BH_HOOK_REFUSED,   /* not run: `text` says what to mend */
    BH_HOOK_EXITED,    /* `status`: its exit status, not 0 */
    BH_HOOK_KILLED,    /* `status`: the signal */
    BH_HOOK_TIMED_OUT, /* `status`: the limit in milliseconds */
    BH_HOOK_LEFT,      /* it ended, and a process of it cannot be killed */
    BH_HOOK_OUTCOME_END,
};

/* About the first hook that did not end well, or, if all did, about the last that was run. */
struct bh_hook_reply {
    uint16_t magic;               /* BH_HOOK_MAGIC */
    uint16_t op;                  /* of the question */
    uint32_t id;                  /* of the question */
    uint32_t outcome;             /* enum bh_hook_outcome */
    int32_t status;               /* as the outcome says */
    uint32_t n_run;               /* hooks that were started */
    uint32_t ms;                  /* how long the hook ran that the outcome is about */
    uint64_t output;              /* bytes that it printed in all */
    char hook[BH_HOOK_NAME_MAX];  /* its path, or "" */
    char text[BH_ERROR_TEXT_MAX]; /* REFUSED: a sentence; else the beginning of its output, cleaned */
};

_Static_assert(sizeof(struct bh_hook_request) == 8, "a question is eight bytes");
_Static_assert(BH_HOOK_OUTPUT_MAX < BH_ERROR_TEXT_MAX, "an answer holds the output");
