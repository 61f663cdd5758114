/* Files: what is to be read by nobody, written by nobody, made nowhere. */
#include "escape.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPEN(name, path, flags)                                                                              \
    static int name(const struct world *world)                                                               \
    {                                                                                                        \
        (void)world;                                                                                         \
        return ANSWER(open(path, (flags) | O_CLOEXEC));                                                      \
    }

OPEN(read_shadow, "/etc/shadow", O_RDONLY)
OPEN(read_host_key, "/etc/ssh/ssh_host_ed25519_key", O_RDONLY)
OPEN(read_root, "/root/secret", O_RDONLY)
OPEN(read_home, "/home/secret", O_RDONLY)
OPEN(read_tmp, "/tmp/secret", O_RDONLY)
OPEN(read_run, "/run/secret", O_RDONLY)
OPEN(read_policy, "/etc/bulkhead/policy", O_RDONLY)
OPEN(read_state, "/var/lib/bulkhead/secret", O_RDONLY)
OPEN(read_kcore, "/proc/kcore", O_RDONLY)
OPEN(read_keys, "/proc/keys", O_RDONLY)
OPEN(read_pid1_environment, "/proc/1/environ", O_RDONLY)
OPEN(look_into_pid1_root, "/proc/1/root/etc", O_RDONLY | O_DIRECTORY)
OPEN(write_passwd, "/etc/passwd", O_WRONLY)
OPEN(write_core_pattern, "/proc/sys/kernel/core_pattern", O_WRONLY)
OPEN(write_modprobe, "/proc/sys/kernel/modprobe", O_WRONLY)
OPEN(write_sysrq, "/proc/sysrq-trigger", O_WRONLY)
OPEN(write_sysfs, "/sys/kernel/rcu_expedited", O_WRONLY)
OPEN(write_own_memory, "/proc/self/mem", O_WRONLY)
OPEN(write_kmsg, "/dev/kmsg", O_WRONLY)
OPEN(open_mem, "/dev/mem", O_RDONLY)
OPEN(open_kvm, "/dev/kvm", O_RDWR)
OPEN(open_loop_control, "/dev/loop-control", O_RDWR)
OPEN(open_terminal, "/dev/ptmx", O_RDWR | O_NOCTTY)
OPEN(open_console, "/dev/console", O_WRONLY | O_NOCTTY)
OPEN(list_debugfs, "/sys/kernel/debug", O_RDONLY | O_DIRECTORY)

/* Whoever waits until it does not run could write to it, through the mount that it was executed from. */
static int write_own_program(const struct world *world)
{
    struct statvfs st;

    (void)world;
    if (statvfs("/proc/self/exe", &st) < 0)
        return errno;
    return st.f_flag & ST_RDONLY ? EROFS : 0;
}

static int write_beside(const struct world *world)
{
    return ANSWER(open(world->suid, O_WRONLY | O_CLOEXEC));
}

static int write_cgroup(const struct world *world)
{
    int fd = open("/sys/fs/cgroup/memory/release_agent", O_WRONLY | O_CLOEXEC);

    (void)world;
    if (fd < 0 && errno == ENOENT) /* not version 1 */
        fd = open("/sys/fs/cgroup/cgroup.procs", O_WRONLY | O_CLOEXEC);
    return ANSWER(fd);
}

static int make(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd >= 0)
        (void)unlink(path);
    return ANSWER(fd);
}

static int make_in_etc(const struct world *world)
{
    (void)world;
    return make("/etc/.bulkhead-escape");
}

static int make_in_usr(const struct world *world)
{
    (void)world;
    return make("/usr/bin/.bulkhead-escape");
}

static int make_in_root(const struct world *world)
{
    (void)world;
    return make("/.bulkhead-escape");
}

static int make_in_run(const struct world *world)
{
    (void)world;
    return make("/run/.bulkhead-escape");
}

static int make_in_tmp(const struct world *world)
{
    (void)world;
    return make("/tmp/.bulkhead-escape");
}

static int make_device(const struct world *world)
{
    int r = mknod("/tmp/.bulkhead-device", S_IFCHR | 0600, makedev(1, 3));

    (void)world;
    if (r == 0)
        (void)unlink("/tmp/.bulkhead-device");
    return ANSWER(r);
}

