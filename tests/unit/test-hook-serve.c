/*
 * The life of bulkhead-hook, from outside: a child of the test serves, the test asks as the storage worker
 * does, flips the page as the guard does, and reads the records. Hooks write down who they are in the file
 * "journal". The last tests run the built program.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/codes.h"
#include "protocol/wire/utf8.h"
#include "tests/unit/hook-fixture.h"
#include "workers/storage/hook_client.h"
#include "workers/storage/hook_serve.h"

#define PLENTY_MS 20000
#define A_WHILE_MS 300 /* long enough to see that something does not happen */

static struct bh_hook_config config;
static struct bh_hook_keeper keeper;
static struct bh_frozen *page;
static struct bh_state *kept_state;
static int page_fd, state_fd;
static int peer, control, queue; /* our ends */
static int queue_in;             /* the other end of the queue too: a test may fill it */
static pid_t server;
static struct bh_hook_reply reply;

/* --- the stage ----------------------------------------------------------------------- */

static void *shared(const char *name, size_t size, int *ret_fd)
{
    void *memory;

    *ret_fd = bh_memfd_new(name, NULL, size);
    memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *ret_fd, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static int make(void **state)
{
    if (hooks_make(state) < 0)
        return -1;
    memset(&config, 0, sizeof(config));
    config.magic = BH_HOOK_CONFIG_MAGIC;
    config.timeout_ms = PLENTY_MS;
    strcpy(config.channel, "main");
    (void)snprintf(config.folder, sizeof(config.folder), "%s", in_hooks("d"));
    page = shared("frozen", sizeof(*page), &page_fd);
    kept_state = shared("state", sizeof(*kept_state), &state_fd);
    memset(&keeper, 0, sizeof(keeper));
    keeper.privileged = true;
    keeper.record = -1;
    peer = control = queue = queue_in = -1;
    server = 0;
    return mkdir(in_hooks("d"), 0755);
}

static void pair(int ends[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

/* Starts the process; `owed`: as after a predecessor's death. */
static void serve(bool owed)
{
    int peers[2], controls[2], queues[2];

    pair(peers);
    pair(controls);
    pair(queues);
    peer = peers[0];
    control = controls[0];
    queue = queues[0];
    server = fork();
    assert_true(server >= 0);
    if (server == 0) {
        (void)close(peer);
        (void)close(control);
        (void)close(queue);
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        keeper.config = &config;
        keeper.frozen = page;
        keeper.state = kept_state;
        keeper.audit = (struct bh_audit){ .fd = queues[1], .source = 7, .state = kept_state };
        keeper.peer = peers[1];
        keeper.control = controls[1];
        _exit((owed ? bh_hook_serve_owed(&keeper) : bh_hook_serve(&keeper)) ? 0 : 1);
    }
    (void)close(peers[1]);
    (void)close(controls[1]);
    queue_in = queues[1];
}

static void close_one(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* How the process has ended: its exit status, or -1: it runs on. */
static int ended(int patience_ms)
{
    int status;

    for (; patience_ms > 0; patience_ms -= 10) {
        if (waitpid(server, &status, WNOHANG) == server) {
            server = 0;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        (void)poll(NULL, 0, 10);
    }
    return -1;
}

/* Ours are closed, so that a server that runs ends. */
static void next_server(void)
{
    close_one(&peer);
    close_one(&control);
    assert_true(server == 0 || ended(PLENTY_MS) == 0);
    close_one(&queue);
    close_one(&queue_in);
}

static int unmake(void **state)
{
    if (server > 0) {
        (void)kill(server, SIGKILL);
        (void)waitpid(server, NULL, 0);
    }
    close_one(&peer);
    close_one(&control);
    close_one(&queue);
    close_one(&queue_in);
    close_one(&page_fd);
    close_one(&state_fd);
    (void)munmap(page, sizeof(*page));
    (void)munmap(kept_state, sizeof(*kept_state));
    return hooks_remove(state);
}

/* Hook `name`, which tells the journal who it is and does `more`. */
static void hook(const char *name, const char *more)
{
    char script[1024], path[64];

    (void)snprintf(path, sizeof(path), "d/%s", name);
    (void)snprintf(script, sizeof(script), "echo ${0##*/} $1 >>${0%%/*}/../journal\n%s", more);
    hook_file(path, script, 0700);
}

static void assert_journal(const char *text)
{
    static char journal[4096];
    FILE *file = fopen(in_hooks("journal"), "r");
    size_t n = file ? fread(journal, 1, sizeof(journal) - 1, file) : 0;

    journal[n] = '\0';
    if (file)
        (void)fclose(file);
    assert_string_equal(journal, text);
}

static enum bh_hook_outcome ask(enum bh_hook_op op)
{
    assert_int_equal(bh_hook_run(peer, op, PLENTY_MS, &reply), 0);
    assert_int_equal(reply.op, op);
    return reply.outcome;
}

static void set_frozen(uint32_t state)
{
    __atomic_store_n(&page->state, state, __ATOMIC_RELEASE);
}

static void await_journal(const char *text)
{
    struct stat st;

    for (int i = 0; i < 1000; i++) {
        if (stat(in_hooks("journal"), &st) == 0 && st.st_size >= (off_t)strlen(text))
            break;
        (void)poll(NULL, 0, 10);
    }
    assert_journal(text);
}

static int number_in(const char *name)
{
    FILE *file;
    int number = 0;

    for (int i = 0; i < 1000 && number == 0; i++) {
        file = fopen(in_hooks(name), "r");
        if (file && fscanf(file, "%d", &number) != 1)
            number = 0;
        if (file)
            (void)fclose(file);
        (void)poll(NULL, 0, 10);
    }
    assert_true(number > 1);
    return number;
}

static void question(uint16_t op)
{
    struct bh_hook_request request = { BH_HOOK_MAGIC, op, 1 };

    assert_int_equal(bh_fd_send(peer, &request, sizeof(request), -1), 0);
}

/* --- its records ------------------------------------------------------------------------ */

static struct bh_record record;

static bool next_record(void)
{
    static char data[BH_RECORD_MAX];
    static struct bh_record_count counts[BH_RECORD_COUNTS_MAX];
    ssize_t n = recv(queue, data, sizeof(data), MSG_DONTWAIT);

    if (n <= 0)
        return false;
    assert_int_equal(bh_record_parse(data, (size_t)n, &record, counts), 0);
    return true;
}

static void assert_record(uint16_t kind, const char *name, const char *text)
{
    assert_true(next_record());
    assert_int_equal(record.kind, kind);
    assert_non_null(strstr(record.text.ptr, text));
    if (name) {
        assert_string_equal(strrchr(record.object.ptr, '/') + 1, name);
        assert_string_equal(record.rule.ptr, "hooks");
    }
}

/* Before and after, as root, and the one names the other. */
static void assert_run_recorded(const char *name, const char *act, const char *result, uint16_t code)
{
    uint64_t number;

    assert_record(BH_RECORD_ACT, name, act);
    assert_string_equal(record.user.ptr, "root");
    assert_int_equal(record.of, 0);
    number = record.number;
    assert_record(BH_RECORD_RESULT, name, result);
    assert_string_equal(record.user.ptr, "root");
    assert_int_equal(record.of, number);
    assert_int_equal(record.code, code);
}

/* --- freeze and thaw ------------------------------------------------------------------------ */

static void both_orders(void **state)
{
    (void)state;
    hook_file("z-file", "echo file $1 >>${0%/*}/journal", 0700);
    strcpy(config.file, in_hooks("z-file"));
    hook("10", "echo ten");
    hook("20", "");
    serve(false);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_DONE);
    assert_int_equal(reply.n_run, 3);
    assert_journal("file freeze\n10 freeze\n20 freeze\n");
    assert_int_equal(kept_state->owed, 1);
    assert_int_equal(ask(BH_HOOK_THAW), BH_HOOK_DONE);
    assert_int_equal(reply.n_run, 3);
    assert_journal("file freeze\n10 freeze\n20 freeze\n20 thaw\n10 thaw\nfile thaw\n");
    assert_int_equal(kept_state->owed, 0);
    assert_run_recorded("z-file", "freeze for channel main", "freeze: exit status 0 after", 0);
    assert_run_recorded("10", "freeze for channel main", " 4 bytes of output: ten", 0);
    assert_run_recorded("20", "freeze for channel main", " 0 bytes of output", 0);
    assert_run_recorded("20", "thaw for channel main", "thaw: exit status 0 after", 0);
    assert_run_recorded("10", "thaw", "thaw", 0);
    assert_run_recorded("z-file", "thaw", "thaw", 0);
    assert_false(next_record());
    assert_int_equal(ask(BH_HOOK_THAW), BH_HOOK_DONE); /* nothing is owed: nothing is run */
    assert_int_equal(reply.n_run, 0);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_DONE); /* and it may begin anew */
    assert_int_equal(reply.n_run, 3);
}

static void without_hooks(void **state)
{
    (void)state;
    serve(false);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_DONE);
    assert_int_equal(reply.n_run, 0);
    assert_int_equal(kept_state->owed, 0);
    assert_int_equal(ask(BH_HOOK_THAW), BH_HOOK_DONE);
    close_one(&peer);
    assert_int_equal(ended(PLENTY_MS), 0);
    assert_false(next_record());
}

static void a_failing_freeze_ends_the_freeze(void **state)
{
    char text[BH_ERROR_TEXT_MAX];

    (void)state;
    hook("1", "");
    hook("2", "[ $1 = thaw ] || { printf 'no\\033lock\\n'; exit 3; }");
    hook("3", "");
    serve(false);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_EXITED);
    assert_int_equal(reply.status, 3);
    assert_int_equal(reply.n_run, 2);
    assert_int_equal(reply.output, 8);
    assert_string_equal(reply.hook, in_hooks("d/2"));
    assert_string_equal(reply.text, "no\\x1block");
    bh_hook_say(&reply, text, sizeof(text));
    assert_non_null(strstr(text, "the freeze hook "));
    assert_non_null(strstr(text, "/d/2 ended with status 3: no\\x1block"));
    assert_int_equal(kept_state->owed, 1);
    assert_int_equal(ask(BH_HOOK_THAW), BH_HOOK_DONE);
    assert_journal("1 freeze\n2 freeze\n2 thaw\n1 thaw\n");
    assert_run_recorded("1", "freeze", "exit status 0", 0);
    assert_run_recorded("2", "freeze", "freeze: exit status 3 after", BH_E_HOOK_FAILED);
    assert_int_equal(kept_state->failures, 1);
}

static void every_thaw_hook_is_run_whatever_fails(void **state)
{
    (void)state;
    hook("1", "");
    hook("2", "[ $1 = freeze ] || kill -9 $$");
    hook("3", "[ $1 = freeze ] || exit 5");
    serve(false);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_DONE);
    assert_int_equal(ask(BH_HOOK_THAW), BH_HOOK_EXITED); /* the first that failed */
    assert_int_equal(reply.status, 5);
    assert_int_equal(reply.n_run, 3);
    assert_string_equal(reply.hook, in_hooks("d/3"));
    assert_journal("1 freeze\n2 freeze\n3 freeze\n3 thaw\n2 thaw\n1 thaw\n");
    assert_int_equal(kept_state->owed, 0);
}

