/*
 * Confinement of the guard: it thaws what it was given a descriptor of.
 *
 * FITHAW needs SYS_ADMIN, which is root in all but name; what keeps it from that is this table: of ioctl's
 * commands one is there, and nothing can be opened but, by a guard that takes over from one that was killed,
 * folders to be read (then it has DAC_READ_SEARCH too, and the guest's own mounts instead of an empty view).
 */
#include "policy/confine/profiles.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>

#include "protocol/base/mem.h"

static const struct bh_syscall syscalls[] = {
    { "ioctl", .n_args = 1, .args = { BH_INT_IS(1, FITHAW) }, .why = "thaw; no other command" },
    { "openat", .n_args = 1,
      .args = { BH_INT(2, BH_OPEN_READ_ONLY_MASK | O_DIRECTORY, O_RDONLY | O_DIRECTORY) },
      .why = "mount points, when a predecessor was killed" },
    { "open", .n_args = 1,
      .args = { BH_INT(1, BH_OPEN_READ_ONLY_MASK | O_DIRECTORY, O_RDONLY | O_DIRECTORY) },
      .why = "the same (musl)" },
    { "statx", .why = "is it the mount that was meant" },
    { "newfstatat", .why = "fstat and stat as glibc makes them" },
    { "stat", .why = "the device of a btrfs (musl)" },
    { "fstat", .why = "is it a folder; is the record's file system frozen" },
    { "fstatfs", .why = "is the record in memory" },
    { "fcntl", .n_args = 1, .args = { BH_INT_IS(1, F_SETFD) }, .why = "close-on-exec (musl)" },
    { "lseek", .why = "mountinfo from its start" },
    { "pread64", .why = "mountinfo" },
    { "pwrite64", .why = "the record of what is frozen" },
    { "recvmsg", .why = "questions, with the mount's descriptor; control messages" },
    { "sendmsg", .why = "the hooks' socket, back to who froze" },
    { "sendto", .n_args = 2, .args = { BH_NULL(4), BH_INT_IS(5, 0) }, .why = "answers, audit records" },
};

const struct bh_profile bh_profile_thaw = {
    .name = "thaw",
    .program = "bulkhead-thaw",
    .uid = BH_UID_BLOCK + 8,
    .caps = UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_DAC_READ_SEARCH,
    .own_net = true,
    .outlives = true,
    .max_fds = 1100, /* 1,024 mounts and what it was given */
    .max_memory_mib = 64,
    .filesize_max_mib = 8, /* the record */
    .view = BH_VIEW_EMPTY,
    .syscalls = syscalls,
    .n_syscalls = BH_ARRAY_SIZE(syscalls),
};
