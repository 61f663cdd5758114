/*
 * What rlimits can say of a rule's limits: memory is RLIMIT_AS, of each process by itself; processes are
 * RLIMIT_NPROC, of all processes of that uid in the guest, and of nobody who is uid 0; the share of a CPU
 * cannot be said. A limit that is lower already stays. A program in `minimal` or `diag` leaves no core file.
 */
#include "workers/exec/sandbox_limits.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "protocol/base/fd.h"
#include "protocol/base/mem.h"

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

int bh_sandbox_join(const struct bh_sandbox_plan *plan)
{
    _cleanup_close_ int procs = -1;

    if (plan->cgroup < 0)
        return 0;
    procs = openat(plan->cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
    return procs < 0 ? -errno : bh_write_all(procs, "0", 1);
}

int bh_sandbox_rlimits(const struct bh_sandbox_plan *plan)
{
    const bool sandboxed = plan->kind == BH_SANDBOX_MINIMAL || plan->kind == BH_SANDBOX_DIAG;
    int r = 0;

    if (sandboxed)
        r = lower(RLIMIT_CORE, 0);
    if (r == 0 && plan->cgroup < 0 && plan->memory)
        r = lower(RLIMIT_AS, plan->memory);
    if (r == 0 && plan->cgroup < 0 && plan->pids)
        r = lower(RLIMIT_NPROC, plan->pids);
    return r;
}
