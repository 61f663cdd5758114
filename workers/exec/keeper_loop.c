/* The keeper's loop: signals, the time limit, and, if the execution is kept, its output when nobody else
 * reads it. */
#include "workers/exec/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/confine/cgroupfs.h"
#include "protocol/base/clock.h"
#include "protocol/base/mem.h"
#include "workers/lib/tree.h"

#define COUNT_MS 50u
#define REAP_MAX 64    /* at once: what never stops dying keeps us from nothing else */
#define SIGNALS_MAX 16 /* likewise */
#define REAP_ROUNDS 200
#define REAP_ROUND_MS 1
#define AGAIN_MS 100

struct keeper {
    const struct bh_start *start;
    pid_t child; /* 0: it has ended */
    int signals;
    bool contains;        /* a pid namespace ends with us */
    uint64_t deadline_ms; /* CLOCK_BOOTTIME; 0 = none */
    bool behind;          /* more may wait to be reaped */
    bool draining;        /* the spool is gone: its part falls to us */
};

/* What the program was given is not the keeper's any more: a pipe must end when the program's side does. */
static void let_go(const struct keeper *keeper)
{
    const int *ends = keeper->start->ends, *drains = keeper->start->drains;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (null < 0 || dup2(null, fd) < 0)
            (void)close(fd);
    for (int fd = STDERR_FILENO + 1; fd < BH_KEEPER_FDS; fd++)
        if (fd != ends[0] && fd != ends[1] && fd != drains[0] && fd != drains[1] && fd != keeper->signals)
            (void)close(fd);
}

/* It keeps the right to end what it has started, whoever that has become. */
static void give_up_privilege(void)
{
    struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct caps[2] = { { 1u << CAP_KILL, 1u << CAP_KILL, 0 } };

    if (syscall(SYS_capset, &head, caps) < 0) {
        memset(caps, 0, sizeof(caps)); /* an agent of an ordinary user has none */
        (void)syscall(SYS_capset, &head, caps);
    }
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_SET_DUMPABLE, 0);
}

static void tell(struct keeper *keeper, int status, enum bh_ending_how how)
{
    struct bh_ending ending = { status, how, bh_clock_ms(CLOCK_BOOTTIME) };

    keeper->child = 0;
    for (size_t i = 0; i < BH_ARRAY_SIZE(keeper->start->ends); i++)
        (void)!write(keeper->start->ends[i], &ending, sizeof(ending));
}

/* Of the program, which was killed. Who is traced, or hangs in the kernel, cannot be reaped: no other is to
 * outlive that. */
static int await_child(const struct keeper *keeper)
{
    int status = SIGKILL;

    for (int i = 0; i < REAP_ROUNDS && waitpid(keeper->child, &status, WNOHANG | __WALL) == 0; i++)
        (void)poll(NULL, 0, REAP_ROUND_MS);
    return status;
}

/* Ends whatever is left, and stays until nothing is: were we gone, it would be nobody's. */
static _Noreturn void end_rest(const struct keeper *keeper)
{
    if (keeper->contains) {
        (void)kill(-1, SIGKILL); /* all of the namespace, and nobody is born meanwhile */
        while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
            ;
    } else {
        while (bh_tree_end(BH_TREE_KILL_MS) < 0)
            (void)poll(NULL, 0, AGAIN_MS);
    }
    _exit(0);
}

/* The program's own end is told first, so that it can be told. */
static _Noreturn void end_all(struct keeper *keeper, enum bh_ending_how how)
{
    if (keeper->child) {
        (void)kill(keeper->child, SIGKILL);
        tell(keeper, await_child(keeper), how);
    }
    end_rest(keeper);
}

