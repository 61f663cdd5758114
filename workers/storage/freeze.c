/*
 * guest-fsfreeze-freeze, -freeze-list and -thaw.
 *
 * What is frozen is chosen before anything is: each file system once, in an order in which none has to write to
 * one that is frozen (order.h), as far as the policy covers a place where it is mounted and denies none. Each is then
 * left with the guard, frozen, and reported; what cannot be frozen is passed over and told, unless the
 * policy requires it.
 *
 * Invariants: nothing is frozen that the guard does not hold; what it cannot be told of is thawed here at once.
 */
#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "policy/eval.h"
#include "protocol/base/clock.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "protocol/codes.h"
#include "protocol/handlers-storage.h"
#include "workers/lib/text.h"
#include "workers/storage/guard.h"
#include "workers/storage/hooks.h"
#include "workers/storage/order.h"
#include "workers/storage/storage.h"

/* A file system that is asked for. */
struct target {
    const struct bh_filesystem *filesystem;
    const char *place; /* where it is mounted, as a client knows it */
    bool granted, required;
};

struct freeze {
    struct bh_call *call;
    unsigned command;
    struct bh_filesystems all;
    const struct bh_str *names; /* only these; NULL: all */
    uint32_t n_names;
    struct target *targets;
    uint32_t n_targets;
    int64_t frozen;
    const char *failed; /* the first one that should have been frozen and was not; NULL: there is none */
    int error;          /* its errno */
    int hooks;          /* socket to the hooks, until the guard has it; -1 */
};

/* --- which ones ------------------------------------------------------------------ */

static bool is_named(const struct freeze *freeze, struct bh_str place)
{
    for (uint32_t i = 0; i < freeze->n_names; i++)
        if (freeze->names[i].len == place.len && memcmp(freeze->names[i].ptr, place.ptr, place.len) == 0)
            return true;
    return false;
}

static int refuse(struct freeze *freeze, struct bh_str place, const struct bh_decision *decision)
{
    const struct bh_policy *policy = &freeze->call->worker->policy;
    struct bh_record record = { .object = place };

    if (decision->rule != BH_NO_RULE) {
        const char *rule = bh_policy_string(policy, policy->rules[decision->rule].name);

        record.rule = (struct bh_str){ rule, (uint32_t)strlen(rule) };
    }
    return bh_call_refuse(freeze->call, bh_verdict_code(decision->verdict), &record,
                          "%s may not be frozen: denied by policy", place.ptr);
}

/* One place of a file system. A refusal is an error only where the client has named it. */
static int judge(struct freeze *freeze, struct target *target, struct bh_str place, bool *denied)
{
    const struct bh_policy *policy = &freeze->call->worker->policy;
    struct bh_decision decision = bh_policy_mount(policy, freeze->command, place, NULL);
    bool named = is_named(freeze, place);

    if (named && decision.verdict != BH_VERDICT_ALLOW)
        return refuse(freeze, place, &decision);
    *denied |= decision.verdict == BH_VERDICT_DENIED;
    if (decision.verdict == BH_VERDICT_ALLOW) {
        target->granted = true;
        target->required |= bh_policy_mount_required(policy, freeze->command, place);
    }
    if (named || !target->place || (!target->granted && !freeze->names))
        target->place = place.ptr;
    return 0;
}

/* 1: it is a target; 0: it is not asked for. */
static int choose(struct freeze *freeze, const struct bh_filesystem *filesystem, struct target *target)
{
    bool denied = false, wanted = !freeze->names;
    int r = 0;

    *target = (struct target){ .filesystem = filesystem };
    for (uint32_t i = 0; i < filesystem->n_mounts && r == 0; i++) {
        struct bh_str place = bh_text_of(freeze->call->arena, filesystem->mounts[i].path.ptr,
                                         filesystem->mounts[i].path.len);

        if (!place.ptr)
            return -ENOMEM;
        wanted |= is_named(freeze, place);
        r = judge(freeze, target, place, &denied);
    }
    target->granted &= !denied;
    return r ? r : wanted;
}

static int choose_all(struct freeze *freeze)
{
    struct bh_call *call = freeze->call;
    uint32_t *order;
    int r = bh_mounts_read(bh_storage_of(call)->mountinfo, call->arena, &freeze->all);

    if (r == 0)
        r = bh_freeze_order(&freeze->all, bh_storage_of(call)->sysfs, call->arena, &order);
    if (r < 0)
        return r;
    freeze->targets = bh_arena_array(call->arena, freeze->all.n, sizeof(*freeze->targets));
    if (!freeze->targets)
        return -ENOMEM;
    for (uint32_t i = 0; i < freeze->all.n; i++) {
        r = choose(freeze, &freeze->all.list[order[i]], &freeze->targets[freeze->n_targets]);
        if (r < 0 || r > 1)
            return r;
        freeze->n_targets += r == 1;
    }
    return 0;
}

