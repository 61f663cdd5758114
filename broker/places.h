/*
 * Where things lie unless somebody says otherwise.
 *
 * Trust: in = nothing; out = CHECKED; called by = supervisor, bulkheadctl
 */
#pragma once

#define BH_STATE_DIR_DEFAULT "/var/run"          /* as qemu-ga's -t; ours is the folder bulkhead/ in it */
#define BH_AUDIT_DIR_DEFAULT "/var/log/bulkhead" /* not /run: evidence outlives a reboot, and needs room */
#define BH_CONFIG_FILE_DEFAULT "/etc/qemu/qemu-ga.conf"
#define BH_PID_FILE_DEFAULT "/var/run/qemu-ga.pid"
#define BH_HOOK_DEFAULT "/etc/qemu/fsfreeze-hook"
#define BH_HOOK_DIR_DEFAULT "/etc/bulkhead/freeze.d"
#define BH_VIRTIO_PORT_DEFAULT "/dev/virtio-ports/org.qemu.guest_agent.0"
#define BH_ISA_SERIAL_DEFAULT "/dev/ttyS0"
#define BH_POLICY_FILE_DEFAULT "/etc/bulkhead/policy"
#define BH_PROFILE_DEFAULT "standard" /* where that file does not exist */
