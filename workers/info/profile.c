/* Confinement of the info worker: reads a few folders that anybody may read, and asks the kernel for names.
 */
#include "policy/confine/profiles.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "protocol/base/mem.h"

static const struct bh_syscall syscalls[] = {
    { "openat", .n_args = 1, .args = { BH_INT(2, BH_OPEN_READ_ONLY_MASK, O_RDONLY) },
      .why = "os-release, zone, passwd; the kernel's own files below /proc and /sys" },
    { "open", .n_args = 1, .args = { BH_INT(1, BH_OPEN_READ_ONLY_MASK, O_RDONLY) },
      .why = "the same (musl)" },
    { "fcntl", .n_args = 1, .args = { BH_INT_IS(1, F_SETFD) },
      .why = "close-on-exec of an opened file (musl)" },
    { "fcntl", .n_args = 1, .args = { BH_INT_IS(1, F_GET_SEALS) }, .why = "is a new policy sealed memory" },
    { "fstat", .why = "size of an opened file" },
    { "newfstatat", .why = "fstat and stat as glibc makes them; whether a CPU is still there" },
    { "stat", .why = "zone files (musl)" },
    { "statx", .error = ENOSYS, .why = "a newer C library falls back" },
    { "pread64", .why = "os-release; the state of a CPU, from a file that stays open" },
    { "lseek", .why = "stdio gives back what it read ahead; a folder is listed again" },
    { "getdents64", .why = "lists CPUs, blocks of memory, session files" },
    { "sysinfo", .why = "load averages; qsort asks for the memory size" },
    { "uname", .why = "host name, kernel" },
    { "recvmsg", .why = "a new policy, as a descriptor" },
    { "setsockopt", .n_args = 2, .args = { BH_INT_IS(1, SOL_SOCKET), BH_INT_IS(2, SO_RCVTIMEO) },
      .why = "how long a read from the front lasts" },
    { "sendto", .n_args = 2, .args = { BH_NULL(4), BH_INT_IS(5, 0) },
      .why = "audit records, requests to the routing socket, asking for a new policy; to its peer only" },
    { "socket", .n_args = 3,
      .args = { BH_INT_IS(0, AF_NETLINK), BH_INT_IS(1, SOCK_RAW | SOCK_CLOEXEC),
                BH_INT_IS(2, NETLINK_ROUTE) },
      .why = "interfaces and addresses; without a capability it can only ask" },
};

static const struct bh_view_path paths[] = {
    { "/etc", BH_ACCESS_READ },
    { "/usr/lib", BH_ACCESS_READ },
    { "/usr/share/zoneinfo", BH_ACCESS_READ },
    /* What a kernel or a container may be without: nothing of the rest of /proc and /sys is visible. */
    { "/proc/diskstats", BH_ACCESS_READ, .optional = true },
    { "/proc/stat", BH_ACCESS_READ, .optional = true },
    { "/sys/devices/system/cpu", BH_ACCESS_READ, .optional = true },
    { "/sys/devices/system/memory", BH_ACCESS_READ, .optional = true },
    { "/proc/self/net/route", BH_ACCESS_READ, .optional = true },
    { "/proc/self/net/ipv6_route", BH_ACCESS_READ, .optional = true },
    { "/run/utmp", BH_ACCESS_READ, .optional = true },
    { "/run/systemd/sessions", BH_ACCESS_READ, .optional = true },
};

const struct bh_profile bh_profile_info = {
    .name = "info",
    .program = "bulkhead-info",
    .uid = BH_UID_BLOCK + 3,
    .caps = 0,
    .own_net = false, /* it tells the guest's interfaces */
    .max_fds = 64,
    .max_memory_mib = 128,
    .filesize_max_mib = 0,
    .view = BH_VIEW_PATHS,
    .n_paths = BH_ARRAY_SIZE(paths),
    .paths = paths,
    .syscalls = syscalls,
    .n_syscalls = BH_ARRAY_SIZE(syscalls),
};
