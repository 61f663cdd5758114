/*
 * The keeper of one execution with real programs, without a sandbox: what it reports, and that whatever ends
 * the execution ends all of it. Programs write the numbers of their processes into a pipe, so that the test
 * sees them dead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/mem.h"
#include "workers/exec/keeper.h"

#define PLENTY_MS 10000

struct execution {
    struct bh_start start;
    struct bh_program program;
    struct bh_start_failure failure;
    char *argv[4];
    int output, ends[2]; /* our ends */
    int given[3];        /* the keeper's */
    pid_t keeper;
};

static char *const environment[] = { (char *)"PATH=/usr/bin:/bin", (char *)"MARK=1", NULL };

static void make(struct execution *e, const char *path, const char *first, const char *second)
{
    int pair[2];

    *e = (struct execution){ .argv = { (char *)(uintptr_t)path, (char *)(uintptr_t)first,
                                       (char *)(uintptr_t)second } };
    assert_int_equal(bh_program_open(path, &e->program), 0);
    assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
    e->output = pair[0];
    e->given[0] = pair[1];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        e->ends[i] = pair[0];
        e->given[1 + i] = pair[1];
    }
    e->start = (struct bh_start){ .sandbox = { .kind = BH_SANDBOX_NONE, .cwd = "/", .cgroup = -1 },
                                  .program = &e->program,
                                  .path = path,
                                  .argv = e->argv,
                                  .environment = environment,
                                  .input = -1,
                                  .output = e->given[0],
                                  .error = -1,
                                  .ends = { e->given[1], e->given[2] },
                                  .drains = { -1, -1 } };
}

static void let_go(struct execution *e)
{
    for (int i = 0; i < 3; i++)
        bh_close_p(&e->given[i]);
    bh_program_close(&e->program);
}

static void begin(struct execution *e)
{
    e->keeper = bh_keeper_start(&e->start, &e->failure);
    let_go(e);
    assert_true(e->keeper > 0);
}

static void shell(struct execution *e, const char *script)
{
    make(e, "/bin/sh", "-c", script);
}

static bool readable(int fd, int ms)
{
    struct pollfd row = { .fd = fd, .events = POLLIN };

    return poll(&row, 1, ms) > 0;
}

static struct bh_ending ending_of(struct execution *e, int which)
{
    struct bh_ending ending = { 0 };

    assert_true(readable(e->ends[which], PLENTY_MS));
    assert_int_equal(read(e->ends[which], &ending, sizeof(ending)), sizeof(ending));
    return ending;
}

/* Whatever it said was read, or is now. */
static void assert_keeper_gone(struct execution *e)
{
    struct bh_ending ending;

    do
        assert_true(readable(e->ends[1], PLENTY_MS));
    while (read(e->ends[1], &ending, sizeof(ending)) == sizeof(ending));
    assert_int_equal(waitpid(e->keeper, NULL, 0), e->keeper);
}

static pid_t number_from(int fd)
{
    char text[32] = { 0 };
    size_t n = 0;

    do
        assert_int_equal(read(fd, text + n, 1), 1);
    while (text[n++] != '\n');
    return (pid_t)strtol(text, NULL, 10);
}

static void assert_dead(pid_t pid)
{
    uint64_t until = bh_clock_ms(CLOCK_MONOTONIC) + PLENTY_MS;

    while (kill(pid, 0) == 0 && bh_clock_ms(CLOCK_MONOTONIC) < until)
        (void)poll(NULL, 0, 2);
    assert_int_equal(kill(pid, 0), -1);
}

static void finish(struct execution *e)
{
    bh_close_p(&e->output);
    bh_close_p(&e->ends[0]);
    bh_close_p(&e->ends[1]);
}

static void test_reports_to_both(void **state)
{
    struct execution e;

    (void)state;
    shell(&e, "exit 7");
    begin(&e);
    for (int i = 0; i < 2; i++) {
        struct bh_ending ending = ending_of(&e, i);

        assert_int_equal(WEXITSTATUS(ending.status), 7);
        assert_int_equal(ending.how, BH_ENDED_BY_ITSELF);
        assert_true(ending.ended_ms > 0);
    }
    assert_keeper_gone(&e);
    finish(&e);
}

static void test_by_descriptor_argv_and_environment(void **state)
{
    struct execution e;
    char text[256] = { 0 };

    (void)state;
    shell(&e, "echo $0-$MARK-$(umask)-$(ls /proc/self/fd | wc -l)");
    begin(&e);
    (void)ending_of(&e, 0);
    assert_true(read(e.output, text, sizeof(text) - 1) > 0);
    assert_string_equal(text, "/bin/sh-1-0022-4\n"); /* 0, 1, 2 and the one that lists them */
    assert_keeper_gone(&e);
    finish(&e);
}

