/*
 * The guard: what is frozen, who froze it, until when; and thawing, which is all that it can do.
 *
 * It holds a descriptor of each mount from before its FIFREEZE until after its FITHAW, so a path that is
 * hidden or renamed meanwhile makes no difference. What it does is written to the frozen page, and to its
 * copy in the state folder, before it is done.
 *
 * Invariants: file systems are thawed in the reverse order of their freezing, each once; whoever
 * froze and vanishes has abandoned the freeze; a freeze that nobody ended ends by its lease. Whatever a
 * worker says, nothing is frozen here.
 *
 * Trust: in = PEER (storage workers; the page, as a predecessor left it); out = CHECKED; called by = guard
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "protocol/wire/record.h"
#include "workers/storage/guard_wire.h"

#define BH_LINGER_MS 100u        /* between two attempts to thaw what hung while it was being frozen */
#define BH_LINGER_MAX_MS 300000u /* of them all, where nobody says when the freezing process has ended */
#define BH_LINGER_ALONE_MS 3000u /* and when the agent has ended, whose workers were killed with it */

struct bh_guard {
    struct bh_frozen *page;
    int record; /* the page's copy in a file; -1: there is none */
    struct bh_audit *audit;
    int (*thaw)(int mount);              /* FITHAW: 0 or -errno */
    int clients[BH_FROZEN_CHANNELS_MAX]; /* sockets to storage workers by slot; -1 */
    int owner;                           /* slot that froze; -1: nobody, or it is not there any more */
    int mounts[BH_FROZEN_MOUNTS_MAX];    /* descriptors, by entry of the page; -1 */
    int hooks;                           /* socket to the freeze hooks of this freeze; -1 */
    bool hold;                           /* this freeze outlives the processes that made it */
    uint64_t progress_ms;                /* CLOCK_BOOTTIME: of the freeze that is under way */
    /* A mount whose FIFREEZE had not come back when its freeze was undone: it may still freeze. */
    int lingering;            /* descriptor; -1 */
    int lingerer;             /* slot whose worker hangs in it; -1: nobody that we hear of */
    uint64_t linger_ms;       /* CLOCK_BOOTTIME: next attempt */
    uint64_t linger_until_ms; /* the last one; UINT64_MAX: when the lingerer has ended */
};

void bh_guard_init(struct bh_guard *guard, struct bh_frozen *page, int record, struct bh_audit *audit);

/* A storage worker of this slot is there; takes over `fd`. What another of the same slot had begun is
 * abandoned. */
void bh_guard_add(struct bh_guard *guard, unsigned slot, int fd);

/* There is something to read from this slot's worker. False: it has gone, or broke the protocol (said). */
bool bh_guard_serve(struct bh_guard *guard, unsigned slot);

/* Milliseconds until bh_guard_tick has something to do; -1 = never. */
int bh_guard_due(const struct bh_guard *guard);
void bh_guard_tick(struct bh_guard *guard);

/* The steps behind a recovery (thaw_recover.c): what is held is held by our predecessor's word. */
void bh_guard_resume(struct bh_guard *guard);

/* The agent stops in order (true), or the supervisor has died (false): thaws, unless a freeze outlives that.
 */
void bh_guard_end(struct bh_guard *guard, bool in_order);

/* There is no supervisor any more: is there still something to wait for? Not for long where nobody says when
 * it is over, for the next agent may freeze anew. */
bool bh_guard_lingers(struct bh_guard *guard);
