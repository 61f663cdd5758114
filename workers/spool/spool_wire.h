/*
 * What bulkhead-exec and bulkhead-spawn tell the channel's bulkhead-spool of their executions, and what it
 * tells them: fixed messages over a SOCK_SEQPACKET pair of their own that the supervisor made
 * (BH_PEER_SPOOL).
 *
 * feeder -> spool: OPEN with one to four descriptors, when the program runs; LOST, for one whose results a
 * spool that died has taken along; a spool that lives, and whose feeder has only come back, has them still.
 * spool -> feeder: FORGOTTEN, when the number is gone: fetched, or nobody came for it.
 *
 * The end of an execution the spool hears from its keeper itself: one struct bh_ending through the pipe
 * `end`. A pipe that ends without one means that the keeper was killed. If the feeder's socket closes,
 * nothing happens to what it has opened: keepers see to the ends.
 *
 * Trust: in = PEER; out = CHECKED; called by = exec, spawn, spool
 */
#pragma once

#include <stdint.h>

#include "policy/blob.h"

#define BH_SPOOL_MAGIC 0x53504f4cu
#define BH_SPOOL_TEXT_MAX 1024u /* bytes with the NUL of each text, cut to fit */

enum bh_spool_op { BH_SPOOL_OPEN = 1, BH_SPOOL_LOST, BH_SPOOL_FORGOTTEN, BH_SPOOL_OP_END };

enum bh_spool_flag {
    BH_SPOOL_OUT = 1 << 0, /* a descriptor: the reading end of standard output (of both, if merged) */
    BH_SPOOL_ERR = 1 << 1, /* a descriptor: of standard error */
    BH_SPOOL_IN = 1 << 2,  /* a descriptor: the writing end of standard input */
    BH_SPOOL_END = 1 << 3, /* a descriptor, always: the reading end of the pipe for struct bh_ending */
    BH_SPOOL_WAITS =
        1 << 4, /* bulkhead-exec: what is not read yet holds the program up, and nothing is cut */
    BH_SPOOL_RECORD =
        1 << 5, /* what it writes is recorded in full (audit-output full), not only its digest */
    BH_SPOOL_FLAGS_ALL = (1 << 6) - 1,
};

#define BH_SPOOL_FDS_MAX 4u /* in the order of the flags */

struct bh_spool_message {
    uint32_t magic;
    uint16_t op;     /* enum bh_spool_op */
    uint16_t flags;  /* enum bh_spool_flag; OPEN only */
    uint64_t number; /* of the execution: never 0 */
    /* OPEN only, else zero: */
    uint64_t act;        /* audit record of its start, or 0 */
    uint64_t started_ms; /* CLOCK_BOOTTIME */
    uint32_t output;     /* bytes to keep of each stream, 1..BH_EXEC_OUTPUT_MAX */
    uint32_t zero;
    char program[BH_SPOOL_TEXT_MAX], rule[BH_SPOOL_TEXT_MAX], user[BH_SPOOL_TEXT_MAX];
};

enum bh_ending_how {
    BH_ENDED_BY_ITSELF,
    BH_ENDED_KILLED,    /* the keeper was told to end it: cancelled, or the agent ends */
    BH_ENDED_TIMED_OUT, /* its time limit */
    BH_ENDED_TOO_MANY,  /* more processes than it may have */
    BH_ENDED_HOWS,
};

/* From the keeper when the program has ended (what it left behind may live on). 16 bytes. */
struct bh_ending {
    int32_t status;    /* as wait(2) has it */
    uint32_t how;      /* enum bh_ending_how */
    uint64_t ended_ms; /* CLOCK_BOOTTIME */
};
