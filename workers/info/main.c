/* bulkhead-info: what anybody in the guest could read, told to the host. */
#include <stdlib.h>

#include "policy/confine/profiles.h"
#include "policy/paths.h"
#include "workers/info/routes.h"
#include "workers/lib/worker.h"

static uint32_t fixed_paths(struct bh_worker *worker, const struct bh_view_path **ret)
{
    static struct bh_view_path paths[BH_PATHS_MAX];
    static char folder[PATH_MAX];

    (void)worker;
    *ret = paths;
    return bh_profile_paths(&bh_profile_info, getenv("QGA_OS_RELEASE"), paths, BH_PATHS_MAX, folder);
}

static void prepare(struct bh_worker *worker)
{
    (void)worker;
    bh_routes_prepare();
}

int main(void)
{
    static const struct bh_worker_main info = {
        .profile = &bh_profile_info, .filter = &bh_filter_info, .prepare = prepare, .paths = fixed_paths
    };

    bh_worker_run(&info);
}
