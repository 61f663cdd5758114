/* bulkhead-exec: runs the programs that the policy names, in their sandboxes, and has bulkhead-spawn run the others. */
#include "policy/confine/profiles.h"
#include "workers/exec/engine.h"

static struct bh_engine engine;

static void prepare(struct bh_worker *worker)
{
    bh_engine_init(&engine, worker, false);
}

int main(void)
{
    static const struct bh_worker_main exec = { .profile = &bh_profile_exec,
                                                .filter = &bh_filter_exec,
                                                .prepare = prepare,
                                                .watched = bh_engine_watched,
                                                .ready = bh_engine_ready,
                                                .ended = bh_engine_ended };

    bh_worker_run(&exec);
}