static void test_cannot_be_executed(void **state)
{
    struct execution e;

    (void)state;
    shell(&e, "");
    e.start.by_path = true;
    e.start.path = "/nonexistent/program";
    assert_int_equal(bh_keeper_start(&e.start, &e.failure), -ENOENT);
    assert_int_equal(e.failure.error, ENOENT);
    assert_string_equal(e.failure.step, "");
    let_go(&e);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no process is left */
    finish(&e);
}

static void test_pipe_ends_with_the_program(void **state)
{
    struct execution e;
    char byte;

    (void)state;
    shell(&e, "exit 0");
    begin(&e);
    assert_true(readable(e.output, PLENTY_MS));
    assert_int_equal(read(e.output, &byte, 1), 0);
    assert_keeper_gone(&e);
    finish(&e);
}

/* A daemon: another session, its parent gone, the pipe kept. */
#define DAEMON "setsid sh -c 'echo $$; exec sleep 1000' & "

static void test_daemon_lives_on_and_is_ended(void **state)
{
    struct execution e;
    pid_t daemon;

    (void)state;
    shell(&e, DAEMON "sleep 0.1; exit 3");
    begin(&e);
    daemon = number_from(e.output);
    assert_int_equal(WEXITSTATUS(ending_of(&e, 1).status), 3);
    assert_int_equal(kill(daemon, 0), 0);
    assert_false(readable(e.ends[1], 100)); /* the keeper stays with it */
    assert_int_equal(kill(e.keeper, SIGTERM), 0);
    assert_keeper_gone(&e);
    assert_dead(daemon);
    finish(&e);
}

static void test_ends_what_ignores_signals(void **state)
{
    struct execution e;
    struct bh_ending ending;
    pid_t daemon;

    (void)state;
    shell(&e, "trap '' TERM INT HUP; " DAEMON "sleep 1000; sleep 1000");
    begin(&e);
    daemon = number_from(e.output);
    assert_int_equal(kill(e.keeper, SIGTERM), 0);
    ending = ending_of(&e, 1);
    assert_int_equal(WTERMSIG(ending.status), SIGKILL);
    assert_int_equal(ending.how, BH_ENDED_KILLED);
    assert_keeper_gone(&e);
    assert_dead(daemon);
    finish(&e);
}

static void test_time_limit(void **state)
{
    struct execution e;
    struct bh_ending ending;
    pid_t daemon;

    (void)state;
    shell(&e, DAEMON "sleep 1000");
    e.start.timeout_s = 1;
    begin(&e);
    daemon = number_from(e.output);
    ending = ending_of(&e, 1);
    assert_int_equal(WTERMSIG(ending.status), SIGKILL);
    assert_int_equal(ending.how, BH_ENDED_TIMED_OUT);
    assert_keeper_gone(&e);
    assert_dead(daemon);
    finish(&e);
}

static void test_time_limit_holds_for_daemons(void **state)
{
    struct execution e;
    pid_t daemon;

    (void)state;
    shell(&e, DAEMON "sleep 0.1; exit 0");
    e.start.timeout_s = 1;
    begin(&e);
    daemon = number_from(e.output);
    assert_int_equal(ending_of(&e, 1).how, BH_ENDED_BY_ITSELF);
    assert_keeper_gone(&e);
    assert_dead(daemon);
    finish(&e);
}

static void test_signal_to_the_group(void **state)
{
    union sigval value = { .sival_int = SIGINT };
    struct execution e;

    (void)state;
    shell(&e, "trap 'exit 9' INT; echo 1; while :; do sleep 0.05; done");
    begin(&e);
    (void)number_from(e.output);
    assert_int_equal(sigqueue(e.keeper, BH_KEEPER_SIGNAL, value), 0);
    assert_int_equal(WEXITSTATUS(ending_of(&e, 1).status), 9);
    assert_keeper_gone(&e);
    finish(&e);
}

/* A worker of its own starts the execution and is killed. */
static pid_t start_and_die(struct execution *e)
{
    pid_t worker = fork();

    assert_true(worker >= 0);
    if (worker == 0) {
        (void)bh_keeper_start(&e->start, &e->failure);
        bh_close_p(&e->ends[1]); /* what only a worker has */
        (void)pause();
        _exit(0);
    }
    let_go(e);
    return worker;
}

static void kill_worker(pid_t worker)
{
    assert_int_equal(kill(worker, SIGKILL), 0);
    assert_int_equal(waitpid(worker, NULL, 0), worker);
}

