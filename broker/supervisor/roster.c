/* The table of roster.h. */
#include "broker/supervisor/roster.h"

#include "policy/confine/profiles.h"
#include "protocol/commands.h"

const struct bh_role_row bh_roster[BH_ROLE_COUNT] = {
    [BH_ROLE_AUDIT] = { "audit", &bh_profile_audit, .keeps_running = true, .may_ask_segment = true,
                        .worker = -1 },
    [BH_ROLE_FRONT] = { "front", &bh_profile_front, .per_channel = true, .may_start_workers = true,
                        .may_ask_policy = true, .worker = BH_WORKER_FRONT },
    [BH_ROLE_INFO] = { "info", &bh_profile_info, .per_channel = true, .may_ask_policy = true,
                       .worker = BH_WORKER_INFO },
    [BH_ROLE_FS] = { "fs", &bh_profile_fs, .per_channel = true, .may_start_openers = true,
                     .may_ask_policy = true, .may_leave = true, .worker = BH_WORKER_FS },
    [BH_ROLE_STORAGE] = { "storage", &bh_profile_storage, .per_channel = true, .may_start_guard = true,
                          .may_start_smart = true, .may_ask_policy = true, .may_leave = true,
                          .worker = BH_WORKER_STORAGE },
    [BH_ROLE_OPENER] = { "opener", &bh_profile_opener, .per_channel = true, .worker = -1 },
    [BH_ROLE_THAW] = { "thaw", &bh_profile_thaw, .worker = -1 },
    [BH_ROLE_SMART] = { "smart", &bh_profile_smart, .per_channel = true, .worker = -1 },
    [BH_ROLE_EXEC] = { "exec", &bh_profile_exec, .per_channel = true, .may_start_spawn = true,
                       .may_feed_spool = true, .may_ask_policy = true, .may_leave = true, .farewell = 1,
                       .worker = BH_WORKER_EXEC },
    [BH_ROLE_SPAWN] = { "spawn", &bh_profile_spawn, .per_channel = true, .may_feed_spool = true,
                        .may_ask_policy = true, .may_leave = true, .farewell = 1, .worker = -1 },
    [BH_ROLE_SPOOL] = { "spool", &bh_profile_spool, .per_channel = true, .may_ask_policy = true,
                        .may_leave = true, .farewell = 2, .worker = BH_WORKER_SPOOL },
    [BH_ROLE_HOOK] = { "hook", &bh_profile_hook, .worker = -1 },
};

int bh_roster_worker(uint32_t worker)
{
    for (int role = 0; role < BH_ROLE_COUNT; role++)
        if (role != BH_ROLE_FRONT && bh_roster[role].worker == (int)worker)
            return role;
    return -1;
}
