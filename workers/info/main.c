/* bulkhead-info: what anybody in the guest could read, told to the host. */
#include "policy/confine/profiles.h"
#include "workers/lib/worker.h"

int main(void)
{
    static const struct bh_worker_main info = { .profile = &bh_profile_info, .filter = &bh_filter_info };

    bh_worker_run(&info);
}
