/* The steps of daemon.h. */
#include "broker/supervisor/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/supervisor/logfile.h"
#include "broker/supervisor/pidfile.h"
#include "broker/supervisor/restart.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

#define ECHO_FD 256 /* above every number that a child of ours puts something at: it cannot hit one */

static int waiter = -1, old_stderr = -1;

/* A number that nobody has opened would become a file or a socket, and our words would go there. */
static void fill_standard(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO && fcntl(fd, F_SETFD, 0) == 0);
    if (fd > STDERR_FILENO)
        (void)close(fd);
}

/* The process that was started: nothing is left for it to do but to tell how it went. */
static _Noreturn void await_daemon(pid_t daemon, int ready)
{
    int status = 0;
    ssize_t n;
    char byte;

    do
        n = read(ready, &byte, 1);
    while (n < 0 && errno == EINTR);
    if (n == 1)
        _exit(0);
    while (waitpid(daemon, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFSIGNALED(status))
        bh_die(1, "the daemon was ended by signal %d (%s) before it served", WTERMSIG(status),
               strsignal(WTERMSIG(status)));
    _exit(1); /* it has said why */
}

static void fork_daemon(void)
{
    int ready[2];
    pid_t pid;

    if (pipe2(ready, O_CLOEXEC) < 0 || (pid = fork()) < 0)
        bh_die(1, "cannot go into the background: %s", strerror(errno));
    if (pid > 0) {
        (void)close(ready[1]);
        await_daemon(pid, ready[0]);
    }
    (void)close(ready[0]);
    waiter = ready[1];
    if (setsid() < 0)
        bh_die(1, "cannot go into the background: %s", strerror(errno));
}

/* A daemon that was restarted in place is one already. */
static void go_into_background(void)
{
    int null;

    if (bh_restart_count() == 0)
        fork_daemon();
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || chdir("/") < 0)
        bh_die(1, "cannot go into the background: %s", strerror(errno));
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        (void)dup2(null, fd);
    (void)close(null);
}

void bh_daemon_start(const struct bh_options *options)
{
    char why[512];
    int r;

    fill_standard();
    bh_log_style(options->verbose, options->log_file);
    if ((options->daemon || options->log_file) && bh_restart_count() == 0) {
        old_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, ECHO_FD);
        bh_log_echo(old_stderr);
    }
    if (options->daemon)
        go_into_background();
    r = options->log_file ? bh_log_file_open(options->log_file) : 0;
    if (r < 0)
        bh_die(1, "the log file %s cannot be opened: %s", options->log_file, bh_log_file_fault(r));
    if (options->daemon && bh_pid_file_take(options->pid_file, why, sizeof(why)) < 0)
        bh_die(1, "%s", why);
    bh_log_last_act(bh_pid_file_drop);
}

void bh_daemon_ready(void)
{
    bh_log_echo(-1);
    if (old_stderr >= 0)
        (void)close(bh_take_fd(&old_stderr));
    if (waiter >= 0 && write(waiter, "", 1) < 0)
        bh_log(BH_LOG_DEBUG, "who started the daemon did not wait for it");
    if (waiter >= 0)
        (void)close(bh_take_fd(&waiter));
}

void bh_daemon_end(void)
{
    bh_pid_file_drop();
}
