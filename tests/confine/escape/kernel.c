/* The kernel: namespaces, mounts, and calls that administer it. With rights, each fails for its arguments. */
#include "escape.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif
#define NOWHERE "/nonexistent/bulkhead"

/* A system call with these arguments; which ones: the table below. */
#define CALL(name, ...)                                                                                      \
    static int name(const struct world *world)                                                               \
    {                                                                                                        \
        (void)world;                                                                                         \
        return ANSWER(syscall(__VA_ARGS__));                                                                 \
    }

CALL(call_bpf, SYS_bpf, -1, NULL, 0)
CALL(call_io_uring, SYS_io_uring_setup, 0, NULL)
CALL(call_userfaultfd, SYS_userfaultfd, O_CLOEXEC)
CALL(call_perf, SYS_perf_event_open, NULL, 0, -1, -1, 0)
CALL(call_keyctl, SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -3, 1)
CALL(call_add_key, SYS_add_key, "user", "bulkhead-escape", "x", 1, -1 /* of this thread */)
CALL(call_open_by_handle, SYS_open_by_handle_at, AT_FDCWD, NULL, 0)
CALL(call_memfd_secret, SYS_memfd_secret, 0)
CALL(call_init_module, SYS_finit_module, -1, "", 0)
CALL(call_delete_module, SYS_delete_module, "bulkhead_escape", O_NONBLOCK)
CALL(call_kexec, SYS_kexec_load, 0, 0, NULL, ~0ul)
CALL(call_reboot, SYS_reboot, 0, 0, 0, NULL)
CALL(call_swapon, SYS_swapon, NOWHERE, 0)
CALL(call_quotactl, SYS_quotactl, -1, NULL, 0, NULL)
CALL(call_acct, SYS_acct, NOWHERE)
CALL(call_fanotify, SYS_fanotify_init, ~0u, 0)
CALL(call_remount, SYS_mount, NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL)
CALL(call_umount, SYS_umount2, "/etc/shadow", MNT_DETACH)
CALL(call_open_tree, SYS_open_tree, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */)
CALL(call_fsopen, SYS_fsopen, "tmpfs", 0)
CALL(call_pivot_root, SYS_pivot_root, NOWHERE, NOWHERE)
CALL(call_chroot, SYS_chroot, "/tmp")
CALL(call_unshare_user, SYS_unshare, CLONE_NEWUSER)
CALL(call_unshare_mounts, SYS_unshare, CLONE_NEWNS)
CALL(call_clone3, SYS_clone3, NULL, 0)
CALL(call_splice_memory, SYS_vmsplice, -1, NULL, 0, 0)
CALL(call_lookup_dcookie, SYS_lookup_dcookie, 0, NULL, 0)
CALL(call_randomize, SYS_personality, ADDR_NO_RANDOMIZE)
CALL(call_type_at_terminal, SYS_ioctl, 0, TIOCSTI, "x")
CALL(call_paste_at_console, SYS_ioctl, 0, TIOCLINUX, "\003")

static int mount_something(const struct world *world)
{
    int r = mount("bulkhead-escape", "/tmp", "tmpfs", 0, NULL);

    (void)world;
    if (r == 0)
        (void)umount2("/tmp", MNT_DETACH);
    return ANSWER(r);
}

static int clone_user(const struct world *world)
{
    long pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

    (void)world;
    if (pid == 0)
        _exit(0);
    return ANSWER(pid);
}

static int enter(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    return fd < 0 ? errno : ANSWER(setns(fd, 0));
}

static int enter_mounts(const struct world *world)
{
    (void)world;
    return enter("/proc/1/ns/mnt");
}

/* The one it is in: the right to do so is what is asked for. */
static int enter_net(const struct world *world)
{
    (void)world;
    return enter("/proc/self/ns/net");
}

/* The clock's tick becomes what it is. */
static int set_clock(const struct world *world)
{
    struct timex now = { 0 };

    (void)world;
    if (syscall(SYS_adjtimex, &now) < 0)
        return errno;
    now.modes = ADJ_TICK;
    return ANSWER(syscall(SYS_adjtimex, &now));
}

static int set_host_name(const struct world *world)
{
    char name[256] = "";

    (void)world;
    (void)gethostname(name, sizeof(name) - 1);
    return ANSWER(sethostname(name, __builtin_strlen(name)));
}

static int read_log(const struct world *world)
{
    char text[64];

    (void)world;
    return ANSWER(syscall(SYS_syslog, 3 /* SYSLOG_ACTION_READ_ALL */, text, (int)sizeof(text)));
}

#ifdef __x86_64__
CALL(call_iopl, SYS_iopl, 3)
CALL(call_modify_ldt, SYS_modify_ldt, 0, NULL, 0)
CALL(call_x32, 0x40000000 | SYS_getpid)

static int call_i386(const struct world *world)
{
    long result;

    (void)world;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory"); /* getpid */
    return result < 0 ? (int)-result : 0;
}
#endif

const struct attempt attempts_kernel[] = {
    { "bpf", call_bpf },
    { "io-uring", call_io_uring },
    { "userfaultfd", call_userfaultfd },
    { "perf", call_perf },
    { "keyctl", call_keyctl },
    { "add-key", call_add_key },
    { "open-by-handle", call_open_by_handle },
    { "memfd-secret", call_memfd_secret },
    { "load-module", call_init_module },
    { "remove-module", call_delete_module },
    { "kexec", call_kexec },
    { "reboot", call_reboot },
    { "swapon", call_swapon },
    { "quotactl", call_quotactl },
    { "acct", call_acct },
    { "fanotify", call_fanotify },
    { "mount", mount_something },
    { "remount", call_remount },
    { "unmount", call_umount },
    { "copy-mounts", call_open_tree },
    { "new-file-system", call_fsopen },
    { "pivot-root", call_pivot_root },
    { "chroot", call_chroot },
    { "unshare-user", call_unshare_user },
    { "unshare-mounts", call_unshare_mounts },
    { "clone-user", clone_user },
    { "clone3", call_clone3 },
    { "enter-mounts", enter_mounts },
    { "enter-net", enter_net },
    { "vmsplice", call_splice_memory },
    { "lookup-dcookie", call_lookup_dcookie },
    { "no-randomisation", call_randomize },
    { "type-at-terminal", call_type_at_terminal },
    { "paste-at-console", call_paste_at_console },
    { "set-clock", set_clock },
    { "set-host-name", set_host_name },
    { "read-kernel-log", read_log },
#ifdef __x86_64__
    { "iopl", call_iopl },
    { "modify-ldt", call_modify_ldt },
    { "x32-call", call_x32 },
    { "i386-call", call_i386 },
#endif
};

const size_t n_attempts_kernel = sizeof(attempts_kernel) / sizeof(attempts_kernel[0]);
