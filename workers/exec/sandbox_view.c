/*
 * Two roots, one set of steps: `minimal` begins with an empty one and is given what the plan lists, `diag`
 * with a read-only copy of the guest's mounts, of which something is hidden. Both then get /tmp and /var/tmp
 * of their own, a /run with nothing in it but the sockets that the rule lists, five devices, and the /proc of
 * their own processes.
 *
 * Invariants: nothing of the guest is writable, nothing is set-uid, no device opens but the five. Mounts that
 * the guest makes later are not seen; what it unmounts stays in use until the execution ends.
 */
#include "workers/exec/sandbox_view.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/confine/mountapi.h"
#include "policy/confine/view.h"
#include "protocol/base/mem.h"
#include "workers/exec/sandbox_mask.h"
#include "workers/exec/sandbox_paths.h"

#define NOTHING_SPECIAL (MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define HIDDEN_OPTIONS "size=64k,mode=0755"
/* Each of the two; beside RLIMIT_AS, and part of the cgroup's memory where there is one. */
#define PRIVATE_OPTIONS "size=64m,nr_inodes=16k,mode=1777"

struct view {
    const struct bh_sandbox_plan *plan;
    struct bh_tree tree;
};

/* Hidden in `diag`; of them `minimal`, which shows nothing that it was not given, has only the first, empty
 * too. Where the rule lists sockets, a program may connect to what it sees, so the folders go too in which
 * services keep theirs. */
static const struct hidden {
    const char *path;
    bool with_sockets;
} hidden[] = {
    { "/run", false },      { "/root", false },     { "/home", false }, { "/var/lib", true },
    { "/var/spool", true }, { "/var/cache", true }, { "/srv", true },
};

static bool is_minimal(const struct view *view)
{
    return view->plan->kind == BH_SANDBOX_MINIMAL;
}

