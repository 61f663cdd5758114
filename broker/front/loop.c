/*
 * The front's loop: what it waits for, and in which order it looks at what came: the
 * supervisor, workers, the client, deadlines; then as many requests as can be answered; then
 * one write for all their replies.
 *
 * At rest it waits for the client alone, without a timer but the minute of a summary. Output
 * that the client does not take stops first the reading of requests, then of workers.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "broker/front/front.h"
#include "broker/front/local.h"
#include "broker/front/reply.h"
#include "protocol/base/clock.h"
#include "protocol/base/log.h"
#include "protocol/codes.h"
#include "protocol/commands.h"
#include "protocol/json/lexer.h"

#define LOOK_MS 10 /* between two looks whether a host is back */

/* Control and client come first, then the links that are open. */
struct watch {
    struct pollfd fds[2 + BH_WORKER_COUNT];
    uint8_t workers[2 + BH_WORKER_COUNT];
    nfds_t n;
};

/* The state page tells a successor what it finds, whenever we end. `taken`: a request that is being looked
 * at. */
static void note(struct bh_front *front, uint32_t taken)
{
    struct bh_state *state = front->audit.state;
    uint32_t replies;

    if (bh_transport_pending(&front->client) == 0)
        front->lines = 0;
    replies = front->lines + taken + bh_front_owes(front->state);
    state->owed = replies > 0;
    state->line_open = front->client.line_open;
    state->behind = (uint32_t)bh_transport_held(&front->client) + !bh_lexer_idle(front->lexer) +
                    (replies > 1 ? replies - 1 : 0);
    __atomic_store_n(&state->unsettled, 0, __ATOMIC_RELEASE); /* not before the others */
}

/* Bytes are about to move: until note() has said what became of them, a successor knows that it knows
 * nothing.
 */
static void unsettle(struct bh_front *front)
{
    __atomic_store_n(&front->audit.state->unsettled, 1, __ATOMIC_SEQ_CST);
}

void bh_front_flush(struct bh_front *front)
{
    if (bh_transport_pending(&front->client) > 0)
        unsettle(front);
    bh_transport_flush(&front->client);
}

static void answer_local(struct bh_front *front)
{
    const struct bh_request *request = &front->request;
    struct bh_call call = { &front->policy, front->frozen, &front->arena, &front->error };
    void *ret = request->row->ret ? bh_arena_alloc(&front->arena, request->row->ret->size) : NULL;

    if (request->row->audit == BH_AUDIT_COUNT)
        bh_audit_count(&front->audit, request->command);
    if (bh_local_run(&call, request->command, request->args, ret) > 0) {
        bh_front_fail(front, &front->error);
        return;
    }
    bh_reply_value(&front->client.out, request->row, ret, request->id);
    front->lines++;
}

static void refuse(struct bh_front *front)
{
    if (front->error.code == BH_E_NOT_GRANTED || front->error.code < BH_E_COMMAND_UNKNOWN)
        bh_claim(front, &front->error);
    bh_front_fail(front, &front->error);
}

static void serve(struct bh_front *front, const struct bh_text *text)
{
    int r;

    front->audit.state->requests++;
    note(front, 1);
    r = bh_request_read(text, &front->policy, front->frozen, &front->arena, &front->request, &front->error);
    if (r == 0)
        r = bh_front_lift_end(front, &front->error);
    if (r == 0 && front->request.row->worker != BH_WORKER_FRONT) {
        bh_front_fire(front, BH_ON_CALL);
        return;
    }
    if (r == 0)
        answer_local(front);
    else
        refuse(front);
    bh_front_fire(front, BH_ON_ANSWER);
}

static void broken(struct bh_front *front)
{
    front->request = (struct bh_request){ .command = BH_NO_COMMAND };
    bh_claim(front, &front->error);
    bh_front_fire(front, BH_ON_BROKEN);
}

