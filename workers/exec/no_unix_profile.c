/*
 * Unix sockets are how one talks to whoever is root in the guest: systemd, D-Bus, docker. Where a rule lists
 * none, no socket of that kind can be made in `minimal` and `diag`: this filter is loaded beside theirs. What
 * a program inherits or gets by socketpair cannot be connected anywhere (only a datagram socket could, and
 * their tables give no such pair).
 */
#include "policy/confine/profiles.h"

#include <errno.h>
#include <sys/socket.h>

#include "protocol/base/mem.h"

static const struct bh_syscall syscalls[] = {
    { "socket", .error = EPERM, .n_args = 1, .args = { BH_INT_IS(0, AF_UNIX) },
      .why = "the rule lists no socket" },
};

const struct bh_profile bh_profile_no_unix = {
    .name = "no_unix",
    .unlisted = BH_UNLISTED_ALLOWED,
    .syscalls = syscalls,
    .n_syscalls = BH_ARRAY_SIZE(syscalls),
};
