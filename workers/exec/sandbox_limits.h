/*
 * Limits of one execution: its cgroup's where there is one, else rlimits.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = sandbox.c
 */
#pragma once

#include "workers/exec/sandbox.h"

/* Joins the cgroup of the plan, which limits memory, processes and CPU for the whole tree. 0 or -errno. */
int bh_sandbox_join(const struct bh_sandbox_plan *plan);

/* After the change of the uid: an execve fails if the change found the new uid over RLIMIT_NPROC. 0 or
 * -errno. */
int bh_sandbox_rlimits(const struct bh_sandbox_plan *plan);
