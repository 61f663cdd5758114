/* Where the worker loop meets the spool. */
#include <stdlib.h>
#include <string.h>

#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "workers/lib/worker.h"
#include "workers/spool/hooks.h"
#include "workers/spool/spool.h"

static struct bh_spool spool;

static void prepare(struct bh_worker *worker)
{
    int r = bh_spool_init(&spool, &worker->audit, BH_FD_CONTROL,
                          worker->policy.slice->settings[BH_SET_EXEC_IDLE_S]);

    if (r < 0)
        bh_die(EXIT_FAILURE, "what executions write cannot be waited for: %s", strerror(-r));
    worker->context = &spool;
}

static int watched(struct bh_worker *worker)
{
    (void)worker;
    return spool.epoll;
}

static void ready(struct bh_worker *worker)
{
    (void)worker;
    bh_spool_pump(&spool, 0);
    if (spool.ended)
        bh_die(EXIT_FAILURE, "%s", spool.ended);
}

static void client(uint32_t arg, int fd)
{
    (void)arg;
    bh_feeder_add(&spool, fd);
}

static int next_tick(struct bh_worker *worker)
{
    (void)worker;
    return bh_spool_next(&spool);
}

static void tick(struct bh_worker *worker)
{
    (void)worker;
    bh_spool_expire(&spool);
}

static void renewed(struct bh_worker *worker)
{
    bh_spool_set_idle(&spool, worker->policy.slice->settings[BH_SET_EXEC_IDLE_S]);
}

const struct bh_worker_main bh_spool_hooks = { .prepare = prepare,
                                               .next_tick = next_tick,
                                               .tick = tick,
                                               .watched = watched,
                                               .ready = ready,
                                               .client = client,
                                               .renewed = renewed };
