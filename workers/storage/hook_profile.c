/*
 * No confinement: what a hook may do is what root may, and all that would be taken from bulkhead-hook would
 * be taken from the hooks too, for good. What it does not do instead: hook_main.c.
 */
#include "policy/confine/profiles.h"

const struct bh_profile bh_profile_hook = {
    .name = "hook",
    .program = "bulkhead-hook",
    .uid = 0,
    .bare = true,
    .outlives = true,
    .view = BH_VIEW_HOST,
};
