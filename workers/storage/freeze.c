/*
 * guest-fsfreeze-freeze, -freeze-list and -thaw.
 *
 * What is frozen is chosen before anything is: each file system once, in an order in which none has to write
 * to one that is frozen (order.h), as far as the policy covers a place where it is mounted and denies none.
 * Each is then left with the guard, frozen, and reported; what cannot be frozen is passed over and told,
 * unless the policy requires it.
 *
 * Invariants: nothing is frozen that the guard does not hold; what it cannot be told of is thawed here at
 * once.
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "protocol/codes.h"
#include "protocol/handlers-storage.h"
#include "protocol/wire/control.h"
#include "workers/storage/cover.h"
#include "workers/storage/guard.h"
#include "workers/storage/hooks.h"
#include "workers/storage/order.h"
#include "workers/storage/storage.h"

#define QUIET_MS 1000 /* until the supervisor has answered */

/* A file system that is asked for. */
struct target {
    const struct bh_filesystem *filesystem;
    struct bh_cover cover;
};

struct freeze {
    struct bh_call *call;
    struct target *targets; /* in the order in which they are frozen */
    uint32_t n_targets;
    int64_t frozen;
    const char *failed; /* the first one that should have been frozen and was not; NULL: there is none */
    int error;          /* its errno */
    int hooks;          /* socket to the hooks, until the guard has it; -1 */
};

/* 0, or the call's error. */
static int choose(struct freeze *freeze, const struct bh_places *places)
{
    struct bh_call *call = freeze->call;
    struct bh_filesystems all = { 0 };
    uint32_t *order = NULL;
    int r = bh_storage_mounts(call, &all);

    if (r)
        return r;
    r = bh_freeze_order(&all, bh_storage_of(call)->block.sys, call->arena, &order);
    freeze->targets = bh_arena_array(call->arena, all.n, sizeof(*freeze->targets));
    for (uint32_t i = 0; i < all.n && r == 0 && freeze->targets; i++) {
        struct target *target = &freeze->targets[freeze->n_targets];

        target->filesystem = &all.list[order[i]];
        r = bh_cover(call, target->filesystem, places, &target->cover);
        freeze->n_targets += r == 0 && target->cover.wanted;
    }
    return freeze->targets ? r : -ENOMEM;
}

/* --- freezing ---------------------------------------------------------------------- */

/* Passes one over. What cannot be frozen by its kind, or is frozen by somebody else, is no failure. */
static int pass_over(struct freeze *freeze, const struct target *target, int error)
{
    bool failure =
        target->cover.required || (error && error != EOPNOTSUPP && error != ENOTTY && error != EBUSY);

    if (failure && (!freeze->failed || target->cover.required)) {
        freeze->failed = target->cover.place;
        freeze->error = error;
    }
    if (failure)
        bh_log(BH_LOG_WARNING, "%s is not frozen: %s", target->cover.place, strerror(error));
    return failure && target->cover.required ? -ECANCELED : 0;
}

/* Freezes what the guard holds, and tells it. */
static int freeze_held(int mount, int *ret_error)
{
    uint64_t began = bh_clock_ms(CLOCK_MONOTONIC);
    int r;

    *ret_error = ioctl(mount, FIFREEZE, 0) < 0 ? errno : 0;
    r = bh_guard_done(*ret_error, (uint32_t)(bh_clock_ms(CLOCK_MONOTONIC) - began));
    if (r < 0 && *ret_error == 0)
        (void)ioctl(mount, FITHAW, 0); /* nobody else knows of it */
    return r;
}

static int freeze_one(struct freeze *freeze, const struct target *target)
{
    const struct bh_mount *mount;
    _cleanup_close_ int fd = target->cover.granted ? bh_mounts_open(target->filesystem, &mount) : -1;
    int error = 0, r;

    if (fd < 0) {
        error = target->cover.granted ? -fd : 0;
        r = bh_guard_skip(target->filesystem, target->cover.place, error);
        return r < 0 || !target->cover.granted ? r : pass_over(freeze, target, error);
    }
    r = bh_guard_hold(target->filesystem, target->cover.place, fd);
    if (r == 0)
        r = freeze_held(fd, &error);
    if (r < 0)
        return r;
    freeze->frozen += error == 0;
    return error ? pass_over(freeze, target, error) : 0;
}

/* Thaws all again. `r`: 0 (there was nothing to freeze), -ECANCELED (one that is required), or the guard's
 * error. */
