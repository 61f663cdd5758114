/*
 * bulkhead-spawn: runs what a rule says to run without a sandbox. It is not confined, since programs inherit
 * what it is bound by. What it does not do instead: it is there only while something of it runs, and for a
 * moment after; its only client is the exec worker of its channel, or the front itself if no rule has a
 * sandbox; it decides by itself, with the channel's policy, and runs nothing but what a rule with `sandbox
 * none` allows.
 */
#include <limits.h>
#include <sys/socket.h>

#include "policy/confine/profiles.h"
#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "workers/exec/engine.h"

#define IDLE_MS 5000

static struct bh_engine engine;

static bool bare_only; /* of the policy that it was started for */

static void prepare(struct bh_worker *worker)
{
    bh_engine_init(&engine, worker, true);
    bare_only = bh_policy_runs_bare_only(&worker->policy);
}

static int next_tick(struct bh_worker *worker)
{
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME), due = engine.idle_since_ms + IDLE_MS;

    if (engine.n > 0 || engine.leaving || worker->receiving)
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

/* Rules with a sandbox have come: the front had better have an exec worker now. What runs is not ended for
 * it. */
static bool would_leave(struct bh_worker *worker)
{
    return engine.n == 0 && bh_policy_runs_bare_only(&worker->policy) != bare_only;
}

int main(void)
{
    static const struct bh_worker_main spawn = { .profile = &bh_profile_spawn,
                                                 .relayed = true,
                                                 .prepare = prepare,
                                                 .would_leave = would_leave,
                                                 .next_tick = next_tick,
                                                 .tick = tick,
                                                 .watched = bh_engine_watched,
                                                 .ready = bh_engine_ready,
                                                 .ended = bh_engine_ended };

    bh_worker_run(&spawn);
}
