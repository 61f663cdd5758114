/* Placeholder until the sandboxes are merged. */
#include "workers/exec/sandbox.h"
#include <errno.h>
#include <grp.h>
#include <unistd.h>

int bh_sandbox_namespaces(const struct bh_sandbox_plan *plan)
{
    (void)plan;
    return 0;
}
int bh_sandbox_build(const struct bh_sandbox_plan *plan, const char **ret_step)
{
    (void)plan;
    (void)ret_step;
    return 0;
}
int bh_sandbox_enter(const struct bh_sandbox_plan *plan, const char **ret_step)
{
    *ret_step = "entering";
    if (plan->privileged && (setgroups(plan->n_groups, plan->groups) < 0 || setresgid(plan->gid, plan->gid, plan->gid) < 0 || setresuid(plan->uid, plan->uid, plan->uid) < 0))
        return -errno;
    return chdir(plan->cwd) < 0 ? -errno : 0;
}
const char *bh_sandbox_name(enum bh_sandbox kind)
{
    static const char *const names[] = { "minimal", "diag", "plain", "none" };
    return names[kind];
}