/* Gives the lexer a piece and does what comes of it. */
static void feed(struct bh_front *front)
{
    struct bh_transport *client = &front->client;
    size_t held = bh_transport_held(client), eaten = 0;
    bool secret;
    struct bh_text text;
    enum bh_lex_result result =
        bh_lexer_feed(front->lexer, client->in + client->at, held < BH_READ_MAX ? held : BH_READ_MAX, &eaten,
                      &text, &front->error, &front->half);

    bh_transport_eat(client, eaten);
    secret = front->lift.secret;
    if (result == BH_LEX_REQUEST)
        serve(front, &text);
    else if (result == BH_LEX_ERROR)
        broken(front);
    else if (result == BH_LEX_RESET)
        bh_front_fire(front, BH_ON_RESET);
    else if (front->state == BH_STAGING)
        bh_route_send(front);
    if (secret)
        bh_transport_wipe(client);
}

/* Serves what has been read until it is eaten, a worker has to be waited for, or output piles up. False: the
 * supervisor is gone. */
static bool pump(struct bh_front *front)
{
    struct bh_transport *client = &front->client;

    for (;;) {
        if (bh_transport_pending(client) > BH_OUT_HIGH)
            bh_front_flush(front);
        if (front->state == BH_READING && bh_transport_pending(client) > BH_OUT_HIGH)
            bh_front_fire(front, BH_ON_FULL);
        if (front->state == BH_FLUSHING && bh_transport_pending(client) <= BH_OUT_HIGH)
            bh_front_fire(front, BH_ON_TAKEN);
        if (!bh_front_reads(front->state)) {
            if (!bh_transport_skip_to_reset(client))
                return true;
            bh_front_fire(front, BH_ON_RESET);
        } else if (bh_transport_held(client) == 0) {
            return true;
        } else if (front->state == BH_READING && !bh_front_renew(front)) {
            return false;
        } else {
            feed(front);
        }
    }
}

/* A short line that streams in waits for its end: one write, and the client wakes once. */
static bool holds_back(const struct bh_front *front)
{
    return front->state == BH_STREAMING && !front->client.line_open && !front->client.gone &&
           bh_transport_pending(&front->client) <= BH_OUT_HIGH;
}

/* While requests wait for output to be taken, pump alone writes: it must see what comes of it and go on. */
static void write_out(struct bh_front *front)
{
    if (!holds_back(front) && front->state != BH_FLUSHING)
        bh_front_flush(front);
}

static void watch_fd(struct watch *watch, int fd, bool in, bool out, uint8_t worker)
{
    watch->fds[watch->n] =
        (struct pollfd){ .fd = fd, .events = (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0)) };
    watch->workers[watch->n++] = worker;
}

static void watch_all(const struct bh_front *front, struct watch *watch)
{
    const struct bh_transport *client = &front->client;
    bool pressed = bh_transport_pending(client) > BH_STREAM_HIGH;

    watch->n = 0;
    watch_fd(watch, front->control, true, false, BH_NO_WORKER);
    watch_fd(watch, client->gone || client->left_ms ? -1 : client->fd, bh_transport_wants_input(client),
             bh_transport_pending(client) > 0 && !holds_back(front), BH_NO_WORKER);
    for (uint8_t i = 0; i < BH_WORKER_COUNT; i++) {
        const struct bh_link *link = &front->links[i];
        bool ours = front->way.worker == i;
        bool sends = ours && (front->state == BH_SENDING || front->state == BH_HOLDING);

        if (link->fd >= 0 && !(ours && pressed && front->state == BH_STREAMING))
            watch_fd(watch, link->fd, true, sends || link->abandon, i);
    }
}

static int sooner(int a, int b)
{
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return a < b ? a : b;
}

