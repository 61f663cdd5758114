/*
 * What a process may see and be, derived from the policy: privilege follows the rules.
 *
 * fs reads as its own user with DAC_READ_SEARCH over the folders of rules without a
 * user; storage has SYS_ADMIN if a rule lets it trim or freeze; an opener is its user, over the folders of
 * that user's rules; smart sees the nodes of NVMe disks; everyone else has what its profile says and nothing
 * from the policy.
 */
#include <errno.h>
#include <glob.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/supervisor/supervisor.h"
#include "policy/confine/caps.h"
#include "policy/eval.h"
#include "policy/paths.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "protocol/wire/smart.h"

/* The user that the package made for this program, or our numeric block. /etc/passwd only: no name service
 * here. */
static void program_user(const struct bh_profile *profile, struct bh_identity *ret)
{
    _cleanup_fclose_ FILE *file = fopen("/etc/passwd", "re");
    struct passwd *entry;

    ret->uid = profile->uid;
    ret->gid = profile->uid;
    while (file && (entry = fgetpwent(file))) {
        if (strcmp(entry->pw_name, profile->program))
            continue;
        ret->uid = entry->pw_uid;
        ret->gid = entry->pw_gid;
        return;
    }
}

static int rule_user(const struct bh_policy *policy, uint32_t index, struct bh_sight *sight)
{
    const struct bh_policy_user *user = &policy->users[index];

    if (!user->found)
        return -ENOENT;
    if (user->n_groups > BH_ARRAY_SIZE(sight->groups))
        return -E2BIG;
    for (uint32_t i = 0; i < user->n_groups; i++)
        sight->groups[i] = policy->groups[user->first_group + i];
    sight->identity = (struct bh_identity){
        .uid = user->uid,
        .gid = user->gid,
        .n_groups = user->n_groups,
        .groups = sight->groups,
        .caps = user->uid == 0 ? 1ull << CAP_DAC_OVERRIDE : 0,
    };
    return 0;
}

/* A rule without paths means the whole tree; otherwise only its folders are there. */
static void rule_view(const struct bh_supervisor *s, const struct bh_policy *policy, uint32_t user,
                      struct bh_sight *sight)
{
    uint32_t n = bh_policy_paths(policy, user, sight->paths, BH_ARRAY_SIZE(sight->paths), sight->storage,
                                 sizeof(sight->storage));

    sight->view.n_paths = n;
    sight->view.paths = sight->paths;
    sight->view.kind = BH_VIEW_PATHS;
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(sight->paths[i].path, "/"))
            continue;
        sight->view.kind = BH_VIEW_ALL;
        sight->view.cwd = s->cwd;
    }
}

/* The NVMe disks of now: it is started for one list of disks. What does not fit is not asked. */
static void nvme_view(struct bh_sight *sight)
{
    char *text = sight->storage;
    glob_t found = { 0 };

    sight->view.paths = sight->paths;
    sight->view.n_paths = 0;
    if (glob("/dev/nvme*n*", GLOB_NOSORT, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc && sight->view.n_paths < BH_ARRAY_SIZE(sight->paths); i++) {
            if (!bh_smart_name_ok(found.gl_pathv[i] + strlen("/dev/")))
                continue;
            sight->paths[sight->view.n_paths++] =
                (struct bh_view_path){ text, BH_ACCESS_READ | BH_ACCESS_ANY, .optional = true };
            text = stpcpy(text, found.gl_pathv[i]) + 1;
        }
    globfree(&found);
}

/* What its sandboxes need. Programs of `plain` may become more than it is: what is set-uid works there. */
static void exec_power(const struct bh_policy *policy, struct bh_identity *identity)
{
    bool plain = bh_policy_has_sandbox(policy, BH_SANDBOX_PLAIN);

    if (!plain && !bh_policy_has_sandbox(policy, BH_SANDBOX_MINIMAL) &&
        !bh_policy_has_sandbox(policy, BH_SANDBOX_DIAG))
        identity->caps =
            1ull << CAP_SYS_ADMIN | 1ull << CAP_DAC_READ_SEARCH; /* its filter, and the names of programs */
    if (plain)
        identity->more_bound = bh_caps_bounding();
}

/* Runs in the child, where the view is built. */
static void say_left_out(const char *path, int error)
{
    bh_log(BH_LOG_WARNING, "%s is not visible to this process: %s", path,
           error == -ELOOP ? "it leads through a symbolic link; name the real path in the policy"
                           : strerror(-error));
}

int bh_sight(const struct bh_supervisor *s, const struct bh_process *process, struct bh_sight *ret)
{
    const struct bh_profile *profile = bh_roster[process->role].profile;
    const struct bh_policy *policy =
        process->channel >= 0 ? &s->channels[process->channel].policy : bh_any_policy(s);

    *ret = (struct bh_sight){ .identity = { .caps = profile->caps },
                              .view = { .kind = profile->view,
                                        .n_paths = profile->n_paths,
                                        .paths = profile->paths,
                                        .left_out = say_left_out },
                              .off = (uint32_t)policy->slice->settings[BH_SET_FENCES_OFF] };
    if (process->role == BH_ROLE_OPENER) {
        rule_view(s, policy, process->user, ret);
        return rule_user(policy, process->user, ret);
    }
    program_user(profile, &ret->identity);
    if (process->role == BH_ROLE_THAW) {
        /* Only what a predecessor left frozen has to be found again. */
        ret->view.kind = bh_is_frozen(s) ? BH_VIEW_HOST : BH_VIEW_EMPTY;
        if (!bh_is_frozen(s))
            ret->identity.caps &= ~(1ull << CAP_DAC_READ_SEARCH);
    }
    if (process->role == BH_ROLE_INFO) {
        ret->view.paths = ret->paths;
        ret->view.n_paths = bh_profile_paths(profile, getenv("QGA_OS_RELEASE"), ret->paths,
                                             BH_ARRAY_SIZE(ret->paths), ret->storage);
    }
    if (process->role == BH_ROLE_FS) {
        rule_view(s, policy, BH_NO_USER, ret);
        if (!bh_policy_needs_fs_reader(policy))
            ret->identity.caps = 0;
    }
    if (process->role == BH_ROLE_EXEC)
        exec_power(policy, &ret->identity);
    if (process->role == BH_ROLE_SMART)
        nvme_view(ret);
    if (process->role == BH_ROLE_STORAGE && !bh_policy_needs_mounts(policy))
        ret->identity.caps &= ~(1ull << CAP_SYS_ADMIN);
    return 0;
}