static void a_hook_that_hangs(void **state)
{
    char text[BH_ERROR_TEXT_MAX];

    (void)state;
    config.timeout_ms = 1000;
    hook("1", "[ $1 = thaw ] || { echo waiting; sleep 600; }");
    hook("2", "");
    serve(false);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_TIMED_OUT);
    assert_int_equal(reply.status, 1000);
    bh_hook_say(&reply, text, sizeof(text));
    assert_non_null(strstr(text, "did not end within 1000 ms and was killed: waiting"));
    assert_run_recorded("1", "freeze", "killed at its time limit of 1000 ms", BH_E_HOOK_FAILED);
    assert_int_equal(ask(BH_HOOK_THAW), BH_HOOK_DONE);
    assert_journal("1 freeze\n1 thaw\n");
}

static void output_that_does_not_end(void **state)
{
    (void)state;
    hook("1", "head -c 100000000 /dev/zero | tr '\\0' '\\303'; exit 1");
    serve(false);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_EXITED);
    assert_int_equal(reply.output, 100000000);
    assert_true(strlen(reply.text) <= BH_HOOK_OUTPUT_MAX && strlen(reply.text) > BH_HOOK_OUTPUT_MAX - 4);
    assert_string_equal(reply.text + strlen(reply.text) - 8, "\\xc3\\xc3");
    assert_run_recorded("1", "freeze", ", 100000000 bytes of output: \\xc3\\xc3", BH_E_HOOK_FAILED);
    assert_true(record.text.len <= BH_RECORD_TEXT_MAX && record.text.len > BH_RECORD_TEXT_MAX - 4);
}

