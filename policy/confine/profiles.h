/*
 * The tables: one profile per process, the system calls that all share, and the
 * filters that the build makes of them.
 *
 * A row of a process's table replaces every base row of the same name; several rows
 * of one name in one table are alternatives.
 *
 * Trust: in = nothing; out = CHECKED; called by = supervisor (profiles), each process
 *        (its own profile and filter), bh-filtergen
 */
#pragma once

#include "policy/confine/confine.h"

extern const struct bh_profile bh_profile_front;
extern const struct bh_profile bh_profile_info;
extern const struct bh_profile bh_profile_fs;
extern const struct bh_profile bh_profile_opener;
extern const struct bh_profile bh_profile_storage;
extern const struct bh_profile bh_profile_smart;
extern const struct bh_profile bh_profile_audit;
extern const struct bh_profile bh_profile_policyc;
extern const struct bh_profile bh_profile_thaw;
extern const struct bh_profile bh_profile_exec;
extern const struct bh_profile bh_profile_spool;
extern const struct bh_profile bh_profile_minimal,
    bh_profile_diag; /* filters of sandboxes, no processes of ours */
extern const struct bh_profile bh_profile_no_unix, bh_profile_no_net; /* beside them */
extern const struct bh_profile bh_profile_spawn;                      /* has no filter: it is bare */
extern const struct bh_profile bh_profile_hook;                       /* has no filter: it is bare */

extern const struct bh_filter bh_filter_front;
extern const struct bh_filter bh_filter_info;
extern const struct bh_filter bh_filter_fs;
extern const struct bh_filter bh_filter_opener;
extern const struct bh_filter bh_filter_storage;
extern const struct bh_filter bh_filter_smart;
extern const struct bh_filter bh_filter_audit;
extern const struct bh_filter bh_filter_policyc;
extern const struct bh_filter bh_filter_thaw;
extern const struct bh_filter bh_filter_exec;
extern const struct bh_filter bh_filter_spool;
extern const struct bh_filter bh_filter_minimal, bh_filter_diag, bh_filter_no_unix, bh_filter_no_net;

extern const struct bh_syscall bh_base_syscalls[];
extern const uint32_t bh_n_base_syscalls;

/*
 * Highest system call number that was known when the tables were last read through (Linux 6.18). Above it a
 * call does not exist for us and gets ENOSYS, so that a newer C library falls back. Numbers from 424 are the
 * same everywhere.
 */
#define BH_SYSCALL_NEWEST 470u

/* Conditions on arguments. An int is compared in its low half only: what stands above differs between C
 * libraries. */
#define BH_INT(index, mask, value)                                                                           \
    {                                                                                                        \
        (index), (mask)&UINT64_C(0xffffffff), (value)&UINT64_C(0xffffffff)                                   \
    }
#define BH_INT_IS(index, value) BH_INT(index, ~0u, value)
#define BH_NULL(index)                                                                                       \
    {                                                                                                        \
        (index), ~UINT64_C(0), 0                                                                             \
    }

/* openat and open without creating, truncating or appending, and without write access. */
#define BH_OPEN_READ_ONLY_MASK (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY))
/* Opening again what is open: any access, but nothing is created or cut. */
#define BH_OPEN_EXISTING_MASK (O_CREAT | O_TRUNC | (O_TMPFILE & ~O_DIRECTORY))
