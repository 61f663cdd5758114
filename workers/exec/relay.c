/*
 * A call that bulkhead-spawn is to serve, passed on as it came: it decodes it again and decides again, as a
 * worker whose front this process is. What it answers is checked as a front checks it.
 *
 * It keeps the number that its front gave it. Those only grow, over all fronts and whichever process a
 * channel's calls go to, so a bulkhead-spawn may outlive the exec worker, or get another client with another
 * policy.
 *
 * bulkhead-spawn ends when it has had nothing to do for a while, and then takes nothing more: a call that
 * could not be sent whole, or was given back, has not begun, and is sent to its successor.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "protocol/codes.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/control.h"
#include "protocol/wire/frame.h"
#include "workers/exec/engine.h"

#define START_MS 1000
#define ANSWER_MS 20000 /* below the deadline that the front sets us */
#define TRIES 3
#define NOT_BEGUN (-ESTALE) /* of a call: another is to be asked */

static int connect_spawn(struct bh_engine *engine)
{
    if (engine->spawn < 0)
        engine->spawn = bh_control_start(BH_FD_CONTROL, BH_PEER_SPAWN, START_MS);
    return engine->spawn;
}

/* The socket does not block, for the supervisor has it too: what does not fit waits here for room. */
static int send_frame(const struct bh_engine *engine, struct bh_frame *frame, const void *payload, size_t len)
{
    struct pollfd room = { .fd = engine->spawn, .events = POLLOUT };
    int r;

    do
        r = bh_frame_send(engine->spawn, frame, payload, len);
    while (r == -EAGAIN && poll(&room, 1, ANSWER_MS) > 0);
    return r == -EAGAIN ? -ETIMEDOUT : r;
}

/* `data` in as many frames as it takes; `last`: of the flags of the last one. */
static int send_all(const struct bh_engine *engine, struct bh_frame *frame, const uint8_t *data, size_t len,
                    uint32_t last)
{
    size_t n;
    int r;

    do {
        n = len < BH_FRAME_PAYLOAD_MAX ? len : BH_FRAME_PAYLOAD_MAX;
        frame->flags = n < len ? BH_FRAME_MORE : last;
        r = send_frame(engine, frame, data, n);
        data += n;
        len -= n;
    } while (r == 0 && len > 0);
    return r;
}

/* Sends input and arguments. 0, or -errno: not all of it has gone. */
static int send_call(struct bh_engine *engine, const struct bh_call *call, const struct bh_bytes *args)
{
    struct bh_frame frame = { .type = BH_FRAME_STAGE,
                              .command = (uint16_t)(call->command - bh_commands),
                              .id = call->id };
    int r = call->stage.len ? send_all(engine, &frame, call->stage.ptr, call->stage.len, BH_FRAME_MORE) : 0;

    frame.type = BH_FRAME_CALL;
    return r < 0 ? r : send_all(engine, &frame, args->ptr, args->len, 0);
}

/* One frame of an answer. 0, or -errno. */
static int receive(struct bh_engine *engine, struct bh_frame *frame, uint8_t *room, uint64_t until)
{
    struct bh_tail tail = { 0 };
    int r = bh_fd_wait(engine->spawn, until);

    if (r == 0)
        r = bh_frame_recv(engine->spawn, frame, room, &tail);
    if (r <= 0)
        return r == 0 ? -EPIPE : r;
    return tail.frame.type != 0 || frame->flags ? -EPROTO : 0;
}

/* The answer to this call, behind those that a predecessor of ours was not there for. 0, or -errno. */
static int receive_own(struct bh_engine *engine, const struct bh_call *call, struct bh_frame *frame,
                       uint8_t *room)
{
    uint64_t until = bh_clock_ms(CLOCK_MONOTONIC) + ANSWER_MS;
    int r;

    do
        r = receive(engine, frame, room, until);
    while (r == 0 && frame->id < call->id);
    if (r == 0 && (frame->id != call->id || frame->command != (uint16_t)(call->command - bh_commands)))
        r = -EPROTO;
    return r;
}

static int take_answer(struct bh_engine *engine, struct bh_call *call, void *ret)
{
    _cleanup_free_ uint8_t *room = malloc(BH_PACKET_ROOM);
    struct bh_frame frame;
    int r = room ? receive_own(engine, call, &frame, room) : -ENOMEM;

    if (r < 0)
        return r;
    if (frame.type == BH_FRAME_ERROR && bh_error_parse(room, frame.length, call->error) == 0)
        return call->error->code;
    if (frame.type == BH_FRAME_AGAIN)
        return NOT_BEGUN;
    if (frame.type != BH_FRAME_REPLY)
        return -EPROTO;
    if (!call->command->ret)
        return frame.length ? -EPROTO : 0;
    return bh_decode(call->command->ret, room, frame.length, call->arena, ret) < 0 ? -EPROTO : 0;
}

/* 0, NOT_BEGUN, another -errno, or the error that it answered with. */
static int ask(struct bh_engine *engine, struct bh_call *call, const struct bh_bytes *args, void *ret)
{
    int r = send_call(engine, call, args);

    if (r == -EPIPE || r == -ECONNRESET)
        return NOT_BEGUN; /* it takes nothing more; what it has got goes with it */
    return r < 0 ? r : take_answer(engine, call, ret);
}

int bh_relay(struct bh_engine *engine, struct bh_call *call, const void *args, void *ret)
{
    struct bh_bytes bytes;
    int r = bh_encode(call->command->args, args, UINT32_MAX, call->arena, &bytes), tries = TRIES;

    while (r == 0 || (r == NOT_BEGUN && tries > 0)) {
        if (connect_spawn(engine) < 0)
            return bh_fail_errno(call->error, BH_E_WORKER_UNAVAILABLE, engine->spawn,
                                 "the process that runs without a sandbox cannot be started");
        r = ask(engine, call, &bytes, ret);
        if (r >= 0)
            return r;
        bh_close_p(&engine->spawn);
        tries--;
    }
    return bh_fail_errno(
        call->error, BH_E_WORKER_DIED, r,
        "the process that runs without a sandbox did not answer; whether it has begun is in the audit log");
}
