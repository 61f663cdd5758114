/*
 * One control group per execution, beside the worker's own, where the supervisor has made a place for it
 * (broker/supervisor/cgroup.h): limits for the whole tree, and an end that nobody in it escapes.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = workers/exec
 */
#pragma once

#include "workers/exec/sandbox.h"

/* The place: a folder (close-on-exec) that the caller owns, kept as long as the worker lives. -ENOENT = none:
 * limits are rlimits; or -errno. */
int bh_cgroup_place(void);

/*
 * A new group for the execution `number`, limited as the plan says: sets plan->cgroup, which the caller owns,
 * and plan->held, which of the limits it holds. 0; or -errno, and then there is no group and nothing in the
 * plan.
 */
int bh_cgroup_make(int place, uint64_t number, struct bh_sandbox_plan *plan);

/* Kills everything in it, at once where the kernel can (5.14), else process by process until none is left or
 * new ones come faster. 0; -EAGAIN = some are left; or -errno. */
int bh_cgroup_kill(int group);

/* 1 = processes are in it, 0 = none, or -errno. */
int bh_cgroup_populated(int group);

/* Removes it. 0; -EBUSY = a process is still in it; or -errno. */
int bh_cgroup_remove(int place, uint64_t number);
