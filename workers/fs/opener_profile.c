/*
 * Confinement of an opener: one user's rights over one user's rules. It opens, judges,
 * cuts a file if it is told to, and passes the descriptor on; it writes to no file, so
 * its file size limit is 0.
 *
 * It runs as the rule's user, so there is no uid of its own; `caps` is the most that
 * one may hold, and only root's does.
 */
#include "policy/confine/profiles.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>

#include "protocol/base/mem.h"

static const struct bh_syscall syscalls[] = {
    { "openat2", .why = "the object that a request names, before it is judged; creation" },
    { "openat", .n_args = 1, .args = { BH_INT(2, BH_OPEN_EXISTING_MASK, 0) },
      .why = "the judged object again" },
    { "open", .n_args = 1, .args = { BH_INT(1, BH_OPEN_EXISTING_MASK, 0) }, .why = "the same (musl)" },
    { "fcntl", .n_args = 1, .args = { BH_INT_IS(1, F_SETFD) },
      .why = "close-on-exec of an opened file (musl)" },
    { "fstat", .why = "what was opened" },
    { "newfstatat", .why = "fstat as glibc makes it" },
    { "statx", .error = ENOSYS, .why = "a newer C library falls back" },
    { "fstatfs", .why = "is it a pseudo file system" },
    { "readlink", .why = "resolved name of what was opened (musl)" },
    { "readlinkat", .why = "resolved name of what was opened" },
    { "ftruncate", .why = "truncation, after the object was judged" },
    { "recvmsg", .why = "control messages" },
    { "sendmsg", .why = "the opened file, to the fs worker" },
    { "sendto", .n_args = 2, .args = { BH_NULL(4), BH_INT_IS(5, 0) }, .why = "audit records, answers" },
};

const struct bh_profile bh_profile_opener = {
    .name = "opener",
    .program = "bulkhead-opener",
    .uid = UINT32_MAX,
    .caps = UINT64_C(1) << CAP_DAC_OVERRIDE,
    .own_net = true,
    .max_fds =
        2048, /* the kernel counts what its user has under way in all sockets of the guest against it */
    .max_memory_mib = 64,
    .filesize_max_mib = 0,
    .view = BH_VIEW_PATHS,
    .syscalls = syscalls,
    .n_syscalls = BH_ARRAY_SIZE(syscalls),
};
