/* bulkhead-exec. */
#include "policy/confine/profiles.h"
#include "workers/lib/worker.h"

int main(void)
{
    static const struct bh_worker_main main_exec = { .profile = &bh_profile_exec, .filter = &bh_filter_exec };

    bh_worker_run(&main_exec);
}
