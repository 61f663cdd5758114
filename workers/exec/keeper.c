/*
 * The fork: what the worker waits for, and what the keeper does until the program runs.
 *
 * The report pipe is close-on-exec: it closes unwritten when execve has succeeded, and that is the only way
 * in which it closes unwritten.
 */
#include "workers/exec/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/mem.h"

#define START_MS 10000u /* until the program runs: a working directory may be on a file system that hangs */
#define SCRATCH_FD 64   /* above every number that is handed out */

/* Where the keeper finds what it has; 0, 1 and 2 are the program's. */
enum seat {
    SEAT_REPORT = 3,
    SEAT_END_SPOOL,
    SEAT_END_WORKER,
    SEAT_PROGRAM,
    SEAT_INTERPRETER,
    SEAT_DRAIN_OUTPUT,
    SEAT_DRAIN_ERROR,
    SEAT_CGROUP,
    SEAT_LAST = SEAT_CGROUP,
};

_Noreturn void bh_start_fail(int report, int error, const char *step)
{
    struct bh_start_failure failure = { .error = error < 0 ? -error : error };

    (void)snprintf(failure.step, sizeof(failure.step), "%s", step);
    (void)!write(report, &failure, sizeof(failure));
    _exit(127);
}

/* Puts each descriptor at its number, close-on-exec but for the first three; everything else of the worker's
 * goes. */
static void take_seats(int seats[SEAT_LAST + 1], int report)
{
    for (int i = 0; i <= SEAT_LAST; i++)
        if (seats[i] >= 0 && (seats[i] = fcntl(seats[i], F_DUPFD_CLOEXEC, SCRATCH_FD)) < 0)
            bh_start_fail(report, errno, "setting up descriptors");
    for (int i = 0; i <= SEAT_LAST; i++) {
        if (seats[i] < 0)
            (void)close(i);
        else if (dup3(seats[i], i, i <= STDERR_FILENO ? 0 : O_CLOEXEC) < 0)
            bh_start_fail(seats[SEAT_REPORT], errno, "setting up descriptors");
    }
    (void)syscall(SYS_close_range, SEAT_LAST + 1, ~0u, 0);
}

/* The same data under the keeper's own numbers. */
static void move_in(const struct bh_start *from, int report, struct bh_start *start,
                    struct bh_program *program)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int seats[SEAT_LAST + 1] = { [STDIN_FILENO] = from->input >= 0 ? from->input : null,
                                 [STDOUT_FILENO] = from->output >= 0 ? from->output : null,
                                 [STDERR_FILENO] = from->error >= 0 ? from->error : null,
                                 [SEAT_REPORT] = report,
                                 [SEAT_END_SPOOL] = from->ends[0],
                                 [SEAT_END_WORKER] = from->ends[1],
                                 [SEAT_PROGRAM] = from->program->fd,
                                 [SEAT_INTERPRETER] = from->program->interpreter,
                                 [SEAT_DRAIN_OUTPUT] = from->keep ? from->drains[0] : -1,
                                 [SEAT_DRAIN_ERROR] = from->keep ? from->drains[1] : -1,
                                 [SEAT_CGROUP] = from->sandbox.cgroup };

    if (null < 0)
        bh_start_fail(report, errno, "opening /dev/null");
    take_seats(seats, report);
    *program = *from->program;
    program->fd = SEAT_PROGRAM;
    program->interpreter = from->program->interpreter < 0 ? -1 : SEAT_INTERPRETER;
    *start = *from;
    start->program = program;
    start->ends[0] = SEAT_END_SPOOL;
    start->ends[1] = SEAT_END_WORKER;
    start->drains[0] = seats[SEAT_DRAIN_OUTPUT] < 0 ? -1 : SEAT_DRAIN_OUTPUT;
    start->drains[1] = seats[SEAT_DRAIN_ERROR] < 0 ? -1 : SEAT_DRAIN_ERROR;
    start->sandbox.cgroup = seats[SEAT_CGROUP] < 0 ? -1 : SEAT_CGROUP;
}

/* For good: they are read from a descriptor. */
static void block_signals(void)
{
    sigset_t set;

    (void)sigfillset(&set);
    (void)sigprocmask(SIG_SETMASK, &set, NULL);
}

