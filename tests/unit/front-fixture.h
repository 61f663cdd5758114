/*
 * A front in this process, between the ends of its sockets: the test is the client, the
 * supervisor and the worker. Nothing is confined and nothing sleeps: the front is stepped
 * until it has nothing to do.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = tests/unit/test-front.c, tests/fuzz/fuzz-front.c
 */
#pragma once

#include "broker/front/front.h"

struct fixture {
    struct bh_front front;
    struct bh_state page;
    struct bh_slice slice;
    struct bh_rule rules[1];
    struct bh_exec_rule execs[1];
    uint16_t index[1];
    int client, supervisor, audit; /* our ends */
    int worker;                    /* ours of the socket that the front has got, or -1 */
    bool over;                     /* the front has ended */
    bool started;
};

#define FIXTURE_EPOCH 7u

extern struct bh_frozen fixture_frozen;

/* Makes the sockets and grants everything. */
void fixture_init(struct fixture *f);
/* Takes a command away, before the start. */
void fixture_deny(struct fixture *f, unsigned command);
/* Starts the front; what the state page says is what a predecessor left. */
void fixture_start(struct fixture *f);
void fixture_deinit(struct fixture *f);

/* Steps until nothing happens any more. */
void fixture_settle(struct fixture *f);

/* Writes as the client and settles. */
void fixture_say(struct fixture *f, const char *text, size_t len);

/* Answers a START that is waiting with a fresh socket. Returns the worker asked for, or -1. */
int fixture_give_worker(struct fixture *f);
