/*
 * The kernel's newer mount calls, raw: C libraries have them since different versions,
 * and glibc 2.36's own header cannot be included beside the kernel's.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = tree.c, view.c, landlock.c
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BH_ATTR_RDONLY 0x1u
#define BH_ATTR_NOSUID 0x2u
#define BH_ATTR_NODEV 0x4u
#define BH_ATTR_NOEXEC 0x8u
#define BH_OPEN_TREE_CLONE 1u
#define BH_AT_RECURSIVE 0x8000u
#define BH_MOVE_MOUNT_EMPTY_PATHS 0x44u /* both the source and the target are the descriptors themselves */

/* No symlink, no way up, no /proc link. */
#define BH_RESOLVE_PLAIN (RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH)

struct bh_mount_attr {
    uint64_t attr_set, attr_clr, propagation, userns_fd;
};

static inline int bh_openat2(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = { .flags = flags, .resolve = resolve };
    long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));

    return fd < 0 ? -errno : (int)fd;
}

static inline int bh_open_tree(int dir, const char *path, unsigned flags)
{
    long fd = syscall(SYS_open_tree, dir, path, flags | O_CLOEXEC);

    return fd < 0 ? -errno : (int)fd;
}

static inline int bh_move_mount(int tree, int target)
{
    return syscall(SYS_move_mount, tree, "", target, "", BH_MOVE_MOUNT_EMPTY_PATHS) < 0 ? -errno : 0;
}

static inline int bh_mount_setattr(int dir, const char *path, unsigned flags, struct bh_mount_attr *attr)
{
    return syscall(SYS_mount_setattr, dir, path, flags, attr, sizeof(*attr)) < 0 ? -errno : 0;
}