/* --- what may not be run ------------------------------------------------------------------- */

static void assert_bad(const char *words)
{
    serve(false);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_REFUSED);
    assert_non_null(strstr(reply.text, words));
    assert_int_equal(reply.n_run, 0);
    assert_int_equal(kept_state->owed, 0);
    assert_journal("");
    assert_true(next_record());
    assert_int_equal(record.kind, BH_RECORD_REFUSED);
    assert_int_equal(record.code, BH_E_HOOK_FAILED);
    assert_non_null(strstr(record.text.ptr, words));
    assert_false(next_record());
    next_server();
}

/* No hook is run, not even the good ones before it. */
static void bad_hooks_end_the_freeze(void **state)
{
    (void)state;
    hook("1", "");
    hook("2", "");
    assert_int_equal(chmod(in_hooks("d/2"), 0777), 0);
    assert_bad("chmod go-w");
    assert_int_equal(chmod(in_hooks("d/2"), 0700) | chown(in_hooks("d/2"), 12, 0), 0);
    assert_bad("belongs to uid 12");
    assert_int_equal(unlink(in_hooks("d/2")) | symlink("1", in_hooks("d/2")), 0);
    assert_bad("symbolic link");
    assert_int_equal(unlink(in_hooks("d/2")), 0);
    strcpy(config.file, in_hooks("none"));
    assert_bad("does not exist");
    config.file[0] = '\0';
    assert_int_equal(chmod(in_hooks("d"), 0777), 0);
    assert_bad("others than root may write to the folder");
}

