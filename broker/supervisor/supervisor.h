/*
 * The supervisor's state: processes by role and channel, and what is kept for them
 * across their deaths. It reads signals, exit statuses, root-owned configuration and
 * eight-byte control messages; never a byte from the host, never a message body.
 *
 * Trust: in = CONFIG, PEER (control messages); out = CHECKED; called by = supervisor
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "broker/supervisor/cgroup.h"
#include "broker/supervisor/budget.h"
#include "broker/supervisor/options.h"
#include "broker/supervisor/roster.h"
#include "policy/blob.h"
#include "policy/paths.h"
#include "protocol/wire/boot.h"
#include "protocol/wire/control.h"
#include "protocol/wire/frozen.h"
#include "protocol/wire/record.h"

#define BH_PROCESS_LABEL_MAX 64 /* "main/opener postgres" */
#define BH_PROCESSES_MAX (3 + BH_CHANNELS_MAX * (8 + BH_PEER_OPENER_MAX))

/* One row of the process table: it stays when the process dies, and its successor gets what it holds. */
struct bh_process {
    enum bh_role role;
    int channel; /* index, or -1 */
    uint32_t
        user; /* opener: index in the slice, BH_NO_USER: the slice has no such user now; else BH_NO_USER */
    uint32_t source; /* number of its audit records */
    char label[BH_PROCESS_LABEL_MAX];
    pid_t pid;   /* 0: not running */
    int control; /* our end; -1: not running */
    int peer; /* worker: the front's end, opener: the fs worker's end of its socket, while it runs; else -1 */
    int state_fd;
    struct bh_state *state;      /* mapped; not of the audit process, whose page is broker/audit/state.h */
    int records_in, records_out; /* its queue to the audit process; both ends are kept for good */
    /* The row changes hands: what the former owner queued is still told under its name. */
    int former_out; /* receiving end of that queue, until it is empty; else -1 */
    char former_label[BH_PROCESS_LABEL_MAX];
    char next_label[BH_PROCESS_LABEL_MAX]; /* the owner to be, when what still runs is gone; "" = none */
    struct bh_budget budget;
    uint32_t restarts;
    bool wanted;         /* to be started as soon as its budget allows it */
    bool dying;          /* killed, not yet reaped: its socket is not handed out any more */
    uint64_t give_up_ms; /* dying: when it is no longer waited for */
    bool asked;          /* its client asked for it while it was dying, and is answered when it is gone */
    uint32_t asked_peer; /* by which number */
    bool leaving;        /* dying, but by itself: not killed yet */
    bool planned;        /* that it ends is no failure */
    bool evicted;        /* its channel is gone: whatever it asks or leaves behind is nobody's */
    bool woken;          /* was told that there is a newer policy, and has not come for it */
    uint32_t edition;    /* of the slice that it has */
    bool renewed;        /* it started with an older one */
    uint64_t
        retire_ms; /* CLOCK_BOOTTIME: an opener of an older policy is ended then at the latest; 0 = never */
};

#define BH_CHANNEL_LOCAL "local" /* root's own channel */
#define BH_CHANNEL_PATH_MAX 255  /* bytes of a device's or socket's path, without the NUL */

enum bh_channel_state {
    BH_CHANNEL_CLOSED,    /* not opened, or given up */
    BH_CHANNEL_ABSENT,    /* could not be opened, or was unplugged: tried again when it is due */
    BH_CHANNEL_LISTENING, /* waits for a client */
    BH_CHANNEL_AWAY,      /* a port whose host is not there: looked at when it is due */
    BH_CHANNEL_PRESENT,   /* a front serves the host, or will when it has started */
};

#define BH_NEVER_MS UINT64_MAX

/* Slots keep their index, which numbers audit sources. One that no channel of the policy has: `row` is NULL,
 * and nothing else of it counts. */
struct bh_channel_row {
    struct bh_bundle_row *row; /* malloc */
    struct bh_policy policy;   /* over malloc'ed memory */
    int slice_fd;              /* sealed memory with its slice */
    uint32_t edition;          /* number of the slice: no two slices of a run have the same */
    const struct bh_way *way;  /* how its host is reached (way.h); set when it is opened */
    enum bh_channel_state state;
    int fd;      /* listening socket, or the port; -1: not open */
    int client;  /* listener: our copy of the connection that the front serves, or -1 */
    bool served; /* port: the front has it */
    bool armed;  /* port: the kernel tells us of changes */
    dev_t device;
    uint64_t due_ms; /* CLOCK_BOOTTIME; BH_NEVER_MS: the kernel will tell */
    uint64_t offered_ms, refused_ms;
    uint32_t epoch;
    char path[BH_CHANNEL_PATH_MAX + 1];
};