/* Reaps what has ended, some at once; ends when nothing is left to keep. */
static void reap(struct keeper *keeper)
{
    int status;
    pid_t pid = 1;

    for (unsigned i = 0; i < REAP_MAX && (pid = waitpid(-1, &status, WNOHANG | __WALL)) > 0; i++) {
        if (pid != keeper->child)
            continue;
        tell(keeper, status, BH_ENDED_BY_ITSELF);
        if (keeper->contains)
            end_rest(keeper);
    }
    if (pid < 0 && errno == ECHILD)
        _exit(0);
    keeper->behind = pid > 0;
}

static void serve_signals(struct keeper *keeper)
{
    struct signalfd_siginfo info;

    for (unsigned i = 0;
         i < SIGNALS_MAX && read(keeper->signals, &info, sizeof(info)) == (ssize_t)sizeof(info); i++) {
        if (info.ssi_signo == SIGTERM)
            end_all(keeper, BH_ENDED_KILLED);
        if (info.ssi_signo == (uint32_t)BH_KEEPER_SIGNAL && keeper->child && info.ssi_int > 0 &&
            info.ssi_int < NSIG)
            (void)kill(-keeper->child, info.ssi_int);
        if (info.ssi_signo == SIGCHLD)
            reap(keeper);
    }
}

/* Reads and forgets, once: a program that never pauses keeps nobody from its end. False: nothing more will
 * come. */
static bool drain(int fd)
{
    static char chunk[64 * 1024];
    ssize_t n = read(fd, chunk, sizeof(chunk));

    return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

/* No rlimit counts the processes of uid 0: where no cgroup does, they are counted here. */
static bool counts(const struct bh_sandbox_plan *plan)
{
    return plan->pids && plan->uid == 0 && !(plan->held & BH_CGROUP_PIDS);
}

/* Milliseconds until the next look, or the time limit; 0: it is up. -1: there is nothing to wait for. */
static int patience(const struct keeper *keeper)
{
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME), left = UINT64_MAX;

    if (keeper->deadline_ms)
        left = keeper->deadline_ms > now ? keeper->deadline_ms - now : 0;
    if (counts(&keeper->start->sandbox) && left > COUNT_MS)
        left = COUNT_MS;
    if (left == UINT64_MAX)
        return -1;
    return left < INT_MAX ? (int)left : INT_MAX;
}

/* One round. The reading ends of a kept execution are looked at only when the spool is gone. */
static void step(struct keeper *keeper, int drains[2])
{
    struct pollfd fds[] = { { .fd = keeper->signals, .events = POLLIN },
                            { .fd = keeper->start->keep && !keeper->draining ? keeper->start->ends[0] : -1 },
                            { .fd = keeper->draining ? drains[0] : -1, .events = POLLIN },
                            { .fd = keeper->draining ? drains[1] : -1, .events = POLLIN } };
    int n = poll(fds, BH_ARRAY_SIZE(fds), keeper->behind ? 0 : patience(keeper));

    if (patience(keeper) == 0)
        end_all(keeper, BH_ENDED_TIMED_OUT);
    if (counts(&keeper->start->sandbox) && bh_sandbox_count() > (int)keeper->start->sandbox.pids)
        end_all(keeper, BH_ENDED_TOO_MANY);
    if (keeper->behind)
        reap(keeper);
    if (n <= 0)
        return;
    if (fds[1].revents)
        keeper->draining = true;
    for (int i = 0; i < 2; i++)
        if (fds[2 + i].revents && !drain(drains[i]))
            bh_close_p(&drains[i]);
    if (fds[0].revents)
        serve_signals(keeper);
}

_Noreturn void bh_keeper_watch(const struct bh_start *start, pid_t child, int signals)
{
    struct keeper keeper = { .start = start,
                             .child = child,
                             .signals = signals,
                             .contains = bh_sandbox_namespaces(&start->sandbox) & CLONE_NEWPID };
    int drains[2] = { start->drains[0], start->drains[1] };

    let_go(&keeper);
    give_up_privilege();
    if (start->timeout_s)
        keeper.deadline_ms = bh_clock_ms(CLOCK_BOOTTIME) + start->timeout_s * UINT64_C(1000);
    for (;;)
        step(&keeper, drains);
}
