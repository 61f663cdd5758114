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
 * While file systems are frozen (protocol/wire/frozen.h) no file is written: whichever disk the log is on, a
 * write would stand still until the thaw, and the process with it. Step 3 is then a copy of the line to the
 * end of `tail`, behind this page, and `kept` of step 4 counts it. A line is the same bytes either way. When
 * nothing is frozen any more the tail is appended to the segment, before any other line: how much of it is
 * there already the segment's size says, so a SIGKILL there costs nothing either. A line that was meant for
 * the file, and may be there in part, can still go to the tail: only the size counts at the end. So no record
 * is lost or told twice as long as the supervisor lives, which keeps the memory; what only the tail holds is
 * lost if all of the agent is killed while the log's file system is frozen.
 *
 * The tail has room for BH_AUDIT_KEPT_MAX bytes. What does not fit waits in its queue, as on a full disk.
 *
 * `writing` closes the race at the beginning of a freeze: it is set before the process looks whether anything
 * is frozen, and cleared when its write has ended. Whoever says that file systems are about to be frozen, and
 * then finds it clear, can be sure that no write is under way, and none will be until the thaw.
 *
 * Invariants: `pending` and the tail belong to the newest segment (the process asks for a new one
 * only when nothing is pending or kept); a line goes to the file only when nothing is kept; old keys are
 * overwritten, never kept.
 *
 * Trust: in = PEER (left by a predecessor); out = CHECKED; called by = supervisor (init,
 *        offer), audit
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/audit/chain.h"
#include "broker/audit/line.h"

#define BH_AUDIT_MAGIC 0x42484154u
#define BH_AUDIT_SEGMENT_MAX (16u * 1024u * 1024u) /* bytes after which a new segment is begun */
#define BH_AUDIT_KEPT_MAX                                                                                    \
    (16u * 1024u * 1024u)     /* bytes of lines in memory while file systems are frozen: some 40,000 lines */
#define BH_AUDIT_NAME_MAX 48u /* bytes of a source's name with its NUL */

/* What the process finds at BH_FD_POLICY, sealed; "" = unused. */
struct bh_audit_names {
    char of[BH_SOURCES_MAX][BH_AUDIT_NAME_MAX];
    char former[BH_SOURCES_MAX][BH_AUDIT_NAME_MAX]; /* of the queues that a source's former owner left */
};

enum bh_audit_phase { BH_AUDIT_IDLE, BH_AUDIT_PENDING };

/* Where the log stands after a line. */
struct bh_audit_mark {
    uint64_t segment; /* number; 0: no segment yet */
    uint64_t size;    /* bytes of it that we made */
    uint64_t kept;    /* the last of these: still in the tail, not known to be in the file */
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
    uint32_t phase;   /* enum bh_audit_phase */
    uint32_t writing; /* 1: the segment is being written, or is about to be */
    struct bh_audit_mark now;
    uint64_t last[BH_SOURCES_MAX]; /* last sequence written, per source */
    uint64_t
        stamp[BH_SOURCES_MAX]; /* when that record was queued: a successor of its writer may number alike */
    uint8_t held[BH_SOURCES_MAX]; /* 1: the queue may still hold that record */
    struct bh_audit_pending pending;
    char tail[]; /* BH_AUDIT_KEPT_MAX bytes, in the process's mapping; memory is taken as it is used */
};

/* Bytes of memory that the supervisor makes for it. */
#define BH_AUDIT_STATE_SIZE (sizeof(struct bh_audit_state) + BH_AUDIT_KEPT_MAX)

/* The newest segment of earlier runs, as the new run finds it. All zero if there is none. */
struct bh_audit_previous {
    uint64_t segment, size;
    uint8_t mac[BH_SHA256_SIZE]; /* of its last complete line */
};

/*
 * Prepares a new run's state in zeroed memory. `key`: the run's first
 * key, already in the keys file. Call bh_audit_state_offer before the process starts.
 */
void bh_audit_state_init(struct bh_audit_state *state, const struct bh_audit_previous *previous,
                         const uint8_t key[BH_SHA256_SIZE], uint64_t started_ns);

/* Is the segment being written? Asked after the frozen page says that something is about to be frozen. */
bool bh_audit_state_writes(const struct bh_audit_state *state);

/* Says which segment is the newest: before the process starts, and before each SEGMENT answer. */
void bh_audit_state_offer(struct bh_audit_state *state, uint64_t segment);
