/*
 * Confinement of the fs worker: opens what a read rule grants, in a read-only view, and
 * moves bytes through descriptors. Whatever is opened for writing comes from an opener,
 * as a descriptor.
 *
 * openat2 keeps its flags behind a pointer, where no filter sees them; the view, the
 * uid and Landlock carry that load. open_by_handle_at must never stand here: with
 * DAC_READ_SEARCH it is the whole disk.
 */
#include "policy/confine/profiles.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/socket.h>

#include "protocol/base/mem.h"

static const struct bh_syscall syscalls[] = {
    { "openat2", .why = "the object that a request names, before it is judged" },
    { "openat", .n_args = 1, .args = { BH_INT(2, BH_OPEN_READ_ONLY_MASK, O_RDONLY) },
      .why = "the judged object again" },
    { "open", .n_args = 1, .args = { BH_INT(1, BH_OPEN_READ_ONLY_MASK, O_RDONLY) },
      .why = "the same (musl)" },
    { "fcntl", .n_args = 1, .args = { BH_INT_IS(1, F_GETFL) }, .why = "how a descriptor was opened" },
    { "fcntl", .n_args = 1, .args = { BH_INT_IS(1, F_SETFD) },
      .why = "close-on-exec of an opened file (musl)" },
    { "fcntl", .n_args = 1, .args = { BH_INT_IS(1, F_GET_SEALS) }, .why = "is a new policy sealed memory" },
    { "fstat", .why = "what was opened" },
    { "newfstatat", .why = "fstat as glibc makes it" },
    { "statx", .error = ENOSYS, .why = "a newer C library falls back" },
    { "fstatfs", .why = "is it a pseudo file system" },
    { "readlink", .why = "resolved name of what was opened (musl)" },
    { "readlinkat", .why = "resolved name of what was opened" },
    { "lseek", .why = "guest-file-seek" },
    { "recvmsg", .why = "an opener's socket, an opened file, a new policy" },
    { "setsockopt", .n_args = 2, .args = { BH_INT_IS(1, SOL_SOCKET), BH_INT_IS(2, SO_RCVTIMEO) },
      .why = "how long a read from the front lasts" },
    { "sendto", .n_args = 2, .args = { BH_NULL(4), BH_INT_IS(5, 0) },
      .why = "audit records, requests to openers, for a new policy" },
};

const struct bh_profile bh_profile_fs = {
    .name = "fs",
    .program = "bulkhead-fs",
    .uid = BH_UID_BLOCK + 4,
    .caps = UINT64_C(1) << CAP_DAC_READ_SEARCH,
    .own_net = true,
    .max_fds = 1100, /* 1,024 handles and what it was given */
    .max_memory_mib = 256,
    .filesize_max_mib = UINT32_MAX,
    .view = BH_VIEW_PATHS,
    .syscalls = syscalls,
    .n_syscalls = BH_ARRAY_SIZE(syscalls),
};
