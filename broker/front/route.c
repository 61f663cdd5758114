/*
 * Step 5 of a request: to its worker. The worker's socket is asked for when it is first
 * needed (control START); nothing waits for it but the request itself.
 *
 * A worker is never trusted to take what is sent: its socket may be full (POLLOUT), dead
 * (asked for again if nothing had gone through it, else an error: nothing is done twice), or
 * full for ever (the deadline).
 */
#include <errno.h>
#include <unistd.h>

#include "broker/front/front.h"
#include "protocol/base/clock.h"
#include "protocol/codes.h"
#include "protocol/commands.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/control.h"

#define CALL_MAX                                                                                             \
    (8u * 1024u * 1024u) /* bytes of encoded arguments: well above what 1 MiB of text can hold               \
                          */
#define STALE_MAX 2      /* dead sockets in a row that one request forgives */

void bh_route_begin(struct bh_front *front, uint16_t command)
{
    front->way = (struct bh_under_way){
        .worker = bh_commands[command].worker,
        .stale_left = STALE_MAX,
        .command = command,
        .id = (uint64_t)front->epoch << 32 | ++front->counter,
    };
    front->progress_ms = bh_clock_ms(CLOCK_BOOTTIME);
}

void bh_route_ask(struct bh_front *front)
{
    struct bh_link *link = &front->links[front->way.worker];
    int r = 0;

    front->progress_ms = bh_clock_ms(CLOCK_BOOTTIME);
    if (link->fd >= 0) {
        bh_front_fire(front, BH_ON_PEER);
        return;
    }
    if (!link->asked)
        r = bh_control_send(front->control, BH_CONTROL_START, front->way.worker, -1);
    link->asked = r == 0;
    if (r < 0)
        bh_route_lost(front, false, BH_E_WORKER_UNAVAILABLE, "cannot be asked for");
}

int bh_route_encode(struct bh_front *front, struct bh_error *reterr)
{
    const struct bh_type *type = front->request.row->args;
    int r = type ? bh_encode(type, front->request.args, CALL_MAX, &front->arena, &front->way.call) : 0;

    return r < 0 ? bh_request_no_memory(reterr) : 0;
}

static struct bh_frame frame_of(const struct bh_front *front, enum bh_frame_type type, bool more)
{
    return (struct bh_frame){ .type = (uint16_t)type,
                              .command = front->way.command,
                              .flags = more ? BH_FRAME_MORE : 0,
                              .id = front->way.id };
}

/* `r` is what became of a packet to the worker. */
static int sent(struct bh_front *front, int r)
{
    if (r < 0)
        return r;
    front->links[front->way.worker].used = true;
    front->progress_ms = bh_clock_ms(CLOCK_BOOTTIME);
    return 0;
}

static size_t lifted(const struct bh_front *front)
{
    return front->lift.len - front->lift.at;
}

static int send_stage(struct bh_front *front, size_t n)
{
    struct bh_frame frame = frame_of(front, BH_FRAME_STAGE, true);
    int fd = front->links[front->way.worker].fd;
    int r = sent(front, bh_frame_send(fd, &frame, front->lift.bytes + front->lift.at, n));

    if (r < 0)
        return r;
    front->lift.at += n;
    front->way.staged = true;
    return 0;
}

/* Full frames, as long as `keep` bytes stay. */
static int send_staged(struct bh_front *front, size_t keep)
{
    int r = 0;

    while (r == 0 && lifted(front) >= BH_FRAME_PAYLOAD_MAX + keep)
        r = send_stage(front, BH_FRAME_PAYLOAD_MAX);
    return r;
}

static int send_call(struct bh_front *front)
{
    struct bh_under_way *way = &front->way;
    int fd = front->links[way->worker].fd, r = 0;

    while (r == 0 && !way->whole) {
        size_t n = way->call.len - way->sent;
        bool more = n > BH_FRAME_PAYLOAD_MAX;
        struct bh_frame frame = frame_of(front, BH_FRAME_CALL, more);

        if (more)
            n = BH_FRAME_PAYLOAD_MAX;
        r = sent(front, bh_frame_send(fd, &frame, way->call.ptr ? way->call.ptr + way->sent : NULL, n));
        if (r < 0)
            return r;
        way->sent += n;
        way->begun = true;
        way->whole = !more;
    }
    return 0;
}

/* The last of what is staged and the call, in one packet. */
static int send_pair(struct bh_front *front)
{
    struct bh_under_way *way = &front->way;
    struct bh_lift *lift = &front->lift;
    struct bh_frame stage = frame_of(front, BH_FRAME_STAGE, true),
                    call = frame_of(front, BH_FRAME_CALL, false);
    int r = sent(front, bh_frame_send_pair(front->links[way->worker].fd, &stage, lift->bytes + lift->at,
                                           lifted(front), &call, way->call.ptr, way->call.len));

    if (r < 0)
        return r;
    lift->at = lift->len;
    way->sent = way->call.len;
    way->staged = way->begun = way->whole = true;
    return 0;
}

/* Everything that is left of a complete request. */
static int send_rest(struct bh_front *front)
{
    int r = send_staged(front, 1);

    if (r == 0 && lifted(front) > 0 && front->way.call.len <= BH_FRAME_TAIL_MAX)
        return send_pair(front);
    if (r == 0 && lifted(front) > 0)
        r = send_stage(front, lifted(front));
    return r < 0 ? r : send_call(front);
}

