/*
 * bulkheadctl exec: what its files share. exec.c is the command and its loop, exec_talk.c what is said to the
 * agent, exec_streams.c the near ends of the streams, exec_signals.c what was caught, exec_pace.c decides how
 * long and how much, exec_list.c is --list.
 *
 * Trust: in = PEER (what the agent answers), CONFIG (the command line); out = CHECKED; called by =
 * bulkheadctl
 */
#pragma once

#include "broker/ctl/agent.h"
#include "broker/ctl/exec_streams.h"

#define CTL_EXEC_OWN 255 /* exit status of what is no end of the program */

struct ctl_exec {
    struct ctl *ctl;
    const char *socket, *channel;
    bool no_input, merge, list;
    struct ctl_values env; /* NAME=value */
    int n_words;
    char **words; /* the program and its arguments */

    struct ctl_agent agent;
    char *path;       /* of its socket, once it is known */
    int64_t number;   /* of the execution */
    int64_t turn_ms;  /* CLOCK_MONOTONIC: since when the channel is ours */
    int64_t moved_ms; /* when bytes last went in or came out */
    size_t chunk;     /* of input that is offered */
    struct ctl_in in;
    struct ctl_out out, err;
    struct ctl_cancel cancel;
    bool own_fault; /* an output cannot be written: whatever comes, the status is ours */
    bool over;
    int status; /* exit status, once it is over */
};

/* --- exec_talk.c: each returns CTL_OK, or what went wrong was said. ------------------ */

/* Connects and starts the program. */
int ctl_exec_start(struct ctl_exec *x);
/* Takes output, waiting for it at most so long; or learns that it is over. */
int ctl_exec_read(struct ctl_exec *x, unsigned wait_ms);
/* Offers input, if there is some, or its end. */
int ctl_exec_write(struct ctl_exec *x);
int ctl_exec_signal(struct ctl_exec *x, const char *word);
/* A channel has one client at a time: if it was ours for a while, lets those go first who wait. */
int ctl_exec_give_turn(struct ctl_exec *x);

/* --- exec_list.c ---------------------------------------------------------------------- */

/* Prints the executions of the channel. Exit status as of `call`. */
int ctl_exec_list(struct ctl_exec *x);

/* --- exec_signals.c -------------------------------------------------------------------- */

/* Catches what cancels, but what whoever started us had ignored. The third one ends this process at once. */
void ctl_signals_catch(void);
/* One that came since the last call, or 0. */
int ctl_signals_next(void);