/* --- freezing ---------------------------------------------------------------------- */

/* Passes one over. What cannot be frozen by its kind, or is frozen by somebody else, is no failure. */
static int pass_over(struct freeze *freeze, const struct target *target, int error)
{
    bool failure = target->required || (error && error != EOPNOTSUPP && error != ENOTTY && error != EBUSY);

    if (failure && (!freeze->failed || target->required)) {
        freeze->failed = target->place;
        freeze->error = error;
    }
    if (failure)
        bh_log(BH_LOG_WARNING, "%s is not frozen: %s", target->place, strerror(error));
    return failure && target->required ? -ECANCELED : 0;
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
    _cleanup_close_ int fd = target->granted ? bh_mounts_open(target->filesystem, &mount) : -1;
    int error = 0, r;

    if (fd < 0) {
        error = target->granted ? -fd : 0;
        r = bh_guard_skip(target->filesystem, target->place, error);
        return r < 0 || !target->granted ? r : pass_over(freeze, target, error);
    }
    r = bh_guard_hold(target->filesystem, target->place, fd);
    if (r == 0)
        r = freeze_held(fd, &error);
    if (r < 0)
        return r;
    freeze->frozen += error == 0;
    return error ? pass_over(freeze, target, error) : 0;
}

/* Thaws all again. `r`: 0 (there was nothing to freeze), -ECANCELED (one that is required), or the guard's error. */
static int undo(struct freeze *freeze, int r)
{
    struct bh_thawed thawed = { .hooks = -1 };
    struct bh_error *error = freeze->call->error;

    if ((r == 0 || r == -ECANCELED) && bh_guard_undo(&thawed) == 0)
        (void)bh_hooks_end(freeze->call, thawed.hooks);
    if (r == 0 && !freeze->failed)
        return 0;
    if (r == 0 || r == -ECANCELED)
        return bh_fail_errno(error, BH_E_KERNEL, freeze->error, "%s could not be frozen, so nothing is", freeze->failed);
    return bh_fail_errno(error, BH_E_WORKER_UNAVAILABLE, r, "the guard of what is frozen does not answer, so nothing is");
}

static int begin(struct freeze *freeze)
{
    int r = bh_hooks_begin(freeze->call, &freeze->hooks);

    if (r)
        return r;
    r = bh_guard_begin(freeze->hooks);
    if (r == 0) {
        bh_close_p(&freeze->hooks); /* the guard has it */
        return 0;
    }
    (void)bh_hooks_end(freeze->call, bh_take_fd(&freeze->hooks));
    if (r == -EBUSY)
        return bh_fail(freeze->call->error, BH_E_FREEZE_BUSY, "another freeze is under way, of channel %.31s",
                       freeze->call->worker->frozen->channel);
    return bh_fail_errno(freeze->call->error, BH_E_WORKER_UNAVAILABLE, r, "the guard of what is frozen cannot be had");
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

static int freeze_some(struct bh_call *call, const struct bh_str *names, uint32_t n_names, int64_t *ret)
{
    struct freeze freeze = { .call = call,
                             .command = (unsigned)(call->command - bh_commands),
                             .names = names,
                             .n_names = n_names,
                             .hooks = -1 };
    int r = choose_all(&freeze);

    *ret = 0;
    if (r < 0)
        return bh_fail_errno(call->error, r == -ENOMEM ? BH_E_NO_MEMORY : BH_E_KERNEL, r, "the mounts cannot be listed");
    return r ? r : freeze_targets(&freeze, ret);
}

int bh_do_guest_fsfreeze_freeze(struct bh_call *call, struct bh_guest_fsfreeze_freeze_ret *ret)
{
    return freeze_some(call, NULL, 0, &ret->value);
}

int bh_do_guest_fsfreeze_freeze_list(struct bh_call *call, const struct bh_guest_fsfreeze_freeze_list_args *args,
                                     struct bh_guest_fsfreeze_freeze_list_ret *ret)
{
    static const struct bh_str none;

    if (!args->has_mountpoints)
        return freeze_some(call, NULL, 0, &ret->value);
    return freeze_some(call, args->n_mountpoints ? args->mountpoints : &none, args->n_mountpoints, &ret->value);
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
    return bh_fail(call->error, BH_E_FREEZE_ENDED,
                   "the file systems were thawed already, at %s, because %s: what was copied since is not consistent", when,
                   why[thawed->cause]);
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
        return bh_fail(call->error, BH_E_FREEZE_BUSY, "a freeze of channel %.31s is under way", frozen->channel);
    if (r < 0)
        return bh_fail_errno(call->error, BH_E_WORKER_UNAVAILABLE, r, "the guard of what is frozen cannot be had");
    ret->value = thawed.count;
    r = bh_hooks_end(call, thawed.hooks);
    return r || thawed.cause == BH_THAW_ASKED ? r : say_ended(call, &thawed);
}
