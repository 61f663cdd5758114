/*
 * The sandbox of one execution, as data, and the steps that build it. What a program inside can and cannot do is
 * the table in SECURITY.md; tests/confine holds it.
 *
 * Two processes take part. The keeper is forked by the worker with bh_sandbox_namespaces() and lives as long as
 * anything of the execution does (keeper.h); it calls bh_sandbox_build. It forks the program's process, which calls
 * bh_sandbox_enter last of all before execveat, of a descriptor that it inherited.
 *
 * Invariants: nothing here knows the policy or the client's bytes; all that is needed was decided before the fork.
 * What cannot be had as root is an error, and the program does not run. In an agent of an ordinary user the steps
 * that need privilege are left out (`privileged` false).
 *
 * Trust: in = CHECKED; out = CHECKED; called by = workers/exec (keeper and child)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/blob.h"
#include "policy/confine/confine.h"

struct bh_sandbox_plan {
    enum bh_sandbox kind;
    bool privileged; /* the worker is privileged; else what needs that is left out */
    bool host_net;
    uid_t uid;
    gid_t gid;
    uint32_t n_groups;
    const gid_t *groups;
    const char *program; /* resolved path: minimal shows its folder */
    const char *cwd;     /* absolute; minimal shows it, read-only */
    /* minimal: folders that the rule's arguments may name, read-only */
    uint32_t n_paths;
    const struct bh_view_path *paths;
    uint32_t n_sockets;
    const char *const *sockets; /* absolute paths; minimal and diag: these and no others can be connected to */
    uint64_t memory;            /* bytes; 0 = no limit */
    uint32_t pids;              /* 0 = no limit */
    uint32_t cpu;               /* percent of one CPU; 0 = no limit */
    int cgroup;                 /* directory of the execution's own cgroup, or -1: limits are rlimits only */
};

/* Flags of clone for the keeper: CLONE_NEWPID, CLONE_NEWNS, ... */
int bh_sandbox_namespaces(const struct bh_sandbox_plan *plan);

/* In the keeper: mounts, /proc, host name. 0, or -errno with *ret_step naming in words what failed. */
int bh_sandbox_build(const struct bh_sandbox_plan *plan, const char **ret_step);

/*
 * In the program's process: working directory, limits, groups and ids, capabilities, no_new_privs, Landlock, the
 * filter. After it only execveat is called. 0, or -errno with *ret_step.
 */
int bh_sandbox_enter(const struct bh_sandbox_plan *plan, const char **ret_step);

/* "minimal", ... as policies write it. */
const char *bh_sandbox_name(enum bh_sandbox kind);
