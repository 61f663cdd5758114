/*
 * What every process of ours may do once it is confined: use memory it has, use
 * descriptors it has, know the time, and end. glibc (static, 2.36 and newer) and musl;
 * the calls of their start-up are made before the filter and are not here.
 */
#include "policy/confine/profiles.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>

#include "protocol/base/mem.h"

const struct bh_syscall bh_base_syscalls[] = {
    { "read", .why = "sockets, pipes, files it holds" },
    { "readv", .why = "frames: header and payload at once" },
    { "write", .why = "log line, frames, files it holds" },
    { "writev", .why = "frames; last words of the C library before abort" },
    { "close", .why = "descriptors" },
    { "poll", .why = "the loop" },
    { "ppoll", .why = "the loop, where poll is made of it" },
    { "brk", .why = "malloc" },
    { "mmap", .n_args = 1, .args = { BH_INT(2, PROT_EXEC, 0) }, .why = "malloc; never executable" },
    { "mprotect", .n_args = 1, .args = { BH_INT(2, PROT_EXEC, 0) }, .why = "malloc; never executable" },
    { "munmap", .why = "free" },
    { "mremap", .why = "realloc" },
    { "madvise", .why = "free" },
    { "futex", .why = "locks inside the C library" },
    { "sysinfo", .error = ENOSYS, .why = "qsort asks for the memory size and does without" },
    { "getrandom", .why = "hash seeds" },
    { "clock_gettime", .why = "time, where the vDSO has no clock" },
    { "gettimeofday", .why = "time, where the vDSO has no clock" },
    { "time", .why = "time, where the vDSO has no clock" },
    { "clock_nanosleep", .why = "a pause" },
    { "nanosleep", .why = "a pause (musl)" },
    { "restart_syscall", .why = "the kernel's own, after a stop" },
    { "rt_sigreturn", .why = "return from a signal handler" },
    { "rt_sigprocmask", .why = "abort" },
    { "getpid", .why = "log line; abort" },
    { "gettid", .why = "abort" },
    { "tgkill", .n_args = 1, .args = { BH_INT_IS(2, SIGABRT) },
      .why = "abort, so that a bug is not taken for a kill" },
    { "tkill", .n_args = 1, .args = { BH_INT_IS(1, SIGABRT) }, .why = "abort (musl)" },
    { "exit", .why = "end" },
    { "exit_group", .why = "end" },
};

const uint32_t bh_n_base_syscalls = BH_ARRAY_SIZE(bh_base_syscalls);
