/* From exec to the loop: map what the supervisor left, confine. The opener, whose loop is its own, starts so
 * too. */
#include <signal.h>
#include <string.h>

#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/wire/frozen.h"
#include "workers/lib/loop.h"

void bh_worker_start(struct bh_worker *worker, const struct bh_worker_main *main)
{
    const struct bh_view_path *paths = main->profile->paths;
    uint32_t n_paths = main->profile->n_paths;
    const uint64_t *settings;

    bh_log_init(main->profile->program, BH_LOG_NOTICE);
    (void)signal(SIGPIPE, SIG_IGN);
    worker->boot = bh_boot_map();
    worker->state = bh_state_map();
    worker->frozen = bh_frozen_map();
    bh_policy_map(&worker->policy);
    worker->audit =
        (struct bh_audit){ .fd = BH_FD_AUDIT, .source = worker->boot->source, .state = worker->state };
    memcpy(worker->audit.policy, worker->policy.slice->digest, sizeof(worker->audit.policy));
    worker->edition = worker->boot->edition;
    if (main->prepare)
        main->prepare(worker);
    if (main->paths)
        n_paths = main->paths(worker, &paths);
    if (main->profile->bare)
        return;
    settings = worker->policy.slice->settings;
    worker->state->fences =
        bh_confine_self(main->profile, main->filter, worker->boot, paths, n_paths,
                        (uint32_t)settings[BH_SET_FENCES_REQUIRED], (uint32_t)settings[BH_SET_FENCES_OFF]);
}
