/*
 * Builds the view: a fresh tmpfs becomes the root, the old root hangs below it while
 * the listed paths are bound, then the old root is let go and the tmpfs is made
 * read-only.
 *
 * Invariants: nothing is created but on that tmpfs; no symlink of a listed path is
 * followed; bound trees are private, so that a mount which arrives later below a
 * listed directory is not seen (as a slave it would arrive writable). The price: a
 * file system below a listed directory stays busy until the process ends.
 * BH_VIEW_ALL is a slave copy of the mount tree instead and has that leak.
 */
#include "policy/confine/view.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
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

struct build {
    int old, root; /* O_PATH: the tree that is left, the tree that is built */
    dev_t device;  /* of the new root's tmpfs */
    uint32_t n_paths;
    struct bh_view_path *paths; /* sorted: a directory before what is below it */
    bool *bound;
    const struct bh_view *view;
};

static uint64_t attributes(uint32_t access)
{
    uint64_t attr = BH_ATTR_NOSUID;

    if (!(access & BH_ACCESS_WRITE))
        attr |= BH_ATTR_RDONLY;
    if (!(access & BH_ACCESS_ANY))
        attr |= BH_ATTR_NODEV | BH_ATTR_NOEXEC;
    return attr;
}

static bool covers(const char *directory, const char *path)
{
    size_t len = strlen(directory);

    return strncmp(directory, path, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* A bind of `source` with its submounts, flags set, not yet anywhere: a descriptor, or -errno. */
static int clone_tree(int source, uint32_t access)
{
    struct bh_mount_attr attr = { .attr_set = attributes(access), .propagation = MS_PRIVATE };
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
static int bind_single(int source, int target, uint32_t access)
{
    _cleanup_close_ int tree = bh_open_tree(source, "", BH_OPEN_TREE_CLONE | AT_EMPTY_PATH);
    unsigned long flags =
        MS_REMOUNT | MS_BIND | attributes(access); /* the four bits are the same in both calls */
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
    (void)snprintf(path, sizeof(path), "/" OLD_ROOT "/proc/self/fd/%d", tree);
    if (mount(NULL, path, NULL, flags, NULL) < 0 || mount(NULL, path, NULL, MS_PRIVATE, NULL) < 0)
        return -errno;
    return 0;
}

/* Opens `name` in `*dir`, making it first if it is missing and `*dir` lies on the new root's tmpfs; moves
 * `*dir` there. */
static int descend(const struct build *build, int *dir, const char *name, mode_t type)
{
    struct stat st;
    int next = bh_openat2(*dir, name, O_PATH | O_CLOEXEC, BH_RESOLVE_PLAIN);

    if (next == -ENOENT) {
        if (fstat(*dir, &st) < 0)
            return -errno;
        if (st.st_dev != build->device)
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

/* The place in the new tree where `path` is to be bound: a descriptor, or -errno. */
static int make_target(const struct build *build, const char *path, mode_t type)
{
    char copy[PATH_MAX], *rest = copy, *name;
    _cleanup_close_ int dir = fcntl(build->root, F_DUPFD_CLOEXEC, 0);

    if (dir < 0)
        return -errno;
    if (strlen(path) >= sizeof(copy))
        return -ENAMETOOLONG;
    strcpy(copy, path);
    while ((name = strsep(&rest, "/"))) {
        int r;

        if (*name == '\0')
            continue;
        r = descend(build, &dir, name, rest ? S_IFDIR : type);
        if (r < 0)
            return r;
    }
    return bh_take_fd(&dir);
}

/* Binds `source` (a path below the old root) at `path`. 0, or -errno. */
static int bind_path(const struct build *build, const char *source, const char *path, uint32_t access)
{
    _cleanup_close_ int from = -1, tree = -1, target = -1;
    struct stat st;

    from = bh_openat2(build->old, source, O_PATH | O_CLOEXEC, BH_RESOLVE_PLAIN);
    if (from < 0)
        return from;
    if (fstat(from, &st) < 0)
        return -errno;
    target = make_target(build, path, S_ISDIR(st.st_mode) ? S_IFDIR : S_IFREG);
    if (target < 0)
        return target;
    tree = clone_tree(from, access);
    if (tree == -ENOSYS)
        return bind_single(from, target, access);
    return tree < 0 ? tree : bh_move_mount(tree, target);
}

static int by_path(const void *a, const void *b)
{
    const struct bh_view_path *x = a, *y = b;
    int order = strcmp(x->path, y->path);

    return order ? order : (x->access > y->access) - (x->access < y->access);
}

/* What the rules on the directories above grant, holds below too. */
static uint32_t whole_access(const struct build *build, uint32_t index)
{
    uint32_t access = 0;

    for (uint32_t i = 0; i < build->n_paths; i++)
        if (covers(build->paths[i].path, build->paths[index].path))
            access |= build->paths[i].access;
    return access;
}

/* True if a directory above, or the same path, is bound already with the same rights. */
static bool seen_already(const struct build *build, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++)
        if (build->bound[i] && build->paths[i].access == build->paths[index].access &&
            covers(build->paths[i].path, build->paths[index].path))
            return true;
    return false;
}

static void leave_out(const struct build *build, const struct bh_view_path *row, int error)
{
    int fd;

    if (row->optional && error == -ENOENT)
        return;
    fd = make_target(build, row->path, S_IFDIR);
    if (fd >= 0)
        (void)close(fd);
    if (build->view->left_out)
        build->view->left_out(row->path, error);
}

/* Where a listed path lies below the old root. /proc/self is a link, and no link is followed: the process's
 * number stands for it. */
static const char *source_of(const char *path, char own[static PATH_MAX])
{
    static const char self[] = "/proc/self/";

    if (strncmp(path, self, strlen(self)) != 0)
        return path + 1;
    (void)snprintf(own, PATH_MAX, "proc/%d/%s", (int)getpid(), path + strlen(self));
    return own;
}

static int bind_all(struct build *build)
{
    char own[PATH_MAX];

    for (uint32_t i = 0; i < build->n_paths; i++)
        if (build->paths[i].path[0] != '/' || build->paths[i].path[1] == '\0')
            return -EINVAL;
    qsort(build->paths, build->n_paths, sizeof(*build->paths), by_path);
    for (uint32_t i = 0; i < build->n_paths; i++) {
        struct bh_view_path *row = &build->paths[i];
        int r;

        row->access = whole_access(build, i);
        if (seen_already(build, i))
            continue;
        r = bind_path(build, source_of(row->path, own), row->path, row->access);
        if (r < 0)
            leave_out(build, row, r);
        build->bound[i] = r == 0;
    }
    return 0;
}

/* A process reopens what it has judged, and asks for its name, through /proc/self/fd; nothing else of /proc
 * is there. */
static int bind_own_fds(const struct build *build)
{
    char source[64];
    int r;

    (void)snprintf(source, sizeof(source), "proc/%d/fd", (int)getpid());
    r = bind_path(build, source, "/proc/self/fd", BH_ACCESS_READ);
    return r == -ELOOP ? 0 : r; /* /proc itself is listed: its own "self" serves */
}

/* The tmpfs becomes the root; the old root is below it. */
static int enter_root(struct build *build)
{
    struct stat st;

    if (mount("bulkhead", SCRATCH, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=1m,mode=0755") < 0 ||
        chdir(SCRATCH) < 0 || mkdir(OLD_ROOT, 0700) < 0 || syscall(SYS_pivot_root, ".", OLD_ROOT) < 0 ||
        chdir("/") < 0)
        return -errno;
    build->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (build->root < 0 || fstat(build->root, &st) < 0)
        return -errno;
    build->device = st.st_dev;
    build->old = open("/" OLD_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return build->old < 0 ? -errno : 0;
}

static int leave_old_root(void)
{
    if (umount2("/" OLD_ROOT, MNT_DETACH) < 0 || rmdir("/" OLD_ROOT) < 0)
        return -errno;
    if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return -errno;
    return 0;
}

static int build_tree(const struct bh_view *view)
{
    _cleanup_free_ struct bh_view_path *paths = calloc(view->n_paths + 1u, sizeof(*paths));
    _cleanup_free_ bool *bound = calloc(view->n_paths + 1u, sizeof(*bound));
    struct build build = { -1, -1, 0, view->n_paths, paths, bound, view };
    int r;

    if (!paths || !bound)
        return -ENOMEM;
    if (view->n_paths)
        memcpy(paths, view->paths, view->n_paths * sizeof(*paths));
    r = enter_root(&build);
    if (r == 0 && view->kind == BH_VIEW_PATHS) {
        r = bind_all(&build);
        if (r == 0)
            r = bind_own_fds(&build);
    }
    bh_close_p(&build.old);
    bh_close_p(&build.root);
    return r < 0 ? r : leave_old_root();
}

static int copy_tree(const struct bh_view *view)
{
    struct bh_mount_attr attr = { 0 };
    uint32_t access = 0;
    int r;

    for (uint32_t i = 0; i < view->n_paths; i++)
        access |= view->paths[i].access;
    attr.attr_set = attributes(access);
    r = bh_mount_setattr(AT_FDCWD, "/", BH_AT_RECURSIVE, &attr);
    if (r < 0)
        return r;
    return chdir(view->cwd ? view->cwd : "/") < 0 ? -errno : 0;
}

int bh_view_build(const struct bh_view *view)
{
    mode_t mask;
    int r;

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
        return -errno;
    if (view->kind == BH_VIEW_ALL)
        return copy_tree(view);
    mask = umask(022);
    r = build_tree(view);
    (void)umask(mask);
    return r;
}