static void test_worker_dies(void **state)
{
    struct execution e;
    pid_t worker, daemon;

    (void)state;
    shell(&e, DAEMON "sleep 1000");
    worker = start_and_die(&e);
    daemon = number_from(e.output);
    kill_worker(worker);
    assert_int_equal(ending_of(&e, 0).how, BH_ENDED_KILLED);
    assert_dead(daemon);
    finish(&e);
}

static void test_kept_lives_on_and_is_drained(void **state)
{
    struct execution e;
    char path[] = "/tmp/test-keeper-XXXXXX", script[256], done[8] = { 0 };
    int file = mkstemp(path), drain;
    uint64_t until = bh_clock_ms(CLOCK_MONOTONIC) + PLENTY_MS;
    pid_t worker;

    (void)state;
    assert_true(file >= 0);
    (void)snprintf(script, sizeof(script), "echo 1; sleep 0.3; head -c 1000000 /dev/zero && echo done > %s",
                   path);
    shell(&e, script);
    assert_int_equal(fcntl(e.output, F_SETFL, O_NONBLOCK), 0);
    drain = fcntl(e.output, F_DUPFD_CLOEXEC, 0);
    e.start.keep = true;
    e.start.drains[0] = drain;
    worker = start_and_die(&e);
    bh_close_p(&drain);
    assert_true(readable(e.output, PLENTY_MS));
    kill_worker(worker);
    finish(&e); /* as if the spool were gone too: nobody else reads */
    while (pread(file, done, sizeof(done) - 1, 0) < 5 && bh_clock_ms(CLOCK_MONOTONIC) < until)
        (void)poll(NULL, 0, 10);
    assert_string_equal(done, "done\n");
    (void)unlink(path);
    (void)close(file);
}

/* The worker has given up waiting for a program that somebody holds up before it runs: it never runs. */
static void test_never_runs_once_given_up(void **state)
{
    char folder[] = "/tmp/test-keeper-XXXXXX", path[64], byte;
    struct execution e;
    int fifo;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    shell(&e, "echo 1");
    e.start.sandbox.cgroup =
        open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC); /* joining takes until somebody reads */
    assert_int_equal(bh_keeper_start(&e.start, &e.failure), -ETIMEDOUT);
    let_go(&e);
    bh_close_p(&e.start.sandbox.cgroup);
    fifo = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(readable(e.output, PLENTY_MS));
    assert_int_equal(read(e.output, &byte, 1), 0);
    (void)close(fifo);
    (void)unlink(path);
    (void)rmdir(folder);
    finish(&e);
}

/* Nobody but its tracer can reap it; the others end all the same, and so does the keeper when it can. */
static void test_traced_program_keeps_nobody_alive(void **state)
{
    struct execution e;
    pid_t daemon, program;

    (void)state;
    shell(&e, "echo $$; " DAEMON "sleep 1000");
    begin(&e);
    program = number_from(e.output);
    daemon = number_from(e.output);
    assert_int_equal(ptrace(PTRACE_SEIZE, program, NULL, NULL), 0);
    assert_int_equal(kill(e.keeper, SIGTERM), 0);
    assert_int_equal(ending_of(&e, 1).how, BH_ENDED_KILLED);
    assert_dead(daemon);
    assert_int_equal(waitpid(program, NULL, __WALL), program);
    assert_keeper_gone(&e);
    finish(&e);
}

/* A flood without a pause is drained, and ended at its time limit all the same. */
static void test_time_limit_holds_while_draining(void **state)
{
    struct execution e;

    (void)state;
    shell(&e, "sleep 1000");
    e.start.keep = true;
    e.start.timeout_s = 1;
    e.start.drains[0] = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    begin(&e);
    bh_close_p(&e.start.drains[0]);
    bh_close_p(&e.ends[0]); /* the spool is gone */
    assert_int_equal(ending_of(&e, 1).how, BH_ENDED_TIMED_OUT);
    assert_keeper_gone(&e);
    finish(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reports_to_both),
        cmocka_unit_test(test_by_descriptor_argv_and_environment),
        cmocka_unit_test(test_cannot_be_executed),
        cmocka_unit_test(test_pipe_ends_with_the_program),
        cmocka_unit_test(test_daemon_lives_on_and_is_ended),
        cmocka_unit_test(test_ends_what_ignores_signals),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_time_limit_holds_for_daemons),
        cmocka_unit_test(test_signal_to_the_group),
        cmocka_unit_test(test_worker_dies),
        cmocka_unit_test(test_kept_lives_on_and_is_drained),
        cmocka_unit_test(test_never_runs_once_given_up),
        cmocka_unit_test(test_traced_program_keeps_nobody_alive),
        cmocka_unit_test(test_time_limit_holds_while_draining),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
