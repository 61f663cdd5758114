/*
 * Places for exec workers in the control groups, so that executions can be limited and ended as a whole:
 * where the agent's own group was delegated to it (by systemd's Delegate=), or is the root of all that it
 * sees and has controllers.
 *
 *   GROUP/agent                 the supervisor and everybody else
 *   GROUP/exec-CHANNEL/worker   an exec worker, and spawn-CHANNEL for bulkhead-spawn
 *   GROUP/exec-CHANNEL/...      one folder per execution, made by the worker (workers/exec/cgroup.h)
 *
 * Trust: in = CONFIG; out = CHECKED; called by = supervisor
 */
#pragma once

#include <sys/types.h>

struct bh_cgroups {
    int group; /* the agent's; -1: there are none to be had here, and all else does nothing */
};

/* Moves this process out of the way, into a group below its own. 0; 1 = nothing is delegated here, or there
 * is no version 2; or -errno with *ret_step naming in words what failed. */
int bh_cgroups_start(struct bh_cgroups *ret, const char **ret_step);

/* Puts the calling process, which is to become the worker `name` ("exec") of `channel` with the group `gid`,
 * into a place that it may write to. 0, also if there are no groups here; or -errno. */
int bh_cgroups_sit(const struct bh_cgroups *groups, const char *name, const char *channel, gid_t gid);

/* Removes the folders in which no process is any more. What is kept beyond a restart keeps its own. */
void bh_cgroups_sweep(const struct bh_cgroups *groups);
