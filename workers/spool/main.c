/* bulkhead-spool. */
#include "policy/confine/profiles.h"
#include "workers/lib/worker.h"

int main(void)
{
    static const struct bh_worker_main main_spool = { .profile = &bh_profile_spool, .filter = &bh_filter_spool };

    bh_worker_run(&main_spool);
}
