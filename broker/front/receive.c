/*
 * Step 5b of a request: what comes back. A worker may have been taken over: each frame must
 * belong to the request under way and fit its tables, else the worker is ended. Frames of a
 * request that nobody waits for any more, or of an earlier front, are read and forgotten.
 */
#include <errno.h>
#include <unistd.h>

#include "broker/front/front.h"
#include "protocol/base/clock.h"
#include "protocol/codes.h"
#include "protocol/commands.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/control.h"

#define PACKETS_MAX 16 /* packets read from one worker before anyone else has his turn */

static void foul(struct bh_front *front, uint8_t worker)
{
    if (worker == front->way.worker)
        bh_route_lost(front, true, BH_E_WORKER_DIED, "sent what is no answer and was ended");
    else
        bh_route_close(front, worker, true);
}

static bool take_data(struct bh_front *front, const struct bh_frame *frame, const uint8_t *payload)
{
    unsigned which = frame->flags & BH_FRAME_SECOND ? 1 : 0;
    const struct bh_field *bulk = front->request.row->bulk_ret[which];
    struct bh_under_way *way = &front->way;

    if (!bulk || frame->length == 0 || which < way->stream.member ||
        way->stream.bytes[which] + frame->length > bulk->limit)
        return false;
    way->data = (struct bh_bytes){ payload, frame->length };
    way->data_of = which;
    bh_front_fire(front, BH_ON_DATA);
    return true;
}

static bool take_error(struct bh_front *front, const struct bh_frame *frame, const uint8_t *payload)
{
    if ((frame->flags & BH_FRAME_MORE) || bh_error_parse(payload, frame->length, &front->error) < 0)
        return false;
    front->way.id = 0;
    bh_front_fire(front, BH_ON_ERROR);
    return true;
}

static bool decode_reply(struct bh_front *front, const void *data, size_t len)
{
    const struct bh_type *type = front->request.row->ret;
    int r = 0;

    if (!type && len > 0)
        return false;
    front->way.ret = type ? bh_arena_alloc(&front->arena, type->size) : NULL;
    if (type)
        r = front->way.ret ? bh_decode(type, data, len, &front->arena, front->way.ret) : -ENOMEM;
    if (r < 0 && r != -ENOMEM)
        return false;
    front->way.id = 0;
    if (r == -ENOMEM)
        (void)bh_request_no_memory(&front->error);
    bh_front_fire(front, r == 0 ? BH_ON_REPLY : BH_ON_ERROR);
    return true;
}

static bool take_reply(struct bh_front *front, const struct bh_frame *frame, const uint8_t *payload)
{
    struct bh_out *gathered = &front->gathered;
    bool more = frame->flags & BH_FRAME_MORE;

    if (gathered->len + frame->length > front->request.row->reply_max || (more && frame->length == 0))
        return false;
    if (!more && gathered->len == 0)
        return decode_reply(front, payload, frame->length);
    bh_out_raw(gathered, (const char *)payload, frame->length);
    return !gathered->failed && (more || decode_reply(front, gathered->data, gathered->len));
}

/* False: the frame is one that this worker must not send now. */
static bool take(struct bh_front *front, uint8_t worker, const struct bh_frame *frame, const uint8_t *payload)
{
    bool expected = front->state == BH_WAITING || front->state == BH_STREAMING;

    if (worker == front->way.worker)
        front->progress_ms = bh_clock_ms(CLOCK_BOOTTIME); /* be it with what we wait behind */
    if (frame->id >> 32 != front->epoch || frame->id <= front->links[worker].dropped)
        return true;
    if (!expected || worker != front->way.worker || frame->id != front->way.id ||
        frame->command != front->way.command)
        return false;
    switch (frame->type) {
    case BH_FRAME_DATA:
        return take_data(front, frame, payload);
    case BH_FRAME_REPLY:
        return take_reply(front, frame, payload);
    case BH_FRAME_ERROR:
        return take_error(front, frame, payload);
    case BH_FRAME_AGAIN:
        if (frame->length > 0 || frame->flags || front->state != BH_WAITING || front->way.staged)
            return false;
        bh_route_again(front);
        return true;
    default:
        return false;
    }
}

/* The frames of one packet, as if they had come alone. */
static bool take_packet(struct bh_front *front, uint8_t worker, const struct bh_frame *frame,
                        const struct bh_tail *tail)
{
    if (frame->length > front->room_high)
        front->room_high = frame->length;
    if (!take(front, worker, frame, front->room))
        return false;
    return tail->frame.type == 0 || take(front, worker, &tail->frame, tail->payload);
}

void bh_receive(struct bh_front *front, uint8_t worker)
{
    struct bh_link *link = &front->links[worker];
    struct bh_frame frame;
    struct bh_tail tail;

    for (int i = 0; i < PACKETS_MAX && link->fd >= 0; i++) {
        int r = bh_frame_recv(link->fd, &frame, front->room, &tail);

        if (r == -EAGAIN)
            return;
        if (r == -EPROTO || (r > 0 && !take_packet(front, worker, &frame, &tail))) {
            foul(front, worker);
            return;
        }
        if (r <= 0) {
            bh_route_died(front, worker);
            return;
        }
        if (bh_transport_pending(&front->client) > BH_OUT_HIGH)
            bh_front_flush(front);
        if (front->state != BH_STREAMING || bh_transport_pending(&front->client) > BH_STREAM_HIGH)
            return;
    }
}

static void peer_came(struct bh_front *front, uint8_t worker, int fd)
{
    struct bh_link *link = &front->links[worker];
    bool waited = link->fd < 0;

    if (!waited) {
        (void)close(fd);
        return;
    }
    *link = (struct bh_link){ .fd = fd };
    if (worker == front->way.worker)
        bh_front_fire(front, BH_ON_PEER);
}

bool bh_receive_control(struct bh_front *front)
{
    struct bh_control message;
    int fd = -1, r = bh_control_recv(front->control, &message, &fd);

    if (r == -EAGAIN)
        return true;
    if (r <= 0)
        return false;
    if (message.op == BH_CONTROL_PEER && message.arg < BH_WORKER_COUNT && fd >= 0) {
        peer_came(front, (uint8_t)message.arg, fd);
        return true;
    }
    if (message.op == BH_CONTROL_POLICY && front->renewing && fd >= 0)
        bh_front_adopt(front, fd, message.arg);
    if (fd >= 0)
        (void)close(fd);
    if (message.op != BH_CONTROL_REFUSED || message.arg >= BH_WORKER_COUNT)
        return true;
    front->links[message.arg].asked = false;
    if (message.arg == front->way.worker && front->links[message.arg].fd < 0)
        bh_route_lost(front, false, BH_E_WORKER_UNAVAILABLE, "cannot be started");
    return true;
}
