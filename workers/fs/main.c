/* bulkhead-fs: file handles of one channel, and the files that are opened as nobody in particular. */
#include "policy/confine/profiles.h"
#include "workers/fs/handle.h"
#include "workers/fs/opener_client.h"
#include "workers/fs/stale.h"
#include "workers/lib/worker.h"

static struct bh_handles handles;

static void prepare(struct bh_worker *worker)
{
    bh_handles_init(&handles, worker->state, &worker->audit,
                    worker->policy.slice->settings[BH_SET_HANDLE_IDLE_S]);
    worker->context = &handles;
}

static uint32_t read_paths(struct bh_worker *worker, const struct bh_view_path **ret)
{
    return bh_stale_init(&worker->policy, ret);
}

static void renewed(struct bh_worker *worker)
{
    bh_handles_set_idle(&handles, worker->policy.slice->settings[BH_SET_HANDLE_IDLE_S]);
    bh_opener_forget();
    bh_stale_renew(&worker->policy);
}

static bool would_leave(struct bh_worker *worker)
{
    (void)worker;
    return bh_is_stale() && handles.n == 0;
}

static void ended(struct bh_worker *worker)
{
    bh_handles_close(worker->context, "the process ended");
}

static int next_tick(struct bh_worker *worker)
{
    return bh_handles_next(worker->context);
}

static void tick(struct bh_worker *worker)
{
    bh_handles_expire(worker->context);
}

int main(void)
{
    static const struct bh_worker_main fs = { .profile = &bh_profile_fs,
                                              .filter = &bh_filter_fs,
                                              .prepare = prepare,
                                              .paths = read_paths,
                                              .next_tick = next_tick,
                                              .tick = tick,
                                              .renewed = renewed,
                                              .would_leave = would_leave,
                                              .ended = ended };

    bh_worker_run(&fs);
}
