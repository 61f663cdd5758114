/*
 * What the supervisor hands to a child at exec, besides descriptors: one sealed
 * struct (BH_FD_BOOT) and one shared page (BH_FD_STATE: struct bh_state, but for the audit process) that
 * outlives the child.
 *
 * The state page is written by one process at a time and read by its successor and
 * by the supervisor (for the status file). It holds numbers only: a taken-over
 * process can spoil its own counters and no more; readers bound what they find.
 *
 * Trust: in = CONFIG (boot), PEER (state: written by a predecessor that may have been
 *        taken over); out = CHECKED; called by = every child
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "protocol/commands.h"

#define BH_BOOT_MAGIC 0x424f4f54u
#define BH_CHANNEL_NAME_MAX 32 /* bytes with the NUL: [a-z][a-z0-9-]* */
#define BH_SOURCES_MAX                                                                                       \
    512u /* processes that write audit records: see protocol/wire/record.h for their numbers */

/* Fences, as bits: what a profile asks for and what a process got. */
enum bh_fence {
    BH_FENCE_UID = 1 << 0,  /* own uid and gid, no supplementary groups but the listed */
    BH_FENCE_CAPS = 1 << 1, /* all five capability sets exactly as the profile says */
    BH_FENCE_SECUREBITS = 1 << 2,
    BH_FENCE_NNP = 1 << 3, /* no_new_privs */
    BH_FENCE_SECCOMP = 1 << 4,
    BH_FENCE_LANDLOCK = 1 << 5,
    BH_FENCE_VIEW = 1 << 6,      /* private, built mount tree */
    BH_FENCE_NET = 1 << 7,       /* own, empty network namespace */
    BH_FENCE_IPC = 1 << 8,       /* own IPC namespace */
    BH_FENCE_MDWE = 1 << 9,      /* no memory is both writable and executable */
    BH_FENCE_DUMPABLE = 1 << 10, /* no ptrace, no core, no /proc/PID/mem for others of its uid */
    BH_FENCE_RLIMITS = 1 << 11,
};

struct bh_boot {
    uint32_t magic;
    uint32_t source;   /* number of this process as an audit source */
    uint32_t epoch;    /* of a front: upper half of its frame ids; else 0 */
    uint32_t user;     /* opener: index of its user in the policy slice; hook: BH_HOOK_OWED, or 0; else 0 */
    uint32_t fences;   /* set before exec (enum bh_fence); confine_self adds the rest */
    uint32_t n_groups; /* supplementary groups that the process must show */
    uint32_t uid, gid;
    uint64_t caps;                    /* what the five sets must show, */
    uint64_t bound;                   /* but for the bounding set */
    uint32_t required, off;           /* fences, as the policy says; for a process that has no slice of it */
    uint32_t edition;                 /* of the slice that it starts with */
    uint8_t log_verbose, log_stamped; /* how it writes to the log it inherits: bh_log_style */
    char channel[BH_CHANNEL_NAME_MAX];
};

#define BH_RATES_MAX 32u /* rules of one channel that limit how often they are used */

/* How often a rule was used lately. */
struct bh_rate {
    uint64_t since_ms; /* CLOCK_BOOTTIME of the first of `used` */
    uint32_t used;
    uint32_t key; /* of the rule's name; 0 = free */
};

struct bh_state {
    uint64_t sequence;                    /* records this source has numbered */
    uint64_t next_number;                 /* fs: next file handle; 0 = not yet taken from the boot clock */
    uint64_t requests, denials, failures; /* since the agent started */
    uint64_t lost;                        /* records that could not be queued and are not reported yet */
    uint64_t refused_since_ms;            /* CLOCK_BOOTTIME of the first of `refused` */
    uint32_t refused, zero;               /* refusals in that second */
    uint64_t open_handles;
    uint32_t owed;      /* front: 1 while a request is taken and its reply is not complete; hook: 1 while thaw
                           hooks are owed */
    uint32_t line_open; /* front: 1 while a reply line is half sent */
    uint32_t behind;    /* front: bytes of later requests that it holds */
    uint32_t fences;    /* what confine_self achieved, boot.fences included */
    uint32_t unsettled; /* front: 1 while bytes are read or written that the three above do not tell of yet */
    uint32_t executions;       /* exec, spawn: that run; spool: those that are over, whose results are kept */
    uint64_t counted_since_ms; /* CLOCK_BOOTTIME of the first count below; 0 = nothing counted */
    uint32_t counted[BH_CMD_COUNT];     /* per command, since the last summary record */
    struct bh_rate rates[BH_RATES_MAX]; /* exec, spawn */
    uint32_t edition; /* of the newest slice of its channel: the supervisor writes it, the process compares */
};

/* Maps and checks both, and logs from then on as the boot record says. The process ends with a message if
 * they are not what the supervisor makes. */
const struct bh_boot *bh_boot_map(void);
struct bh_state *bh_state_map(void);
