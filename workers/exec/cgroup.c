/*
 * Each limit is a file. A limit whose controller this guest has not, is not held, and the plan says so: then
 * the rlimit stands for it. Memory is a limit of memory and swap together, and when it is reached the whole
 * tree goes, not a part.
 */
#include "workers/exec/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/confine/cgroupfs.h"
#include "protocol/base/mem.h"

#define NAME_MAX_ 32
#define PERIOD_US 100000u /* of cpu.max */
#define KILL_ROUNDS 100

static void name_of(uint64_t number, char ret[static NAME_MAX_])
{
    (void)snprintf(ret, NAME_MAX_, "run-%" PRIu64, number);
}

int bh_cgroup_place(void)
{
    return bh_cgroup_beside(BH_CGROUP_WORKER);
}

static bool limit(int group, const char *file, uint64_t value)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%" PRIu64, value);
    return bh_cgroup_write(group, file, text) == 0;
}

static bool limit_cpu(int group, uint32_t percent)
{
    char text[64];

    (void)snprintf(text, sizeof(text), "%" PRIu64 " %u", (uint64_t)percent * PERIOD_US / 100, PERIOD_US);
    return bh_cgroup_write(group, "cpu.max", text) == 0;
}

static uint32_t set_limits(int group, const struct bh_sandbox_plan *plan)
{
    uint32_t held = 0;

    if (plan->memory && limit(group, "memory.max", plan->memory)) {
        held |= BH_CGROUP_MEMORY;
        (void)limit(group, "memory.swap.max", 0); /* not there: the guest does not count swap */
        (void)limit(group, "memory.oom.group", 1);
    }
    if (plan->pids && limit(group, "pids.max", plan->pids))
        held |= BH_CGROUP_PIDS;
    if (plan->cpu && limit_cpu(group, plan->cpu))
        held |= BH_CGROUP_CPU;
    return held;
}

int bh_cgroup_make(int place, uint64_t number, struct bh_sandbox_plan *plan)
{
    char name[NAME_MAX_];
    int group;

    name_of(number, name);
    if (mkdirat(place, name, 0755) < 0)
        return -errno;
    group = openat(place, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (group < 0) {
        int error = -errno;

        (void)unlinkat(place, name, AT_REMOVEDIR);
        return error;
    }
    plan->held = set_limits(group, plan);
    plan->cgroup = group;
    return 0;
}

int bh_cgroup_populated(int group)
{
    _cleanup_close_ int fd = openat(group, "cgroup.events", O_RDONLY | O_CLOEXEC);
    char text[128];
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (n < 0)
        return -errno;
    text[n] = '\0';
    return strstr(text, "populated 1") != NULL;
}

/* Each process once; who is not there any more has ended. */
static int kill_each(int group)
{
    _cleanup_close_ int fd = openat(group, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    _cleanup_fclose_ FILE *file = fd < 0 ? NULL : fdopen(fd, "re");
    int pid;

    if (!file)
        return -errno;
    (void)bh_take_fd(&fd);
    while (fscanf(file, "%d", &pid) == 1)
        if (pid > 1 && kill(pid, SIGKILL) < 0 && errno != ESRCH)
            return -errno;
    return 0;
}

int bh_cgroup_kill(int group)
{
    int r = bh_cgroup_write(group, "cgroup.kill", "1");

    if (r != -ENOENT)
        return r;
    for (int i = 0; i < KILL_ROUNDS; i++) {
        r = bh_cgroup_populated(group);
        if (r <= 0)
            return r;
        r = kill_each(group);
        if (r < 0)
            return r;
    }
    return -EAGAIN;
}

int bh_cgroup_remove(int place, uint64_t number)
{
    char name[NAME_MAX_];

    name_of(number, name);
    return unlinkat(place, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}
