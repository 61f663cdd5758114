/*
 * Confinement of the audit process: it takes records in and appends them to the log
 * segment it was given. It can neither cut a log nor take the append flag off it.
 */
#include "policy/confine/profiles.h"

#include "protocol/base/mem.h"

static const struct bh_syscall syscalls[] = {
    { "recvmsg", .why = "control messages with a descriptor: a source, a segment; records" },
    { "recvfrom", .why = "records, looked at before they are taken" },
    { "sendto", .n_args = 2, .args = { BH_NULL(4), BH_INT_IS(5, 0) }, .why = "asks for the next segment" },
    { "fstat", .why = "size of the segment" },
    { "fstatfs", .why = "is the segment on a file system that may be frozen? Asked at the end only" },
    { "newfstatat", .why = "fstat as glibc makes it" },
};

const struct bh_profile bh_profile_audit = {
    .name = "audit",
    .program = "bulkhead-audit",
    .uid = BH_UID_BLOCK + 1,
    .caps = 0,
    .own_net = true,
    .max_fds = 256, /* a queue for each source, and for some a former owner's */
    .max_memory_mib = 64,
    .filesize_max_mib = UINT32_MAX,
    .view = BH_VIEW_EMPTY,
    .syscalls = syscalls,
    .n_syscalls = BH_ARRAY_SIZE(syscalls),
};
