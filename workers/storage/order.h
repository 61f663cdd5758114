/*
 * The order in which file systems are frozen, such that none has to write to one that is frozen already.
 *
 * Freezing writes out what is in memory; what lies in a file (a loop device) or on a device made of such
 * writes to the file system of that file. So it is frozen before that one, however they were mounted; among
 * equals the last mounted comes first. Thawing writes too, so it goes the other way round.
 *
 * Trust: in = CHECKED (mounts), CONFIG (sysfs); out = CHECKED; called by = storage
 */
#pragma once

#include "workers/storage/mounts.h"

/*
 * `ret`: indexes of filesystems->list, filesystems->n of them, in the order of freezing. `sys`: a descriptor
 * of /sys. Where it cannot be found out what a loop device lies on, it comes first. 0 or -ENOMEM.
 */
int bh_freeze_order(const struct bh_filesystems *filesystems, int sys, struct bh_arena *arena,
                    uint32_t **ret);