static void as_an_ordinary_user(void **state)
{
    (void)state;
    keeper.privileged = false;
    hook("1", "");
    assert_bad("not started by root");
    assert_int_equal(unlink(in_hooks("d/1")), 0);
    serve(false);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_DONE); /* without hooks nothing is missing */
}

/* It is judged again before each run. */
static void a_hook_that_turns_bad(void **state)
{
    (void)state;
    hook("1", "");
    hook("2", "");
    hook("3", "");
    serve(false);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_DONE);
    assert_int_equal(chmod(in_hooks("d/2"), 0777), 0);
    assert_int_equal(ask(BH_HOOK_THAW), BH_HOOK_REFUSED);
    assert_string_equal(reply.hook, in_hooks("d/2"));
    assert_int_equal(reply.n_run, 2);
    assert_journal("1 freeze\n2 freeze\n3 freeze\n3 thaw\n1 thaw\n");
    for (int i = 0; i < 8; i++)
        assert_true(next_record());
    assert_record(BH_RECORD_REFUSED, "2", "thaw: ");
    assert_run_recorded("1", "thaw", "thaw", 0);
    hook("1", "chmod 777 ${0%/*}/3");
    assert_int_equal(chmod(in_hooks("d/2"), 0700), 0);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_REFUSED);
    assert_int_equal(reply.n_run, 2);
    assert_int_equal(ask(BH_HOOK_THAW), BH_HOOK_DONE);
    assert_int_equal(reply.n_run, 2); /* the third was not begun */
}

/* --- the page ------------------------------------------------------------------------------- */

static void nothing_runs_while_frozen(void **state)
{
    (void)state;
    hook("1", "");
    serve(false);
    set_frozen(BH_FROZEN);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_REFUSED);
    set_frozen(BH_THAWED);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_DONE);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_REFUSED); /* once */
    for (uint32_t is = BH_FREEZING; is <= BH_THAWING; is++) {
        set_frozen(is);
        assert_int_equal(ask(BH_HOOK_THAW), BH_HOOK_REFUSED);
        assert_non_null(strstr(reply.text, "while file systems are frozen"));
        assert_int_equal(kept_state->owed, 1);
    }
    assert_journal("1 freeze\n");
    set_frozen(BH_THAWED);
    assert_int_equal(ask(BH_HOOK_THAW), BH_HOOK_DONE);
    assert_journal("1 freeze\n1 thaw\n");
}

/* --- obligations ------------------------------------------------------------------------------- */

static void who_asked_is_gone(void **state)
{
    (void)state;
    hook("1", "");
    hook("2", "");
    serve(false);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_DONE);
    set_frozen(BH_FROZEN);
    close_one(&peer);
    assert_int_equal(ended(A_WHILE_MS), -1);
    set_frozen(BH_THAWING);
    assert_int_equal(ended(A_WHILE_MS), -1);
    assert_journal("1 freeze\n2 freeze\n");
    assert_int_equal(kept_state->owed, 1);
    set_frozen(BH_THAWED);
    assert_int_equal(ended(PLENTY_MS), 0);
    assert_journal("1 freeze\n2 freeze\n2 thaw\n1 thaw\n");
    assert_int_equal(kept_state->owed, 0);
    for (int i = 0; i < 4; i++)
        assert_true(next_record());
    assert_record(BH_RECORD_EVENT, NULL, "nobody asks for the thaw hooks any more");
    assert_run_recorded("2", "thaw", "thaw", 0);
}

/* The rest of a freeze that nobody waits for is not begun; what was begun is undone. */
static void called_off_while_a_hook_runs(void **state)
{
    (void)state;
    hook("1", "sleep 0.5");
    hook("2", "");
    serve(false);
    question(BH_HOOK_FREEZE);
    await_journal("1 freeze\n");
    close_one(&peer);
    assert_int_equal(ended(PLENTY_MS), 0);
    assert_journal("1 freeze\n1 thaw\n");
}

