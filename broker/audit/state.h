/*
 * What the audit process must not forget: a page of shared memory that the supervisor
 * makes, keeps, and hands to each successor (BH_FD_STATE).
 *
 * A line is written in five steps, and a SIGKILL may fall between any two
 * instructions of them:
 *   1. the line is made in `pending`, with everything that will be true after it
 *   2. phase = PENDING                    from here on it will be written
 *   3. the line is appended to the segment    in one write, or in pieces
 *   4. `now`, `last`, `stamp`, `held` take their new values; phase = IDLE
 *   5. the record is taken out of its source's queue; its `held` = 0
 * A successor that finds PENDING compares the segment's size with `pending.at`: what is
 * missing of the line is appended, and step 4 is done (again): it only copies, so
 * twice is as good as once. One that finds a source `held` drops the record at the head of
 * its queue if it is the one that was written last: the same number, queued at the same time. (A number alone
 * would not do: a writer that was taken over can count back in its page, so that its successor's first record
 * has the number of its own last one.)
 *
 * Invariants: `pending` belongs to the newest segment (the process asks for a new one
 * only when nothing is pending); old keys are overwritten, never kept.
 *
 * Trust: in = PEER (left by a predecessor); out = CHECKED; called by = supervisor (init,
 *        offer), audit
 */
#pragma once

#include <stdint.h>

#include "broker/audit/chain.h"
#include "broker/audit/line.h"

#define BH_AUDIT_MAGIC 0x42484154u
#define BH_AUDIT_SEGMENT_MAX (16u * 1024u * 1024u) /* bytes after which a new segment is begun */
#define BH_AUDIT_NAME_MAX 48u                      /* bytes of a source's name with its NUL */

/* What the process finds at BH_FD_POLICY, sealed; "" = unused. */
struct bh_audit_names {
    char of[BH_SOURCES_MAX][BH_AUDIT_NAME_MAX];
    char former[BH_SOURCES_MAX][BH_AUDIT_NAME_MAX]; /* of the queues that a source's former owner left */
};

enum bh_audit_phase { BH_AUDIT_IDLE, BH_AUDIT_PENDING };

/* Where the log stands after a line. */
struct bh_audit_mark {
    uint64_t segment; /* number; 0: no segment yet */
    uint64_t size;    /* bytes of it that we wrote */
    struct bh_chain chain;
};

struct bh_audit_pending {
    struct bh_audit_mark after;
    uint64_t at;       /* size of the segment before the line */
    uint64_t sequence; /* of the record, or of the last one that a gap covers */
    uint64_t stamp;    /* of the record, or 0 */
    uint32_t source;   /* whose `last` moves to `sequence`; BH_SOURCES_MAX: nobody's */
    uint32_t queued;   /* 1: the record is at the head of its queue */
    uint32_t len;      /* of the line */
    uint32_t zero;
    char text[BH_CHAIN_ROOM + BH_LINE_MAX]; /* room for the chain, then the line */
};

struct bh_audit_state {
    uint32_t magic;
    uint32_t fences;     /* what confine_self achieved */
    uint64_t started_ns; /* CLOCK_REALTIME: start of the agent */
    uint64_t
        offered; /* number of the newest segment; the supervisor writes it before it hands the segment over */
    uint32_t phase; /* enum bh_audit_phase */
    uint32_t zero;
    struct bh_audit_mark now;
    uint64_t last[BH_SOURCES_MAX]; /* last sequence written, per source */
    uint64_t
        stamp[BH_SOURCES_MAX]; /* when that record was queued: a successor of its writer may number alike */
    uint8_t held[BH_SOURCES_MAX]; /* 1: the queue may still hold that record */
    struct bh_audit_pending pending;
};

/* The newest segment of earlier runs, as the new run finds it. All zero if there is none. */
struct bh_audit_previous {
    uint64_t segment, size;
    uint8_t mac[BH_SHA256_SIZE]; /* of its last complete line */
};

/*
 * Prepares a new run's state in zeroed memory (sizeof(struct bh_audit_state) bytes). `key`: the run's first
 * key, already in the keys file. Call bh_audit_state_offer before the process starts.
 */
void bh_audit_state_init(struct bh_audit_state *state, const struct bh_audit_previous *previous,
                         const uint8_t key[BH_SHA256_SIZE], uint64_t started_ns);

/* Says which segment is the newest: before the process starts, and before each SEGMENT answer. */
void bh_audit_state_offer(struct bh_audit_state *state, uint64_t segment);
