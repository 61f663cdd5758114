/*
 * The sandbox of one execution, as data, and the steps that build it. What a program inside can and cannot do
 * is the table in SECURITY.md; tests/confine holds it.
 *
 * Two processes take part. The keeper is forked by the worker with bh_sandbox_namespaces() and lives as long
 * as anything of the execution does (keeper.h); it calls bh_sandbox_build, then bh_sandbox_reopen for each
 * file that the program's process will execute or be given. It forks the program's process, which calls
 * bh_sandbox_enter last of all before execveat, of a descriptor that it inherited.
 *
 * Invariants: nothing here knows the policy or the client's bytes; all that is needed was decided before the
 * fork. What cannot be had as root is an error, and the program does not run. In an agent of an ordinary user
 * the steps that need privilege are left out (`privileged` false).
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
    const char *const
        *sockets;    /* absolute paths; minimal and diag: these and no others can be connected to */
    uint64_t memory; /* bytes; 0 = no limit */
    uint32_t pids;   /* 0 = no limit */
    uint32_t cpu;    /* percent of one CPU; 0 = no limit */
    int cgroup;      /* directory of the execution's own cgroup, or -1: limits are rlimits only */
    uint32_t
        held; /* limits that the cgroup holds (enum bh_cgroup_controller); for the others the rlimit stands */
    uint32_t required,
        off; /* fences, as the policy says: those without which it does not run, those not to try */
};

/* Flags of clone for the keeper: CLONE_NEWPID, CLONE_NEWNS, ... */
int bh_sandbox_namespaces(const struct bh_sandbox_plan *plan);

/* In the keeper: mounts, /proc. Its parent-death signal is as before. 0, or -errno with *ret_step naming in
 * words what failed. */
int bh_sandbox_build(const struct bh_sandbox_plan *plan, const char **ret_step);

/*
 * In the keeper, after bh_sandbox_build: the file `fd` of the guest once more, as it lies in the sandbox,
 * where its mount is read-only. What is executed by a descriptor of the guest's own mounts can be written to
 * through /proc/self/exe by a program that may write to the file. `path`: where it lies, without links. A
 * descriptor (O_PATH, close-on-exec) that the caller owns; -ESTALE = another file lies there by now; or
 * -errno. `fd` stays the caller's.
 */
int bh_sandbox_reopen(const struct bh_sandbox_plan *plan, int fd, const char *path);

/*
 * In the program's process: working directory, limits, groups and ids, capabilities, no_new_privs, Landlock,
 * the filter. After it only execveat is called. 0, or -errno with *ret_step.
 */
int bh_sandbox_enter(const struct bh_sandbox_plan *plan, const char **ret_step);

/*
 * For a plan without cgroup, whose program may run as uid 0, which no rlimit counts: how many processes the
 * keeper's tree has, itself not counted, so that the keeper can end it when they are more than `pids`. -errno
 * if /proc cannot be read.
 */
int bh_sandbox_count(void);

/* "minimal", ... as policies write it. */
const char *bh_sandbox_name(enum bh_sandbox kind);