struct bh_frozen;
struct bh_way;
struct bh_log_store;
struct bh_audit_state;
struct bh_audit_names;

/* A policy that is loaded and opened, and does not govern yet. */
struct bh_epoch {
    void *bundle; /* malloc */
    size_t size;
    bool keep; /* came from a file: worth keeping as the last good one */
    unsigned n;
    struct bh_epoch_row {
        struct bh_bundle_row *row;
        struct bh_policy policy;
        int slice_fd;
    } rows[BH_CHANNELS_MAX];
    char source[256], state[16];
    char message[512]; /* why it could not be loaded, or why it is not the one that was asked for */
};

/* What came of SIGHUP, for the status file. */
struct bh_reload_outcome {
    uint64_t count;
    char time[32];
    const char *word; /* "adopted", "unchanged", "refused"; "" = there was none */
    char message[768];
};

struct bh_supervisor {
    struct bh_options options;
    char policy_source[256], policy_state[16], policy_message[512];
    unsigned n_channels, n_processes;
    struct bh_channel_row channels[BH_CHANNELS_MAX];
    struct bh_process processes[BH_PROCESSES_MAX];
    int program_fds[BH_ROLE_COUNT];
    int dev_null;
    struct bh_frozen *frozen; /* what is frozen; the guard writes it, but for slots to hook_owed */
    int frozen_fd;            /* its memory, to be written */
    int frozen_read_fd;       /* the same, to be read: what children get at BH_FD_FROZEN */
    int frozen_record;        /* its copy in the state folder */
    bool bounded;    /* no child can have more of root's than this process: no hooks, no `sandbox plain` or
                        `none` */
    bool hooks;      /* there were freeze hooks when the agent started */
    int hook_record; /* the copy once more, with the lock of whoever may run hooks */
    int hook_config; /* what bulkhead-hook is given; -1: not made yet */
    bool frozen_forestalled;          /* an own folder was frozen, so what that says cannot be held */
    char program_dir[256], home[512]; /* home: <state folder>/bulkhead */
    char cwd[512];
    struct bh_cgroups cgroups;
    bool privileged; /* started by root */
    bool stopping;
    bool over; /* the last port is gone: the agent is to end */
    struct bh_log_store *store;
    const struct bh_audit_state *audit_state; /* the audit process's page */
    uint64_t generation;                      /* of status.json */
    char started[32], loaded[32];             /* RFC 3339: of the agent, of the policy in force */
    uint32_t editions;                        /* slices that were numbered */
    bool sources_changed;                     /* the audit process does not know the names of all sources */
    struct bh_reload_outcome reload;
};

/* --- policy.c: what governs ------------------------------------------------ */

/* Loads the policy and opens every slice; never fails: falls back as bulkhead(8) says, loudly. */
void bh_supervisor_load_policy(struct bh_supervisor *s);

/* Loads the policy that the options name, beside the one in force. 0; -errno with ret->message set. */
int bh_epoch_load(const struct bh_supervisor *s, struct bh_epoch *ret);
void bh_epoch_free(struct bh_epoch *epoch);

/* Moves row `from` of a loaded policy into a slot, whose former slice is freed. */
void bh_epoch_install(struct bh_supervisor *s, struct bh_epoch *epoch, unsigned from,
                      struct bh_channel_row *channel);
/* It governs now: its source and state are told from here on, and it is kept as the last good one. */
void bh_epoch_settle(struct bh_supervisor *s, const struct bh_epoch *epoch);
/* Empties a slot. */
void bh_channel_forget(struct bh_channel_row *channel);

/* The settings that hold for the agent as a whole are in every slice: the first one. */
const struct bh_policy *bh_any_policy(const struct bh_supervisor *s);

/* --- reload.c: SIGHUP ------------------------------------------------------- */

/* Loads the policy anew; if all is well it governs from the next request on, else the old one stays. */
void bh_reload(struct bh_supervisor *s);

/* --- sources.c: who is who in the audit log ---------------------------------- */

void bh_sources_name(const struct bh_supervisor *s, struct bh_audit_names *ret);
/* If rows came or changed hands: gives the log their names, by a successor of the audit process. */
void bh_sources_renew(struct bh_supervisor *s);
/* Gives up the queues of former owners that are empty. False: records of one of them still wait. */
bool bh_sources_settled(struct bh_supervisor *s);
/* Waits a moment for that: what was handed over must be told before it can be handed over again. 0 or -EBUSY.
 */
