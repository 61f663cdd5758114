/*
 * What the storage worker's commands share: descriptors from before its confinement.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = storage
 */
#pragma once

#include "workers/lib/worker.h"
#include "workers/storage/disk.h"
#include "workers/storage/mounts.h"

struct bh_storage {
    int mountinfo; /* of this process, so of the guest's mount namespace; -errno if it could not be opened */
    struct bh_block block;
};

static inline const struct bh_storage *bh_storage_of(const struct bh_call *call)
{
    return call->worker->context;
}

/* The file systems of now, in the call's arena. 0, or the call's error is set. */
int bh_storage_mounts(struct bh_call *call, struct bh_filesystems *ret);

/* A path as a reply may hold it; false: there is no room, or it is longer than any path. */
bool bh_storage_path(struct bh_call *call, const struct bh_mount *mount, struct bh_str *ret);
