/*
 * No confinement: what is run by a rule with `sandbox none` inherits whatever this process is bound by. What
 * it does not do instead: spawn_main.c.
 */
#include "policy/confine/profiles.h"

const struct bh_profile bh_profile_spawn = {
    .name = "spawn",
    .program = "bulkhead-spawn",
    .uid = 0,
    .bare = true,
    .view = BH_VIEW_HOST,
};
