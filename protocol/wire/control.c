/* Control messages, and the one exchange over them that waits: asking the supervisor for a peer. */
#include "protocol/wire/control.h"

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"

_Static_assert(sizeof(struct bh_control) == 8, "a control message is eight bytes");

int bh_control_send(int socket, uint16_t op, uint32_t arg, int fd)
{
    struct bh_control message = { BH_CONTROL_MAGIC, op, arg };

    return bh_fd_send(socket, &message, sizeof(message), fd);
}

int bh_control_recv(int socket, struct bh_control *ret, int *ret_fd)
{
    struct bh_control message;
    _cleanup_close_ int fd = -1;
    int r = bh_fd_recv(socket, &message, sizeof(message), &fd);

    if (r == -ECONNRESET)
        return 0;
    if (r <= 0)
        return r;
    if (message.magic != BH_CONTROL_MAGIC || message.op < BH_CONTROL_START || message.op >= BH_CONTROL_OP_END)
        return -EPROTO;
    *ret = message;
    *ret_fd = bh_take_fd(&fd);
    return 1;
}

/* A question, and what its answer brings. */
struct exchange {
    uint16_t op;                 /* BH_CONTROL_START, BH_CONTROL_POLICY or BH_CONTROL_QUIET */
    uint32_t peer;               /* START: which one */
    uint32_t arg;                /* of the answer */
    bh_control_client_fn client; /* whom clients go to that are introduced meanwhile, or NULL */
};

/* -EAGAIN: about a peer that an earlier call gave up waiting for. Anything else would be lost, so it ends us.
 */
static int judge(struct exchange *exchange, const struct bh_control *message, int *fd)
{
    bool with_fd = *fd >= 0, start = exchange->op == BH_CONTROL_START;

    exchange->arg = message->arg;
    if (message->op == BH_CONTROL_PEER && with_fd)
        return start && message->arg == exchange->peer ? bh_take_fd(fd) : -EAGAIN;
    if (message->op == BH_CONTROL_REFUSED && !with_fd)
        return start && message->arg == exchange->peer ? -EACCES : -EAGAIN;
    if (message->op == BH_CONTROL_POLICY && with_fd && !start)
        return bh_take_fd(fd);
    if (message->op == BH_CONTROL_CLIENT && with_fd && exchange->client) {
        exchange->client(message->arg, bh_take_fd(fd));
        return -EAGAIN;
    }
    if (message->op == BH_CONTROL_QUIET && !with_fd)
        return exchange->op == BH_CONTROL_QUIET ? 0 : -EAGAIN;
    return -EPROTO;
}

/* Sends the question and waits for its answer: the descriptor, or -errno. */
static int ask(int socket, struct exchange *exchange, int timeout_ms)
{
    uint64_t until = bh_clock_ms(CLOCK_MONOTONIC) + (uint64_t)timeout_ms;
    int r = bh_control_send(socket, exchange->op, exchange->peer, -1);

    while (r == 0) {
        _cleanup_close_ int fd = -1;
        struct bh_control message;

        r = bh_fd_wait(socket, until);
        if (r < 0)
            return r;
        r = bh_control_recv(socket, &message, &fd);
        if (r == 0)
            return -EPIPE;
        if (r > 0)
            r = judge(exchange, &message, &fd);
        if (r == -EAGAIN)
            r = 0;
        else
            return r;
    }
    return r;
}

int bh_control_start(int socket, uint32_t peer, int timeout_ms)
{
    struct exchange exchange = { .op = BH_CONTROL_START, .peer = peer };

    return ask(socket, &exchange, timeout_ms);
}

int bh_control_quiet(int socket, int timeout_ms)
{
    struct exchange exchange = { .op = BH_CONTROL_QUIET };

    return ask(socket, &exchange, timeout_ms);
}

int bh_control_policy(int socket, int timeout_ms, bh_control_client_fn client, uint32_t *ret_size)
{
    struct exchange exchange = { .op = BH_CONTROL_POLICY, .client = client };
    int fd = ask(socket, &exchange, timeout_ms);

    if (fd >= 0)
        *ret_size = exchange.arg;
    return fd;
}
