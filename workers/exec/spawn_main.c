/* bulkhead-spawn. */
#include "policy/confine/profiles.h"
#include "workers/lib/worker.h"

int main(void)
{
    static const struct bh_worker_main main_spawn = { .profile = &bh_profile_spawn, .filter = NULL };

    bh_worker_run(&main_spawn);
}
