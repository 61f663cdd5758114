/*
 * Rounds of the spool. A round serves a few events; the kernel gives them in turn, so whoever is passed over
 * comes first in a later one. No execution is removed within a round: an event's execution is there.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "protocol/wire/control.h"
#include "protocol/wire/frame.h"
#include "workers/lib/worker.h"
#include "workers/spool/spool.h"

#define KILLED_STATUS 9 /* as wait(2) has it: SIGKILL */

int bh_watch_add(struct bh_spool *spool, struct bh_watch *watch, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = watch };
    int op = watch->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (epoll_ctl(spool->epoll, op, watch->fd, &event) < 0)
        return -errno;
    watch->watched = true;
    return 0;
}

void bh_watch_remove(struct bh_spool *spool, struct bh_watch *watch)
{
    if (watch->watched)
        (void)epoll_ctl(spool->epoll, EPOLL_CTL_DEL, watch->fd, NULL);
    watch->watched = false;
}

void bh_watch_close(struct bh_spool *spool, struct bh_watch *watch)
{
    bh_watch_remove(spool, watch);
    bh_close_p(&watch->fd);
}

static void serve_control(struct bh_spool *spool)
{
    struct bh_control message;
    _cleanup_close_ int fd = -1;
    int r = bh_control_recv(spool->control.fd, &message, &fd);

    if (r == -EAGAIN)
        return;
    if (r > 0 && message.op == BH_CONTROL_CLIENT && fd >= 0) {
        bh_feeder_add(spool, bh_take_fd(&fd));
        return;
    }
    spool->ended =
        r == 0 ? "the supervisor has gone" : "the supervisor sent a message that has no place here";
    bh_watch_remove(spool, &spool->control);
}

static bool is_status(int status)
{
    return (status & ~0xffff) == 0 && (WIFEXITED(status) || WIFSIGNALED(status));
}

/* What the keeper says of the end. Without a word it was killed, and the tree with it. */
static void take_ending(struct bh_spool *spool, struct bh_spooled *execution)
{
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);
    struct bh_ending ending;
    ssize_t n = read(execution->end.fd, &ending, sizeof(ending));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    execution->status =
        n == (ssize_t)sizeof(ending) && is_status(ending.status) ? ending.status : KILLED_STATUS;
    execution->ended_ms = now;
    if (n == (ssize_t)sizeof(ending) && ending.ended_ms >= execution->started_ms && ending.ended_ms <= now)
        execution->ended_ms = ending.ended_ms;
    bh_watch_remove(spool, &execution->end); /* open until all is over: its keeper sees that somebody reads */
    bh_spool_settle(spool, execution);
}

static void serve(struct bh_spool *spool, struct bh_watch *watch, uint32_t events)
{
    if (watch->fd < 0)
        return; /* closed earlier in this round */
    switch (watch->kind) {
    case BH_WATCH_CONTROL:
        serve_control(spool);
        break;
    case BH_WATCH_FEEDER:
        if (events & EPOLLOUT)
            bh_feeder_writable(spool, &spool->feeders[watch->which]);
        (void)bh_feeder_serve(spool, &spool->feeders[watch->which]);
        break;
    case BH_WATCH_STREAM:
        bh_stream_read(spool, watch->execution, &watch->execution->streams[watch->which]);
        break;
    case BH_WATCH_END:
        take_ending(spool, watch->execution);
        break;
    }
}

void bh_spool_pump(struct bh_spool *spool, int ms)
{
    struct epoll_event events[BH_SPOOL_EVENTS_MAX];
    int n = epoll_wait(spool->epoll, events, BH_SPOOL_EVENTS_MAX, ms);

    for (int i = 0; i < n; i++)
        serve(spool, events[i].data.ptr, events[i].events);
}

void bh_spool_catch_up(struct bh_spool *spool)
{
    struct pollfd control = { .fd = spool->control.fd, .events = POLLIN };

    while (spool->control.watched && poll(&control, 1, 0) > 0)
        serve_control(spool);
    bh_feeders_serve(spool);
}

/* Until the front takes a frame, or is gone. */
static void await_front(struct bh_spool *spool)
{
    struct pollfd fds[] = { { .fd = BH_FD_PEER, .events = POLLOUT },
                            { .fd = spool->epoll, .events = POLLIN } };

    while (poll(fds, 2, -1) < 0 || !fds[0].revents)
        if (fds[1].revents)
            bh_spool_pump(spool, 0);
}

void bh_spool_stream(struct bh_spool *spool, struct bh_call *call, const uint8_t *data, size_t len)
{
    while (len > 0) {
        size_t piece = len < BH_FRAME_PAYLOAD_MAX ? len : BH_FRAME_PAYLOAD_MAX;

        await_front(spool);
        if (bh_call_stream(call, data, piece) < 0)
            return; /* it is gone: so is who waits for the rest */
        data += piece;
        len -= piece;
    }
}
