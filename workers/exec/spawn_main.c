/*
 * bulkhead-spawn: runs what a rule says to run without a sandbox. It is not confined, since programs inherit what it is
 * bound by. What it does not do instead: it is there only while something of it runs, and for a moment after; its only
 * client is the exec worker of its channel; it decides by itself, with the channel's policy, and runs nothing but what a
 * rule with `sandbox none` allows.
 */
#include <limits.h>
#include <sys/socket.h>

#include "policy/confine/profiles.h"
#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "workers/exec/engine.h"

#define IDLE_MS 5000

static struct bh_engine engine;

static void prepare(struct bh_worker *worker)
{
    bh_engine_init(&engine, worker, true);
}

static int next_tick(struct bh_worker *worker)
{
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME), due = engine.idle_since_ms + IDLE_MS;

    (void)worker;
    if (engine.n > 0 || engine.leaving)
        return -1;
    return due > now ? (int)(due - now) : 0;
}

/* Takes nothing more: what has come is served, then the loop ends. */
static void tick(struct bh_worker *worker)
{
    (void)worker;
    engine.leaving = true;
    (void)shutdown(BH_FD_PEER, SHUT_RD);
}

int main(void)
{
    static const struct bh_worker_main spawn = { .profile = &bh_profile_spawn,
                                                 .prepare = prepare,
                                                 .next_tick = next_tick,
                                                 .tick = tick,
                                                 .watched = bh_engine_watched,
                                                 .ready = bh_engine_ready,
                                                .ended = bh_engine_ended };

    bh_worker_run(&spawn);
}
