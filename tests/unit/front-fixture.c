/* The fixture of front-fixture.h. */
#include "tests/unit/front-fixture.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/base/fd.h"
#include "protocol/commands.h"
#include "protocol/wire/control.h"

static void make_pair(int type, int ret[2])
{
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret) < 0)
        abort();
}

void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    (void)signal(SIGPIPE, SIG_IGN);
    f->worker = -1;
    memset(f->slice.only, 0xff, sizeof(f->slice.only));
    memset(f->rules[0].commands, 0xff, sizeof(f->rules[0].commands));
    f->rules[0].user = BH_NO_USER;
    f->rules[0].verbs = BH_VERB_ALL;
    for (unsigned i = 0; i < BH_CMD_COUNT; i++)
        f->slice.commands[i].count = 1;
    f->front.policy = (struct bh_policy){ .slice = &f->slice,
                                          .rules = f->rules,
                                          .execs = f->execs,
                                          .index = f->index,
                                          .strings = "",
                                          .n_rules = 1 };
}

/* Nothing is frozen here but what a test says. */
struct bh_frozen fixture_frozen;

void fixture_deny(struct fixture *f, unsigned command)
{
    f->slice.commands[command].count = 0;
    f->rules[0].commands[command / 64] &= ~(1ull << command % 64);
    f->slice.only[command / 64] &= ~(1ull << command % 64);
}

void fixture_start(struct fixture *f)
{
    int client[2], control[2], audit[2];

    make_pair(SOCK_STREAM, client);
    make_pair(SOCK_SEQPACKET, control);
    make_pair(SOCK_SEQPACKET, audit);
    f->client = client[0];
    f->supervisor = control[0];
    f->audit = audit[0];
    f->front.frozen = &fixture_frozen;
    f->front.audit = (struct bh_audit){ .fd = audit[1], .source = 16, .state = &f->page };
    if (bh_front_init(&f->front, control[1], client[1], FIXTURE_EPOCH) < 0)
        abort();
    f->started = true;
    fixture_settle(f);
}

void fixture_deinit(struct fixture *f)
{
    if (!f->started)
        return;
    bh_front_deinit(&f->front);
    (void)close(f->front.control);
    (void)close(f->front.audit.fd);
    (void)close(f->client);
    (void)close(f->supervisor);
    (void)close(f->audit);
    if (f->worker >= 0)
        (void)close(f->worker);
}

#define QUIET 3 /* steps in a row that change nothing */

/* All that a step can change. */
static uint64_t look(const struct bh_front *front)
{
    const struct bh_transport *client = &front->client;

    return front->audit.state->requests + client->at + client->len + client->sent + client->out.len +
           client->ended + client->gone + (uint64_t)front->state * 1000003 + front->way.stream.bytes[0] +
           front->way.stream.bytes[1] + front->way.sent + front->gathered.len + front->lift.total +
           front->lift.at;
}

void fixture_settle(struct fixture *f)
{
    for (int quiet = 0; quiet < QUIET && !f->over; quiet++) {
        uint64_t before = look(&f->front);

        f->over = !bh_front_step(&f->front, 0);
        if (look(&f->front) != before)
            quiet = 0;
    }
}

void fixture_say(struct fixture *f, const char *text, size_t len)
{
    while (len > 0 && !f->over) {
        ssize_t n = write(f->client, text, len);

        fixture_settle(f);
        if (n < 0)
            return;
        text += n;
        len -= (size_t)n;
    }
    fixture_settle(f);
}

int fixture_give_worker(struct fixture *f)
{
    struct bh_control message;
    int fd = -1, pair[2];

    if (bh_control_recv(f->supervisor, &message, &fd) <= 0 || message.op != BH_CONTROL_START)
        return -1;
    if (f->worker >= 0)
        (void)close(f->worker);
    make_pair(SOCK_SEQPACKET, pair);
    f->worker = pair[0];
    if (bh_control_send(f->supervisor, BH_CONTROL_PEER, message.arg, pair[1]) < 0)
        abort();
    (void)close(pair[1]);
    fixture_settle(f);
    return (int)message.arg;
}