static int make_set_uid(const struct world *world)
{
    struct stat st;
    int fd = open("/tmp/.bulkhead-suid", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0700), error;

    (void)world;
    if (fd < 0)
        return errno;
    error = fchmod(fd, 04700) < 0 || fstat(fd, &st) < 0 ? errno : 0;
    (void)unlink("/tmp/.bulkhead-suid");
    return error;
}

static int hard_link(const struct world *world)
{
    int r = link("/etc/passwd", "/etc/.bulkhead-escape");

    (void)world;
    if (r == 0)
        (void)unlink("/etc/.bulkhead-escape");
    return ANSWER(r);
}

static int change_mode(const struct world *world)
{
    struct stat st;

    (void)world;
    return stat("/etc/passwd", &st) < 0 ? errno : ANSWER(chmod("/etc/passwd", st.st_mode & 07777));
}

static int change_owner(const struct world *world)
{
    (void)world;
    return ANSWER(chown("/etc/passwd", 0, 0));
}

/* A copy of this program, executed: 0 if it ran. */
static int run_copy(int from, int to, const char *path)
{
    struct stat st;
    int status;
    pid_t pid;

    if (fstat(from, &st) < 0 || sendfile(to, from, NULL, (size_t)st.st_size) != st.st_size || close(to) < 0)
        return errno;
    pid = fork();
    if (pid == 0) {
        (void)execl(path, path, "who", (char *)NULL);
        _exit(errno);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return EIO;
    return WEXITSTATUS(status) == EXIT_MAGIC ? 0 : WEXITSTATUS(status);
}

static int execute_what_it_wrote(const struct world *world)
{
    static const char path[] = "/tmp/.bulkhead-copy";
    int from = open(world->self, O_RDONLY | O_CLOEXEC);
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700), r;

    if (from < 0 || to < 0)
        return errno;
    r = run_copy(from, to, path);
    (void)unlink(path);
    return r;
}

static int make_memfd(const struct world *world)
{
    (void)world;
    return ANSWER(memfd_create("escape", 0));
}

static int write_and_execute_memory(const struct world *world)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)world;
    return page == MAP_FAILED ? errno : ANSWER(mprotect(page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
}

/* Nothing but the three streams is open. */
static int inherit_descriptors(const struct world *world)
{
    (void)world;
    for (int fd = 3; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            return 0;
    return EBADF;
}

const struct attempt attempts_files[] = {
    { "read-shadow", read_shadow },
    { "read-host-key", read_host_key },
    { "read-root-folder", read_root },
    { "read-home", read_home },
    { "read-guest-tmp", read_tmp },
    { "read-guest-run", read_run },
    { "read-policy", read_policy },
    { "read-state", read_state },
    { "read-kcore", read_kcore },
    { "read-keys", read_keys },
    { "read-pid1-environment", read_pid1_environment },
    { "pid1-root", look_into_pid1_root },
    { "list-debugfs", list_debugfs },
    { "write-passwd", write_passwd },
    { "write-core-pattern", write_core_pattern },
    { "write-modprobe-path", write_modprobe },
    { "write-sysrq", write_sysrq },
    { "write-sysfs", write_sysfs },
    { "write-cgroup", write_cgroup },
    { "write-own-memory-file", write_own_memory },
    { "write-own-program", write_own_program },
    { "write-beside-program", write_beside },
    { "write-kmsg", write_kmsg },
    { "open-mem", open_mem },
    { "open-kvm", open_kvm },
    { "open-loop-control", open_loop_control },
    { "open-terminal", open_terminal },
    { "open-console", open_console },
    { "make-in-etc", make_in_etc },
    { "make-in-usr", make_in_usr },
    { "make-in-root", make_in_root },
    { "make-in-run", make_in_run },
    { "make-in-tmp", make_in_tmp },
    { "make-device", make_device },
    { "make-set-uid", make_set_uid },
    { "hard-link", hard_link },
    { "change-mode", change_mode },
    { "change-owner", change_owner },
    { "execute-what-it-wrote", execute_what_it_wrote },
    { "memfd", make_memfd },
    { "write-and-execute-memory", write_and_execute_memory },
    { "inherited-descriptors", inherit_descriptors },
};

const size_t n_attempts_files = sizeof(attempts_files) / sizeof(attempts_files[0]);
