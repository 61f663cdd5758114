/*
 * The front's state and what the actions of machine.h do; loop.c decides when. A request under way
 * is described by `request` (what it is), `lift` (its bulk argument) and `way` (where it
 * stands with its worker); all three are forgotten together, in end_request.
 */
#include "broker/front/front.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "broker/front/reply.h"
#include "protocol/base/log.h"
#include "protocol/codes.h"
#include "protocol/commands.h"
#include "protocol/json/lexer.h"

#define FIRST_DENIAL BH_E_NOT_GRANTED /* codes of refusals by the policy */
#define LAST_DENIAL BH_E_FROZEN

static void end_request(struct bh_front *front)
{
    bh_route_end(front);
    bh_front_lift_reset(front);
    bh_arena_reset(&front->arena);
    bh_out_deinit(&front->gathered);
    bh_out_init(&front->gathered, BH_OUT_MAX);
}

void bh_front_fail(struct bh_front *front, const struct bh_error *error)
{
    if (error->code >= FIRST_DENIAL && error->code <= LAST_DENIAL)
        front->audit.state->denials++;
    else
        front->audit.state->failures++;
    bh_reply_error(&front->client.out, error, front->request.id);
    front->lines++;
}

static void do_stage(struct bh_front *front)
{
    bh_route_begin(front, front->lift.command);
    if (front->links[front->way.worker].fd < 0)
        bh_route_ask(front);
}

static void do_spoil(struct bh_front *front)
{
    front->spoil = front->error;
    bh_route_end(front);
    front->lift.active = false;
    front->lift.at = front->lift.len = 0;
}

static void do_call(struct bh_front *front)
{
    if (front->way.worker == BH_NO_WORKER)
        bh_route_begin(front, front->request.command);
    if (bh_route_encode(front, &front->error) > 0) {
        bh_front_fire(front, BH_ON_GONE);
        return;
    }
    bh_route_ask(front);
}

static void do_bytes(struct bh_front *front)
{
    struct bh_under_way *way = &front->way;

    bh_reply_bytes(&front->client, &way->stream, front->request.row, way->data_of, way->data.ptr,
                   way->data.len);
}

static void do_open(struct bh_front *front)
{
    bh_reply_open(&front->client.out);
    do_bytes(front);
}

static void do_reply(struct bh_front *front)
{
    const struct bh_request *request = &front->request;

    if (!(request->row->flags & BH_COMMAND_NO_REPLY)) {
        bh_reply_value(&front->client.out, request->row, front->way.ret, request->id);
        front->lines++;
    }
    end_request(front);
}

static void do_close(struct bh_front *front)
{
    const struct bh_request *request = &front->request;

    bh_reply_close(&front->client.out, &front->way.stream, request->row, front->way.ret, request->id);
    front->lines++;
    end_request(front);
}

/* What was sent stands. */
static void do_shorten(struct bh_front *front)
{
    const struct bh_command *row = front->request.row;

    front->way.ret = bh_arena_alloc(&front->arena, row->ret->size);
    if (!front->way.ret) {
        front->client.gone = true; /* no end of this line can be written */
        end_request(front);
        return;
    }
    bh_reply_shorten(row, &front->way.stream, front->way.ret);
    front->audit.state->failures++;
    do_close(front);
}

static void do_fail(struct bh_front *front)
{
    bh_front_fail(front, &front->error);
    end_request(front);
}

static void do_drop(struct bh_front *front)
{
    bh_claim_dropped(front);
    bh_transport_cut(&front->client);
    front->lines = 0;
    end_request(front);
}

static void do_restart(struct bh_front *front)
{
    end_request(front);
    front->request = (struct bh_request){ .command = BH_NO_COMMAND };
    if (!front->half)
        return;
    front->half = false;
    (void)bh_fail(&front->error, BH_E_JSON_TOKEN,
                  "JSON parse error, stray 0xFF: the request before it was dropped");
    bh_claim(front, &front->error);
    bh_front_fail(front, &front->error);
}

static void do_nothing(struct bh_front *front)
{
    (void)front;
}

static void (*const actions[BH_FRONT_ACTIONS])(struct bh_front *front) = {
    [BH_DO_NOTHING] = do_nothing, [BH_DO_STAGE] = do_stage, [BH_DO_ABANDON] = end_request,
    [BH_DO_SPOIL] = do_spoil,     [BH_DO_CALL] = do_call,   [BH_DO_ASK] = bh_route_ask,
    [BH_DO_SEND] = bh_route_send, [BH_DO_OPEN] = do_open,   [BH_DO_BYTES] = do_bytes,
    [BH_DO_REPLY] = do_reply,     [BH_DO_CLOSE] = do_close, [BH_DO_SHORTEN] = do_shorten,
    [BH_DO_FAIL] = do_fail,       [BH_DO_DROP] = do_drop,   [BH_DO_RESTART] = do_restart,
};

void bh_front_fire(struct bh_front *front, enum bh_front_event event)
{
    struct bh_front_row row = bh_front_next(front->state, event);

    if (row.action == BH_DO_DIE)
        bh_die(1, "defect: %s while %s", bh_front_event_name(event), bh_front_state_name(front->state));
    front->state = row.next;
    actions[row.action](front);
}

/* What the predecessor left: half a line, an unanswered request, or more than we can mend. It may have died
 * while bytes went and came, and nobody knows which: a port, which cannot be closed, is told so. */
static void succeed(struct bh_front *front)
{
    const struct bh_state *state = front->audit.state;

    front->client.line_open = state->line_open || state->unsettled;
    bh_transport_cut(&front->client);
    if (state->owed || state->unsettled) {
        (void)bh_fail(&front->error, BH_E_WORKER_DIED,
                      "the front ended while it served this request; nothing was retried");
        bh_claim(front, &front->error);
        bh_front_fail(front, &front->error);
    }
    if (state->behind)
        front->client.ended = true;
}

int bh_front_init(struct bh_front *front, int control, int client, uint32_t epoch)
{
    front->control = control;
    front->epoch = epoch;
    front->counter = 0;
    front->state = BH_READING;
    front->request = (struct bh_request){ .command = BH_NO_COMMAND };
    front->way = (struct bh_under_way){ .worker = BH_NO_WORKER };
    for (unsigned i = 0; i < BH_WORKER_COUNT; i++)
        front->links[i] = (struct bh_link){ .fd = -1 };
    bh_arena_init(&front->arena, BH_FRONT_ARENA_MAX);
    bh_out_init(&front->gathered, BH_OUT_MAX);
    front->lexer = bh_lexer_new(bh_front_lift, front);
    if (bh_transport_init(&front->client, client) < 0 || !front->lexer)
        return -ENOMEM;
    succeed(front);
    return 0;
}

void bh_front_deinit(struct bh_front *front)
{
    struct bh_state *state = front->audit.state;

    bh_claim_report(front, true);
    for (uint8_t i = 0; i < BH_WORKER_COUNT; i++)
        bh_route_close(front, i, false);
    bh_lexer_free(front->lexer);
    bh_transport_deinit(&front->client);
    bh_arena_deinit(&front->arena);
    bh_out_deinit(&front->gathered);
    state->owed = state->behind = state->unsettled = 0;
}
