/* bulkhead-exec: runs the programs that the policy names, in their sandboxes, and has bulkhead-spawn run the
 * others. */
#include "policy/confine/profiles.h"
#include "workers/exec/engine.h"

static struct bh_engine engine;

/* What a worker may do follows the rules that there were when it was started. */
static unsigned kinds_of(const struct bh_policy *policy)
{
    unsigned kinds = 0;

    for (uint32_t kind = BH_SANDBOX_MINIMAL; kind <= BH_SANDBOX_PLAIN; kind++)
        kinds |= (unsigned)bh_policy_has_sandbox(policy, kind) << kind;
    return kinds;
}

static unsigned kinds; /* of the policy that it was started for */

static bool would_leave(struct bh_worker *worker)
{
    return engine.n == 0 && kinds_of(&worker->policy) != kinds;
}

static void prepare(struct bh_worker *worker)
{
    bh_engine_init(&engine, worker, false);
    kinds = kinds_of(&worker->policy);
}

int main(void)
{
    static const struct bh_worker_main exec = { .profile = &bh_profile_exec,
                                                .filter = &bh_filter_exec,
                                                .prepare = prepare,
                                                .would_leave = would_leave,
                                                .watched = bh_engine_watched,
                                                .ready = bh_engine_ready,
                                                .ended = bh_engine_ended };

    bh_worker_run(&exec);
}
