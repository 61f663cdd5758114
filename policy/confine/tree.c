/*
 * Two ways to begin, one to go on: the new root is mounted over a directory that is always there, becomes the
 * root, and the old root hangs below it until bh_tree_leave_old. Every path is walked one name at a time, by
 * descriptor.
 *
 * Invariants: nothing is created but on a tmpfs of the tree's own; no symlink is followed; what is bound is
 * private.
 */
#include "policy/confine/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "policy/confine/mountapi.h"
#include "protocol/base/mem.h"

#define SCRATCH "/proc" /* any directory that is always there; covered only until the pivot */
#define OLD_ROOT ".bulkhead-old-root"

uint64_t bh_tree_attributes(uint32_t access)
{
    uint64_t attr = BH_ATTR_NOSUID;

    if (!(access & BH_ACCESS_WRITE))
        attr |= BH_ATTR_RDONLY;
    if (!(access & BH_ACCESS_ANY))
        attr |= BH_ATTR_NODEV | (access & BH_ACCESS_EXECUTE ? 0 : BH_ATTR_NOEXEC);
    return attr;
}

/* A bind of `source` with its submounts, flags set, not yet anywhere: a descriptor, or -errno. */
static int clone_tree(int source, uint32_t access)
{
    struct bh_mount_attr attr = { .attr_set = bh_tree_attributes(access), .propagation = MS_PRIVATE };
    _cleanup_close_ int tree = bh_open_tree(source, "", BH_OPEN_TREE_CLONE | BH_AT_RECURSIVE | AT_EMPTY_PATH);
    int r;

    if (tree < 0)
        return tree;
    r = bh_mount_setattr(tree, "", AT_EMPTY_PATH | BH_AT_RECURSIVE, &attr);
    return r < 0 ? r : bh_take_fd(&tree);
}

/*
 * For a kernel without mount_setattr (before 5.12): binds without submounts and remounts what then is one
 * mount. What the source forbids stays forbidden.
 */
static int bind_single(const struct bh_tree *build, int source, int target, uint32_t access)
{
    _cleanup_close_ int tree = bh_open_tree(source, "", BH_OPEN_TREE_CLONE | AT_EMPTY_PATH);
    unsigned long flags =
        MS_REMOUNT | MS_BIND | bh_tree_attributes(access); /* the four bits are the same in both calls */
    struct statvfs now;
    char path[64];
    int r;

    if (tree < 0)
        return tree;
    r = bh_move_mount(tree, target);
    if (r < 0)
        return r;
    if (fstatvfs(tree, &now) < 0)
        return -errno;
    flags |= now.f_flag & (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC);
    (void)snprintf(path, sizeof(path), "%s/proc/self/fd/%d", build->held, tree);
    if (mount(NULL, path, NULL, flags, NULL) < 0 || mount(NULL, path, NULL, MS_PRIVATE, NULL) < 0)
        return -errno;
    return 0;
}

static bool is_own(const struct bh_tree *tree, dev_t device)
{
    for (uint32_t i = 0; i < tree->n_own; i++)
        if (tree->own[i] == device)
            return true;
    return false;
}

/* Opens `name` in `*dir`, making it first if it is missing and `*dir` lies on a tmpfs of the tree's own;
 * moves `*dir` there. */
static int descend(const struct bh_tree *tree, int *dir, const char *name, mode_t type)
{
    struct stat st;
    int next = bh_openat2(*dir, name, O_PATH | O_CLOEXEC, BH_RESOLVE_PLAIN);

    if (next == -ENOENT) {
        if (fstat(*dir, &st) < 0)
            return -errno;
        if (!is_own(tree, st.st_dev))
            return -ENOENT;
        if (S_ISDIR(type) ? mkdirat(*dir, name, 0755) : mknodat(*dir, name, S_IFREG | 0444, 0))
            return -errno;
        next = bh_openat2(*dir, name, O_PATH | O_CLOEXEC, BH_RESOLVE_PLAIN);
    }
    if (next < 0)
        return next;
    (void)close(*dir);
    *dir = next;
    return 0;
}

