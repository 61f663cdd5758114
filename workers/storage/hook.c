/*
 * Fork, exec, watch, end.
 *
 * The program is executed by its path, not by the descriptor that was judged: a script that is executed by
 * descriptor has /dev/fd/N for a name, which breaks hooks that look for things beside themselves, and keeps
 * the descriptor open in all its children. Between check and exec only root can change what the path means:
 * that is what the check has made sure of (hook_check.h).
 */
#include "workers/storage/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/mem.h"
#include "workers/lib/tree.h"

#define EXIT_NO_EXEC 127 /* as a shell says it */
#define REAP_MS 2
#define CHUNK (64 * 1024)
#define DRAIN_MAX 64 /* chunks that are read after the end: more than a pipe can hold */

struct run {
    struct bh_hook_result *result;
    pid_t pid;
    int pidfd; /* readable when it has ended */
    int pipe;  /* -1: nobody holds its other end any more */
};

static void reset_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void become(const char *path, const char *argument, int output)
{
    char *const argv[] = { (char *)(uintptr_t)path, (char *)(uintptr_t)argument, NULL };
    char *const environment[] = { (char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                  (char *)"LANG=C.UTF-8", (char *)"HOME=/root", NULL };
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* whoever succeeds us runs the thaw hooks, alone */
    (void)setsid();
    (void)umask(022);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0 || syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0) < 0 ||
        chdir("/") < 0)
        _exit(EXIT_NO_EXEC);
    reset_signals();
    (void)execve(path, argv, environment);
    (void)dprintf(STDERR_FILENO, "cannot be executed: %s\n", strerror(errno));
    _exit(EXIT_NO_EXEC);
}

static int start(struct run *run, const char *path, const char *argument)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    run->pipe = ends[0];
    (void)fcntl(ends[1], F_SETFL, 0); /* the hook's end waits for us, as programs expect it */
    run->pid = fork();
    if (run->pid == 0)
        become(path, argument, ends[1]);
    (void)close(ends[1]);
    if (run->pid < 0)
        return -errno;
    run->pidfd = (int)syscall(SYS_pidfd_open, run->pid, 0);
    return run->pidfd < 0 ? -errno : 0;
}

/* Reads once. False: there is nothing more. */
static bool take_output(struct run *run)
{
    static char chunk[CHUNK];
    struct bh_hook_result *result = run->result;
    ssize_t n = read(run->pipe, chunk, sizeof(chunk));
    size_t room = sizeof(result->kept) - result->kept_len, keep = n > 0 ? (size_t)n : 0;

    if (n < 0 && errno == EINTR)
        return true;
    if (n == 0)
        (void)close(bh_take_fd(&run->pipe));
    if (n <= 0)
        return false;
    keep = keep < room ? keep : room;
    memcpy(result->kept + result->kept_len, chunk, keep);
    result->kept_len += keep;
    result->output += (uint64_t)n;
    return true;
}

/* Until it has ended (true) or its time is up. */
static bool watch(struct run *run, uint32_t timeout_ms)
{
    int64_t deadline = bh_clock_ms(CLOCK_MONOTONIC) + timeout_ms;

    for (;;) {
        struct pollfd fds[] = { { .fd = run->pidfd, .events = POLLIN },
                                { .fd = run->pipe, .events = POLLIN } };
        int64_t left = deadline - bh_clock_ms(CLOCK_MONOTONIC);

        if (poll(fds, BH_ARRAY_SIZE(fds), left > 0 ? (int)left : 0) > 0) {
            if (fds[0].revents)
                return true;
            if (fds[1].revents)
                (void)take_output(run);
        }
        if (left <= 0)
            return false;
    }
}

static void judge(struct bh_hook_result *result, int status)
{
    if (WIFSIGNALED(status)) {
        result->outcome = BH_HOOK_KILLED;
        result->status = WTERMSIG(status);
    } else if (WEXITSTATUS(status) != 0) {
        result->outcome = BH_HOOK_EXITED;
        result->status = WEXITSTATUS(status);
    }
}

/* Its exit status. False: it has ended, but somebody traces it and does not let it go. */
static bool reap(pid_t pid, int *ret_status)
{
    int64_t deadline = bh_clock_ms(CLOCK_MONOTONIC) + BH_TREE_KILL_MS;

    while (waitpid(pid, ret_status, WNOHANG) != pid) {
        if ((int64_t)bh_clock_ms(CLOCK_MONOTONIC) >= deadline)
            return false;
        (void)poll(NULL, 0, REAP_MS);
    }
    return true;
}

/* Nobody of it runs after this, and what was in the pipe has been read. */
static void end(struct run *run, bool ended)
{
    int status;

    (void)kill(-run->pid, SIGKILL); /* its number is its own until it is reaped, and its session's with it */
    if (ended && reap(run->pid, &status))
        judge(run->result, status);
    else if (ended)
        run->result->outcome = BH_HOOK_LEFT;
    if (bh_tree_end(BH_TREE_KILL_MS) < 0 && run->result->outcome == BH_HOOK_DONE)
        run->result->outcome = BH_HOOK_LEFT;
    for (int i = 0; i < DRAIN_MAX && run->pipe >= 0 && take_output(run); i++)
        ;
}

void bh_hook_execute(const char *path, const char *argument, uint32_t timeout_ms, struct bh_hook_result *ret)
{
    uint64_t began = bh_clock_ms(CLOCK_MONOTONIC);
    struct run run = { .result = ret, .pid = -1, .pidfd = -1, .pipe = -1 };
    bool ended;
    int r;

    ret->outcome = BH_HOOK_DONE;
    ret->status = 0;
    ret->output = ret->kept_len = 0;
    r = start(&run, path, argument);
    if (r < 0) {
        ret->outcome = BH_HOOK_REFUSED;
        ret->status = -r;
    }
    ended = r == 0 && watch(&run, timeout_ms);
    if (r == 0 && !ended) {
        ret->outcome = BH_HOOK_TIMED_OUT;
        ret->status = (int)timeout_ms;
    }
    if (run.pid > 0)
        end(&run, ended);
    bh_close_p(&run.pidfd);
    bh_close_p(&run.pipe);
    ret->ms = (uint32_t)(bh_clock_ms(CLOCK_MONOTONIC) - began);
}
