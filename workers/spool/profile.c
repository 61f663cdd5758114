/*
 * Confinement of the spool: it moves bytes from pipes to its front, and has no privilege. It can open
 * nothing; every descriptor it has was given to it.
 */
#include "policy/confine/profiles.h"

#include <errno.h>
#include <fcntl.h>

#include "protocol/base/mem.h"

static const struct bh_syscall syscalls[] = {
    { "epoll_ctl", .why = "pipes of executions come and go" },
    { "epoll_wait", .why = "which of them has something" },
    { "epoll_pwait", .why = "the same, where epoll_wait is made of it" },
    { "fstat", .why = "is what was given a pipe" },
    { "newfstatat", .why = "fstat as glibc makes it" },
    { "statx", .error = ENOSYS, .why = "a newer C library falls back" },
    { "fcntl", .n_args = 1, .args = { BH_INT_IS(1, F_GETFL) }, .why = "is it the right end of one" },
    { "fcntl", .n_args = 2,
      .args = { BH_INT_IS(1, F_SETFL), BH_INT(2, O_NONBLOCK | O_APPEND | O_ASYNC, O_NONBLOCK) },
      .why = "its own ends do not block" },
    { "fcntl", .n_args = 1, .args = { BH_INT_IS(1, F_GET_SEALS) }, .why = "is a new policy sealed memory" },
    { "recvmsg", .why = "executions from their feeders, control messages, a new policy" },
    { "sendto", .n_args = 2, .args = { BH_NULL(4), BH_INT_IS(5, 0) },
      .why = "audit records, what feeders are told, for a new policy" },
};

/*
 * Descriptors: four of each of 1,024 executions, and what it was given. Memory: mappings are at most twice as
 * large as what they hold (2 x 160 MiB: BH_SPOOL_KEPT_MAX, and BH_SPOOL_WAIT_MIN of 2,048 streams), but 64
 * KiB at least (128 MiB), 49 MiB of a staged argument, and the rest.
 */
const struct bh_profile bh_profile_spool = {
    .name = "spool",
    .program = "bulkhead-spool",
    .uid = BH_UID_BLOCK + 11,
    .own_net = true,
    .max_fds = 4200,
    .max_memory_mib = 576,
    .view = BH_VIEW_EMPTY,
    .syscalls = syscalls,
    .n_syscalls = BH_ARRAY_SIZE(syscalls),
};