int bh_tree_place(const struct bh_tree *tree, const char *path, mode_t type)
{
    char copy[PATH_MAX], *rest = copy, *name;
    _cleanup_close_ int dir = fcntl(tree->root, F_DUPFD_CLOEXEC, 0);

    if (dir < 0)
        return -errno;
    if (strlen(path) >= sizeof(copy))
        return -ENAMETOOLONG;
    strcpy(copy, path);
    while ((name = strsep(&rest, "/"))) {
        int r;

        if (*name == '\0')
            continue;
        r = descend(tree, &dir, name, rest ? S_IFDIR : type);
        if (r < 0)
            return r;
    }
    return bh_take_fd(&dir);
}

int bh_tree_bind(const struct bh_tree *tree, const char *source, const char *path, uint32_t access)
{
    _cleanup_close_ int from = -1, copy = -1, target = -1;
    struct stat st;

    from = bh_openat2(tree->old, source, O_PATH | O_CLOEXEC, BH_RESOLVE_PLAIN);
    if (from < 0)
        return from;
    if (fstat(from, &st) < 0)
        return -errno;
    target = bh_tree_place(tree, path, S_ISDIR(st.st_mode) ? S_IFDIR : S_IFREG);
    if (target < 0)
        return target;
    copy = clone_tree(from, access);
    if (copy == -ENOSYS)
        return bind_single(tree, from, target, access);
    return copy < 0 ? copy : bh_move_mount(copy, target);
}

static int add_own(struct bh_tree *tree, int fd)
{
    struct stat st;

    if (tree->n_own == BH_TREE_OWN_MAX)
        return -E2BIG;
    if (fstat(fd, &st) < 0)
        return -errno;
    tree->own[tree->n_own++] = st.st_dev;
    return 0;
}

int bh_tree_tmpfs(struct bh_tree *tree, const char *path, unsigned long flags, const char *options)
{
    _cleanup_close_ int place = bh_tree_place(tree, path, S_IFDIR), top = -1;

    if (place < 0)
        return place;
    if (mount("bulkhead", path, "tmpfs", flags, options) < 0)
        return -errno;
    top = bh_openat2(tree->root, path + 1, O_PATH | O_CLOEXEC, BH_RESOLVE_PLAIN);
    return top < 0 ? top : add_own(tree, top);
}

/* What is mounted on SCRATCH becomes the root; the old root hangs at `held` below it. */
static int pivot(struct bh_tree *tree, const char *held)
{
    if (chdir(SCRATCH) < 0 || syscall(SYS_pivot_root, ".", held + 1) < 0 || chdir("/") < 0)
        return -errno;
    tree->held = held;
    tree->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (tree->root < 0)
        return -errno;
    tree->old = open(held, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return tree->old < 0 ? -errno : 0;
}

int bh_tree_start(struct bh_tree *ret)
{
    int r;

    *ret = (struct bh_tree)BH_TREE_INIT;
    if (mount("bulkhead", SCRATCH, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=1m,mode=0755") < 0 ||
        mkdir(SCRATCH "/" OLD_ROOT, 0700) < 0)
        return -errno;
    r = pivot(ret, "/" OLD_ROOT);
    return r < 0 ? r : add_own(ret, ret->root);
}

int bh_tree_start_copy(uint32_t access, struct bh_tree *ret)
{
    _cleanup_close_ int from = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), copy = -1, target = -1;
    int r;

    *ret = (struct bh_tree)BH_TREE_INIT;
    target = open(SCRATCH, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (from < 0 || target < 0)
        return -errno;
    copy = clone_tree(from, access);
    if (copy < 0)
        return copy;
    r = bh_move_mount(copy, target);
    return r < 0 ? r : pivot(ret, SCRATCH);
}

int bh_tree_leave_old(struct bh_tree *tree)
{
    if (umount2(tree->held, MNT_DETACH) < 0)
        return -errno;
    if (strcmp(tree->held, "/" OLD_ROOT) == 0 && rmdir(tree->held) < 0)
        return -errno;
    bh_close_p(&tree->old);
    return 0;
}

int bh_tree_read_only(const char *path, unsigned long flags)
{
    return mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | flags, NULL) < 0 ? -errno : 0;
}

void bh_tree_close(struct bh_tree *tree)
{
    bh_close_p(&tree->old);
    bh_close_p(&tree->root);
}
