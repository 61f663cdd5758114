/*
 * The audit process: queues of records in, one chained log out.
 *
 * A queue is read by looking at its first record, writing that, and only then taking it
 * out; so what cannot be written (a full disk) stays where it is, and its sender sees
 * a full queue. Queues are served in turns of BH_AUDIT_TURN records: nobody's flood keeps
 * another's evidence waiting for long.
 *
 * Trust: in = PEER (records, from processes that may have been taken over); out = CHECKED;
 *        called by = audit
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/audit/append.h"
#include "broker/audit/state.h"

#define BH_AUDIT_TURN 16u            /* records of one queue per turn */
#define BH_AUDIT_MALFORMED_EACH 100u /* one line for so many malformed records of a source */
#define BH_AUDIT_FEEDS_MAX                                                                                   \
    (2 * BH_SOURCES_MAX) /* a successor's queue may come before the old one is empty                         \
                          */

/* A queue, and whose it is. */
struct bh_feed {
    int fd;
    uint32_t source;
    bool former; /* left by the source's former owner: read before the present one's, and given up when empty
                  */
    bool empty;  /* when it was last looked at; poll says when it is no more */
};

struct bh_audit_process {
    struct bh_audit_state *state;
    const struct bh_audit_names *names;
    struct bh_append_log log;
    unsigned n_feeds, first; /* first: whose turn it is */
    unsigned n_former;
    struct bh_feed feeds[BH_AUDIT_FEEDS_MAX];
    uint32_t malformed[BH_SOURCES_MAX];
};

/* Looks at every queue again, whatever was found in it before. */
void bh_feeds_look(struct bh_audit_process *audit);

/* One turn of all queues that are not known to be empty. Positive: records were taken; 0: all are empty; else
 * the error of bh_append_commit.
 */
int bh_feeds_turn(struct bh_audit_process *audit);

/* Takes over a queue; `source` + BH_SOURCES_MAX: of its former owner. False: there are too many. */
bool bh_feeds_add(struct bh_audit_process *audit, uint32_t source, int fd);
