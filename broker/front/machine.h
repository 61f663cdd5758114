/*
 * The life of one request as a table: what may happen when, what is done about it, and
 * what comes next. One request is under way at a time, so the front has one state.
 *
 * Invariants: every request that was complete gets exactly one answer or, after a 0xFF,
 * none; what was staged for it is either called or abandoned. A pair that the table does
 * not hold cannot happen: it is a defect of ours, and the process ends.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = front
 */
#pragma once

#include <stdbool.h>

enum bh_front_state {
    BH_READING,   /* between requests, or inside one of which nothing is with a worker */
    BH_STAGING,   /* inside a request whose bulk argument goes to its worker */
    BH_HOLDING,   /* the same, but what was lifted cannot go on yet: nothing more is read from the text */
    BH_STARTING,  /* the request is complete, its worker's socket is not there yet */
    BH_SENDING,   /* what was staged and the call are going into the socket */
    BH_WAITING,   /* the worker has the call */
    BH_STREAMING, /* the reply's line has begun, bytes of the bulk member come */
    BH_FLUSHING,  /* too much output waits for the client to take it */
    BH_FRONT_STATES,
};

enum bh_front_event {
    BH_ON_LIFT,    /* a bulk argument begins that a worker is to have */
    BH_ON_BLOCKED, /* lifted bytes cannot be sent now */
    BH_ON_ROOM,    /* all lifted bytes are sent */
    BH_ON_SPOILED, /* the bulk argument is not acceptable; the error is filled */
    BH_ON_BROKEN,  /* the text is malformed; the error is filled */
    BH_ON_ANSWER,  /* the request is complete and its answer is written */
    BH_ON_CALL,    /* the request is complete and for a worker */
    BH_ON_PEER,    /* the worker's socket is there */
    BH_ON_STALE, /* the socket was dead before anything was sent through it, or the worker gave the call back
                  */
    BH_ON_SENT,  /* all of the call is in the socket */
    BH_ON_DATA,  /* bytes of the bulk member */
    BH_ON_REPLY, /* the return value, decoded */
    BH_ON_ERROR, /* the worker's error is filled */
    BH_ON_GONE,  /* no worker: refused, ended, expired, or caught lying; the error is filled */
    BH_ON_RESET, /* a 0xFF, or the client has left */
    BH_ON_FULL,  /* output is over its limit */
    BH_ON_TAKEN, /* output is under its limit again */
    BH_FRONT_EVENTS,
};

enum bh_front_action {
    BH_DO_DIE, /* what the table does not hold */
    BH_DO_NOTHING,
    BH_DO_STAGE,   /* begin a bulk argument: number it, see that its worker is there */
    BH_DO_ABANDON, /* forget what is staged, here and in the worker */
    BH_DO_SPOIL,   /* the same, and keep the error for the end of the request */
    BH_DO_CALL,    /* see that the worker is there */
    BH_DO_ASK,     /* ask for the worker again */
    BH_DO_SEND,    /* send what is queued, as far as it goes */
    BH_DO_OPEN,    /* begin the reply's line with the first bytes */
    BH_DO_BYTES,   /* append bytes */
    BH_DO_REPLY,   /* write the reply */
    BH_DO_CLOSE,   /* end the streamed reply */
    BH_DO_SHORTEN, /* end the streamed reply as what has come so far */
    BH_DO_FAIL,    /* abandon what is staged, write the error */
    BH_DO_DROP,    /* nobody wants the answer any more */
    BH_DO_RESTART, /* abandon what is staged; one error if half a request was dropped */
    BH_FRONT_ACTIONS,
};

struct bh_front_row {
    unsigned char action; /* enum bh_front_action */
    unsigned char next;   /* enum bh_front_state */
};

struct bh_front_row bh_front_next(enum bh_front_state state, enum bh_front_event event);

/* True if the lexer may be fed in this state. */
bool bh_front_reads(enum bh_front_state state);

/* True if a complete request is under way in this state. */
bool bh_front_owes(enum bh_front_state state);

/* Names for messages and tests: "READING", "LIFT". */
const char *bh_front_state_name(enum bh_front_state state);
const char *bh_front_event_name(enum bh_front_event event);
