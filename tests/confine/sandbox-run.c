/*
 * Runs a program in a sandbox, by the functions that the exec worker uses, from a process that is what the
 * exec worker is: same uid, capabilities, securebits, filter. For `none` it is what bulkhead-spawn is: root.
 *
 *   sandbox-run KIND UID [OPTION=VALUE...] PROGRAM [ARGUMENT...]
 *
 * Options: net=host, socket=PATH, path=PATH, cwd=PATH, memory=BYTES, pids=N, group=GID, cpu=PERCENT,
 * cgroup=yes, off=FENCES, required=FENCES, as=UID (the agent is this ordinary user's). PROGRAM is a path
 * without links. Its exit status, 128 + signal, or 125 with a line on standard error that names the step that
 * failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/confine/become.h"
#include "policy/confine/caps.h"
#include "policy/confine/filter.h"
#include "policy/confine/profiles.h"
#include "protocol/base/mem.h"
#include "workers/exec/cgroup.h"
#include "workers/exec/sandbox.h"

#define FAILED 125
#define LIST_MAX 16

static struct bh_view_path paths[LIST_MAX];
static const char *sockets[LIST_MAX];
static gid_t groups[LIST_MAX];
static uid_t as;
static bool grouped;

static struct bh_sandbox_plan plan = {
    .privileged = true, .groups = groups, .cwd = "/", .paths = paths, .sockets = sockets, .cgroup = -1
};

static _Noreturn void fail(const char *step, int error)
{
    (void)fprintf(stderr, "sandbox-run: %s: %s\n", step, strerror(error));
    _exit(FAILED);
}

static void option(const char *name, const char *value)
{
    if (!strcmp(name, "net"))
        plan.host_net = true;
    else if (!strcmp(name, "socket"))
        sockets[plan.n_sockets++] = value;
    else if (!strcmp(name, "path"))
        paths[plan.n_paths++] = (struct bh_view_path){ value, BH_ACCESS_READ, .optional = true };
    else if (!strcmp(name, "cwd"))
        plan.cwd = value;
    else if (!strcmp(name, "memory"))
        plan.memory = strtoull(value, NULL, 10);
    else if (!strcmp(name, "pids"))
        plan.pids = (uint32_t)strtoul(value, NULL, 10);
    else if (!strcmp(name, "off"))
        plan.off = (uint32_t)strtoul(value, NULL, 0);
    else if (!strcmp(name, "required"))
        plan.required = (uint32_t)strtoul(value, NULL, 0);
    else if (!strcmp(name, "cpu"))
        plan.cpu = (uint32_t)strtoul(value, NULL, 10);
    else if (!strcmp(name, "cgroup"))
        grouped = true;
    else if (!strcmp(name, "claim"))
        plan.program = value;
    else if (!strcmp(name, "group"))
        groups[plan.n_groups++] = (gid_t)strtoul(value, NULL, 10);
    else if (!strcmp(name, "as"))
        as = (uid_t)strtoul(value, NULL, 10);
    else
        fail(name, EINVAL);
}

/* What the supervisor and bh_confine_self make of the exec worker. */
static void become_worker(void)
{
    uint64_t caps = bh_profile_exec.caps;
    int r = bh_caps_unroot();

    if (r == 0)
        r = bh_become(bh_profile_exec.uid, bh_profile_exec.uid, 0, NULL);
    if (r == 0)
        r = bh_caps_carry(caps);
    if (r == 0)
        r = bh_caps_finish(caps);
    if (r == 0)
        r = bh_seccomp_load(&bh_filter_exec);
    if (r < 0)
        fail("become the worker", -r);
}

/* The execution has a control group of its own, beside the one this process is in. */
static void join_group(void)
{
    int place = bh_cgroup_place(), r = place < 0 ? place : bh_cgroup_make(place, (uint64_t)getpid(), &plan);

    if (r < 0)
        fail("make a control group", -r);
    (void)fprintf(stderr, "sandbox-run: the group holds %" PRIu32 "\n", plan.held);
}

static void become_somebody(void)
{
    int r = bh_become(as, as, 0, NULL);

    if (r < 0)
        fail("become the starting user", -r);
    plan.privileged = false;
    plan.uid = as;
    plan.gid = as;
}

static _Noreturn void program(int fd, char **argv)
{
    static const char *const environment[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
    const char *step = NULL;
    int r = bh_sandbox_enter(&plan, &step);

    if (r < 0)
        fail(step, -r);
    (void)syscall(SYS_execveat, fd, "", argv, environment, AT_EMPTY_PATH);
    fail("execute", errno);
}

/* Of `child`; whoever else ends is a process that was left to the keeper. */
static int end_of(pid_t child)
{
    int status;
    pid_t ended;

    while ((ended = wait(&status)) != child)
        if (ended < 0 && errno != EINTR)
            fail("wait", errno);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static _Noreturn void keep(int file, char **argv)
{
    const char *step = NULL;
    int r = bh_sandbox_build(&plan, &step), fd, ended;
    pid_t child;

    if (r < 0)
        fail(step, -r);
    fd = bh_sandbox_reopen(&plan, file, plan.program);
    if (fd < 0)
        fail("open the program again", -fd);
    child = fork();
    if (child == 0)
        program(fd, argv);
    ended = child < 0 ? FAILED : end_of(child);
    _exit(ended);
}

static enum bh_sandbox kind_of(const char *name)
{
    for (int kind = BH_SANDBOX_MINIMAL; kind <= BH_SANDBOX_NONE; kind++)
        if (!strcmp(bh_sandbox_name((enum bh_sandbox)kind), name))
            return (enum bh_sandbox)kind;
    fail(name, EINVAL);
}

int main(int argc, char **argv)
{
    int file, first = 3;
    pid_t keeper;
    char *value;

    if (argc < 4)
        return FAILED;
    plan.kind = kind_of(argv[1]);
    plan.uid = (uid_t)strtoul(argv[2], NULL, 10);
    plan.gid = (gid_t)plan.uid;
    for (; first < argc - 1 && argv[first][0] != '/' && (value = strchr(argv[first], '=')); first++) {
        *value = '\0';
        option(argv[first], value + 1);
    }
    if (!plan.program)
        plan.program = argv[first];
    file = open(argv[first], O_PATH | O_CLOEXEC);
    if (file < 0)
        fail(argv[first], errno);
    if (as)
        become_somebody();
    else if (plan.kind != BH_SANDBOX_NONE)
        become_worker();
    if (grouped)
        join_group();
    (void)umask(077);
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        fail("become undumpable", errno);
    keeper = (pid_t)syscall(SYS_clone, bh_sandbox_namespaces(&plan) | SIGCHLD, 0, 0, 0, 0);
    if (keeper < 0)
        fail("start the keeper", errno);
    if (keeper == 0)
        keep(file, argv + first);
    return end_of(keeper);
}
