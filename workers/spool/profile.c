/* Confinement of the spool: it moves bytes from pipes to its front, and has no privilege. */
#include "policy/confine/profiles.h"

#include <errno.h>

#include "protocol/base/mem.h"

static const struct bh_syscall syscalls[] = {
    { "recvmsg", .why = "executions from their feeders, new policy" },
    { "sendto", .n_args = 2, .args = { BH_NULL(4), BH_INT_IS(5, 0) }, .why = "audit records, feeders" },
};

const struct bh_profile bh_profile_spool = {
    .name = "spool",
    .program = "bulkhead-spool",
    .uid = BH_UID_BLOCK + 11,
    .own_net = true,
    .max_fds = 4200,
    .max_memory_mib = 1024,
    .view = BH_VIEW_EMPTY,
    .syscalls = syscalls,
    .n_syscalls = BH_ARRAY_SIZE(syscalls),
};
