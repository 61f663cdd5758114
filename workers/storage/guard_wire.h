/*
 * The messages between a storage worker and the guard (bulkhead-thaw): one socket per channel, one question
 * at a time, one answer each. Whose question it is says the socket.
 *
 * A freeze is BEGIN, then for each file system SKIP, or HOLD (with a descriptor of the mount), the worker's
 * FIFREEZE, and DONE; then COMMIT, or UNDO. The worker's end, at any moment, is an UNDO. THAW ends it, and
 * brings back the socket to the freeze hooks that BEGIN left with the guard.
 * A HOLD is followed by its DONE or by UNDO, else the answer is -EPROTO; so at most one is about to be
 * frozen.
 *
 * Trust: in = PEER (either may have been taken over); out = CHECKED; called by = storage, guard
 */
#pragma once

#include <stdint.h>

#include "protocol/wire/frozen.h"

#define BH_GUARD_MAGIC 0x47554152u
#define BH_FREEZE_STALL_MS 180000u /* one file system may take so long to freeze, then all are thawed */

enum bh_guard_op {
    BH_GUARD_BEGIN = 1, /* may carry the socket to the hooks */
    BH_GUARD_SKIP,      /* this one is not frozen, `error` says why (0: the policy) */
    BH_GUARD_HOLD,      /* this one is about to be; carries a descriptor of its mount point */
    BH_GUARD_DONE,      /* what became of the one held last: `error` 0 = it is frozen; `ms` it took */
    BH_GUARD_COMMIT,
    BH_GUARD_UNDO,
    BH_GUARD_THAW,
    BH_GUARD_OP_END,
};

struct bh_guard_request {
    uint32_t magic;
    uint32_t op;           /* enum bh_guard_op */
    uint32_t major, minor; /* SKIP, HOLD */
    int32_t error;         /* positive errno, or 0 */
    uint32_t ms;
    char path[BH_FROZEN_PATH_MAX]; /* SKIP, HOLD: where it is mounted */
};

struct bh_guard_reply {
    uint32_t magic;
    int32_t error; /* negative errno; 0 = done. -EBUSY: another channel's freeze; -ENOTCONN: no freeze of this
                      channel is under way */
    uint32_t count;     /* UNDO, THAW: file systems that were thawed */
    uint32_t cause;     /* THAW: enum bh_thaw_cause, if they were thawed before and nobody was told */
    uint64_t thawed_ns; /* CLOCK_REALTIME: then */
};
