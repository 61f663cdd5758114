/* bulkhead-opener: opens files as one user, for the fs worker, under that user's rules. */
#include <sys/stat.h>
#include <unistd.h>

#include "policy/confine/profiles.h"
#include "policy/paths.h"
#include "protocol/base/log.h"
#include "workers/fs/opener_serve.h"
#include "workers/lib/loop.h"

static uint32_t user_paths(struct bh_worker *worker, const struct bh_view_path **ret)
{
    static struct bh_view_path paths[BH_PATHS_MAX];
    static char storage[BH_PATHS_STORAGE];

    if (worker->boot->user >= worker->policy.n_users)
        bh_die(BH_EXIT_CONFINE, "the policy has no user %u", worker->boot->user);
    *ret = paths;
    return bh_policy_paths(&worker->policy, worker->boot->user, paths, BH_PATHS_MAX, storage,
                           sizeof(storage));
}

int main(void)
{
    static const struct bh_worker_main opener = { .profile = &bh_profile_opener,
                                                  .filter = &bh_filter_opener,
                                                  .paths = user_paths };
    static struct bh_worker worker;

    (void)umask(0); /* the mode of a new file is the rule's */
    bh_worker_start(&worker, &opener);
    _exit(bh_opener_serve(&worker));
}
