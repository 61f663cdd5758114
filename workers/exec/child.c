/*
 * The program's process, from fork to exec: the last lines of ours that run in it.
 *
 * What a rule names is executed through the descriptor that was judged, so that nothing that happens to its
 * name matters any more. A script is given to its interpreter: by descriptor if its content is pinned, which
 * programs see as /proc/self/fd/N, else by its resolved name, in folders that only root can change.
 */
#include "workers/exec/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "protocol/base/mem.h"

static void reset_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static size_t count(char *const *list)
{
    size_t n = 0;

    while (list[n])
        n++;
    return n;
}

/* As a shell does with what has no header. */
static void execute_by_shell(const struct bh_start *start)
{
    size_t n = count(start->argv);
    char **argv = calloc(n + 2, sizeof(*argv));

    if (!argv)
        return;
    argv[0] = (char *)"/bin/sh";
    argv[1] = (char *)(uintptr_t)start->path;
    memcpy(argv + 2, start->argv + 1, n * sizeof(*argv)); /* with the NULL */
    (void)execve(argv[0], argv, start->environment);
}

static void execute_by_path(const struct bh_start *start)
{
    (void)execve(start->path, start->argv, start->environment);
    if (errno == ENOEXEC)
        execute_by_shell(start);
}

/* argv of the interpreter: itself, its argument, the script, the script's arguments. */
static void execute_script(const struct bh_start *start)
{
    const struct bh_program *program = start->program;
    char **argv = calloc(count(start->argv) + 3, sizeof(*argv)), by_number[32];
    size_t n = 0;

    if (!argv)
        return;
    argv[n++] = (char *)(uintptr_t)program->interpreter_name;
    if (program->interpreter_arg[0])
        argv[n++] = (char *)(uintptr_t)program->interpreter_arg;
    argv[n++] = (char *)(uintptr_t)program->name;
    if (program->pinned) {
        (void)snprintf(by_number, sizeof(by_number), "/proc/self/fd/%d", program->fd);
        argv[n - 1] = by_number;
        (void)fcntl(program->fd, F_SETFD, 0);
    }
    memcpy(argv + n, start->argv + 1, count(start->argv) * sizeof(*argv)); /* with the NULL */
    (void)syscall(SYS_execveat, program->interpreter, "", argv, start->environment, AT_EMPTY_PATH);
}

/* Who has given up waiting for us has killed the keeper, and said that nothing runs. A user who may stop us
 * could make it so. A change of the user clears the signal. */
static void tie_to_keeper(int report)
{
    struct pollfd fd = { .fd = report };

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (poll(&fd, 1, 0) != 0)
        _exit(127);
}

_Noreturn void bh_child_become(const struct bh_start *start, int report)
{
    const char *step = "";
    int r;

    tie_to_keeper(report);
    (void)setsid();
    reset_signals();
    (void)umask(022);
    r = bh_sandbox_enter(&start->sandbox, &step);
    if (r < 0)
        bh_start_fail(report, r, step);
    tie_to_keeper(report);
    if (start->by_path)
        execute_by_path(start);
    else if (start->program->script)
        execute_script(start);
    else
        (void)syscall(SYS_execveat, start->program->fd, "", start->argv, start->environment, AT_EMPTY_PATH);
    bh_start_fail(report, errno, "");
}