static int undo(struct freeze *freeze, int r)
{
    struct bh_thawed thawed = { .hooks = -1 };
    struct bh_error *error = freeze->call->error;

    if (bh_guard_undo(&thawed) == 0)
        (void)bh_hooks_end(freeze->call, thawed.hooks);
    if (r == 0 && !freeze->failed)
        return 0;
    if (r == 0 || r == -ECANCELED)
        return bh_fail_errno(error, BH_E_KERNEL, freeze->error, "%s could not be frozen, so nothing is",
                             freeze->failed);
    if (r == -E2BIG)
        return bh_fail_errno(error, BH_E_KERNEL, E2BIG,
                             "more than %u file systems are mounted, so nothing is frozen: name fewer",
                             BH_FROZEN_MOUNTS_MAX);
    return bh_fail_errno(error, BH_E_WORKER_UNAVAILABLE, r,
                         "the guard of what is frozen does not answer, so nothing is");
}

static int begin(struct freeze *freeze)
{
    int r = bh_hooks_begin(freeze->call, &freeze->hooks);

    if (r)
        return r;
    r = bh_guard_begin(freeze->hooks);
    if (r == 0) {
        bh_close_p(&freeze->hooks);                      /* the guard has it */
        (void)bh_control_quiet(BH_FD_CONTROL, QUIET_MS); /* without it the log stands still, no more */
        return 0;
    }
    (void)bh_hooks_end(freeze->call, bh_take_fd(&freeze->hooks));
    if (r == -EBUSY)
        return bh_fail(freeze->call->error, BH_E_FREEZE_BUSY, "another freeze is under way, of channel %.31s",
                       freeze->call->worker->frozen->channel);
    return bh_fail_errno(freeze->call->error, BH_E_WORKER_UNAVAILABLE, r,
                         "the guard of what is frozen cannot be had");
}

static int freeze_targets(struct freeze *freeze, int64_t *ret)
{
    int r = begin(freeze);

    if (r)
        return r;
    for (uint32_t i = 0; i < freeze->n_targets && r == 0; i++)
        r = freeze_one(freeze, &freeze->targets[i]);
    if (r == 0 && freeze->frozen > 0)
        r = bh_guard_commit();
    if (r < 0 || freeze->frozen == 0)
        return undo(freeze, r);
    *ret = freeze->frozen;
    return 0;
}

static int freeze_places(struct bh_call *call, const struct bh_places *places, int64_t *ret)
{
    struct freeze freeze = { .call = call, .hooks = -1 };
    int r = choose(&freeze, places);

    *ret = 0;
    return r ? r : freeze_targets(&freeze, ret);
}

int bh_do_guest_fsfreeze_freeze(struct bh_call *call, struct bh_guest_fsfreeze_freeze_ret *ret)
{
    return freeze_places(call, NULL, &ret->value);
}

/* An empty list names nothing, and so freezes nothing. */
int bh_do_guest_fsfreeze_freeze_list(struct bh_call *call,
                                     const struct bh_guest_fsfreeze_freeze_list_args *args,
                                     struct bh_guest_fsfreeze_freeze_list_ret *ret)
{
    const struct bh_places places = { args->mountpoints, args->n_mountpoints };

    return freeze_places(call, args->has_mountpoints ? &places : NULL, &ret->value);
}

/* --- thawing ------------------------------------------------------------------------ */

/* It was thawed before anybody asked: whoever copied meanwhile has to know. */
static int say_ended(struct bh_call *call, const struct bh_thawed *thawed)
{
    static const char *const why[BH_THAW_CAUSE_END] = {
        [BH_THAW_EXPIRED] = "their lease (set freeze-timeout) had run out",
        [BH_THAW_ABANDONED] = "the process that froze them had ended",
        [BH_THAW_RECOVERED] = "the process that guarded them had ended",
        [BH_THAW_STOPPED] = "the agent was stopped",
    };
    char when[BH_CLOCK_TEXT_MAX];

    if (call->worker->policy.slice->settings[BH_SET_FREEZE_EXPIRED])
        return 0;
    bh_clock_text(thawed->thawed_ns, when);
    return bh_fail(
        call->error, BH_E_FREEZE_ENDED,
        "the file systems were thawed already, at %s, because %s: what was copied since is not consistent",
        when, why[thawed->cause]);
}

int bh_do_guest_fsfreeze_thaw(struct bh_call *call, struct bh_guest_fsfreeze_thaw_ret *ret)
{
    const struct bh_frozen *frozen = call->worker->frozen;
    struct bh_thawed thawed = { .hooks = -1 };
    int r;

    ret->value = 0;
    if (bh_frozen_state(frozen) == BH_THAWED && !frozen->untold)
        return 0;
    r = bh_guard_thaw(&thawed);
    if (r == -EBUSY)
        return bh_fail(call->error, BH_E_FREEZE_BUSY, "a freeze of channel %.31s is under way",
                       frozen->channel);
    if (r < 0)
        return bh_fail_errno(call->error, BH_E_WORKER_UNAVAILABLE, r,
                             "the guard of what is frozen cannot be had");
    ret->value = thawed.count;
    r = bh_hooks_end(call, thawed.hooks);
    return r || thawed.cause == BH_THAW_ASKED ? r : say_ended(call, &thawed);
}
