/*
 * The filter of `sandbox diag`: that of `minimal`, and what tools that look at a system ask beside. They
 * look; what would change something needs capabilities that nobody in there has.
 */
#include "policy/confine/profiles.h"

#include <linux/netlink.h>
#include <sys/socket.h>

#include "protocol/base/mem.h"

#define ONLY_NETLINK(protocol, text)                                                                         \
    {                                                                                                        \
        "socket", .n_args = 2, .args = { BH_INT_IS(0, AF_NETLINK), BH_INT_IS(2, protocol) }, .why = text     \
    }
#define SYSLOG_READ_ALL 3
#define SYSLOG_SIZE_BUFFER 10

static const struct bh_syscall syscalls[] = {
    { "adjtimex", .why = "how well the clock is kept" },
    { "clock_adjtime", .why = "how well the clock is kept" },
    { "name_to_handle_at", .why = "which mount a file is on" },
    { "statmount", .number = 457, .why = "mounts" },
    { "listmount", .number = 458, .why = "mounts" },
    { "sysfs", .why = "kinds of file systems" },
    { "ustat", .why = "kinds of file systems" },
    { "sync", .why = "tools that sync before they look" },
    { "syncfs", .why = "tools that sync before they look" },
    { "syslog", .n_args = 1, .args = { BH_INT_IS(0, SYSLOG_READ_ALL) },
      .why = "dmesg, where the guest lets users" },
    { "syslog", .n_args = 1, .args = { BH_INT_IS(0, SYSLOG_SIZE_BUFFER) },
      .why = "dmesg, where the guest lets users" },
    ONLY_NETLINK(NETLINK_SOCK_DIAG, "sockets, as ss shows them"),
    ONLY_NETLINK(NETLINK_GENERIC, "links, as ethtool and iw show them"),
    ONLY_NETLINK(NETLINK_KOBJECT_UEVENT, "devices as they come"),
};

const struct bh_profile bh_profile_diag = {
    .name = "diag",
    .unlisted = BH_UNLISTED_REFUSED,
    .syscalls = syscalls,
    .n_syscalls = BH_ARRAY_SIZE(syscalls),
    .like = &bh_profile_minimal,
};
