/*
 * Confinement of the storage worker: lists every folder, reads what the kernel and udev tell of devices, and
 * asks file systems to freeze and to trim. SYS_ADMIN is what the kernel wants for that; no call stands here
 * that could use it otherwise (mount, unshare, setns, bpf), and an ioctl is one of those named.
 *
 * open_by_handle_at must never stand here: with DAC_READ_SEARCH it is the whole disk.
 */
#include "policy/confine/profiles.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <sys/socket.h>

#include "protocol/base/mem.h"

static const struct bh_syscall syscalls[] = {
    { "openat", .n_args = 1, .args = { BH_INT(2, BH_OPEN_READ_ONLY_MASK, O_RDONLY) },
      .why = "folders where something is mounted; files of /sys and udev" },
    { "open", .n_args = 1, .args = { BH_INT(1, BH_OPEN_READ_ONLY_MASK, O_RDONLY) },
      .why = "the same (musl)" },
    { "ioctl", .n_args = 1, .args = { BH_INT_IS(1, FITRIM) }, .why = "guest-fstrim" },
    { "ioctl", .n_args = 1, .args = { BH_INT_IS(1, FIFREEZE) }, .why = "freezing" },
    { "ioctl", .n_args = 1, .args = { BH_INT_IS(1, FITHAW) },
      .why = "what was frozen while the guard died: nobody else knows of it" },
    { "fcntl", .n_args = 1, .args = { BH_INT_IS(1, F_SETFD) },
      .why = "close-on-exec of an opened file (musl)" },
    { "fcntl", .n_args = 1, .args = { BH_INT_IS(1, F_GET_SEALS) }, .why = "is a new policy sealed memory" },
    { "fstat", .why = "is a new policy as large as it says" },
    { "newfstatat", .why = "fstat and stat as glibc makes them; the device of a btrfs" },
    { "stat", .why = "the same (musl)" },
    { "statx", .why = "which mount a folder belongs to" },
    { "statfs", .why = "how full a file system is" },
    { "readlink", .why = "where a device hangs (musl)" },
    { "readlinkat", .why = "where a device hangs, which driver it has" },
    { "pread64", .why = "mountinfo, from a file that stays open" },
    { "lseek", .why = "a folder is listed from its start" },
    { "getdents64", .why = "lists devices and their slaves" },
    { "sysinfo", .why = "qsort asks for the memory size" },
    { "recvmsg", .why = "a new policy, as a descriptor" },
    { "setsockopt", .n_args = 2, .args = { BH_INT_IS(1, SOL_SOCKET), BH_INT_IS(2, SO_RCVTIMEO) },
      .why = "how long a read from the front lasts" },
    { "sendto", .n_args = 2, .args = { BH_NULL(4), BH_INT_IS(5, 0) },
      .why = "audit records, asking for a new policy, the guard; to its peer only" },
    { "sendmsg", .why = "a mount's descriptor, to the guard before it is frozen" },
};

static const struct bh_view_path paths[] = {
    { "/", BH_ACCESS_LIST },
    { "/proc/partitions", BH_ACCESS_READ, .optional = true },
    { "/sys/devices", BH_ACCESS_READ, .optional = true },
    { "/run/udev/data", BH_ACCESS_READ, .optional = true },
};

const struct bh_profile bh_profile_storage = {
    .name = "storage",
    .program = "bulkhead-storage",
    .uid = BH_UID_BLOCK + 5,
    .caps = UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_DAC_READ_SEARCH,
    .own_net = true,
    .max_fds = 64,
    .max_memory_mib = 128,
    .filesize_max_mib = 0,
    .view = BH_VIEW_HOST,
    .n_paths = BH_ARRAY_SIZE(paths),
    .paths = paths,
    .syscalls = syscalls,
    .n_syscalls = BH_ARRAY_SIZE(syscalls),
};
