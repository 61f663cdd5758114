/*
 * Executions of one channel: what runs, under which number, and who is told of it. Two processes have an
 * engine: bulkhead-exec for what runs in a sandbox, with even numbers, and bulkhead-spawn for `sandbox none`,
 * with odd ones.
 *
 * An execution has a row from its start until both its keeper has ended and the spool has forgotten its
 * number; so the rows bound what a caller that never asks can cost. Numbers are microseconds of the boot
 * clock: monotonic, never used twice in a boot, exact in every JSON reader.
 *
 * Files: exec.c (handlers), judge.c (the decision), start.c (from the decision to a running program),
 * environment.c (what it has in its environment), identity.c (as whom it runs), engine.c (rows and ends),
 * feed.c (the spool), relay.c (exec to spawn), report.c (records and errors). What they start is in keeper.h,
 * program.h, sandbox.h and cgroup.h.
 *
 * Trust: in = CHECKED, PEER (pipes of keepers, the spool); out = CHECKED; called by = workers/exec
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/eval.h"
#include "protocol/types.h"
#include "workers/exec/keeper.h"
#include "workers/exec/program.h"
#include "workers/lib/worker.h"
#include "workers/spool/spool_wire.h"

#define BH_EXECUTIONS_MAX 1024u /* rows of one process */

struct bh_execution {
    uint64_t number; /* 0 = free */
    uint64_t act;    /* its ACT record, or 0 */
    uint64_t started_ms;
    uint16_t command; /* enum bh_command_id */
    uint64_t request;
    pid_t keeper;      /* 0: it has ended */
    int group;         /* its control group, or -1 */
    int end;           /* reading end of the pipe for struct bh_ending; -1: told, and the keeper has ended */
    bool ended;        /* the program has ended */
    bool kept;         /* outlives us */
    bool cancelled;    /* by bulkhead-exec-signal `kill` */
    bool told;         /* the spool knows of it */
    bool forgotten;    /* and has forgotten its number */
    uint32_t rule_key; /* of the rule's name: what `concurrent` counts */
};

struct bh_engine {
    struct bh_worker *worker;
    bool spawns; /* bulkhead-spawn */
    bool privileged;
    int epoll;
    int groups; /* where control groups of executions are made; < 0: nowhere */
    int feed;   /* socket to the spool; -1: not there */
    int spawn;  /* exec: socket to bulkhead-spawn; -1: not there */
    uint64_t idle_since_ms;
    bool leaving; /* spawn: takes no more calls */
    uint32_t n;
    struct bh_execution rows[BH_EXECUTIONS_MAX];
};

/* A request to run something, whichever command it came with. */
struct bh_request_to_run {
    struct bh_call *call;
    struct bh_str path;
    const struct bh_str *args, *env;
    uint32_t n_args, n_env;
    bool has_env;
    bool has_input;  /* bytes that came with the call */
    bool pipe;       /* input comes later, through the spool */
    bool waits;      /* its output is never cut */
    uint8_t capture; /* enum bh_guest_exec_capture */
};

/* What a login as this user has. */
struct bh_login {
    uid_t uid;
    gid_t gid;
    char name[256], home[PATH_MAX], shell[PATH_MAX]; /* a name is cut, as no account has one so long */
};

/* What was decided. */
struct bh_judged {
    uint32_t rule; /* BH_NO_RULE: none */
    const struct bh_exec_rule *exec;
    struct bh_str path; /* as the client names it, found in PATH if it has no '/' */
    const char *argv0;
    struct bh_program program; /* open, if it was allowed */
    struct bh_login login;
};

/* --- engine.c ------------------------------------------------------------------------ */

/* Before the process confines itself. */
void bh_engine_init(struct bh_engine *engine, struct bh_worker *worker, bool spawns);
/* A row with its number, or NULL: all are taken. */
struct bh_execution *bh_engine_new(struct bh_engine *engine);
struct bh_execution *bh_engine_find(struct bh_engine *engine, int64_t number);
/* Gives the row back if nothing needs it any more. */
void bh_engine_settle(struct bh_engine *engine, struct bh_execution *execution);
/* Ends whatever is left in its control group, and removes that. */
void bh_engine_ungroup(const struct bh_engine *engine, struct bh_execution *execution);
/* The keeper is gone or about to be, and with it all that it kept: waits for it, records an end that it did
 * not tell, and settles the row. */
