/*
 * The life of bulkhead-hook: questions, the hooks that they run, and what is owed when nobody asks any more.
 *
 * Invariants: a thaw hook is owed from the moment before its freeze hook is started until it has been run
 * (state->owed says so to the supervisor, across our death); no hook is started while the page says anything
 * but "thawed"; each run has an ACT record before it and a RESULT after it. It ends when nothing is owed, or
 * when its whole agent was killed and nobody will thaw: then the next agent's pays. One at a time does, by
 * the lock of the record.
 *
 * Trust: in = PEER (questions of the storage worker, the page), CONFIG; out = CHECKED; called by =
 * hook_main.c, tests
 */
#pragma once

#include "protocol/wire/frozen.h"
#include "protocol/wire/record.h"
#include "workers/storage/hook_list.h"

#define BH_HOOK_GATE_MS 50 /* how often the page is looked at while something is frozen */

struct bh_hook_keeper {
    const struct bh_hook_config *config;
    const struct bh_frozen *frozen;
    struct bh_audit audit;
    struct bh_state *state;
    int peer;        /* socket to who asks; -1: nobody asks any more */
    int control;     /* socket to the supervisor; -1: it is gone */
    int record;      /* the page's copy in the state folder, which says what is owed; -1: there is none */
    bool privileged; /* started by root */
    struct bh_hooks hooks;
    uint32_t n_begun; /* hooks whose freeze was begun: the first ones of the list */
};

/* Answers, and pays what is owed when nobody asks any more. False: it is left to the next agent. */
bool bh_hook_serve(struct bh_hook_keeper *keeper);

/* A predecessor died with thaw hooks owed; whose, nobody knows: runs all as soon as nothing is frozen, unless
 * the predecessor's agent was killed, and it lived on and did it. False: as above. */
bool bh_hook_serve_owed(struct bh_hook_keeper *keeper);
