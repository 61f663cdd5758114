/*
 * What /proc shows of a process: the kernel's word beside the agent's own.
 *
 * Trust: in = CHECKED (the kernel); out = CHECKED; called by = bulkheadctl status
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct ctl_proc {
    bool found, has_pss; /* smaps_rollup needs the right to look */
    uint32_t uid;
    uint64_t caps; /* CapEff */
    int seccomp, no_new_privs;
    uint64_t pss_kib;
};

struct ctl_proc ctl_proc_read(pid_t pid);
