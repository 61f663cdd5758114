/*
 * One line into the log, exactly once, whatever kills the process in between: the
 * steps that state.h describes.
 *
 * Invariants: an error leaves the state such that bh_append_finish, in this process or
 * in its successor, goes on where it ended; no file is written while `frozen` is not 0.
 *
 * Trust: in = CHECKED (bodies), PEER (state of a predecessor); out = CHECKED; called by = audit
 */
#pragma once

#include <stdbool.h>

#include "broker/audit/state.h"

#define BH_AUDIT_PIECE (256u * 1024u) /* bytes of the tail that are written at once after a thaw */

/* Where lines go. */
struct bh_append_log {
    int fd;                 /* the newest segment */
    const uint32_t *frozen; /* while it is not 0, memory; NULL: it never is */
};

/* What a line stands for. */
struct bh_append_of {
    uint32_t source;   /* BH_SOURCES_MAX: a remark of our own */
    uint64_t sequence; /* ignored then */
    uint64_t stamp;    /* of the record: when it was queued */
    bool queued;       /* it is the record at the head of the source's queue */
};

/* True if the state is a page of this build and its numbers are within bounds. */
bool bh_append_check(const struct bh_audit_state *state);

bool bh_append_is_frozen(const struct bh_append_log *log);

/* Where the body of the next line is to be written. Only when nothing is pending. */
struct bh_line bh_append_line(struct bh_audit_state *state);

/*
 * Closes the line, marks it and appends it to `log`. 0; -E2BIG: the line did not fit, -ENOBUFS: memory has no
 * room for it while it cannot be written: nothing happened; else as bh_append_finish: it is pending.
 */
int bh_append_commit(struct bh_audit_state *state, const struct bh_append_log *log,
                     const struct bh_line *line, const struct bh_append_of *of);

/* The same for a line that is the first of segment `state->offered`, which `log` is. */
int bh_append_header(struct bh_audit_state *state, const struct bh_append_log *log, uint64_t now_ns);

/*
 * Completes what is pending, if anything is. 0; -ENOSPC, -EIO, ...: later again; -EBADMSG: the segment is not
 * as we left it, the line was given up and will be made again.
 */
int bh_append_finish(struct bh_audit_state *state, const struct bh_append_log *log);

/*
 * Writes a piece of what memory keeps, when nothing is pending. 0: nothing is kept any more; 1: something
 * still is, because it was more than a piece or because file systems are frozen; -ENOSPC, -EIO, ...: later
 * again; -EBADMSG: the segment is not as we left it. All that was kept is at its end then, for its records
 * have left their queues, and nothing is kept any more.
 */
int bh_append_flush(struct bh_audit_state *state, const struct bh_append_log *log);