static int timeout(const struct bh_front *front, int claim_due, int max_ms)
{
    if (front->client.gone && bh_transport_wants_input(&front->client))
        return 0; /* what was sent before the client left is still there to read */
    if (front->client.left_ms)
        max_ms = sooner(max_ms, LOOK_MS);
    if (bh_front_has_slack(front))
        max_ms = sooner(max_ms, BH_QUIET_MS);
    return sooner(max_ms, sooner(bh_route_due(front), claim_due));
}

static void take_input(struct bh_front *front)
{
    unsettle(front);
    bh_transport_read(&front->client);
}

static bool take_all_input(struct bh_front *front)
{
    struct bh_transport *client = &front->client;
    size_t before;
    bool got = false;

    while (bh_transport_wants_input(client)) {
        before = bh_transport_held(client);
        take_input(front);
        if (bh_transport_held(client) == before)
            break;
        got = true;
    }
    return got;
}

/*
 * The host of a port has left. The kernel tells of its leaving and of the next one's coming apart from the
 * bytes: what is read now may be the last of the one or the first of the other. So where something was read,
 * it is as if nobody had left, if somebody is there again within BH_RETURN_MS. Where nothing was, the bytes
 * of the next one are left for our successor, who begins afresh.
 */
static void host_left(struct bh_front *front)
{
    struct bh_transport *client = &front->client;
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);
    bool got = take_all_input(front), back = !bh_transport_left(client);

    if (client->gone)
        return;
    if (got)
        client->left_ms = now;
    client->ended = client->gone = !client->left_ms || (!back && now - client->left_ms >= BH_RETURN_MS);
    if (back)
        client->left_ms = 0;
}

static void look_at_client(struct bh_front *front, short events)
{
    struct bh_transport *client = &front->client;
    bool left = events & (POLLHUP | POLLERR);

    if (client->returns && (left || client->left_ms) && !client->gone) {
        host_left(front);
        return;
    }
    if (((events & POLLIN) || left || client->gone) && bh_transport_wants_input(client))
        take_input(front);
    client->gone |= left;
}

static void look_at_workers(struct bh_front *front, const struct watch *watch)
{
    for (nfds_t i = 2; i < watch->n; i++) {
        const struct pollfd *fd = &watch->fds[i];

        if ((fd->revents & POLLOUT) && front->links[watch->workers[i]].fd == fd->fd)
            bh_route_writable(front, watch->workers[i]);
        if ((fd->revents & (POLLIN | POLLHUP | POLLERR)) && front->links[watch->workers[i]].fd == fd->fd)
            bh_receive(front, watch->workers[i]);
    }
}

/* The client has left and all that it is owed is done: what was sent is answered, what has begun is the
 * worker's. */
static bool finished(struct bh_front *front)
{
    const struct bh_transport *client = &front->client;
    bool handed_over = front->state == BH_WAITING || front->state == BH_STREAMING;

    if (!client->ended || bh_transport_held(client) > 0 || bh_transport_pending(client) > 0)
        return false;
    if (!bh_front_reads(front->state) && !(client->gone && handed_over))
        return false;
    front->half = false;
    bh_front_fire(front, BH_ON_RESET);
    return true;
}

bool bh_front_step(struct bh_front *front, int max_ms)
{
    int claim_due = bh_claim_due(front), n;
    struct watch watch;

    watch_all(front, &watch);
    n = poll(watch.fds, watch.n, timeout(front, claim_due, max_ms));
    if (n < 0 && errno != EINTR)
        bh_die(1, "poll: %m");
    if (n < 0)
        memset(watch.fds, 0, sizeof(watch.fds)); /* nothing is known to be ready */
    if (n == 0 && bh_front_has_slack(front))
        bh_front_trim(front);
    if (watch.fds[0].revents && !bh_receive_control(front))
        return false;
    look_at_workers(front, &watch);
    look_at_client(front, watch.fds[1].revents);
    bh_route_expire(front);
    if (!pump(front))
        return false;
    write_out(front);
    if (claim_due == 0)
        bh_claim_report(front, false);
    note(front, 0);
    return !finished(front);
}
