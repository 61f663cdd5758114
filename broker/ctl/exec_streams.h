/*
 * The near ends of an execution's streams: standard input, output and error of bulkheadctl.
 *
 * Invariants: nothing here blocks but a terminal that stands still, and a signal ends that; the descriptors'
 * own flags are left alone, for they are shared with whoever started us. Output waits in memory until it is
 * taken, and no more is fetched meanwhile: that is the back-pressure.
 *
 * Trust: in = PEER (base64 of the agent's answers), CONFIG (standard input); out = CHECKED (bytes that are
 * not looked at); called by = bulkheadctl exec
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/ctl/exec_pace.h"

#define CTL_IN_MAX (2u * CTL_CHUNK_MAX)

struct ctl_in {
    bool open;      /* there may be more to send, if only its end */
    bool ended;     /* no more can be read */
    size_t at, len; /* data[at..len) is not taken yet */
    uint8_t *data;  /* CTL_IN_MAX bytes */
};

struct ctl_out {
    int fd;
    size_t at, len, cap; /* data[at..len) is still to be written */
    uint8_t *data;
    bool gone; /* its reader has left, or it cannot be written: what comes is dropped */
};

/* Takes over standard input; `wanted` false, or there is none: it is not open. 0 or -ENOMEM. */
int ctl_in_open(struct ctl_in *in, bool wanted);
/* Reads what is there. */
void ctl_in_fill(struct ctl_in *in);
/* Nobody wants more of it: whoever writes it learns that. */
void ctl_in_close(struct ctl_in *in);

/* Adds decoded base64. 0, -ENOMEM, or -EBADMSG: it is none. */
int ctl_out_add(struct ctl_out *out, const char *text);
/* Writes what can be written now. 0, or -errno once: it is `gone` from then on; -EPIPE: its reader has left.
 */
int ctl_out_flush(struct ctl_out *out);
bool ctl_out_waits(const struct ctl_out *out);

/* Waits until input is there that there is room for, or an output can be written that waits, or a signal
 * comes. */
void ctl_streams_wait(struct ctl_in *in, const struct ctl_out *out, const struct ctl_out *err,
                      int timeout_ms);
