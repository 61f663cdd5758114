/* bulkhead-spool: collects what one channel's executions write, with no privilege at all. */
#include "policy/confine/profiles.h"
#include "workers/spool/hooks.h"

int main(void)
{
    struct bh_worker_main spool = bh_spool_hooks;

    spool.profile = &bh_profile_spool;
    spool.filter = &bh_filter_spool;
    bh_worker_run(&spool);
}