int bh_sources_await(struct bh_supervisor *s);
/* The owner has gone for good: reports what only its page knew. */
void bh_sources_report(struct bh_supervisor *s, struct bh_process *process);
/* The row has another owner from now on; nothing of the former one runs. */
void bh_sources_hand_over(struct bh_supervisor *s, struct bh_process *process);

/* --- frozen.c: the page of what is frozen -------------------------------------- */

/* Makes it, all thawed. 0 or -errno. */
int bh_frozen_page_make(struct bh_supervisor *s);
/*
 * The page says that file systems are about to be frozen: waits a moment until the audit process is not
 * within a write to its file, and then it will not begin one before the thaw. 0, or -EBUSY: it still is, and
 * stands still until the thaw if that file system is frozen now; nothing is lost by it, but its queues fill.
 * Of the supervisor's own writes there is none while this runs.
 */
int bh_frozen_await_quiet(const struct bh_supervisor *s);
/* Which boot this is, as the kernel writes it. 0 or -errno. */
int bh_boot_id(char ret[BH_FROZEN_BOOT_ID_MAX + 1]);

/* --- forestall.c: before anything is written ------------------------------------- */

/* Thaws what an agent of this boot left frozen if its own folders are among it: nothing could start. */
void bh_freeze_forestall(struct bh_supervisor *s);

/* --- freeze.c: what is frozen is not forgotten ----------------------------------- */

/* Opens the page's copy in the state folder, and takes over what an agent of this boot has left in it. 0 or
 * -errno. */
int bh_freeze_load(struct bh_supervisor *s);
/* Waits a moment until no guard of another agent writes this record, and keeps them from it. */
void bh_freeze_await_guard(int record);
/* Tells the guard, in the page, what the policy in force says of freezing, and who is at which slot. */
void bh_freeze_settle(struct bh_supervisor *s);
/* Is anything frozen, or about to be? */
bool bh_is_frozen(const struct bh_supervisor *s);
/* May a file be written in this folder now, or would that wait until its file system is thawed? */
bool bh_may_write(const struct bh_supervisor *s, const char *folder);
/* A storage worker asks for BH_PEER_GUARD or BH_PEER_HOOK: answers. */
void bh_freeze_asked(struct bh_supervisor *s, struct bh_process *worker, uint32_t peer);
/* A process has ended, with `status` as wait(2) has it; true: that was in order, though nobody asked for it.
 */
bool bh_freeze_ended(struct bh_supervisor *s, struct bh_process *process, int status);
/* Is this process, which does not run, to be started for what is frozen, or for hooks that are owed? */
bool bh_freeze_wants(const struct bh_supervisor *s, const struct bh_process *process);

/* Does it end by itself when the agent has ended: a guard that still thaws, who still runs thaw hooks? */
bool bh_freeze_lasts(const struct bh_process *process);
/* It was started because it is wanted. */
void bh_freeze_started(struct bh_process *process);
/* The agent ends in order: has everything thawed, and waits for that a moment. */
void bh_freeze_stop(struct bh_supervisor *s);
/* All others are killed: lets the guard go. It ends when what may still freeze has been thawed, which may be
 * after the agent. */
void bh_freeze_leave(struct bh_supervisor *s);

/* --- table.c: the process table --------------------------------------------- */

/* Makes the audit process's row and those of all channels. 0 or -errno. */
int bh_table_init(struct bh_supervisor *s);
/*
 * Makes rows for what the channels need now, with their state pages and audit queues; rows are never given
 * back, but may get another owner. 0 or -errno.
 */
int bh_table_assign(struct bh_supervisor *s);
/* A fresh queue between the row and the audit process. 0 or -errno. */
int bh_table_queue(struct bh_process *process);
struct bh_process *bh_table_find(struct bh_supervisor *s, enum bh_role role, int channel, uint32_t user);
struct bh_process *bh_table_by_pid(struct bh_supervisor *s, pid_t pid);

/* --- launch.c: from a row to a confined process ------------------------------ */

/* Room for what is sent through this socket and not yet received: `bytes`, or what the starting user may
 * have. */
void bh_send_buffer(int socket, int bytes);

/* Starts the process of a row. 0 or -errno; the failure is logged. */
int bh_launch(struct bh_supervisor *s, struct bh_process *process);

/* --- sight.c: what a process may see and be ---------------------------------- */

struct bh_sight {
    struct bh_identity identity;
    struct bh_view view;
    struct bh_view_path paths[BH_PATHS_MAX];
    char storage[BH_PATHS_STORAGE];
    gid_t groups[64];
    uint32_t off; /* fences not to try */
};

/* Derives view, user and capabilities of a process from its profile and its channel's slice. 0 or -errno. */
int bh_sight(const struct bh_supervisor *s, const struct bh_process *process, struct bh_sight *ret);

