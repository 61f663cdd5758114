/*
 * Confinement of who asks NVMe disks. SYS_ADMIN is what the kernel wants for a controller's command, and
 * which command it is stands in memory, where no filter looks. So this is who may do anything to NVMe disks,
 * and nothing to anything else: the supervisor makes a view of their nodes alone, as they are when it starts.
 */
#include "policy/confine/profiles.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nvme_ioctl.h>
#include <sys/ioctl.h>

#include "protocol/base/mem.h"

static const struct bh_syscall syscalls[] = {
    { "openat", .n_args = 1, .args = { BH_INT(2, BH_OPEN_READ_ONLY_MASK, O_RDONLY) },
      .why = "a disk's node" },
    { "open", .n_args = 1, .args = { BH_INT(1, BH_OPEN_READ_ONLY_MASK, O_RDONLY) },
      .why = "the same (musl)" },
    { "fcntl", .n_args = 1, .args = { BH_INT_IS(1, F_SETFD) },
      .why = "close-on-exec of an opened file (musl)" },
    { "fstat", .why = "is it a disk" },
    { "newfstatat", .why = "fstat as glibc makes it" },
    { "ioctl", .n_args = 1, .args = { BH_INT_IS(1, NVME_IOCTL_ADMIN_CMD) },
      .why = "the health log, and any other command of a disk's controller" },
    { "recvmsg", .why = "which disk" },
    { "sendto", .n_args = 2, .args = { BH_NULL(4), BH_INT_IS(5, 0) }, .why = "its log" },
};

static const struct bh_view_path paths[] = { { "/dev", BH_ACCESS_READ | BH_ACCESS_ANY } };

const struct bh_profile bh_profile_smart = {
    .name = "smart",
    .program = "bulkhead-smart",
    .uid = BH_UID_BLOCK + 7,
    .caps = UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_DAC_READ_SEARCH,
    .own_net = true,
    .max_fds = 32,
    .max_memory_mib = 64,
    .filesize_max_mib = 0,
    .view = BH_VIEW_PATHS,
    .n_paths = BH_ARRAY_SIZE(paths),
    .paths = paths,
    .syscalls = syscalls,
    .n_syscalls = BH_ARRAY_SIZE(syscalls),
};
