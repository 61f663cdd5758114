/* Other processes, more rights, and more of everything than the rule gives. */
#include "escape.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define MANY 200                          /* processes: more than the launcher's `pids` */
#define MUCH ((size_t)1024 * 1024 * 1024) /* bytes: more than its `memory` */

static int open_of(pid_t pid, const char *what, int flags)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, what);
    return ANSWER(open(path, flags | O_CLOEXEC));
}

static int keeper_memory(const struct world *world)
{
    return open_of(world->keeper, "mem", O_RDWR);
}

static int keeper_descriptors(const struct world *world)
{
    return open_of(world->keeper, "fd/0", O_RDONLY);
}

static int keeper_root(const struct world *world)
{
    return open_of(world->keeper, "root/etc", O_RDONLY | O_DIRECTORY);
}

static int keeper_trace(const struct world *world)
{
    return ANSWER(ptrace(PTRACE_SEIZE, world->keeper, NULL, NULL));
}

/* To an address where nothing is. */
static int keeper_write(const struct world *world)
{
    char byte = 0;
    const struct iovec from = { &byte, 1 }, to = { (void *)1, 1 };

    return ANSWER(process_vm_writev(world->keeper, &from, 1, &to, 1, 0));
}

static int keeper_take_descriptor(const struct world *world)
{
    long fd = syscall(SYS_pidfd_open, world->keeper, 0);

    return fd < 0 ? errno : ANSWER(syscall(SYS_pidfd_getfd, fd, 0, 0));
}

static int keeper_signal(const struct world *world)
{
    return ANSWER(kill(world->keeper, 0));
}

static int outsider_signal(const struct world *world)
{
    return ANSWER(kill(world->outsider, 0));
}

static int outsider_environment(const struct world *world)
{
    return open_of(world->outsider, "environ", O_RDONLY);
}

static int outsider_memory(const struct world *world)
{
    return ANSWER(shmget(world->shm_key, 0, 0));
}

static int be_traced(const struct world *world)
{
    (void)world;
    return ANSWER(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int become_root(const struct world *world)
{
    (void)world;
    return ANSWER(setresuid(0, 0, 0));
}

static int become_user(const struct world *world)
{
    (void)world;
    return ANSWER(setresuid(1, 1, 1));
}

static int join_group(const struct world *world)
{
    const gid_t group = 42;

    (void)world;
    return ANSWER(setgroups(1, &group));
}

static int set_uid_program(const struct world *world)
{
    int status;
    pid_t pid = vfork();

    if (pid == 0) {
        (void)execl(world->suid, world->suid, "who", (char *)NULL);
        _exit(errno);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return EIO;
    return WEXITSTATUS(status) == EXIT_MAGIC ? 0 : WEXITSTATUS(status) ? WEXITSTATUS(status) : EPERM;
}

static int raise_ambient(const struct world *world)
{
    (void)world;
    return ANSWER(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0));
}

static int raise_caps(const struct world *world)
{
    struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[2] = { { .effective = 1u << CAP_SYS_ADMIN,
                                                .permitted = 1u << CAP_SYS_ADMIN } };

    (void)world;
    return ANSWER(syscall(SYS_capset, &header, data));
}

static int clear_securebits(const struct world *world)
{
    (void)world;
    return ANSWER(prctl(PR_SET_SECUREBITS, 0));
}

static int clear_no_new_privs(const struct world *world)
{
    (void)world;
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0)
        return 0;
    return ANSWER(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

static int raise_limit(const struct world *world)
{
    struct rlimit limit;

    (void)world;
    if (getrlimit(RLIMIT_AS, &limit) < 0)
        return errno;
    limit.rlim_max = limit.rlim_cur = RLIM_INFINITY;
    return ANSWER(setrlimit(RLIMIT_AS, &limit));
}

/* With 0 a core handler of the guest is fed all the same. */
static int limit_core(const struct world *world)
{
    const struct rlimit limit = { 0, 0 };

    (void)world;
    return ANSWER(setrlimit(RLIMIT_CORE, &limit));
}

static int raise_priority(const struct world *world)
{
    (void)world;
    return ANSWER(setpriority(PRIO_PROCESS, 0, -5));
}

static int real_time(const struct world *world)
{
    const struct sched_param param = { .sched_priority = 1 };

    (void)world;
    return ANSWER(sched_setscheduler(0, SCHED_FIFO, &param));
}

static int many_processes(const struct world *world)
{
    pid_t pids[MANY];
    int n = 0, error = 0;

    (void)world;
    for (; n < MANY && !error; n++) {
        pids[n] = fork();
        if (pids[n] == 0)
            (void)pause();
        if (pids[n] < 0)
            error = errno;
    }
    while (n-- > 0)
        if (pids[n] > 0 && kill(pids[n], SIGKILL) == 0)
            (void)waitpid(pids[n], NULL, 0);
    return error;
}

static int much_memory(const struct world *world)
{
    (void)world;
    return mmap(NULL, MUCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno
                                                                                                      : 0;
}

const struct attempt attempts_processes[] = {
    { "keeper-memory", keeper_memory },
    { "keeper-descriptors", keeper_descriptors },
    { "keeper-root", keeper_root },
    { "keeper-trace", keeper_trace },
    { "keeper-write", keeper_write },
    { "keeper-take-descriptor", keeper_take_descriptor },
    { "keeper-signal", keeper_signal },
    { "outsider-signal", outsider_signal },
    { "outsider-environment", outsider_environment },
    { "outsider-shared-memory", outsider_memory },
    { "be-traced", be_traced },
    { "become-root", become_root },
    { "become-user", become_user },
    { "join-group", join_group },
    { "set-uid-program", set_uid_program },
    { "raise-ambient", raise_ambient },
    { "raise-capabilities", raise_caps },
    { "clear-securebits", clear_securebits },
    { "clear-no-new-privs", clear_no_new_privs },
    { "raise-limit", raise_limit },
    { "limit-core", limit_core },
    { "raise-priority", raise_priority },
    { "real-time", real_time },
    { "many-processes", many_processes },
    { "much-memory", much_memory },
};

const size_t n_attempts_processes = sizeof(attempts_processes) / sizeof(attempts_processes[0]);
