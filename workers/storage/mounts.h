/*
 * The file systems on block devices that are mounted in this process's mount namespace, as the kernel's
 * mountinfo tells them, and a way to open one of them that is certain which one it is.
 *
 * Each file system stands there once, by its device, in the order in which it was first mounted; the places
 * where it is mounted (bind mounts, subvolumes) are its mounts. What has no block device is not there: the
 * kernel says 0 for its major number, as it does for btrfs, which is found by its source instead.
 *
 * Paths, types and sources are bytes as the kernel has them, ended by a NUL, with its escapes undone: good
 * for system calls, and not UTF-8 unless somebody looks. Whoever tells them makes text of them first
 * (workers/lib/text.h), and compares what a client says with that text, since it is what the client was told.
 *
 * Trust: in = PEER (users of the guest choose names of folders, volumes and devices); out = CHECKED but for
 *        the bytes of names; called by = storage
 */
#pragma once

#include <stdint.h>

#include "protocol/base/arena.h"

#define BH_FILESYSTEMS_MAX 4096u /* on different devices; the most that guest-get-fsinfo may list */
#define BH_MOUNTS_MAX 16384u     /* of all of them together */

struct bh_mount {
    uint64_t id; /* mount id of our namespace */
    struct bh_str path;
};

struct bh_filesystem {
    uint32_t major, minor;
    struct bh_str type, source;
    struct bh_mount *mounts; /* in order of mounting; at least one */
    uint32_t n_mounts;
};

struct bh_filesystems {
    struct bh_filesystem *list;
    uint32_t n;
};

/*
 * Reads an open mountinfo from its start, as it is now. A btrfs whose source is no block device is left out.
 * 0, -ENOMEM, -E2BIG (a bound above), -EBADMSG (a line that is none) or the kernel's -errno. All memory is
 * the arena's.
 */
int bh_mounts_read(int mountinfo, struct bh_arena *arena, struct bh_filesystems *ret);

/*
 * A directory of this very file system: the first of its mounts that can be opened and is not hidden by
 * another mount; the caller closes it. *ret_mount is the one that was opened. Else the -errno of the first
 * mount that could not be opened, or -ENODEV: all of them are hidden. A mount of a single file is none that
 * can be opened (-ENOTDIR).
 */
int bh_mounts_open(const struct bh_filesystem *filesystem, const struct bh_mount **ret_mount);

/* The first of its mounts that is not hidden by another, or NULL: by paths, so nothing is opened. */
const struct bh_mount *bh_mounts_seen(const struct bh_filesystem *filesystem);
