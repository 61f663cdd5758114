/*
 * Control groups, version 2, as files: what the supervisor (which makes a place for each exec worker) and the
 * worker (which makes a folder per execution in it) have in common. Version 1 is not used: its controllers
 * cannot be handed to somebody else safely.
 *
 * Trust: in = CONFIG (the kernel's files); out = CHECKED; called by = supervisor, workers/exec
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Name of the folder in which an exec worker sits; the executions' folders are made beside it. */
#define BH_CGROUP_WORKER "worker"

enum bh_cgroup_controller {
    BH_CGROUP_MEMORY = 1 << 0,
    BH_CGROUP_PIDS = 1 << 1,
    BH_CGROUP_CPU = 1 << 2,
};

/* The group that this process is in: a folder (close-on-exec) that the caller owns, with *ret_root = it is
 * the root that this process sees. -ENOENT = there is no version 2 here; or -errno. */
int bh_cgroup_own(bool *ret_root);

/* The folder above the one this process is in, if that one is called `name`; else -ENOENT. */
int bh_cgroup_beside(const char *name);

/* Writes `text` to the file `name` of a group. 0 or -errno. */
int bh_cgroup_write(int group, const char *name, const char *text);

/* Lets the groups below `group` be limited by whatever of memory, pids and cpu there is: enum
 * bh_cgroup_controller. */
uint32_t bh_cgroup_enable(int group);
