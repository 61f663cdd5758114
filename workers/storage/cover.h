/*
 * What a command that works on mounts may do with a file system, as the policy says of all the places where
 * it is mounted: it is covered if some place is, and struck if some place is denied.
 *
 * Trust: in = CHECKED (mounts, what a client named); out = CHECKED; called by = storage
 */
#pragma once

#include <stdbool.h>

#include "workers/lib/worker.h"
#include "workers/storage/mounts.h"

/* The places that a client named; NULL: it wants all. */
struct bh_places {
    const struct bh_str *list;
    uint32_t n;
};

struct bh_cover {
    const char
        *place;  /* one where it is mounted: that which was named, else one that the policy covers, if any */
    bool wanted; /* no place was named, or one of its own */
    bool granted, required;
};

/*
 * 0; -ENOMEM; or the call's error: a place that was named is not granted, which is recorded. `ret->place` is
 * the arena's.
 */
int bh_cover(struct bh_call *call, const struct bh_filesystem *filesystem, const struct bh_places *places,
             struct bh_cover *ret);