static int start(struct view *view)
{
    if (mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
        return -errno;
    return is_minimal(view) ? bh_tree_start(&view->tree)
                            : bh_tree_start_copy(BH_ACCESS_READ | BH_ACCESS_EXECUTE, &view->tree);
}

/* The guest's own links beside /usr: /bin and its like. */
static int links(struct view *view)
{
    static const char *const names[] = { "bin", "sbin", "lib", "lib32", "lib64", "libx32" };
    char text[PATH_MAX];

    for (size_t i = 0; is_minimal(view) && i < BH_ARRAY_SIZE(names); i++) {
        ssize_t n = readlinkat(view->tree.old, names[i], text, sizeof(text) - 1);

        if (n < 0)
            continue;
        text[n] = '\0';
        if (symlinkat(text, view->tree.root, names[i]) < 0)
            return -errno;
    }
    return 0;
}

/* Where `path` really is, in the new tree: /home may be a link. NULL if it is not there; the caller's to
 * free. */
static char *real(const struct view *view, const char *path)
{
    return is_minimal(view) ? strdup(path) : realpath(path, NULL);
}

static int empty(struct view *view, const char *path, const char *options)
{
    _cleanup_free_ char *place = real(view, path);

    return place ? bh_tree_tmpfs(&view->tree, place, NOTHING_SPECIAL, options) : 0;
}

static bool hides(const struct view *view, const struct hidden *row)
{
    return is_minimal(view) ? row == &hidden[0] : !row->with_sockets || view->plan->n_sockets > 0;
}

static int hide(struct view *view)
{
    int r = 0;

    for (size_t i = 0; i < BH_ARRAY_SIZE(hidden) && r == 0; i++)
        if (hides(view, &hidden[i]))
            r = empty(view, hidden[i].path, HIDDEN_OPTIONS);
    return r;
}

static int privates(struct view *view)
{
    int r = empty(view, "/tmp", PRIVATE_OPTIONS);

    return r < 0 ? r : empty(view, "/var/tmp", PRIVATE_OPTIONS);
}

static int show(struct view *view)
{
    _cleanup_free_ struct bh_view_path *rows = calloc(bh_sandbox_paths_max(view->plan), sizeof(*rows));
    char folder[PATH_MAX];

    if (!rows)
        return -ENOMEM;
    return bh_view_bind(&view->tree, rows, bh_sandbox_shown(view->plan, folder, rows), NULL);
}

static int sockets(struct view *view)
{
    static const char old[] = "/var/run/"; /* since Linux has /run, a link to it */
    int r = 0;

    for (uint32_t i = 0; i < view->plan->n_sockets && r == 0; i++) {
        const char *path = view->plan->sockets[i];

        if (strncmp(path, old, strlen(old)) == 0)
            path += strlen("/var");
        r = bh_tree_bind(&view->tree, path + 1, path, BH_ACCESS_READ);
        if (r == -ENOENT)
            r = 0; /* its service does not run */
    }
    if (r == 0 && is_minimal(view) && symlinkat("/run", view->tree.root, "var/run") < 0)
        r = -errno;
    return r;
}

static int dev(struct view *view)
{
    static const char *const made[][2] = { { "/proc/self/fd", "/dev/fd" },
                                           { "/proc/self/fd/0", "/dev/stdin" },
                                           { "/proc/self/fd/1", "/dev/stdout" },
                                           { "/proc/self/fd/2", "/dev/stderr" } };
    int r = bh_tree_tmpfs(&view->tree, "/dev", MS_NOSUID | MS_NOEXEC, HIDDEN_OPTIONS);

    for (size_t i = 0; i < BH_SANDBOX_DEVICES && r == 0; i++)
        r = bh_tree_bind(&view->tree, bh_sandbox_devices[i] + 1, bh_sandbox_devices[i],
                         BH_ACCESS_READ | BH_ACCESS_WRITE | BH_ACCESS_ANY);
    for (size_t i = 0; i < BH_ARRAY_SIZE(made) && r == 0; i++)
        r = symlink(made[i][0], made[i][1]) < 0 ? -errno : 0;
    return r < 0 ? r : bh_tree_read_only("/dev", MS_NOSUID | MS_NOEXEC);
}

/* Of the own processes, once the old root does not hang there any more. */
static int proc(struct view *view)
{
    int r = bh_tree_leave_old(&view->tree);
    _cleanup_close_ int place = r < 0 ? -1 : bh_tree_place(&view->tree, "/proc", S_IFDIR);

    if (r < 0 || place < 0)
        return r < 0 ? r : place;
    return mount("proc", "/proc", "proc", NOTHING_SPECIAL | MS_RDONLY, NULL) < 0 ? -errno : 0;
}

static int masks(struct view *view)
{
    return bh_sandbox_mask(&view->tree, "/run/.bulkhead-nothing");
}

static int close_up(struct view *view)
{
    int r = 0;

    for (size_t i = 0; i < BH_ARRAY_SIZE(hidden) && r == 0; i++) {
        _cleanup_free_ char *place = hides(view, &hidden[i]) ? real(view, hidden[i].path) : NULL;

        r = place ? bh_tree_read_only(place, NOTHING_SPECIAL) : 0;
    }
    if (r == 0 && is_minimal(view))
        r = bh_tree_read_only("/", NOTHING_SPECIAL);
    return r;
}

static const struct step {
    const char *words;
    int (*run)(struct view *view);
} steps[] = {
    { "start a view", start },
    { "recreate the links beside /usr", links },
    { "hide folders", hide },
    { "make private folders", privates },
    { "show the rule's folders", show },
    { "show the rule's sockets", sockets },
    { "make /dev", dev },
    { "mount /proc", proc },
    { "hide secrets", masks },
    { "make the view read-only", close_up },
};

int bh_sandbox_view(const struct bh_sandbox_plan *plan, const char **ret_step)
{
    struct view view = { plan, BH_TREE_INIT };
    int r = 0;

    for (size_t i = 0; i < BH_ARRAY_SIZE(steps) && r == 0; i++) {
        *ret_step = steps[i].words;
        r = steps[i].run(&view);
    }
    bh_tree_close(&view.tree);
    return r;
}