/* A client that has given up asks for the thaw hooks, and gets the answer to that. */
static void called_off_by_the_next_question(void **state)
{
    (void)state;
    hook("1", "sleep 0.5");
    hook("2", "");
    serve(false);
    assert_int_equal(bh_hook_run(peer, BH_HOOK_FREEZE, 100, &reply), -ETIMEDOUT);
    assert_int_equal(ask(BH_HOOK_THAW), BH_HOOK_DONE);
    assert_int_equal(reply.n_run, 1);
    assert_journal("1 freeze\n1 thaw\n");
}

static void the_supervisor_is_gone(void **state)
{
    (void)state;
    hook("1", "");
    serve(false);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_DONE);
    close_one(&control);
    assert_int_equal(ended(A_WHILE_MS), -1);
    assert_int_equal(ask(BH_HOOK_THAW), BH_HOOK_DONE);
    assert_int_equal(ended(PLENTY_MS), 0);
    assert_journal("1 freeze\n1 thaw\n");
    next_server();
    serve(false);
    close_one(&control);
    assert_int_equal(ended(PLENTY_MS), 0); /* nothing is owed, nobody is served any more */
}

static void killed_with_hooks_owed(void **state)
{
    (void)state;
    hook("1", "");
    hook("2", "");
    serve(false);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_DONE);
    assert_int_equal(kill(server, SIGKILL), 0);
    assert_int_equal(ended(PLENTY_MS), 128 + SIGKILL);
    assert_int_equal(kept_state->owed, 1);
    next_server();
    set_frozen(BH_FROZEN);
    serve(true); /* its successor */
    assert_int_equal(ended(A_WHILE_MS), -1);
    assert_journal("1 freeze\n2 freeze\n");
    set_frozen(BH_THAWED);
    assert_int_equal(ended(PLENTY_MS), 0);
    assert_journal("1 freeze\n2 freeze\n2 thaw\n1 thaw\n");
    assert_int_equal(kept_state->owed, 0);
}

/* The hook dies with it: its successor's thaw hook is not to meet a freeze hook that still runs. */
static void killed_while_a_hook_runs(void **state)
{
    int running;

    (void)state;
    hook("1", "echo $$ >${0%/*}/../pid; exec sleep 600");
    serve(false);
    question(BH_HOOK_FREEZE);
    running = number_in("pid");
    assert_int_equal(kill(server, SIGKILL), 0);
    assert_int_equal(ended(PLENTY_MS), 128 + SIGKILL);
    assert_int_equal(kept_state->owed, 1);
    for (int i = 0; i < 500 && kill(running, 0) == 0; i++)
        (void)poll(NULL, 0, 10);
    assert_int_equal(kill(running, 0), -1);
}

static struct bh_hook_reply left;

/* Who is traced stays until its tracer, which is us, lets it go: that is told, and ends the freeze. */
static void run_traced(const char *what)
{
    char script[512];
    int traced, fd = -1;

    (void)snprintf(script, sizeof(script),
                   "[ $1 = thaw ] && exit\n%s\nwhile ! [ -e ${0%%/*}/../go ]; do sleep 0.05; done", what);
    hook("1", script);
    hook("2", "");
    serve(false);
    question(BH_HOOK_FREEZE);
    traced = number_in("pid");
    if (ptrace(PTRACE_SEIZE, traced, 0, 0) < 0)
        skip(); /* where nobody may trace */
    hook_bytes("go", "", 0600);
    assert_int_equal(bh_fd_recv(peer, &left, sizeof(left), &fd), 1);
    assert_int_equal(waitpid(traced, NULL, __WALL), traced);
    assert_int_equal(ask(BH_HOOK_THAW), BH_HOOK_DONE);
    assert_journal("1 freeze\n1 thaw\n");
}

static void a_daemon_that_cannot_be_reaped(void **state)
{
    (void)state;
    run_traced("(setsid sh -c 'echo $$ >'${0%/*}'/../pid; sleep 600' &)");
    assert_int_equal(left.outcome, BH_HOOK_LEFT);
    assert_run_recorded("1", "freeze", "a process of it cannot be killed", BH_E_HOOK_FAILED);
}

static void a_hook_that_cannot_be_reaped(void **state)
{
    (void)state;
    config.timeout_ms = 1000;
    run_traced("echo $$ >${0%/*}/../pid");
    assert_true(left.outcome == BH_HOOK_LEFT || left.outcome == BH_HOOK_TIMED_OUT); /* as the kernel says */
}

