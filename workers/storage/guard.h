/*
 * The guard, as a storage worker asks it (guard_wire.h). Its socket is asked for when it is first needed, and
 * kept; whatever goes wrong drops it.
 *
 * Trust: in = PEER (answers); out = CHECKED; called by = storage
 */
#pragma once

#include "workers/storage/guard_wire.h"

struct bh_filesystem;

/* `hooks`: the socket to the freeze hooks, which goes to the guard, or -1. 0, -EBUSY (somebody else's
 * freeze), or another -errno: there is no guard to be had. */
int bh_guard_begin(int hooks);

/* Says that a file system is not frozen; `error`: positive errno, 0 = by the policy. 0 or -errno. */
int bh_guard_skip(const struct bh_filesystem *filesystem, const char *path, int error);

/* Leaves a descriptor of the mount with the guard, before it is frozen. 0; anything else: do not freeze. */
int bh_guard_hold(const struct bh_filesystem *filesystem, const char *path, int mount);

/* Says what became of that. 0; anything else: if it is frozen, nobody knows it but the caller. */
int bh_guard_done(int error, uint32_t ms);

int bh_guard_commit(void);

/* What ended a freeze. */
struct bh_thawed {
    uint32_t count;     /* file systems that were thawed now */
    uint32_t cause;     /* enum bh_thaw_cause if they were thawed before, unasked, and nobody was told */
    uint64_t thawed_ns; /* CLOCK_REALTIME: then */
    int hooks;          /* socket to the freeze hooks, the caller's now; -1: none are owed */
};
int bh_guard_undo(struct bh_thawed *ret);
int bh_guard_thaw(struct bh_thawed *ret);
