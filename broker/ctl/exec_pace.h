/*
 * How bulkheadctl exec paces itself: pure decisions, made of times and sizes.
 *
 * Requests are answered one after the other, so a request that waits for output holds up input and signals.
 * Where something has just happened it waits short, and longer the longer nothing happens: what comes out of
 * the program is never delayed by it, what goes in by at most the bounds below, and idle costs few requests.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = bulkheadctl exec
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CTL_WAIT_MIN_MS 2u      /* but where input waits */
#define CTL_WAIT_OPEN_MS 200u   /* while there may be input */
#define CTL_WAIT_CLOSED_MS 500u /* when only a signal could be held up */
#define CTL_CHUNK_MIN 4096u     /* bytes of input that are offered at once */
#define CTL_CHUNK_MAX (1024u * 1024u)
#define CTL_KILL_AFTER_MS 5000 /* from a cancellation that nobody watches to the kill */

enum ctl_input {
    CTL_INPUT_NONE,  /* there is none any more */
    CTL_INPUT_OPEN,  /* there may be some */
    CTL_INPUT_WAITS, /* there is some, which the program does not take: nothing tells when it will */
};

/* Milliseconds that the agent may wait for output, when nothing has moved for `idle_ms`. */
unsigned ctl_pace_wait(int64_t idle_ms, enum ctl_input input);

/* How much to offer next, when of `offered` bytes `taken` were taken: what is not taken has to be sent again.
 */
size_t ctl_pace_chunk(size_t offered, size_t taken, size_t chunk);

/* How an execution is cancelled: the first signal is passed on, the second kills. Zero-initialise. */
struct ctl_cancel {
    int first;        /* the signal; 0: none */
    int64_t since_ms; /* when that was passed on */
    bool killed;      /* nothing is left to be sent */
};

/*
 * What to send now, as bulkhead-exec-signal names it, or NULL. `signal` came (0: none did): SIGINT, SIGQUIT,
 * SIGTERM, SIGHUP, or SIGPIPE: who reads the output has left. After all but SIGINT and SIGQUIT, which a
 * program may have its own use for, the kill follows by itself.
 */
const char *ctl_cancel_next(struct ctl_cancel *cancel, int signal, int64_t now_ms);
