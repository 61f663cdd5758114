/*
 * The frozen page: what this agent has frozen, in shared memory that the supervisor keeps.
 *
 * The guard (bulkhead-thaw) writes it, and the supervisor what the policy says and whether hooks are owed;
 * everybody else maps it read-only: the front answers status and refuses what must not run meanwhile, the
 * audit process keeps its lines in memory, nobody writes to a file system that is frozen. A copy in the state
 * folder (bulkhead/frozen, the same bytes as far as they are used) is what the next agent goes by if this one
 * is killed as a whole.
 *
 * Each field has one writer, and a SIGKILL may fall between any two stores: an entry is complete before
 * n_mounts counts it, and what is said of a mount comes before the act: ABOUT before FIFREEZE.
 *
 * Trust: in = PEER (the guard may have been taken over: numbers are bounded and strings ended where they are
 *        read); out = CHECKED; called by = supervisor, guard, front, workers, audit, hook
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/wire/boot.h"

#define BH_FROZEN_MAGIC 0x46525a31u
#define BH_FROZEN_MOUNTS_MAX 1024u /* file systems of one freeze, those included that were passed over */
#define BH_FROZEN_PATH_MAX 1024u   /* bytes of a mount point that are kept, with the NUL */
#define BH_FROZEN_CHANNELS_MAX 8u  /* as many as a policy may open */
#define BH_FROZEN_BOOT_ID_MAX 37u  /* as /proc/sys/kernel/random/boot_id has it, with a NUL */

enum bh_freeze_state {
    BH_THAWED,
    BH_FREEZING, /* some may be frozen */
    BH_FROZEN,
    BH_THAWING, /* some may still be frozen */
    BH_FREEZE_STATE_END,
};

/* The fate of one file system. */
enum bh_mount_fate {
    BH_MOUNT_SKIPPED = 1, /* not frozen, `error` says why (0: the policy) */
    BH_MOUNT_ABOUT,       /* about to be frozen: nobody knows yet */
    BH_MOUNT_FROZEN,
    BH_MOUNT_THAWED, /* was frozen, and is not any more */
    BH_MOUNT_FATE_END,
};

/* Why file systems were thawed although no client asked. */
enum bh_thaw_cause {
    BH_THAW_ASKED,
    BH_THAW_EXPIRED,   /* the lease ran out */
    BH_THAW_ABANDONED, /* the worker that froze died */
    BH_THAW_RECOVERED, /* the guard or the whole agent died, and its successor thawed */
    BH_THAW_STOPPED,   /* the agent was stopped in order */
    BH_THAW_CAUSE_END,
};

struct bh_frozen_mount {
    uint32_t major, minor; /* of its block device */
    uint32_t fate;         /* enum bh_mount_fate */
    int32_t error;         /* errno of the kernel's refusal, or 0 */
    uint32_t ms;           /* how long freezing took */
    uint32_t zero;
    char path[BH_FROZEN_PATH_MAX]; /* where it is mounted; cut, if it is longer */
};

struct bh_frozen {
    uint32_t magic;
    uint32_t state;                          /* enum bh_freeze_state */
    char boot_id[BH_FROZEN_BOOT_ID_MAX + 3]; /* of the boot that it speaks of */
    /* The supervisor's to write: who is at which slot, what the policy in force says, what hooks are owed. */
    char slots[BH_FROZEN_CHANNELS_MAX][BH_CHANNEL_NAME_MAX];
    uint32_t lease_s;   /* a freeze ends by itself after so long; 0 = never */
    uint32_t hold;      /* 1: a freeze outlives the processes that made it */
    uint32_t hooks;     /* 1: there are freeze hooks to run */
    uint32_t hook_owed; /* 1: freeze hooks have begun and thaw hooks are not done */
    /* The guard's: the present freeze, or the last one. */
    uint32_t n_mounts;
    char channel[BH_CHANNEL_NAME_MAX]; /* whose it is */
    uint64_t began_ns;                 /* CLOCK_REALTIME; 0: there was none */
    uint64_t frozen_ns;                /* CLOCK_REALTIME: when it was complete; 0: it was not */
    uint64_t thawed_ns;                /* CLOCK_REALTIME: when it was undone; 0: it was not */
    uint64_t lease_end_ms;             /* CLOCK_BOOTTIME: thawed by itself then; 0 = never */
    uint32_t cause;                    /* enum bh_thaw_cause of that thaw */
    uint32_t untold;                   /* 1: thawed though nobody asked, and no client has been told yet */
    struct bh_frozen_mount mounts[BH_FROZEN_MOUNTS_MAX];
};

/* How many entries `mounts` has: within bounds, whatever a taken-over guard has written. */
uint32_t bh_frozen_mounts(const struct bh_frozen *frozen);

/* What there is to say of a mount that was not frozen, or not thawed by us; or NULL. */
const char *bh_frozen_why(const struct bh_frozen_mount *mount);

/* Bytes of the page that are used: the head and n_mounts (bounded) entries. */
size_t bh_frozen_used(const struct bh_frozen *frozen);

/* Makes it in zeroed memory. `boot_id`: as read, a line feed may end it. */
void bh_frozen_init(struct bh_frozen *frozen, const char *boot_id);

/* Is it a page of this build and of this boot, with numbers within their bounds and strings that end? */
bool bh_frozen_check(const struct bh_frozen *frozen, const char *boot_id);

/* Maps BH_FD_FROZEN to read; from then on the log holds its lines while anything is frozen. The process ends
 * with a message if it is not what the supervisor makes. */
const struct bh_frozen *bh_frozen_map(void);

/* enum bh_freeze_state, as it is now. */
uint32_t bh_frozen_state(const struct bh_frozen *frozen);

/* What a freeze means for a command of this channel, beside what the policy says. */
enum bh_frozen_word {
    BH_FROZEN_NOTHING,
    BH_FROZEN_REFUSES, /* it is not among those that are served meanwhile */
    BH_FROZEN_GRANTS,  /* whoever froze may ask and thaw, whatever the policy has become */
};
enum bh_frozen_word bh_frozen_says(const struct bh_frozen *frozen, const char *channel, unsigned command);

/*
 * May the file system of this descriptor be frozen, so that writing to it would block? What is on no block
 * device (an overlay, a btrfs subvolume) may lie on one that is frozen: while anything is, only memory is
 * sure.
 */
bool bh_frozen_holds(const struct bh_frozen *frozen, int fd);
