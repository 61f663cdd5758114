/* bulkhead-fs: file handles of one channel, and the files that are opened as nobody in particular. */
#include "policy/confine/profiles.h"
#include "policy/paths.h"
#include "workers/fs/handle.h"
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
    static struct bh_view_path paths[BH_PATHS_MAX];
    static char storage[BH_PATHS_STORAGE];

    *ret = paths;
    return bh_policy_paths(&worker->policy, BH_NO_USER, paths, BH_PATHS_MAX, storage, sizeof(storage));
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
                                              .tick = tick };

    bh_worker_run(&fs);
}
