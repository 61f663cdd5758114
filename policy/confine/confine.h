/*
 * Confinement: two functions over one table of data per process.
 *
 * bh_confine_before_exec runs in the supervisor's child, between fork and exec, and
 * does what needs privilege, in this order: descriptors, session and umask, limits,
 * namespaces, the view (a small tree built from nothing), uid 0 made ordinary, bounding
 * set, groups and ids, the other capability sets and the lock on the securebits,
 * no_new_privs, no fork, parent-death signal.
 * bh_confine_self is the first thing main does after it has mapped what the supervisor
 * left: dumpable, Landlock, memory-deny-write-execute, file size, the seccomp filter
 * that was made at build time; then it reads its own /proc status through BH_FD_STATUS
 * and compares. A difference is fatal.
 *
 * A fence that the kernel or the starting user cannot give is missing, and reported;
 * if the policy's `set fence-... required` names it, the process does not start.
 *
 * Trust: in = CONFIG; out = CHECKED; called by = supervisor (before_exec), every child (self)
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "protocol/wire/boot.h"

#define BH_EXIT_CONFINE 78 /* a process that could not be confined ends with this status */

/* Numeric block for users that no package has made; outside every range that Debian, Fedora and systemd hand
 * out. */
#define BH_UID_BLOCK 65520u

enum bh_access {
    BH_ACCESS_READ = 1 << 0,
    BH_ACCESS_WRITE = 1 << 1,
    BH_ACCESS_ANY = 1 << 2, /* devices, exec bit kept */
    BH_ACCESS_LIST =
        1 << 3, /* folders may be opened and listed, files not; Landlock alone tells them apart */
    BH_ACCESS_EXECUTE = 1 << 4, /* programs, but no devices */
    BH_ACCESS_OWN = 1 << 5,     /* beside WRITE: anything may be made, renamed and removed in it (Landlock) */
};

/* A directory or file that a process sees, and how. `path` is absolute; a missing one is left out and
 * reported, unless it is optional: then nothing is there and nothing is said. */
struct bh_view_path {
    const char *path;
    uint32_t access; /* enum bh_access */
    bool optional;
};

enum bh_view_kind {
    BH_VIEW_EMPTY, /* a read-only root with nothing in it */
    BH_VIEW_PATHS, /* the listed paths, at the same place, plus /proc/self/fd of the process */
    BH_VIEW_ALL,   /* the whole tree, writable or not as `access` of its one path says (policy without path
                      limits) */
    BH_VIEW_HOST,  /* the guest's own mounts, for who has to see each of them as it comes and goes: a copy is
                      stale, and keeps file systems busy that others want to unmount */
};

struct bh_view {
    enum bh_view_kind kind;
    uint32_t n_paths;
    const struct bh_view_path *paths;
    const char *cwd; /* BH_VIEW_ALL: directory to start in; else NULL ("/") */
    /* Told of each listed path that is left out, and why (-ENOENT, -ELOOP: it crosses a symlink, ...). May be
     * NULL. */
    void (*left_out)(const char *path, int error);
};

/* One row of a seccomp table. */
struct bh_syscall_arg {
    uint8_t index;        /* 0..5 */
    uint64_t mask, value; /* allowed if (argument & mask) == value */
};

#define BH_SYSCALL_ARGS_MAX 3

struct bh_syscall {
    const char *name;
    uint16_t
        number; /* of a call that libseccomp may not know yet (424 and above: the same everywhere); else 0 */
    uint16_t error; /* 0: allowed (if all args match); else refused with this errno instead of being killed */
    uint8_t n_args;
    struct bh_syscall_arg args[BH_SYSCALL_ARGS_MAX];
    const char *why; /* shown by the dump; why this process needs it */
};

struct bh_profile {
    const char *name;    /* "front" */
    const char *program; /* "bulkhead-front": file name, and user name where the package made one; NULL: only
                            a filter */
    uint32_t uid;        /* fallback: BH_UID_BLOCK + n; UINT32_MAX: the rule's user */
    uint64_t caps;       /* mask: the most it may hold; all five sets show exactly what the identity says */
    bool own_net;        /* an empty network namespace of its own */
    bool bare; /* not confined: its descriptors are closed and it leads a session, that is all (bulkhead-hook)
                */
    bool spawns; /* it runs programs: fences that they would inherit are each program's own affair, so it has
                    only its uid, its capabilities, its filter, and is not dumpable */
    bool outlives; /* it has something to end when the supervisor dies, and ends by itself */
    uint32_t max_fds, max_memory_mib;
    uint32_t filesize_max_mib; /* RLIMIT_FSIZE; 0 = may not grow any file */
    enum bh_view_kind view;
    uint32_t n_paths;
    const struct bh_view_path *paths; /* fixed paths of the view; the policy may add some */
    uint8_t unlisted;                 /* enum bh_unlisted: what becomes of a call that no row has */
    const struct bh_syscall *syscalls;
    uint32_t n_syscalls;
    const struct bh_profile *like; /* its rows too, beside the own ones; or NULL */
};

enum bh_unlisted {
    BH_UNLISTED_KILLS,
    BH_UNLISTED_REFUSED, /* EPERM: for programs that are not ours */
    BH_UNLISTED_ALLOWED, /* the table is a deny-list: its rows have errors, and no base rows are added */
};

/* Who the child becomes. */
struct bh_identity {
    uid_t uid;
    gid_t gid;
    uint32_t n_groups;
    const gid_t *groups;
    uint64_t caps;
    uint64_t more_bound; /* spawns: capabilities of the bounding set beyond `caps`, for what it runs */
};

/*
 * Confines the calling process (a fresh child of the supervisor) and fills boot->fences, uid, gid and caps
 * with what was done. `view->paths` are bound read-only unless WRITE. Descriptors 0..BH_FD_LAST are already
 * in place; all others but `keep_fd` (the program, close-on-exec) are closed. `off` are fences not to try. 0,
 * or -errno with *ret_step naming the step that failed in words. Without privilege (geteuid() != 0) the steps
 * that need it are left out and not set in boot->fences: 0.
 */
int bh_confine_before_exec(const struct bh_profile *profile, const struct bh_identity *identity,
                           const struct bh_view *view, uint32_t off, pid_t parent, int keep_fd,
                           struct bh_boot *boot, const char **ret_step);

/* A profile's filter, generated at build time from its table (policy/confine/filtergen.c). */
struct bh_filter {
    const struct sock_filter *code;
    uint16_t len;
};

/*
 * Completes the confinement, checks it, and returns the fences achieved. `paths` are what Landlock lets
 * through (the view's paths, as the process derives them itself from its profile and its policy slice). Never
 * returns on a failed check: says what differs and ends with BH_EXIT_CONFINE. `required`: mask of fences;
 * `off`: not tried.
 */
uint32_t bh_confine_self(const struct bh_profile *profile, const struct bh_filter *filter,
                         const struct bh_boot *boot, const struct bh_view_path *paths, uint32_t n_paths,
                         uint32_t required, uint32_t off);

/* Words for a fence bit: "seccomp". NULL for an unknown bit. */
const char *bh_fence_name(uint32_t bit);

/* All fences that this profile is meant to have. */
uint32_t bh_profile_fences(const struct bh_profile *profile);