/* One thaw hook has run when something is frozen again: the next one waits. */
static void frozen_between_two_hooks(void **state)
{
    (void)state;
    hook("1", "");
    hook("2", "[ $1 = freeze ] || sleep 0.5");
    serve(false);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_DONE);
    close_one(&peer);
    await_journal("1 freeze\n2 freeze\n2 thaw\n");
    set_frozen(BH_FREEZING);
    assert_int_equal(ended(1000), -1);
    assert_journal("1 freeze\n2 freeze\n2 thaw\n");
    set_frozen(BH_THAWED);
    assert_int_equal(ended(PLENTY_MS), 0);
    assert_journal("1 freeze\n2 freeze\n2 thaw\n1 thaw\n");
    server = 0;
    (void)unlink(in_hooks("journal"));
    hook("1", "sleep 0.5");
    next_server();
    serve(false);
    question(BH_HOOK_FREEZE);
    await_journal("1 freeze\n");
    set_frozen(BH_FREEZING); /* by somebody who does not wait for the hooks */
    assert_int_equal(ended(1000), -1);
    assert_journal("1 freeze\n");
}

/* What can be run is run, although the folder has turned bad. */
static void owed_with_a_bad_folder(void **state)
{
    (void)state;
    hook_file("file", "echo file $1 >>${0%/*}/journal", 0700);
    strcpy(config.file, in_hooks("file"));
    hook("1", "");
    assert_int_equal(chmod(in_hooks("d"), 0777), 0);
    serve(true);
    assert_int_equal(ended(PLENTY_MS), 0);
    assert_journal("file thaw\n");
    assert_record(BH_RECORD_EVENT, NULL, "");
    assert_record(BH_RECORD_REFUSED, "d", "chmod go-w");
    assert_run_recorded("file", "thaw", "thaw", 0);
}

/* --- hostile and broken peers -------------------------------------------------------------------- */

static void malformed_questions(void **state)
{
    static const struct {
        struct bh_hook_request request;
        size_t len;
        int fd;
    } rows[] = {
        { { BH_HOOK_MAGIC + 1, BH_HOOK_THAW, 1 }, 8, -1 }, { { BH_HOOK_MAGIC, 0, 1 }, 8, -1 },
        { { BH_HOOK_MAGIC, BH_HOOK_OP_END, 1 }, 8, -1 },   { { BH_HOOK_MAGIC, BH_HOOK_THAW, 1 }, 7, -1 },
        { { BH_HOOK_MAGIC, BH_HOOK_THAW, 1 }, 1, -1 },     { { BH_HOOK_MAGIC, BH_HOOK_THAW, 1 }, 8, 0 },
    };

    (void)state;
    hook("1", "");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        (void)unlink(in_hooks("journal"));
        serve(false);
        assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_DONE);
        assert_int_equal(bh_fd_send(peer, &rows[i].request, rows[i].len, rows[i].fd), 0);
        assert_int_equal(ended(PLENTY_MS), 0); /* what is owed is done all the same */
        assert_journal("1 freeze\n1 thaw\n");
        assert_true(next_record() && next_record());
        assert_record(BH_RECORD_EVENT, NULL, "protocol violation by the storage worker");
        next_server();
    }
}

static void fill_queue(void)
{
    static const char junk[BH_RECORD_MAX];

    while (send(queue_in, junk, sizeof(junk), MSG_DONTWAIT) > 0)
        ;
    while (send(queue_in, junk, 1, MSG_DONTWAIT) > 0)
        ;
}

/* No freeze that is not recorded, unless the policy says so; the thaw hooks are run in any case. */
static void full_queue(void **state)
{
    (void)state;
    hook("1", "");
    serve(false);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_DONE);
    fill_queue();
    assert_int_equal(ask(BH_HOOK_THAW), BH_HOOK_DONE);
    assert_journal("1 freeze\n1 thaw\n");
    assert_int_equal(kept_state->lost, 2);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_REFUSED);
    assert_non_null(strstr(reply.text, "the audit queue is full"));
    assert_int_equal(kept_state->owed, 0);
    next_server();
    config.unrecorded = 1;
    serve(false);
    fill_queue();
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_DONE);
    assert_journal("1 freeze\n1 thaw\n1 freeze\n");
}

/* --- the client ---------------------------------------------------------------------------------- */

