/* Confinement of the policy compiler: it reads two files and what it was given, and writes what it was given.
 */
#include "policy/confine/profiles.h"

#include <fcntl.h>

#include "protocol/base/mem.h"

static const struct bh_view_path paths[] = {
    { "/etc/passwd", BH_ACCESS_READ },
    { "/etc/group", BH_ACCESS_READ },
};

static const struct bh_syscall syscalls[] = {
    { "openat", .n_args = 1, .args = { BH_INT(2, BH_OPEN_READ_ONLY_MASK, O_RDONLY) },
      .why = "passwd and group" },
    { "pread64", .why = "the packed policy; passwd and group" },
    { "fstat", .why = "is its descriptor there" },
};

const struct bh_profile bh_profile_policyc = {
    .name = "policyc",
    .program = "bulkhead-policyc",
    .uid = BH_UID_BLOCK + 6,
    .caps = 0,
    .own_net = true,
    .max_fds = 32,
    .max_memory_mib = 256,
    .filesize_max_mib = 2,
    .view = BH_VIEW_PATHS,
    .n_paths = BH_ARRAY_SIZE(paths),
    .paths = paths,
    .syscalls = syscalls,
    .n_syscalls = BH_ARRAY_SIZE(syscalls),
};