static int send_abandon(struct bh_link *link)
{
    struct bh_frame frame = { .type = BH_FRAME_ABANDON, .id = link->abandon };
    int r = link->abandon ? bh_frame_send(link->fd, &frame, NULL, 0) : 0;

    if (r == 0)
        link->abandon = 0;
    return r;
}

void bh_route_send(struct bh_front *front)
{
    struct bh_link *link = &front->links[front->way.worker];
    bool complete = front->state == BH_SENDING;
    int r = link->fd < 0 ? -EAGAIN : send_abandon(link);

    if (link->fd < 0 && lifted(front) < BH_FRAME_PAYLOAD_MAX)
        return; /* it is on its way, and there is room for more */
    if (r == 0)
        r = complete ? send_rest(front) : send_staged(front, 0);
    if (r == 0)
        bh_front_fire(front, complete ? BH_ON_SENT : BH_ON_ROOM);
    else if (r == -EAGAIN)
        bh_front_fire(front, BH_ON_BLOCKED);
    else
        bh_route_died(front, front->way.worker);
}

void bh_route_writable(struct bh_front *front, uint8_t worker)
{
    if (worker == front->way.worker && (front->state == BH_HOLDING || front->state == BH_SENDING))
        bh_route_send(front);
    else
        (void)send_abandon(&front->links[worker]); /* if it is dead, reading from it will tell */
}

void bh_route_end(struct bh_front *front)
{
    struct bh_under_way *way = &front->way;
    struct bh_link *link = way->worker < BH_NO_WORKER ? &front->links[way->worker] : NULL;

    if (!link || link->fd < 0 || !way->id) {
        /* nobody to tell, or nothing left to say */
    } else if (way->whole) {
        link->dropped = way->id;
    } else if (way->staged || way->begun) {
        link->abandon = way->id;
        (void)send_abandon(link); /* if it does not fit now: when the socket is writable */
    }
    *way = (struct bh_under_way){ .worker = BH_NO_WORKER };
}

void bh_route_close(struct bh_front *front, uint8_t worker, bool kill)
{
    struct bh_link *link = &front->links[worker];

    if (link->fd >= 0)
        (void)close(link->fd);
    if (kill)
        (void)bh_control_send(front->control, BH_CONTROL_KILL, worker, -1);
    *link = (struct bh_link){ .fd = -1 };
}

void bh_route_died(struct bh_front *front, uint8_t worker)
{
    const struct bh_under_way *way = &front->way;
    bool stale = !front->links[worker].used || (!way->staged && !way->begun); /* nothing of it was taken */

    if (worker != front->way.worker) {
        bh_route_close(front, worker, false);
    } else if (stale && front->way.stale_left > 0) {
        front->way.stale_left--;
        bh_route_close(front, worker, false);
        bh_front_fire(front, BH_ON_STALE);
    } else {
        bh_route_lost(front, false, BH_E_WORKER_DIED,
                      "ended while it served this request; nothing was retried");
    }
}

void bh_route_again(struct bh_front *front)
{
    struct bh_under_way *way = &front->way;

    if (way->stale_left == 0) {
        bh_route_lost(front, false, BH_E_WORKER_UNAVAILABLE, "gives every call back");
        return;
    }
    way->stale_left--;
    way->sent = 0;
    way->begun = way->whole = false;
    bh_route_close(front, way->worker, false);
    bh_front_fire(front, BH_ON_STALE);
}

void bh_route_lost(struct bh_front *front, bool kill, uint16_t code, const char *what)
{
    uint8_t worker = front->way.worker;

    if (kill || front->links[worker].fd >= 0)
        bh_route_close(front, worker, kill);
    (void)bh_fail(&front->error, code, "the %s worker %s", bh_worker_names[worker], what);
    bh_claim(front, &front->error);
    bh_front_fire(front, BH_ON_GONE);
}

/* Milliseconds that the worker may do nothing in this state; 0 = nobody waits for it. */
static uint32_t patience(const struct bh_front *front)
{
    if (front->state == BH_STARTING)
        return BH_START_MS;
    if (front->state == BH_HOLDING)
        return front->links[front->way.worker].fd < 0 ? BH_START_MS : BH_STAGE_MS;
    return bh_front_owes(front->state) ? front->request.row->deadline_ms : 0;
}

int bh_route_due(const struct bh_front *front)
{
    uint32_t wait = patience(front);
    uint64_t spent;

    if (wait == 0 || bh_transport_pending(&front->client) > BH_STREAM_HIGH)
        return -1;
    spent = bh_clock_ms(CLOCK_BOOTTIME) - front->progress_ms;
    return spent < wait ? (int)(wait - spent) : 0;
}

void bh_route_expire(struct bh_front *front)
{
    if (bh_transport_pending(&front->client) > BH_STREAM_HIGH)
        front->progress_ms = bh_clock_ms(CLOCK_BOOTTIME); /* the client's time, not the worker's */
    if (bh_route_due(front) != 0)
        return;
    if (front->links[front->way.worker].fd < 0)
        bh_route_lost(front, false, BH_E_WORKER_UNAVAILABLE, "could not be started in time");
    else
        bh_route_lost(front, true, BH_E_DEADLINE,
                      "made no progress within the command's deadline and was ended");
}
