/*
 * The client's descriptor: bytes in, bytes out, and nothing about what they mean.
 *
 * Invariants: never blocks; holds at most BH_READ_AHEAD_MAX bytes of input; output is
 * bounded by those who write it (they look at bh_transport_pending). `ended` means that
 * no byte will come any more, `gone` that nobody takes ours: they are thrown away then.
 *
 * Trust: in = HOST; out = HOST (bytes as they came); called by = front
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/json/convert.h"

#define BH_READ_MAX (128u * 1024u)       /* bytes taken by one read */
#define BH_READ_AHEAD_MAX (256u * 1024u) /* bytes held while a call runs */
#define BH_OUT_MAX (64u * 1024u * 1024u) /* bytes of replies that wait for the client */

struct bh_transport {
    int fd;
    bool ended, gone;
    bool returns;     /* a port: where one host was, another may come */
    uint64_t left_ms; /* when nobody was there and yet something was read; 0 = somebody is there */
    bool line_open;   /* the last byte that was written did not end a line */
    char *in;         /* BH_READ_AHEAD_MAX bytes; those from `at` to `len` are not eaten yet */
    size_t at, len;
    size_t scanned;    /* up to here there is no 0xFF */
    size_t high;       /* bytes of `in` that may hold anything */
    struct bh_out out; /* those from `sent` on wait for the client */
    size_t sent;
};

/* Takes over `fd`, which is non-blocking. 0 or -ENOMEM. */
int bh_transport_init(struct bh_transport *t, int fd);
void bh_transport_deinit(struct bh_transport *t);

/* True if there is room for input and more may come. */
bool bh_transport_wants_input(const struct bh_transport *t);

/* One read of at most BH_READ_MAX bytes. */
void bh_transport_read(struct bh_transport *t);

/* True if nobody is at the other end now. A port's host may come back, a socket's client does not. */
bool bh_transport_left(const struct bh_transport *t);

/* Input that is not eaten yet, and eating it. */
static inline size_t bh_transport_held(const struct bh_transport *t)
{
    return t->len - t->at;
}
void bh_transport_eat(struct bh_transport *t, size_t n);

/* Eats everything before the last 0xFF that is held, if there is one. */
bool bh_transport_skip_to_reset(struct bh_transport *t);

/* Overwrites what was eaten: a secret was in it. */
void bh_transport_wipe(struct bh_transport *t);

static inline size_t bh_transport_pending(const struct bh_transport *t)
{
    return t->out.len - t->sent;
}

/* Room for `n` bytes at the end of the output, or NULL; the caller adds what it used to out.len. */
char *bh_transport_room(struct bh_transport *t, size_t n);

/* Writes as much as the client takes now. */
void bh_transport_flush(struct bh_transport *t);

/* Throws away what was not written yet; ends a half-written line. */
void bh_transport_cut(struct bh_transport *t);
