/*
 * Step 1 of a request, and the last of its reply: the client's descriptor (transport.h).
 * A read that returns nothing is the end: a socket's peer has closed, a virtio port's host
 * has gone.
 */
#include "broker/front/transport.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OUT_KEPT (256u * 1024u) /* bytes of output memory kept when all is written */

int bh_transport_init(struct bh_transport *t, int fd)
{
    *t = (struct bh_transport){ .fd = fd, .in = malloc(BH_READ_AHEAD_MAX) };
    bh_out_init(&t->out, BH_OUT_MAX);
    return t->in ? 0 : -ENOMEM;
}

void bh_transport_deinit(struct bh_transport *t)
{
    free(t->in);
    bh_out_deinit(&t->out);
    if (t->fd >= 0)
        (void)close(t->fd);
    *t = (struct bh_transport){ .fd = -1 };
}

bool bh_transport_wants_input(const struct bh_transport *t)
{
    return !t->ended && bh_transport_held(t) < BH_READ_AHEAD_MAX;
}

/* Moves what is held to the start, if there is no room behind it. */
static void make_room(struct bh_transport *t)
{
    if (t->len < BH_READ_AHEAD_MAX || t->at == 0)
        return;
    memmove(t->in, t->in + t->at, bh_transport_held(t));
    t->len -= t->at;
    t->scanned -= t->scanned < t->at ? t->scanned : t->at;
    t->at = 0;
}

void bh_transport_read(struct bh_transport *t)
{
    size_t room;
    ssize_t n;

    make_room(t);
    room = BH_READ_AHEAD_MAX - t->len;
    do
        n = read(t->fd, t->in + t->len, room < BH_READ_MAX ? room : BH_READ_MAX);
    while (n < 0 && errno == EINTR);
    if (n > 0) {
        t->len += (size_t)n;
        if (t->high < t->len)
            t->high = t->len;
    } else if (n == 0) {
        t->ended = true;
    } else if (errno != EAGAIN || t->gone) {
        t->ended = t->gone = true;
    }
}

bool bh_transport_left(const struct bh_transport *t)
{
    struct pollfd poller = { .fd = t->fd };

    return poll(&poller, 1, 0) > 0;
}

void bh_transport_eat(struct bh_transport *t, size_t n)
{
    t->at += n;
    if (t->at == t->len)
        t->at = t->len = t->scanned = 0;
}

bool bh_transport_skip_to_reset(struct bh_transport *t)
{
    size_t from = t->scanned > t->at ? t->scanned : t->at;
    const char *found = from < t->len ? memrchr(t->in + from, 0xff, t->len - from) : NULL;

    t->scanned = t->len;
    if (found)
        t->at = (size_t)(found - t->in);
    return found != NULL;
}

void bh_transport_wipe(struct bh_transport *t)
{
    explicit_bzero(t->in, t->at);
    explicit_bzero(t->in + t->len, t->high - t->len);
    t->high = t->len;
}

/* Output that was written makes room for more, once it is half of all: each byte moves once at most. */
static void compact(struct bh_transport *t)
{
    if (t->sent < bh_transport_pending(t))
        return;
    memmove(t->out.data, t->out.data + t->sent, bh_transport_pending(t));
    t->out.len -= t->sent;
    t->sent = 0;
}

char *bh_transport_room(struct bh_transport *t, size_t n)
{
    struct bh_out *out = &t->out;
    size_t cap = out->cap ? out->cap : 4096;
    char *data;

    if (t->sent)
        compact(t);
    while (cap - out->len < n)
        cap *= 2;
    if (cap > out->limit)
        return NULL;
    if (cap > out->cap) {
        data = realloc(out->data, cap);
        if (!data)
            return NULL;
        out->data = data;
        out->cap = cap;
    }
    return out->data + out->len;
}

static void all_sent(struct bh_transport *t)
{
    t->sent = t->out.len = 0;
    t->out.failed = false;
    if (t->out.cap > OUT_KEPT) {
        bh_out_deinit(&t->out);
        bh_out_init(&t->out, BH_OUT_MAX);
    }
}

void bh_transport_flush(struct bh_transport *t)
{
    ssize_t n = 0;

    if (t->out.failed)
        t->gone = true; /* no memory for a reply's end: a line is cut, so nothing more can follow it */
    if (t->sent == t->out.len && !t->gone)
        return;
    if (!t->gone) {
        do
            n = write(t->fd, t->out.data + t->sent, bh_transport_pending(t));
        while (n < 0 && errno == EINTR);
        if (n < 0 && errno != EAGAIN)
            t->gone = true;
    }
    if (n > 0) {
        t->sent += (size_t)n;
        t->line_open = t->out.data[t->sent - 1] != '\n';
    }
    if (t->gone || t->sent == t->out.len)
        all_sent(t);
}

void bh_transport_cut(struct bh_transport *t)
{
    t->sent = t->out.len = 0;
    t->out.failed = false;
    if (t->line_open)
        bh_out_raw(&t->out, "\n", 1);
}
