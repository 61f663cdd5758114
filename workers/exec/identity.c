/*
 * Who a program runs as: the rule's user, as the policy was compiled with, or the sandboxes' own. /etc/passwd
 * is read for what a login has besides; a user who is not there any more logs in nowhere.
 */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "policy/confine/confine.h"
#include "protocol/base/mem.h"
#include "workers/exec/engine.h"

#define OWN_USER "bulkhead-run"
#define OWN_UID (BH_UID_BLOCK + 12)

static struct passwd *find(FILE *file, const char *name)
{
    struct passwd *entry;

    while (file && (entry = fgetpwent(file)))
        if (strcmp(entry->pw_name, name) == 0)
            return entry;
    return NULL;
}

static void look_up(struct bh_login *ret, const char *name)
{
    _cleanup_fclose_ FILE *file = fopen("/etc/passwd", "re");
    const struct passwd *entry = find(file, name);

    (void)snprintf(ret->name, sizeof(ret->name), "%s", name);
    (void)snprintf(ret->home, sizeof(ret->home), "%s", entry && entry->pw_dir[0] ? entry->pw_dir : "/");
    (void)snprintf(ret->shell, sizeof(ret->shell), "%s",
                   entry && entry->pw_shell[0] ? entry->pw_shell : "/bin/sh");
    ret->uid = entry ? entry->pw_uid : OWN_UID;
    ret->gid = entry ? entry->pw_gid : OWN_UID;
}

static const struct bh_login *own_login(void)
{
    static struct bh_login own;

    if (!own.name[0]) {
        look_up(&own, OWN_USER);
        (void)snprintf(own.home, sizeof(own.home), "/");
    }
    return &own;
}

const char *bh_identity_name(const struct bh_policy *policy, uint32_t rule)
{
    uint32_t user = rule == BH_NO_RULE ? BH_NO_USER : policy->rules[rule].user;

    return user == BH_NO_USER ? OWN_USER : bh_policy_string(policy, policy->users[user].name);
}

int bh_identity_of(const struct bh_policy *policy, struct bh_judged *judged, struct bh_sandbox_plan *plan)
{
    uint32_t index = policy->rules[judged->rule].user;
    const struct bh_policy_user *user = index == BH_NO_USER ? NULL : &policy->users[index];

    if (!user) {
        judged->login = *own_login();
        plan->uid = judged->login.uid;
        plan->gid = judged->login.gid;
        plan->n_groups = 0;
    } else {
        if (!user->found)
            return -ENOENT;
        look_up(&judged->login, bh_policy_string(policy, user->name));
        plan->uid = user->uid;
        plan->gid = user->gid;
        plan->n_groups = user->n_groups;
        plan->groups = policy->groups + user->first_group;
    }
    if (judged->exec->flags & BH_EXEC_GROUPS) {
        plan->n_groups = judged->exec->n_groups;
        plan->groups = policy->groups + judged->exec->first_group;
    }
    return 0;
}
