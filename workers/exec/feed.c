/* The way to the spool. One that has died is asked for anew with the next start, and its successor told what
 * was lost. */
#include <errno.h>
#include <poll.h>

#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "protocol/wire/control.h"
#include "workers/exec/engine.h"

#define START_MS 1000
#define READ_MAX                                                                                             \
    128u /* messages that are read at once: a spool that never pauses keeps us from nothing else */
#define SEND_MS 5000 /* until a spool that is behind takes more */

static void let_go(struct bh_engine *engine)
{
    bh_close_p(&engine->feed);
}

_Static_assert(BH_SPOOL_FDS_MAX <= BH_FDS_MAX, "an OPEN is one packet");

static int send_message(int feed, const struct bh_spool_message *message, const int *fds, unsigned n_fds)
{
    struct pollfd room = { .fd = feed, .events = POLLOUT };
    int r;

    do
        r = bh_fds_send(feed, message, sizeof(*message), fds, n_fds);
    while (r == -EAGAIN && poll(&room, 1, SEND_MS) > 0);
    return r;
}

/* What a spool that died knew of. */
static int tell_lost(struct bh_engine *engine)
{
    int r = 0;

    for (uint32_t i = 0; i < BH_EXECUTIONS_MAX && r == 0; i++) {
        const struct bh_execution *row = &engine->rows[i];
        struct bh_spool_message message = { .magic = BH_SPOOL_MAGIC,
                                            .op = BH_SPOOL_LOST,
                                            .number = row->number };

        if (row->number && row->told && !row->forgotten)
            r = send_message(engine->feed, &message, NULL, 0);
    }
    return r;
}

int bh_feed_connect(struct bh_engine *engine)
{
    int r;

    if (engine->feed >= 0) {
        bh_feed_read(engine); /* a dead one is not sent anything */
        if (engine->feed >= 0)
            return 0;
    }
    engine->feed = bh_control_start(BH_FD_CONTROL, BH_PEER_SPOOL, START_MS);
    if (engine->feed < 0) {
        r = engine->feed;
        engine->feed = -1;
        return r;
    }
    r = bh_engine_watch(engine, engine->feed, engine);
    if (r == 0)
        r = tell_lost(engine);
    if (r < 0)
        let_go(engine);
    return r;
}

int bh_feed_open(struct bh_engine *engine, const struct bh_spool_message *message,
                 const int fds[BH_SPOOL_FDS_MAX])
{
    int sent[BH_SPOOL_FDS_MAX], r;
    unsigned n = 0;

    for (unsigned i = 0; i < BH_SPOOL_FDS_MAX; i++)
        if (fds[i] >= 0)
            sent[n++] = fds[i];
    r = engine->feed < 0 ? -ENOTCONN : send_message(engine->feed, message, sent, n);
    if (r < 0)
        let_go(engine);
    return r;
}

void bh_feed_read(struct bh_engine *engine)
{
    struct bh_spool_message message;
    struct bh_execution *execution;
    int fd = -1, r;

    for (unsigned i = 0; i < READ_MAX && engine->feed >= 0; i++) {
        r = bh_fd_recv(engine->feed, &message, sizeof(message), &fd);
        if (r == -EAGAIN)
            return;
        if (r <= 0 || fd >= 0 || message.magic != BH_SPOOL_MAGIC || message.op != BH_SPOOL_FORGOTTEN) {
            bh_close_p(&fd);
            let_go(engine);
            return;
        }
        execution = bh_engine_find(engine, (int64_t)message.number);
        if (!execution)
            continue;
        execution->forgotten = true;
        bh_engine_settle(engine, execution);
    }
}
