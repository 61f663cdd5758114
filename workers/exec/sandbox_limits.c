/*
 * What rlimits can say of a rule's limits: memory is RLIMIT_AS, of each process by itself; processes are
 * RLIMIT_NPROC, of all processes of that uid in the guest, and of nobody who is uid 0; the share of a CPU
 * cannot be said. A limit that is lower already stays. A program in `minimal` or `diag` leaves no core file.
 */
#include "workers/exec/sandbox_limits.h"

#include <errno.h>
#include <sys/resource.h>

#include "policy/confine/cgroupfs.h"

/* Too little for a file. With 0 the kernel still starts the guest's core handler, as root, and feeds it what
 * the program has in its memory; with 1 it does not. The filters let nobody in there set it anew. */
#define NO_CORE 1

static int lower(int resource, uint64_t value)
{
    struct rlimit limit;

    if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
        return -errno;
    if (limit.rlim_max > value)
        limit.rlim_max = value;
    if (limit.rlim_cur > limit.rlim_max)
        limit.rlim_cur = limit.rlim_max;
    return setrlimit((__rlimit_resource_t)resource, &limit) < 0 ? -errno : 0;
}

/* Where the guest's own limit is 0 already, for good, that is what it is. */
static int refuse_core(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_CORE, &limit) < 0)
        return -errno;
    if (limit.rlim_max < NO_CORE)
        return 0;
    limit.rlim_cur = limit.rlim_max = NO_CORE;
    return setrlimit(RLIMIT_CORE, &limit) < 0 ? -errno : 0;
}

int bh_sandbox_join(const struct bh_sandbox_plan *plan)
{
    return plan->cgroup < 0 ? 0 : bh_cgroup_write(plan->cgroup, "cgroup.procs", "0");
}

int bh_sandbox_rlimits(const struct bh_sandbox_plan *plan)
{
    const bool sandboxed = plan->kind == BH_SANDBOX_MINIMAL || plan->kind == BH_SANDBOX_DIAG;
    int r = 0;

    if (sandboxed)
        r = refuse_core();
    if (r == 0 && !(plan->held & BH_CGROUP_MEMORY) && plan->memory)
        r = lower(RLIMIT_AS, plan->memory);
    if (r == 0 && !(plan->held & BH_CGROUP_PIDS) && plan->pids)
        r = lower(RLIMIT_NPROC, plan->pids);
    return r;
}
