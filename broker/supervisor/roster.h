/*
 * The list of all processes: one row per role, what it is, what it may ask the
 * supervisor for. A reviewer reads this first.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = supervisor
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "policy/confine/confine.h"

enum bh_role {
    BH_ROLE_AUDIT,
    BH_ROLE_FRONT,
    BH_ROLE_INFO,
    BH_ROLE_FS,
    BH_ROLE_OPENER,
    BH_ROLE_THAW,
    BH_ROLE_HOOK,
    BH_ROLE_STORAGE,
    BH_ROLE_SMART,
    BH_ROLE_EXEC,
    BH_ROLE_SPAWN,
    BH_ROLE_SPOOL,
    BH_ROLE_COUNT
};

struct bh_role_row {
    const char *name; /* "fs" */
    const struct bh_profile *profile;
    bool per_channel;
    bool keeps_running; /* started with the agent, and again whenever it ends; else when it is asked for: a
                           front by its channel, a worker by its front */
    bool may_start_workers, may_start_openers, may_start_guard, may_start_smart, may_start_spawn,
        may_feed_spool, may_ask_segment, may_ask_policy, may_leave; /* control messages it may send */
    uint8_t farewell; /* the agent ends: 0 = it is killed; else it gets a moment to end by itself, the lower
                         ones first */
    int worker;       /* enum bh_worker_id that it serves, or -1 */
};

extern const struct bh_role_row bh_roster[BH_ROLE_COUNT];

/* The role that serves this worker number, or -1. */
int bh_roster_worker(uint32_t worker);
