/*
 * The second half of the order: what a process does to itself, first thing in main.
 *
 * After exec, so that nothing of the C library's start has to be allowed; the filter
 * comes last, because it takes the calls away that set the others; the check of
 * /proc/self/status comes after the filter, so that it sees it.
 */
#include "policy/confine/confine.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "policy/confine/check.h"
#include "policy/confine/landlock.h"
#include "policy/confine/rlimits.h"
#include "policy/confine/filter.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

struct self {
    const struct bh_profile *profile;
    const struct bh_filter *filter;
    const struct bh_view_path *paths;
    uint32_t n_paths;
};

/* A step answers 0 (done), 1 (this kernel has no such fence) or -errno. */
static int undumpable(const struct self *self)
{
    (void)self;
    return prctl(PR_SET_DUMPABLE, 0) < 0 ? -errno : 0;
}

static int landlock(const struct self *self)
{
    return bh_landlock_restrict(self->paths, self->n_paths);
}

static int no_exec_gain(const struct self *self)
{
    (void)self;
    if (prctl(PR_SET_MDWE, BH_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0)
        return 0;
    return errno == EINVAL ? 1 : -errno; /* before 6.3 */
}

static int filesize(const struct self *self)
{
    return bh_rlimits_filesize(self->profile);
}

static int filter(const struct self *self)
{
    int r = bh_seccomp_load(self->filter);

    /* Of an ordinary user, and without no_new_privs, which what it runs would have for ever. */
    return r == -EACCES && self->profile->spawns ? 1 : r;
}

static const struct step {
    uint32_t fence;
    int (*run)(const struct self *self);
} steps[] = {
    { BH_FENCE_DUMPABLE, undumpable }, /* exec made it dumpable again */
    { BH_FENCE_LANDLOCK, landlock },   { BH_FENCE_MDWE, no_exec_gain },
    { BH_FENCE_RLIMITS, filesize },    { BH_FENCE_SECCOMP, filter },
};

static void refuse(const char *what)
{
    bh_die(BH_EXIT_CONFINE, "is not confined as it should be: %s", what);
}

static uint32_t take(const struct step *step, const struct self *self)
{
    int r = step->run(self);

    if (r < 0)
        bh_die(BH_EXIT_CONFINE, "fence %s cannot be set: %s", bh_fence_name(step->fence), strerror(-r));
    return r == 0 ? step->fence : 0;
}

uint32_t bh_confine_self(const struct bh_profile *profile, const struct bh_filter *filter_code,
                         const struct bh_boot *boot, const struct bh_view_path *paths, uint32_t n_paths,
                         uint32_t required, uint32_t off)
{
    const struct self self = { profile, filter_code, paths, n_paths };
    uint32_t fences = boot->fences, missing;
    char difference[BH_DIFFERENCE_MAX];

    for (size_t i = 0; i < BH_ARRAY_SIZE(steps); i++) {
        if (steps[i].fence == BH_FENCE_SECCOMP && bh_check_attributes(profile, fences, difference))
            refuse(difference);
        if (!(off & steps[i].fence) && (!profile->spawns || bh_profile_fences(profile) & steps[i].fence))
            fences |= take(&steps[i], &self);
    }
    if (bh_check_status(BH_FD_STATUS, boot, fences, difference))
        refuse(difference);
    (void)close(BH_FD_STATUS);
    missing = required & bh_profile_fences(profile) & ~fences;
    for (uint32_t bit = 1; missing; bit <<= 1)
        if (missing & bit)
            bh_die(BH_EXIT_CONFINE, "fence %s is required by the policy and cannot be had here",
                   bh_fence_name(bit));
    return fences;
}
