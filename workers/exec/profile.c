/* Confinement of the exec worker. */
#include "policy/confine/profiles.h"

#include <errno.h>
#include <linux/capability.h>

#include "protocol/base/mem.h"

static const struct bh_syscall syscalls[] = {
    { "bpf", .error = EPERM, .why = "programs in the kernel" },
    { "kexec_load", .error = EPERM, .why = "another kernel" },
};

const struct bh_profile bh_profile_exec = {
    .name = "exec",
    .program = "bulkhead-exec",
    .uid = BH_UID_BLOCK + 10,
    .caps = UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID | UINT64_C(1) << CAP_SETPCAP |
            UINT64_C(1) << CAP_KILL | UINT64_C(1) << CAP_SYS_ADMIN | UINT64_C(1) << CAP_DAC_READ_SEARCH,
    .spawns = true,
    .max_fds = 4096,
    .view = BH_VIEW_HOST,
    .unlisted = BH_UNLISTED_ALLOWED,
    .syscalls = syscalls,
    .n_syscalls = BH_ARRAY_SIZE(syscalls),
};
