/*
 * Beside the filters of `minimal` and `diag` where there is no network namespace to keep a program from the
 * network: in an agent of an ordinary user, under `net none`. Landlock takes TCP away, and UDP it does not
 * know.
 */
#include "policy/confine/profiles.h"

#include <errno.h>
#include <sys/socket.h>

#include "protocol/base/mem.h"

static const struct bh_syscall syscalls[] = {
    { "socket", .error = EPERM, .n_args = 1, .args = { BH_INT_IS(0, AF_INET) }, .why = "net none" },
    { "socket", .error = EPERM, .n_args = 1, .args = { BH_INT_IS(0, AF_INET6) }, .why = "net none" },
};

const struct bh_profile bh_profile_no_net = {
    .name = "no_net",
    .unlisted = BH_UNLISTED_ALLOWED,
    .syscalls = syscalls,
    .n_syscalls = BH_ARRAY_SIZE(syscalls),
};