static void answers_are_verified(void **state)
{
    int ends[2];
    struct bh_hook_request request;
    static struct bh_hook_reply answer, bad;

    (void)state;
    pair(ends);
    assert_int_equal(bh_hook_run(ends[0], BH_HOOK_FREEZE, 0, &reply), -ETIMEDOUT);
    assert_int_equal(recv(ends[1], &request, sizeof(request), 0), sizeof(request));
    answer = (struct bh_hook_reply){ .magic = BH_HOOK_MAGIC, .op = BH_HOOK_THAW, .id = request.id };
    assert_int_equal(bh_fd_send(ends[1], &answer, sizeof(answer), -1), 0); /* late: passed over */
    answer.id++;
    answer.n_run = 5;
    assert_int_equal(bh_fd_send(ends[1], &answer, sizeof(answer), -1), 0);
    assert_int_equal(bh_hook_run(ends[0], BH_HOOK_THAW, PLENTY_MS, &reply), 0);
    assert_int_equal(reply.n_run, 5);
    for (int i = 0; i < 7; i++) {
        answer.id++;
        bad = answer;
        switch (i) {
        case 0:
            bad.magic++;
            break;
        case 1:
            bad.outcome = BH_HOOK_OUTCOME_END;
            break;
        case 2:
            memset(bad.hook, 'x', sizeof(bad.hook));
            break;
        case 3:
            memset(bad.text, 'x', sizeof(bad.text));
            break;
        case 4:
            strcpy(bad.text, "\xff");
            break;
        case 5:
            bad.op = BH_HOOK_FREEZE;
            break;
        default:
            break;
        }
        assert_int_equal(bh_fd_send(ends[1], &bad, sizeof(bad) - (i == 6), -1), 0);
        assert_int_equal(bh_hook_run(ends[0], BH_HOOK_THAW, PLENTY_MS, &reply), -EPROTO);
    }
    assert_int_equal(bh_fd_send(ends[1], &answer, sizeof(answer), 0), 0);
    assert_int_equal(bh_hook_run(ends[0], BH_HOOK_THAW, PLENTY_MS, &reply), -EPROTO);
    (void)close(ends[1]);
    assert_int_equal(bh_hook_run(ends[0], BH_HOOK_THAW, PLENTY_MS, &reply), -EPIPE);
    (void)close(ends[0]);
}

static void outcomes_have_sentences(void **state)
{
    static const char *const words[] = { [BH_HOOK_DONE] = "TEXT",
                                         [BH_HOOK_REFUSED] = "TEXT",
                                         [BH_HOOK_EXITED] = "ended with status 9: TEXT",
                                         [BH_HOOK_KILLED] = "was killed by signal 9: TEXT",
                                         [BH_HOOK_TIMED_OUT] = "within 9 ms and was killed: TEXT",
                                         [BH_HOOK_LEFT] = "left a process that cannot be killed: TEXT" };
    struct bh_hook_reply said = { .op = BH_HOOK_THAW, .status = 9, .hook = "/HOOK", .text = "TEXT" };
    char text[BH_ERROR_TEXT_MAX];

    (void)state;
    for (said.outcome = 0; said.outcome < BH_HOOK_OUTCOME_END; said.outcome++) {
        bh_hook_say(&said, text, sizeof(text));
        assert_string_equal(strstr(text, words[said.outcome]), words[said.outcome]);
        assert_true(said.outcome <= BH_HOOK_REFUSED || strstr(text, "the thaw hook /HOOK "));
    }
    said.outcome = BH_HOOK_EXITED;
    said.text[0] = '\0';
    bh_hook_say(&said, text, sizeof(text));
    assert_string_equal(text, "the thaw hook /HOOK ended with status 9");
    memset(said.hook, 'h', sizeof(said.hook) - 1);
    for (size_t i = 0; i + 2 < sizeof(said.text); i += 2)
        strcpy(said.text + i, "\xc3\xbc");
    bh_hook_say(&said, text, sizeof(text));
    assert_true(strlen(text) < sizeof(text) && bh_utf8_valid(text, strlen(text)));
}

/* --- the program ----------------------------------------------------------------------------------- */

static int sealed(const void *data, size_t size)
{
    int fd = bh_memfd_new("test", data, size);

    assert_true(fd >= 0 && bh_memfd_seal(fd) == 0);
    return fd;
}

