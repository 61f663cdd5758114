/*
 * From a path to the object it names, without touching the object: an O_PATH descriptor,
 * and what is known of it.
 *
 * Trust: in = PEER (path), CHECKED (rule); out = CHECKED; called by = fs, opener
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "policy/blob.h"

struct bh_object {
    struct stat st;
    bool regular;        /* a regular file with one link, not on a pseudo file system */
    char name[PATH_MAX]; /* resolved, as the kernel tells it */
};

/*
 * A relative path starts in the working directory. REFUSE: no component may be a symlink. TRUSTED: a symlink
 * is followed if root owns it and its folder, and nobody else can write there. FOLLOW: all but the magic
 * links of /proc. A descriptor, or -errno (-ELOOP: a link that is not followed).
 */
int bh_resolve(const char *path, enum bh_symlinks symlinks);

/* Describes what `fd` (O_PATH will do) stands for. 0, -ENOENT (it has no name any more), -EACCES (it is the
 * memory of a process), or -errno. */
int bh_object_of(int fd, struct bh_object *ret);

/* openat2 with `resolve` flags, close-on-exec. */
int bh_openat_resolve(int dir, const char *path, int flags, unsigned mode, uint64_t resolve);
