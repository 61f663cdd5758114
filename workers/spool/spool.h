/*
 * The spool of one channel: what executions write, until somebody fetches it.
 *
 * Feeders (bulkhead-exec, bulkhead-spawn) hand over the pipes of each execution (spool_wire.h). One epoll
 * descriptor watches them all; a round reads a bounded amount of a few of them, so that a flood of one keeps
 * neither the others nor the front waiting. Everything is counted and digested; of what guest-exec has
 * started, the first `output` bytes of each stream are kept and the rest is dropped; what bulkhead-exec has
 * started is held up instead.
 *
 * Invariants: an execution is removed only between rounds (fetched, or nobody came for it); its memory is
 * charged to `kept`, which stays below BH_SPOOL_KEPT_MAX and what BH_SPOOL_WAIT_MIN adds. Nothing waits but
 * in poll, and while a front does not take a reply, pipes are read on. No timer runs but for results that
 * nobody fetches.
 *
 * table.c: executions. stream.c: one pipe and what it brought. feeder.c: what feeders say. pump.c: rounds.
 * told.c: audit records. status.c, input.c, list.c: the commands, and ask.c what they have in common.
 * hooks.c: where the worker loop comes in.
 *
 * Trust: in = PEER (feeders, keepers, and whatever programs write); out = CHECKED; called by = spool
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/sha256.h"
#include "protocol/wire/record.h"
#include "workers/spool/spool_wire.h"

#define BH_SPOOL_EXECUTIONS_MAX 1024u /* running, and not fetched, of one channel */
#define BH_SPOOL_FEEDERS_MAX 8u       /* two, and sockets of former ones that are not seen closed yet */
#define BH_SPOOL_KEPT_MAX (128u * 1024u * 1024u) /* bytes of output that one channel may have kept */
#define BH_SPOOL_WAIT_MAX (256u * 1024u) /* bytes held of a stream that waits for bulkhead-exec-read */
#define BH_SPOOL_WAIT_MIN                                                                                    \
    (16u * 1024u) /* of them those that are held even when too much is kept: it goes on */
#define BH_SPOOL_RECORDED_MAX                                                                                \
    (64u * 1024u) /* bytes of one execution's output that the audit log gets in full */
#define BH_SPOOL_READ_MAX (1024u * 1024u) /* bytes of one read */
#define BH_SPOOL_EVENTS_MAX 4 /* of one round: at most 4 MiB are moved before the front is looked at */
#define BH_SPOOL_BEHIND_MAX                                                                                  \
    64u /* messages of one feeder that are taken at once: more than a socket holds                           \
         */
#define BH_SPOOL_DRAIN_MAX (128u * 1024u) /* bytes of one read of what is dropped */

struct bh_call;

/* What an event of the epoll descriptor is about. */
struct bh_watch {
    enum bh_watch_kind { BH_WATCH_CONTROL, BH_WATCH_FEEDER, BH_WATCH_STREAM, BH_WATCH_END } kind;
    int fd;                       /* -1: closed */
    bool watched;                 /* it is in the epoll set */
    struct bh_spooled *execution; /* STREAM, END */
    unsigned which;               /* STREAM: 0 = output, 1 = errors; FEEDER: its slot */
};

/* Memory that holds output: a mapping of its own, of which only what is used is touched. */
struct bh_kept {
    uint8_t *data;
    size_t mapped, len; /* bytes */
};

struct bh_stream {
    struct bh_watch watch; /* of the pipe; closed at its end */
    bool captured;
    struct bh_kept kept;
    uint64_t total, cut; /* bytes that came, and how many of them were dropped */
    struct bh_sha256 sha;
    char *text; /* to be recorded: BH_RECORD_TEXT_MAX + 1 bytes; NULL: digest only */
    size_t text_len;
};

struct bh_spooled {
    uint64_t number, act;
    uint64_t started_ms, ended_ms; /* CLOCK_BOOTTIME; ended_ms 0: it runs */
    uint64_t asked_ms; /* when it ended, was over, or was last asked for: what its age counts from */
    uint16_t flags;    /* enum bh_spool_flag */
    bool lost;         /* a former spool took its results along */
    bool over;         /* ended, and nobody can write any more */
    int status;        /* as wait(2) has it */
    int feeder;        /* slot, or -1: gone */
    uint32_t output;   /* bytes to keep of each stream */
    uint64_t recorded; /* bytes that the audit log got in full */
    struct bh_stream streams[2];
    struct bh_watch end;
    int in; /* the program's input, or -1 */
    struct bh_str program, rule, user;
    char texts[]; /* of these three */
};

struct bh_feeder {
    struct bh_watch watch;
    uint32_t n_untold; /* FORGOTTEN that did not fit into the socket yet */
    uint64_t untold[BH_SPOOL_EXECUTIONS_MAX];
};

