/*
 * The order in which a program is given less and less. What makes it an order: the view and the cgroup need
 * what the worker may; Landlock's list is made while every path can still be looked at; the bounding set and
 * the securebits need SETPCAP; a change from one uid to another keeps capabilities, so they are dropped by
 * name; the working directory is entered as whoever the program is; the filter comes last, because it takes
 * away what the other steps use.
 */
#include "workers/exec/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/confine/become.h"
#include "policy/confine/caps.h"
#include "policy/confine/filter.h"
#include "policy/confine/landlock.h"
#include "policy/confine/mountapi.h"
#include "policy/confine/profiles.h"
#include "protocol/base/mem.h"
#include "workers/exec/sandbox_limits.h"
#include "workers/exec/sandbox_paths.h"
#include "workers/exec/sandbox_spare.h"
#include "workers/exec/sandbox_view.h"

#define KIND(kind) (1u << (kind))
#define SANDBOXED (KIND(BH_SANDBOX_MINIMAL) | KIND(BH_SANDBOX_DIAG))
#define PLAIN KIND(BH_SANDBOX_PLAIN)
#define ALL (SANDBOXED | PLAIN | KIND(BH_SANDBOX_NONE))

struct enter {
    const struct bh_sandbox_plan *plan;
    int ruleset; /* Landlock's, or -1 */
};

static bool is_sandboxed(const struct bh_sandbox_plan *plan)
{
    return KIND(plan->kind) & SANDBOXED;
}

int bh_sandbox_namespaces(const struct bh_sandbox_plan *plan)
{
    int net = plan->host_net ? 0 : CLONE_NEWNET;

    if (plan->kind == BH_SANDBOX_NONE || !plan->privileged)
        return 0;
    return is_sandboxed(plan) ? CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | net : net;
}

/* A change of the uid for files clears the parent-death signal. */
static void act_on_files_as(uid_t uid, gid_t gid, int death)
{
    (void)setfsgid(gid);
    (void)setfsuid(uid);
    (void)prctl(PR_SET_PDEATHSIG, death);
}

int bh_sandbox_build(const struct bh_sandbox_plan *plan, const char **ret_step)
{
    int death = 0, r;
    mode_t mask;

    *ret_step = "build the view";
    if (!(bh_sandbox_namespaces(plan) & CLONE_NEWNS))
        return 0;
    if (prctl(PR_GET_PDEATHSIG, &death) < 0)
        return -errno;
    mask = umask(022);
    act_on_files_as(0, 0, death);
    r = bh_sandbox_view(plan, ret_step);
    act_on_files_as(geteuid(), getegid(), death);
    (void)umask(mask);
    return r;
}