/* --- channel.c: the life of a channel ------------------------------------------ */

/*
 * Opens the way to a channel's host. 0, or -errno with a sentence in `why`. With retry-path it is also 0 for
 * what is not there yet: that is logged, and tried again.
 */
int bh_channel_open(struct bh_supervisor *s, struct bh_channel_row *channel, char *why, size_t size);
/* Gives it up, and removes what we made in the file system; its processes are the caller's. */
void bh_channel_close(struct bh_supervisor *s, struct bh_channel_row *channel);
/* It could not be opened: it is looked for from now on. */
void bh_channel_try_later(struct bh_channel_row *channel);
/* Waits a moment until no front of a channel that is gone holds a port any more: a port can be opened once.
 */
void bh_channels_await_evicted(struct bh_supervisor *s);
/* Does what is due: looks at ports, offers them to fronts, and says which fronts are wanted. */
void bh_channels_step(struct bh_supervisor *s);
/* Milliseconds until bh_channels_step has something to do, or -1. */
int bh_channels_due(const struct bh_supervisor *s);
/* SIGIO: a port whose host was away has changed. */
void bh_channels_signalled(struct bh_supervisor *s);
/* The socket to be polled for clients, or -1. */
int bh_channel_watched(struct bh_supervisor *s, const struct bh_channel_row *channel);
/* It has one: gives it to the front, or has a front started for it. */
void bh_channel_readable(struct bh_supervisor *s, struct bh_channel_row *channel);
/* Where its host is, for the status: "present", "away", "absent" or "listening". */
const char *bh_channel_host(const struct bh_channel_row *channel);
/* The front has been started: gives it the host that is there, or the connection that its predecessor left
 * behind. */
void bh_channel_front_started(struct bh_supervisor *s, struct bh_process *front);
/* Had this front, which has ended, a client, and has that left? Of a port's host nobody knows, but a port is
 * offered no more often than fronts may end. */
bool bh_channel_was_left(const struct bh_supervisor *s, const struct bh_process *front);
/* The front has ended: `clean` if it says that its client left and all is said. */
void bh_channel_front_ended(struct bh_supervisor *s, const struct bh_process *front, bool clean);

/* --- requests.c: what children ask for ----------------------------------------- */

/* Reads the control messages that wait on this process's socket. */
void bh_requests_serve(struct bh_supervisor *s, struct bh_process *process);
/* Its client asked for it while it was ending, and is answered now. */
void bh_requests_answer_late(struct bh_supervisor *s, const struct bh_process *process);
/* Kills a process; one that has ended by itself keeps its exit status. */
void bh_kill(struct bh_process *process);
#define BH_GIVE_UP_MS 500u /* after that; what is not gone then hangs in the kernel and runs no more */
/* How much this process and its predecessors have finished: requests, or lines of the log. */
uint64_t bh_finished(const struct bh_supervisor *s, const struct bh_process *process);
/* Nothing more is sent to it: what it has it serves or gives back, and ends by itself. */
void bh_let_go(struct bh_process *process);
/* Ends a process because it is not needed any more. */
void bh_retire(struct bh_process *process);
/* The same, and nothing that it asked or left behind counts. */
void bh_evict(struct bh_process *process);

/* --- ends.c: how children end ---------------------------------------------------- */

/* Its exit status, or -1: it did not end until then (CLOCK_BOOTTIME), or there was none. */
int bh_await(const struct bh_process *process, uint64_t until_ms);
/* The agent ends: so do all but the audit process, and those that go by themselves. */
void bh_end_all(struct bh_supervisor *s, uint64_t until_ms);
/* Reaps every child that has ended and starts successors of those that keep running. */
void bh_reap(struct bh_supervisor *s);
/* Starts what is wanted and may start now. Returns milliseconds until the next attempt, or -1. */
int bh_start_wanted(struct bh_supervisor *s);

/* The fences that this process has reported, by bit; 0: it is not confined yet. */
uint32_t bh_fences(const struct bh_supervisor *s, const struct bh_process *process);

/* --- stop.c: the end in order ----------------------------------------------------- */

_Noreturn void bh_stop(struct bh_supervisor *s, int status);
/* The end and a new start of this process. Returns if the program file cannot be executed: the agent that
 * runs is better than none. */
void bh_restart(struct bh_supervisor *s);

/* --- status.c, journal.c -------------------------------------------------------- */

/* The member "freeze" of status.json. */
void bh_status_freeze(FILE *out, const struct bh_frozen *frozen);

/* Writes status.json anew. */
void bh_status_write(struct bh_supervisor *s);

/* Records an event of the agent as source 0. */
void bh_journal(struct bh_supervisor *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