struct bh_spool {
    int epoll;
    struct bh_audit *audit;
    struct bh_watch control;
    struct bh_feeder feeders[BH_SPOOL_FEEDERS_MAX];
    uint32_t n; /* executions, oldest first */
    uint64_t numbers[BH_SPOOL_EXECUTIONS_MAX];
    struct bh_spooled *executions[BH_SPOOL_EXECUTIONS_MAX];
    uint64_t kept;              /* bytes in all mappings */
    uint64_t idle_ms, check_ms; /* 0 = nothing is forgotten for its age; not before this moment is anything */
    const char *ended;          /* why the process has to end; NULL */
    uint8_t drain[BH_SPOOL_DRAIN_MAX];
};

/* --- table.c --------------------------------------------------------------------------- */

/* `control` -1: there is none. 0 or -errno. */
int bh_spool_init(struct bh_spool *spool, struct bh_audit *audit, int control, uint64_t idle_s);

/* Another policy may say another time; 0 = never. */
void bh_spool_set_idle(struct bh_spool *spool, uint64_t idle_s);

/* NULL: no such execution. */
struct bh_spooled *bh_spool_find(const struct bh_spool *spool, int64_t number);

/* Takes the execution over if there is room; -ENOSPC: there is none. */
int bh_spool_add(struct bh_spool *spool, struct bh_spooled *execution);

/* Something ended: notes it if all is over. */
void bh_spool_settle(struct bh_spool *spool, struct bh_spooled *execution);

/* It was asked for: its age counts from now. */
void bh_spool_touch(struct bh_spool *spool, struct bh_spooled *execution);

/* Tells its feeder, closes and frees it. */
void bh_spool_forget(struct bh_spool *spool, struct bh_spooled *execution);

/* As worker.h's next_tick and tick: forgets results that nobody fetches. */
int bh_spool_next(const struct bh_spool *spool);
void bh_spool_expire(struct bh_spool *spool);

/* Frees an execution that is in no table. */
void bh_spooled_free(struct bh_spool *spool, struct bh_spooled *execution);

/* Closes everything. */
void bh_spool_deinit(struct bh_spool *spool);

/* --- stream.c -------------------------------------------------------------------------- */

/* One read of the pipe; closes it at its end. */
void bh_stream_read(struct bh_spool *spool, struct bh_spooled *execution, struct bh_stream *stream);

/* Takes what is kept out of the stream, which may go on. It stays charged until bh_kept_free. */
struct bh_kept bh_stream_take(struct bh_spool *spool, struct bh_stream *stream);
void bh_kept_free(struct bh_spool *spool, struct bh_kept *kept);

/* --- pump.c ---------------------------------------------------------------------------- */

/* 0 or -errno. */
int bh_watch_add(struct bh_spool *spool, struct bh_watch *watch, uint32_t events);
void bh_watch_remove(struct bh_spool *spool, struct bh_watch *watch);
/* Removes and closes. */
void bh_watch_close(struct bh_spool *spool, struct bh_watch *watch);

/* Waits at most `ms` and serves one round. */
void bh_spool_pump(struct bh_spool *spool, int ms);

/*
 * Takes what feeders have said until now. An execution is told of here before its client can know of it; but
 * a round may have been about other things.
 */
void bh_spool_catch_up(struct bh_spool *spool);

/* As bh_call_stream; what comes meanwhile is served if the front does not take it at once. */
void bh_spool_stream(struct bh_spool *spool, struct bh_call *call, const uint8_t *data, size_t len);

/* --- feeder.c -------------------------------------------------------------------------- */

/* A feeder was introduced; takes `fd` over. */
void bh_feeder_add(struct bh_spool *spool, int fd);

/* Takes one message. False: there is none. */
bool bh_feeder_serve(struct bh_spool *spool, struct bh_feeder *feeder);

/* Takes what all of them have said until now. */
void bh_feeders_serve(struct bh_spool *spool);

/* There is room for what it is to be told. */
void bh_feeder_writable(struct bh_spool *spool, struct bh_feeder *feeder);

/* Tells the feeder in this slot that the number is forgotten; -1: nobody. */
void bh_feeder_tell(struct bh_spool *spool, int slot, uint64_t number);

/* --- told.c ---------------------------------------------------------------------------- */

/* Bytes came through a stream that is recorded in full. */
void bh_told_text(struct bh_spool *spool, struct bh_spooled *execution, struct bh_stream *stream,
                  const void *data, size_t len);

/* All is over: what has been written, as sizes and digests. */
void bh_told_result(struct bh_spool *spool, struct bh_spooled *execution);

/* A feeder said what is no message. */
void bh_told_violation(struct bh_spool *spool);

/* It is forgotten and was not fetched. */
void bh_told_expired(struct bh_spool *spool, const struct bh_spooled *execution);
