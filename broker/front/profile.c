/*
 * Confinement of the front, the process that reads what the host sends: it has the
 * sockets it was given and nothing else. It may receive descriptors and can pass none:
 * sendto carries no descriptor, sendmsg is not allowed.
 */
#include "policy/confine/profiles.h"

#include <fcntl.h>

#include "protocol/base/mem.h"

static const struct bh_syscall syscalls[] = {
    { "fcntl", .n_args = 1, .args = { BH_INT_IS(1, F_GET_SEALS) }, .why = "is a new policy sealed memory" },
    { "recvmsg", .why = "control messages with a descriptor: the client, a worker, a new policy" },
    { "sendto", .n_args = 2, .args = { BH_NULL(4), BH_INT_IS(5, 0) },
      .why = "records, start requests; to its peer only" },
};

const struct bh_profile bh_profile_front = {
    .name = "front",
    .program = "bulkhead-front",
    .uid = BH_UID_BLOCK + 2,
    .caps = 0,
    .own_net = true,
    .max_fds = 64,
    .max_memory_mib = 128,
    .filesize_max_mib = 0,
    .view = BH_VIEW_EMPTY,
    .syscalls = syscalls,
    .n_syscalls = BH_ARRAY_SIZE(syscalls),
};
