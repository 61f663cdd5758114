/*
 * One audit record between its writer and the audit process.
 *
 * The number of a record is known to its writer before it is queued, so that an error
 * to the client can name it: number = sequence * BH_SOURCES_MAX + source, the sequence
 * counted in the writer's state page. Who wrote it is not in the message: it is the
 * socket it came through. Source 0 is the supervisor, 1 the guard of what is frozen, 2 the freeze hooks; the
 * others are BH_SOURCES_PER_CHANNEL * (channel index + 1) + role: enum bh_worker_id, or one of the numbers
 * below.
 *
 * Sending never blocks. The queue is the socket's buffer, one per source, so nobody
 * floods another's evidence out.
 *
 * Trust: in = PEER (what the audit process reads); out = CHECKED; called by = every
 *        process that decides or acts, audit
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/arena.h"
#include "protocol/wire/boot.h"

#define BH_RECORD_TEXT_MAX 4095u /* bytes of each string; longer ones are cut and end in "..." */
#define BH_RECORD_MAX 16384u     /* bytes of one record on the wire */
#define BH_RECORD_COUNTS_MAX 64u /* commands in one summary */
#define BH_REFUSALS_PER_SECOND 100u
#define BH_NO_COMMAND UINT16_MAX

#define BH_SOURCE_GUARD 1u
#define BH_SOURCE_HOOKS 2u
#define BH_SOURCES_PER_CHANNEL 32u
#define BH_SOURCE_SMART 16u /* of its channel's numbers */
#define BH_SOURCE_SPAWN 17u
#define BH_SOURCE_OPENER 24u /* + index of its user */

enum bh_record_kind {
    BH_RECORD_ACT = 1, /* about to be done; queued before it is done */
    BH_RECORD_RESULT,  /* what came of the act numbered `of` */
    BH_RECORD_REFUSED, /* not done: `code` says why */
    BH_RECORD_SUMMARY, /* counts of commands that are not recorded singly */
    BH_RECORD_CLOSED,  /* a file handle ended: bytes read and written through it, `of` its open */
    BH_RECORD_EVENT,   /* of the agent itself: started, worker died, policy refused; `text` says it */
    BH_RECORD_CLAIM,   /* what only a front can know (malformed input, dropped replies): no evidence */
    BH_RECORD_LOST,    /* `count` records of this source could not be queued */
    BH_RECORD_KIND_END,
};

struct bh_record_count {
    uint16_t command;
    uint16_t zero;
    uint32_t count;
};

/* Strings may be empty. Everything is copied by the send. */
struct bh_record {
    uint64_t number;                   /* set by bh_audit_send */
    uint64_t of;                       /* number of an earlier record, or 0 */
    uint64_t realtime_ns, boottime_ns; /* set by bh_audit_send */
    uint64_t request;                  /* frame id, or 0 */
    uint64_t handle;                   /* file handle, or 0 */
    uint64_t bytes_read, bytes_written;
    uint64_t count;   /* LOST; CLAIM */
    uint16_t kind;    /* enum bh_record_kind */
    uint16_t command; /* enum bh_command_id or BH_NO_COMMAND */
    uint16_t code;    /* BH_E_*, or 0: allowed, succeeded */
    uint16_t n_counts;
    int32_t error;        /* errno, or 0 */
    uint8_t policy[8];    /* first bytes of the policy's digest */
    struct bh_str rule;   /* name of the rule that decided, or empty */
    struct bh_str object; /* resolved path, or what was asked for */
    struct bh_str user;   /* as whom */
    struct bh_str text;
    const struct bh_record_count *counts;
};

/* The writer's side. */
struct bh_audit {
    int fd; /* BH_FD_AUDIT */
    uint32_t source;
    struct bh_state *state; /* sequence, lost, counts */
    uint8_t policy[8];
};

/*
 * Numbers, stamps and queues a record; reports lost ones first. 0 with *ret_number (may be NULL) set;
 * -EAGAIN: the queue is full, the record counts as lost (state->lost); other -errno: likewise.
 */
int bh_audit_send(struct bh_audit *audit, const struct bh_record *record, uint64_t *ret_number);

/* Counts a command that is not recorded singly. */
void bh_audit_count(struct bh_audit *audit, unsigned command);

/* Milliseconds until the next summary is due: 0 = now, -1 = nothing is counted. A poll timeout. */
int bh_audit_summary_due(const struct bh_audit *audit);

/*
 * Counts a refusal. 0, or the milliseconds that are left of a second in which this source has refused
 * BH_REFUSALS_PER_SECOND times already: whoever is refused over and over does not get to fill the log, in
 * which older evidence would have to go.
 */
int bh_audit_refused(struct bh_audit *audit);

/* Counts a refusal, and waits for that time: for a process whose one client it is that waits. */
void bh_audit_pace(struct bh_audit *audit);

/* Sends the summary of all counts, if there are any, and clears them. As bh_audit_send. */
int bh_audit_summary(struct bh_audit *audit);

/* Verifies and decodes one packet; strings point into `data`. 0 or -EPROTO. */
int bh_record_parse(const void *data, size_t len, struct bh_record *ret,
                    struct bh_record_count counts[BH_RECORD_COUNTS_MAX]);
