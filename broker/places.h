/*
 * Where things lie unless somebody says otherwise.
 *
 * Trust: in = nothing; out = CHECKED; called by = supervisor, bulkheadctl
 */
#pragma once

#define BH_STATE_DIR_DEFAULT "/var/run"          /* as qemu-ga's -t; ours is the folder bulkhead/ in it */
#define BH_AUDIT_DIR_DEFAULT "/var/log/bulkhead" /* not /run: evidence outlives a reboot, and needs room */
#define BH_POLICY_FILE_DEFAULT "/etc/bulkhead/policy"
#define BH_PROFILE_DEFAULT "standard" /* where that file does not exist */
