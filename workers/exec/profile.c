/*
 * Confinement of the exec worker: its uid, its few capabilities, and a list of what no command of a guest
 * needs.
 *
 * Every program that it runs inherits the list, for ever, in `plain` too: so it takes away what attacks
 * kernels, and nothing that a login shell is used for. It is loaded by right of SYS_ADMIN, without
 * no_new_privs, or sudo would be of no use in `plain`. Not listed, and why: mount, setns, unshare, chroot,
 * because the worker builds sandboxes by them, whose own filters refuse them; reboot, clock_settime,
 * sethostname, because a rule with `user root` and `sandbox plain` may well be there for that, and they need
 * capabilities that the worker has not. What the list costs such a rule: modprobe, swapon, kexec, strace and
 * gdb, keyctl; it says `sandbox none` if it needs them.
 */
#include "policy/confine/profiles.h"

#include <asm/ioctls.h>
#include <errno.h>
#include <linux/capability.h>

#include "protocol/base/mem.h"

static const struct bh_syscall syscalls[] = {
    { "bpf", .error = EPERM, .why = "programs in the kernel" },
    { "kexec_load", .error = EPERM, .why = "another kernel" },
    { "kexec_file_load", .error = EPERM, .why = "another kernel" },
    { "init_module", .error = EPERM, .why = "code in the kernel" },
    { "finit_module", .error = EPERM, .why = "code in the kernel" },
    { "delete_module", .error = EPERM, .why = "code in the kernel" },
    { "io_uring_setup", .error = EPERM, .why = "does what other calls do, unseen by any filter" },
    { "io_uring_enter", .error = EPERM, .why = "does what other calls do, unseen by any filter" },
    { "io_uring_register", .error = EPERM, .why = "does what other calls do, unseen by any filter" },
    { "userfaultfd", .error = EPERM,
      .why = "stops the kernel in the middle of a copy: what races are won with" },
    { "perf_event_open", .error = EPERM, .why = "a large part of the kernel, with a long history of holes" },
    { "ptrace", .error = EPERM, .why = "another process: this worker is one" },
    { "process_vm_readv", .error = EPERM, .why = "another process, its memory" },
    { "process_vm_writev", .error = EPERM, .why = "another process, its memory" },
    { "pidfd_getfd", .error = EPERM, .why = "another process, its descriptors" },
    { "memfd_secret", .error = EPERM, .why = "memory that not even the kernel sees" },
    { "keyctl", .error = EPERM, .why = "keys of the kernel, which no namespace divides" },
    { "add_key", .error = EPERM, .why = "keys of the kernel, which no namespace divides" },
    { "request_key", .error = EPERM, .why = "keys of the kernel; it starts a program as root" },
    { "swapon", .error = EPERM, .why = "the guest's memory" },
    { "swapoff", .error = EPERM, .why = "the guest's memory" },
    { "acct", .error = EPERM, .why = "a file that the kernel writes to" },
    { "iopl", .error = EPERM, .why = "ports of the hardware" },
    { "ioperm", .error = EPERM, .why = "ports of the hardware" },
    { "open_by_handle_at", .error = EPERM,
      .why = "with DAC_READ_SEARCH, which this worker has, any file of a file system, whatever the path" },
    { "quotactl", .error = EPERM, .why = "old, and of no use to what an agent runs" },
    { "quotactl_fd", .error = EPERM, .why = "old, and of no use to what an agent runs" },
    { "lookup_dcookie", .error = EPERM, .why = "paths out of kernel addresses" },
    { "vmsplice", .error = EPERM, .why = "pages of this process in a pipe, while they change" },
    { "uselib", .error = EPERM, .why = "of before ELF" },
    { "nfsservctl", .error = EPERM, .why = "gone from the kernel" },
    { "_sysctl", .error = EPERM, .why = "gone from the kernel" },
    { "modify_ldt", .error = EPERM, .why = "segments of 16 bits" },
    { "ioctl", .error = EPERM, .n_args = 1, .args = { BH_INT_IS(1, TIOCSTI) },
      .why = "types at somebody's terminal" },
    { "ioctl", .error = EPERM, .n_args = 1, .args = { BH_INT_IS(1, TIOCLINUX) },
      .why = "pastes at the console" },
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