static int watch_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, BH_KEEPER_SIGNAL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Nothing outlives the worker unseen: if it dies, the tree is ended. In a pid namespace the parent has no
 * number, so whether it died before the signal was asked for is seen by its end of a pipe. */
static void tie_to_worker(const struct bh_start *start)
{
    struct pollfd fd = { .fd = start->ends[1] };

    if (!start->keep && prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
        bh_start_fail(SEAT_REPORT, errno, "tying it to the agent");
    if (poll(&fd, 1, 0) != 0)
        _exit(127);
}

/* What is executed is the file as it lies in the sandbox, not as it lies in the guest. */
static void move_into_sandbox(const struct bh_sandbox_plan *plan, int fd, const char *path)
{
    int inside;

    if (!(bh_sandbox_namespaces(plan) & CLONE_NEWNS))
        return;
    inside = bh_sandbox_reopen(plan, fd, path);
    if (inside < 0 || dup3(inside, fd, O_CLOEXEC) < 0)
        bh_start_fail(SEAT_REPORT, inside < 0 ? inside : errno, "finding the program in its sandbox");
    (void)close(inside);
}

static _Noreturn void keep(const struct bh_start *from, int report)
{
    struct bh_program program;
    struct bh_start start;
    const char *step = "";
    int signals, r;
    pid_t child;

    (void)setsid();
    block_signals();
    move_in(from, report, &start, &program);
    tie_to_worker(&start);
    if (!(bh_sandbox_namespaces(&start.sandbox) & CLONE_NEWPID) && prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        bh_start_fail(SEAT_REPORT, errno, "becoming its reaper");
    r = bh_sandbox_build(&start.sandbox, &step);
    if (r < 0)
        bh_start_fail(SEAT_REPORT, r, step);
    move_into_sandbox(&start.sandbox, program.fd, program.name);
    if (program.interpreter >= 0)
        move_into_sandbox(&start.sandbox, program.interpreter, program.interpreter_path);
    signals = watch_signals();
    child =
        signals < 0 ? -1 : vfork(); /* it borrows our memory until it executes, and never returns from here */
    if (child < 0)
        bh_start_fail(SEAT_REPORT, errno, "starting a process");
    if (child == 0)
        bh_child_become(&start, SEAT_REPORT);
    bh_keeper_watch(&start, child, signals);
}

/* 0: the program runs; else -errno. */
static int await_start(int report, struct bh_start_failure *ret)
{
    uint64_t until = bh_clock_ms(CLOCK_MONOTONIC) + START_MS;
    struct pollfd fd = { .fd = report, .events = POLLIN };
    ssize_t n;

    do {
        int64_t left = (int64_t)(until - bh_clock_ms(CLOCK_MONOTONIC));

        n = poll(&fd, 1, left > 0 ? (int)left : 0);
    } while (n < 0 && errno == EINTR);
    if (n == 0) {
        *ret = (struct bh_start_failure){ ETIMEDOUT, "waiting for it to start" };
        return -ETIMEDOUT;
    }
    n = read(report, ret, sizeof(*ret));
    if (n == 0)
        return 0;
    if (n != sizeof(*ret) || ret->error <= 0)
        *ret = (struct bh_start_failure){ EIO, "starting it" };
    ret->step[sizeof(ret->step) - 1] = '\0';
    return -ret->error;
}

pid_t bh_keeper_start(const struct bh_start *start, struct bh_start_failure *ret_failure)
{
    unsigned long flags = (unsigned long)bh_sandbox_namespaces(&start->sandbox) | SIGCHLD;
    pid_t keeper;
    int report[2], r;

    *ret_failure = (struct bh_start_failure){ 0 };
    if (pipe2(report, O_CLOEXEC) < 0)
        return -errno;
    keeper = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
    if (keeper == 0) {
        (void)close(report[0]);
        keep(start, report[1]);
    }
    r = keeper < 0 ? -errno : 0;
    (void)close(report[1]);
    if (keeper < 0)
        *ret_failure = (struct bh_start_failure){ -r, "starting its keeper" };
    else
        r = await_start(report[0], ret_failure);
    (void)close(report[0]);
    if (r < 0 && keeper > 0) {
        (void)kill(keeper, SIGKILL);
        (void)waitpid(keeper, NULL, 0);
    }
    return r < 0 ? r : keeper;
}