/* As the supervisor will start it: descriptors at their numbers. */
static void start_program(uint32_t user)
{
    struct bh_boot boot = { .magic = BH_BOOT_MAGIC, .source = 9, .user = user };
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), peers[2], controls[2], queues[2];
    char path[PATH_MAX] = "";

    assert_true(readlink("/proc/self/exe", path, sizeof(path) - 64) > 0);
    strcat(dirname(path), "/../../bulkhead-hook");
    pair(peers);
    pair(controls);
    pair(queues);
    {
        const int seats[] = { controls[1],
                              sealed(&boot, sizeof(boot)),
                              sealed(&config, sizeof(config)),
                              state_fd,
                              queues[1],
                              peers[1],
                              null,
                              page_fd };

        server = fork();
        assert_true(server >= 0);
        for (int i = 0; server == 0 && i < 8; i++)
            (void)dup2(seats[i], 100 + i);
        for (int i = 0; server == 0 && i < 8; i++)
            (void)dup2(100 + i, BH_FD_CONTROL + i);
        if (server == 0) {
            (void)close_range(BH_FD_LAST + 1, ~0u, 0);
            (void)execl(path, "bulkhead-hook", NULL);
            _exit(126);
        }
        (void)close(seats[1]);
        (void)close(seats[2]);
    }
    (void)close(peers[1]);
    (void)close(controls[1]);
    (void)close(queues[1]);
    (void)close(null);
    peer = peers[0];
    control = controls[0];
    queue = queues[0];
}

static void the_program_serves(void **state)
{
    int daemon;

    (void)state;
    hook("1", "(setsid sh -c 'echo $$ >'${0%/*}'/../pid; sleep 600' &)\nwhile ! [ -s ${0%/*}/../pid ]; do "
              "sleep 0.05; done");
    start_program(0);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_DONE);
    assert_int_equal(kill(server, SIGTERM) | kill(server, SIGINT) | kill(server, SIGHUP), 0);
    daemon = number_in("pid");
    assert_int_equal(kill(daemon, 0), -1); /* it is a subreaper: what left its parent is its own */
    assert_int_equal(kept_state->fences, BH_FENCE_DUMPABLE);
    close_one(&peer);
    assert_int_equal(ended(PLENTY_MS), 0);
    assert_journal("1 freeze\n1 thaw\n");
    assert_run_recorded("1", "freeze for channel main", "exit status 0", 0);
    assert_int_equal(record.number % BH_SOURCES_MAX, 9);
}

static void the_program_pays_its_predecessor_s_debts(void **state)
{
    (void)state;
    hook("1", "");
    set_frozen(BH_FROZEN);
    start_program(BH_HOOK_OWED);
    assert_int_equal(ended(A_WHILE_MS), -1);
    set_frozen(BH_THAWED);
    assert_int_equal(ended(PLENTY_MS), 0);
    assert_journal("1 thaw\n");
}

static void the_program_verifies_what_it_is_given(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct bh_hook_config good = config;

        if (i == 0)
            config.magic++;
        else if (i == 1)
            config.timeout_ms = 0;
        else if (i == 2)
            config.timeout_ms = BH_HOOK_TIMEOUT_MAX_MS + 1;
        else if (i == 3)
            memset(config.file, '/', sizeof(config.file));
        else if (i == 4)
            strcpy(config.folder, "relative");
        else
            memset(config.channel, 'c', sizeof(config.channel));
        start_program(0);
        assert_int_equal(ended(PLENTY_MS), 78);
        next_server();
        config = good;
    }
    config.timeout_ms = BH_HOOK_TIMEOUT_MAX_MS;
    start_program(0);
    assert_int_equal(ask(BH_HOOK_FREEZE), BH_HOOK_DONE);
}

static void needs_root(void **state)
{
    (void)state;
    skip();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(both_orders),
        TEST(without_hooks),
        TEST(a_failing_freeze_ends_the_freeze),
        TEST(every_thaw_hook_is_run_whatever_fails),
        TEST(a_hook_that_hangs),
        TEST(output_that_does_not_end),
        TEST(bad_hooks_end_the_freeze),
        TEST(as_an_ordinary_user),
        TEST(a_hook_that_turns_bad),
        TEST(nothing_runs_while_frozen),
        TEST(who_asked_is_gone),
        TEST(called_off_while_a_hook_runs),
        TEST(called_off_by_the_next_question),
        TEST(the_supervisor_is_gone),
        TEST(killed_with_hooks_owed),
        TEST(killed_while_a_hook_runs),
        TEST(a_daemon_that_cannot_be_reaped),
        TEST(a_hook_that_cannot_be_reaped),
        TEST(frozen_between_two_hooks),
        TEST(owed_with_a_bad_folder),
        TEST(malformed_questions),
        TEST(full_queue),
        TEST(answers_are_verified),
        TEST(outcomes_have_sentences),
        TEST(the_program_serves),
        TEST(the_program_pays_its_predecessor_s_debts),
        TEST(the_program_verifies_what_it_is_given),
    };
    const struct CMUnitTest none[] = { cmocka_unit_test(needs_root) };

    return geteuid() == 0 ? cmocka_run_group_tests(tests, NULL, NULL)
                          : cmocka_run_group_tests(none, NULL, NULL);
}
