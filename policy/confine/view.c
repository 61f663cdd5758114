/*
 * Builds the view, by tree.c: a fresh tmpfs becomes the root, the old root hangs below it
 * while the listed paths are bound, then the old root is let go and the tmpfs is made
 * read-only.
 *
 * Invariants: bound trees are private, so that a mount which arrives later below a
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
#include <unistd.h>

#include "policy/confine/mountapi.h"
#include "protocol/base/mem.h"

struct build {
    const struct bh_tree *tree;
    uint32_t n_paths;
    struct bh_view_path *paths; /* sorted: a directory before what is below it */
    bool *bound;
    void (*left_out)(const char *path, int error);
};

static bool covers(const char *directory, const char *path)
{
    size_t len = strlen(directory);

    return strncmp(directory, path, len) == 0 && (path[len] == '/' || path[len] == '\0');
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
    fd = bh_tree_place(build->tree, row->path, S_IFDIR);
    if (fd >= 0)
        (void)close(fd);
    if (build->left_out)
        build->left_out(row->path, error);
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
        r = bh_tree_bind(build->tree, source_of(row->path, own), row->path, row->access);
        if (r < 0)
            leave_out(build, row, r);
        build->bound[i] = r == 0;
    }
    return 0;
}

/* A process reopens what it has judged, and asks for its name, through /proc/self/fd; nothing else of /proc
 * is there. */
static int bind_own_fds(const struct bh_tree *tree)
{
    char source[64];
    int r;

    (void)snprintf(source, sizeof(source), "proc/%d/fd", (int)getpid());
    r = bh_tree_bind(tree, source, "/proc/self/fd", BH_ACCESS_READ);
    return r == -ELOOP ? 0 : r; /* /proc itself is listed: its own "self" serves */
}

int bh_view_bind(const struct bh_tree *tree, const struct bh_view_path *rows, uint32_t n_rows,
                 void (*left_out)(const char *path, int error))
{
    _cleanup_free_ struct bh_view_path *paths = calloc(n_rows + 1u, sizeof(*paths));
    _cleanup_free_ bool *bound = calloc(n_rows + 1u, sizeof(*bound));
    struct build build = { tree, n_rows, paths, bound, left_out };

    if (!paths || !bound)
        return -ENOMEM;
    if (n_rows)
        memcpy(paths, rows, n_rows * sizeof(*paths));
    return bind_all(&build);
}

static int build_tree(const struct bh_view *view)
{
    struct bh_tree tree;
    int r = bh_tree_start(&tree);

    if (r == 0 && view->kind == BH_VIEW_PATHS) {
        r = bh_view_bind(&tree, view->paths, view->n_paths, view->left_out);
        if (r == 0)
            r = bind_own_fds(&tree);
    }
    if (r == 0)
        r = bh_tree_leave_old(&tree);
    if (r == 0)
        r = bh_tree_read_only("/", MS_NOSUID | MS_NODEV | MS_NOEXEC);
    bh_tree_close(&tree);
    return r;
}

static int copy_tree(const struct bh_view *view)
{
    struct bh_mount_attr attr = { 0 };
    uint32_t access = 0;
    int r;

    for (uint32_t i = 0; i < view->n_paths; i++)
        access |= view->paths[i].access;
    attr.attr_set = bh_tree_attributes(access);
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