int bh_sandbox_reopen(const struct bh_sandbox_plan *plan, int fd, const char *path)
{
    _cleanup_close_ int seen = -1;
    struct stat meant, found;

    if (!(bh_sandbox_namespaces(plan) & CLONE_NEWNS))
        return fcntl(fd, F_DUPFD_CLOEXEC, 0);
    seen = bh_openat2(AT_FDCWD, path, O_PATH | O_CLOEXEC, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    if (seen < 0)
        return seen;
    if (fstat(fd, &meant) < 0 || fstat(seen, &found) < 0)
        return -errno;
    if (meant.st_dev != found.st_dev || meant.st_ino != found.st_ino)
        return -ESTALE;
    return bh_take_fd(&seen);
}

/* A step answers 0 (done), -ENOSYS (this kernel has no such fence) or another -errno. */
static int join(struct enter *enter)
{
    return bh_sandbox_join(enter->plan);
}

static int mask_modes(struct enter *enter)
{
    (void)enter;
    (void)umask(022);
    return 0;
}

static int list_paths(struct enter *enter)
{
    _cleanup_free_ struct bh_view_path *rows = calloc(bh_sandbox_paths_max(enter->plan), sizeof(*rows));
    char folder[PATH_MAX];
    struct bh_spared spared;
    int r;

    if (!rows)
        return -ENOMEM;
    /* What replaces a secret keeps its mode: others than uid 0 cannot read it, and need no list as long. */
    r = bh_sandbox_spare(rows, bh_sandbox_allowed(enter->plan, folder, rows), enter->plan->uid == 0, &spared);
    if (r == 0)
        enter->ruleset = bh_landlock_make(spared.rows, spared.n, enter->plan->host_net);
    bh_spared_free(&spared);
    return r < 0 ? r : enter->ruleset < 0 ? enter->ruleset : 0;
}

static int unroot(struct enter *enter)
{
    (void)enter;
    return bh_caps_unroot();
}

static int unbound(struct enter *enter)
{
    (void)enter;
    return bh_caps_bound(0);
}

static int ordinary(struct enter *enter)
{
    (void)enter;
    return bh_caps_ordinary(bh_profile_exec.caps);
}

static int become(struct enter *enter)
{
    const struct bh_sandbox_plan *plan = enter->plan;

    return bh_become(plan->uid, plan->gid, plan->n_groups, plan->groups);
}

static int lock(struct enter *enter)
{
    (void)enter;
    return bh_caps_lock();
}

/* As uid 0 in `plain` and `none` execve gives back what the bounding set has. */
static int drop(struct enter *enter)
{
    return enter->plan->uid == 0 && !is_sandboxed(enter->plan) ? 0 : bh_caps_keep(0);
}

static int limit(struct enter *enter)
{
    return bh_sandbox_rlimits(enter->plan);
}

static int go(struct enter *enter)
{
    return chdir(enter->plan->cwd) < 0 ? -errno : 0;
}

static int no_new_privs(struct enter *enter)
{
    (void)enter;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static int landlock(struct enter *enter)
{
    return enter->ruleset < 0 ? -ENOSYS : bh_landlock_enforce(enter->ruleset);
}

static int no_unix(struct enter *enter)
{
    return enter->plan->n_sockets ? 0 : bh_seccomp_load(&bh_filter_no_unix);
}

static int no_net(struct enter *enter)
{
    const struct bh_sandbox_plan *plan = enter->plan;

    return plan->host_net || plan->privileged ? 0 : bh_seccomp_load(&bh_filter_no_net);
}

static int filter(struct enter *enter)
{
    return bh_seccomp_load(enter->plan->kind == BH_SANDBOX_MINIMAL ? &bh_filter_minimal : &bh_filter_diag);
}

static const struct step {
    const char *words;
    uint32_t kinds;
    uint32_t fence; /* 0: never off */
    bool privileged;
    int (*run)(struct enter *enter);
} steps[] = {
    { "join the cgroup", ALL, 0, false, join },
    { "set the umask", ALL, 0, false, mask_modes },
    { "list paths for Landlock", SANDBOXED, BH_FENCE_LANDLOCK, false, list_paths },
    { "make uid 0 ordinary", SANDBOXED, BH_FENCE_CAPS, true, unroot },
    { "drop the bounding set", SANDBOXED, BH_FENCE_CAPS, true, unbound },
    { "make uid 0 what it always was", PLAIN, 0, true, ordinary },
    { "change user and groups", ALL, 0, true, become },
    { "lock the securebits", SANDBOXED, BH_FENCE_SECUREBITS, true, lock },
    { "drop capabilities", ALL, 0, true, drop },
    { "set limits", ALL, 0, false, limit },
    { "enter the working directory", ALL, 0, false, go },
    { "set no_new_privs", SANDBOXED, BH_FENCE_NNP, false, no_new_privs },
    { "restrict paths by Landlock", SANDBOXED, BH_FENCE_LANDLOCK, false, landlock },
    { "refuse unix sockets", SANDBOXED, BH_FENCE_SECCOMP, false, no_unix },
    { "refuse the network", SANDBOXED, BH_FENCE_SECCOMP, false, no_net },
    { "load the filter", SANDBOXED, BH_FENCE_SECCOMP, false, filter },
};

static int take(const struct step *step, struct enter *enter)
{
    const struct bh_sandbox_plan *plan = enter->plan;
    int r;

    if (!(step->kinds & KIND(plan->kind)) || (step->privileged && !plan->privileged) ||
        step->fence & plan->off)
        return 0;
    r = step->run(enter);
    return r == -ENOSYS && step->fence & ~plan->required ? 0 : r;
}

int bh_sandbox_enter(const struct bh_sandbox_plan *plan, const char **ret_step)
{
    struct enter enter = { plan, -1 };
    int r = 0;

    for (size_t i = 0; i < BH_ARRAY_SIZE(steps) && r == 0; i++) {
        *ret_step = steps[i].words;
        r = take(&steps[i], &enter);
    }
    bh_close_p(&enter.ruleset);
    return r;
}

const char *bh_sandbox_name(enum bh_sandbox kind)
{
    static const char *const names[] = { [BH_SANDBOX_MINIMAL] = "minimal",
                                         [BH_SANDBOX_DIAG] = "diag",
                                         [BH_SANDBOX_PLAIN] = "plain",
                                         [BH_SANDBOX_NONE] = "none" };

    return names[kind];
}