void bh_engine_keeper_ended(struct bh_engine *engine, struct bh_execution *execution);
/* How many executions of this rule run. */
uint32_t bh_engine_running(const struct bh_engine *engine, uint32_t rule_key);
/* Has `fd` watched: the end `of` a row, or the feed `of` the engine. 0 or -errno. */
int bh_engine_watch(struct bh_engine *engine, int fd, void *of);
/* For bh_worker_main: takes what has happened; ends what may not outlive us, and records it. */
int bh_engine_watched(struct bh_worker *worker);
void bh_engine_ready(struct bh_worker *worker);
void bh_engine_ended(struct bh_worker *worker);

/* --- judge.c ------------------------------------------------------------------------- */

/* Decides, with the program open: ret->program is the caller's to close. 0; or a positive BH_E_* with the
 * call's error set, recorded, and nothing open. */
int bh_judge(const struct bh_request_to_run *request, struct bh_judged *ret);

/* FNV-1a of the rule's name: the same for as long as that is. */
uint32_t bh_rule_key(const struct bh_policy *policy, uint32_t rule);

/* --- start.c ------------------------------------------------------------------------- */

/* Runs what was allowed. 0 with the number; or a positive BH_E_*, the error set and recorded. */
int bh_engine_start(struct bh_engine *engine, const struct bh_request_to_run *request,
                    struct bh_judged *judged, int64_t *ret_number);

/* --- environment.c ------------------------------------------------------------------- */

/* NULL-terminated list in the call's arena, or NULL: no memory. */
char *const *bh_environment(const struct bh_request_to_run *request, const struct bh_judged *judged);
/* PATH as the program will see it. */
const char *bh_search_path(const struct bh_request_to_run *request);

/* --- identity.c ---------------------------------------------------------------------- */

/* Who it runs as. 0 or -ENOENT: there is no such account. */
int bh_identity_of(const struct bh_policy *policy, struct bh_judged *judged, struct bh_sandbox_plan *plan);
/* "root", or the name of the sandboxes' own user. */
const char *bh_identity_name(const struct bh_policy *policy, uint32_t rule);

/* --- feed.c -------------------------------------------------------------------------- */

/* Sees that the spool is there, and knows of what a dead one knew. 0 or -errno. */
int bh_feed_connect(struct bh_engine *engine);
/* Sends OPEN with its descriptors, which stay the caller's. 0 or -errno. */
int bh_feed_open(struct bh_engine *engine, const struct bh_spool_message *message,
                 const int fds[BH_SPOOL_FDS_MAX]);
/* Reads what the spool says; a dead one is let go. */
void bh_feed_read(struct bh_engine *engine);

/* --- relay.c ------------------------------------------------------------------------- */

/* Has bulkhead-spawn serve the call. As a handler. */
int bh_relay(struct bh_engine *engine, struct bh_call *call, const void *args, void *ret);

/* --- report.c ------------------------------------------------------------------------ */

/* Records the refusal and sets the error. Returns `code`. */
int bh_refuse(const struct bh_request_to_run *request, uint16_t code, uint32_t rule, const char *object,
              const char *why);
/* The ACT record. 0 or BH_E_AUDIT_FULL. */
int bh_report_start(const struct bh_request_to_run *request, const struct bh_judged *judged,
                    char *const *argv);
/* It could not be started: RESULT and error. */
int bh_report_failure(const struct bh_request_to_run *request, const struct bh_judged *judged,
                      const struct bh_start_failure *failure);
/* RESULT: how the program ended, and after which time. */
void bh_report_end(struct bh_engine *engine, const struct bh_execution *execution,
                   const struct bh_ending *ending);
