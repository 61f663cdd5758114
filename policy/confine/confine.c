/*
 * THE order in which privilege is used to give privilege up, between fork and exec.
 *
 * What makes it an order: namespaces and the view need SYS_ADMIN; the bounding set
 * and the securebits need SETPCAP; the uid change needs SETUID and must not take the
 * capabilities along that the profile keeps; the parent-death signal is cleared by a
 * uid change; no fork limit before the uid change, or the execve after it fails.
 */
#include "policy/confine/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "policy/confine/become.h"
#include "policy/confine/caps.h"
#include "policy/confine/rlimits.h"
#include "policy/confine/view.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"

struct plan {
    const struct bh_profile *profile;
    const struct bh_identity *identity;
    const struct bh_view *view;
    pid_t parent;
    int keep_fd;
};

/* A step answers 0 (done), 1 (done, but it is no fence for this process) or -errno. */
static int close_others(const struct plan *plan)
{
    unsigned first = BH_FD_LAST + 1, keep = (unsigned)plan->keep_fd;

    if (plan->keep_fd < (int)first)
        return -EBADF;
    if (keep > first && syscall(SYS_close_range, first, keep - 1, 0) < 0)
        return -errno;
    return syscall(SYS_close_range, keep + 1, ~0u, 0) < 0 ? -errno : 0;
}

static int session(const struct plan *plan)
{
    (void)plan;
    (void)umask(077);
    return setsid() < 0 && errno != EPERM ? -errno
                                          : 0; /* EPERM: it leads a group, so nobody can signal it as one */
}

static int limits(const struct plan *plan)
{
    return bh_rlimits_set(plan->profile);
}

static int own_ipc(const struct plan *plan)
{
    (void)plan;
    return unshare(CLONE_NEWIPC) < 0 ? -errno : 0;
}

static int own_net(const struct plan *plan)
{
    if (!plan->profile->own_net)
        return 1;
    return unshare(CLONE_NEWNET) < 0 ? -errno : 0;
}

static int view(const struct plan *plan)
{
    int r = plan->view->kind == BH_VIEW_HOST ? 1 : bh_view_build(plan->view);

    return r == 0 && plan->view->kind == BH_VIEW_ALL ? 1 : r;
}

static int unroot(const struct plan *plan)
{
    (void)plan;
    return bh_caps_unroot();
}

static int bound(const struct plan *plan)
{
    return bh_caps_bound(plan->identity->caps | plan->identity->more_bound);
}

static int become(const struct plan *plan)
{
    const struct bh_identity *who = plan->identity;

    return bh_become(who->uid, who->gid, who->n_groups, who->groups);
}

static int carry(const struct plan *plan)
{
    return bh_caps_carry(plan->identity->caps);
}

static int lock(const struct plan *plan)
{
    (void)plan;
    return bh_caps_lock();
}

static int finish(const struct plan *plan)
{
    return bh_caps_finish(plan->identity->caps);
}

static int no_new_privs(const struct plan *plan)
{
    (void)plan;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static int no_fork(const struct plan *plan)
{
    (void)plan;
    return bh_rlimits_no_fork();
}

static int die_with_parent(const struct plan *plan)
{
    if (plan->profile->outlives)
        return 1;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -errno;
    return getppid() == plan->parent ? 0 : -ESRCH; /* it died before the signal was asked for */
}

static const struct step {
    const char *words;
    uint32_t fence; /* 0: not a fence, and never off */
    bool privileged;
    int (*run)(const struct plan *plan);
} steps[] = {
    { "close descriptors", 0, false, close_others },
    { "start a session", 0, false, session },
    { "set limits", BH_FENCE_RLIMITS, false, limits },
    { "own IPC namespace", BH_FENCE_IPC, true, own_ipc },
    { "own network namespace", BH_FENCE_NET, true, own_net },
    { "build the view", BH_FENCE_VIEW, true, view },
    { "make uid 0 ordinary", BH_FENCE_CAPS, true, unroot },
    { "drop the bounding set", BH_FENCE_CAPS, true, bound },
    { "change user and groups", BH_FENCE_UID, true, become },
    { "carry capabilities through exec", BH_FENCE_CAPS, true, carry },
    { "lock the securebits", BH_FENCE_SECUREBITS, true, lock },
    { "drop capabilities", BH_FENCE_CAPS, true, finish },
    { "set no_new_privs", BH_FENCE_NNP, false, no_new_privs },
    { "allow no fork", BH_FENCE_RLIMITS, false, no_fork },
    { "die with the supervisor", 0, false, die_with_parent },
};

/* Others may build a view although their profile speaks of none. */
static bool has_use_for(const struct bh_profile *profile, uint32_t fence)
{
    return !profile->bare && (!profile->spawns || bh_profile_fences(profile) & fence);
}

static void note_identity(struct bh_boot *boot, const struct bh_identity *identity, uint32_t fences)
{
    bool changed = fences & BH_FENCE_UID;

    boot->fences = fences;
    boot->uid = changed ? identity->uid : geteuid();
    boot->gid = changed ? identity->gid : getegid();
    boot->n_groups = changed ? identity->n_groups : 0;
    boot->caps = fences & BH_FENCE_CAPS ? identity->caps : 0;
    boot->bound = boot->caps | (fences & BH_FENCE_CAPS ? identity->more_bound : 0);
}

int bh_confine_before_exec(const struct bh_profile *profile, const struct bh_identity *identity,
                           const struct bh_view *seen, uint32_t off, pid_t parent, int keep_fd,
                           struct bh_boot *boot, const char **ret_step)
{
    const struct plan plan = { profile, identity, seen, parent, keep_fd };
    const bool privileged = geteuid() == 0;
    uint32_t fences = 0;

    *ret_step = "check the identity";
    if (identity->caps & ~profile->caps)
        return -EPERM;
    if (off & BH_FENCE_CAPS)
        off |= BH_FENCE_SECUREBITS; /* the lock would keep what the uid change should take */
    for (size_t i = 0; i < BH_ARRAY_SIZE(steps); i++) {
        int r;

        if (off & steps[i].fence || (steps[i].privileged && !privileged) ||
            (steps[i].fence && !has_use_for(profile, steps[i].fence)))
            continue;
        *ret_step = steps[i].words;
        r = steps[i].run(&plan);
        if (r < 0)
            return r;
        if (r == 0)
            fences |= steps[i].fence;
    }
    note_identity(boot, identity, fences);
    return 0;
}
