/*
 * workers/storage/guard.h: a storage worker in a process of its own asks the guard, which is the real one or
 * answers badly; who introduces them is a supervisor played here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "protocol/wire/control.h"
#include "tests/unit/fds.h"
#include "tests/unit/guard-fixture.h"
#include "workers/storage/guard.h"
#include "workers/storage/mounts.h"

#define SLOT 2u

/* What the supervisor and the guard do in one run. */
struct play {
    bool refuses;        /* the supervisor, the first time */
    unsigned dies_after; /* the guard's end of the socket closes after so many answers; 0: never */
    bool dies_late;      /* with the next question unread */
    const struct bh_guard_reply *fake; /* in place of the guard's answers */
    size_t fake_len;
    unsigned n_starts, n_questions;
};

static struct guard_scene s;

static int begin(void **state)
{
    (void)state;
    bh_log_init("test-guard", BH_LOG_ERROR);
    guard_scene_begin(&s, -1);
    return 0;
}

static int end(void **state)
{
    (void)state;
    guard_scene_end(&s);
    return 0;
}

/* --- the supervisor and the guard ------------------------------------------------------- */

static void introduce(struct play *play, int control)
{
    _cleanup_close_ int none = -1;
    struct bh_control message;
    int pair[2];

    assert_int_equal(bh_control_recv(control, &message, &none), 1);
    assert_int_equal(message.op, BH_CONTROL_START);
    assert_int_equal(message.arg, BH_PEER_GUARD);
    if (play->n_starts++ == 0 && play->refuses) {
        assert_int_equal(bh_control_send(control, BH_CONTROL_REFUSED, BH_PEER_GUARD, -1), 0);
        return;
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(bh_control_send(control, BH_CONTROL_PEER, BH_PEER_GUARD, pair[1]), 0);
    (void)close(pair[1]);
    bh_guard_add(&s.guard, SLOT, pair[0]);
}

static void answer(struct play *play)
{
    struct bh_guard_request request;
    _cleanup_close_ int fd = -1;

    play->n_questions++;
    if (!play->fake) {
        if (bh_guard_serve(&s.guard, SLOT) && play->n_questions == play->dies_after) {
            struct pollfd next = { .fd = s.guard.clients[SLOT], .events = POLLIN };

            bh_guard_end(&s.guard, false); /* as its successor does */
            assert_true(!play->dies_late || poll(&next, 1, 20000) == 1);
            bh_close_p(&s.guard.clients[SLOT]);
        }
        return;
    }
    if (bh_fd_recv(s.guard.clients[SLOT], &request, sizeof(request), &fd) > 0)
        (void)send(s.guard.clients[SLOT], play->fake, play->fake_len, MSG_NOSIGNAL);
    else
        bh_close_p(&s.guard.clients[SLOT]);
}

/* Runs a worker to its end; what it expected was so. */
static void run(struct play *play, int (*worker)(void))
{
    int pair[2], status;
    pid_t pid;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int control = fcntl(pair[1], F_DUPFD, 200);

        (void)close(pair[0]);
        (void)close(pair[1]);
        for (uint32_t i = 0; i < GUARD_FILESYSTEMS; i++) /* what has the control socket's number moves away */
            s.folders[i] = fcntl(s.folders[i], F_DUPFD_CLOEXEC, 100);
        _exit(dup2(control, BH_FD_CONTROL) < 0 || close(control) < 0 || worker());
    }
    (void)close(pair[1]);
    for (;;) {
        struct pollfd fds[] = { { .fd = pair[0], .events = POLLIN },
                                { .fd = s.guard.clients[SLOT], .events = POLLIN } };
        char byte;

        assert_true(poll(fds, 2, 20000) > 0);
        if (fds[1].revents)
            answer(play);
        if (fds[0].revents && recv(pair[0], &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0)
            break;
        if (fds[0].revents)
            introduce(play, pair[0]);
    }
    (void)close(pair[0]);
    while (s.guard.clients[SLOT] >= 0)
        answer(play);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- the worker -------------------------------------------------------------------------- */

/* In the other process, which ends with 1 after the first thing that is otherwise. */
#define EXPECT(truth)                                                                                        \
    do                                                                                                       \
        if (!(truth)) {                                                                                      \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #truth);                                \
            return 1;                                                                                        \
        }                                                                                                    \
    while (0)

static struct bh_filesystem filesystem(uint32_t minor)
{
    return (struct bh_filesystem){ .major = GUARD_MAJOR, .minor = minor };
}

static int hold(uint32_t minor)
{
    const struct bh_filesystem fs = filesystem(minor);

    return bh_guard_hold(&fs, "/mnt/x", s.folders[minor]);
}

static int freeze(uint32_t minor)
{
    int r = hold(minor);

    return r ? r : bh_guard_done(guard_scene_fifreeze(&s, minor), 7);
}

static int whole(void)
{
    const struct bh_filesystem fs = filesystem(5);
    struct bh_thawed thawed = { .hooks = 77 };
    char path[2 * BH_FROZEN_PATH_MAX];
    int fds = count_fds();

    memset(path, 'p', sizeof(path));
    path[0] = '/';
    path[sizeof(path) - 1] = '\0';
    EXPECT(bh_guard_begin(-1) == 0);
    EXPECT(freeze(1) == 0);
    EXPECT(bh_guard_skip(&fs, path, EACCES) == 0);
    EXPECT(freeze(2) == 0);
    EXPECT(bh_guard_commit() == 0);
    EXPECT(bh_guard_begin(-1) == -EBUSY);
    EXPECT(bh_guard_commit() == -ENOTCONN);
    EXPECT(guard_scene_frozen(&s) == 2);
    EXPECT(bh_guard_thaw(&thawed) == 0);
    EXPECT(thawed.count == 2 && thawed.cause == BH_THAW_ASKED && thawed.hooks == -1);
    EXPECT(guard_scene_frozen(&s) == 0);
    EXPECT(count_fds() == fds + 1); /* one socket, kept */
    return 0;
}

static void a_worker_freezes_and_thaws(void **state)
{
    struct play play = { 0 };

    (void)state;
    run(&play, whole);
    assert_int_equal(play.n_starts, 1);
    assert_string_equal(s.page->channel, "c2");
    assert_int_equal(s.page->n_mounts, 3);
    assert_int_equal(s.page->mounts[0].ms, 7);
    assert_string_equal(s.page->mounts[0].path, "/mnt/x");
    assert_int_equal(s.page->mounts[1].error, EACCES);
    assert_int_equal(strlen(s.page->mounts[1].path), BH_FROZEN_PATH_MAX - 1); /* cut, and ended */
    assert_int_equal(s.page->mounts[2].minor, 2);
}

static int with_hooks(void)
{
    struct bh_thawed thawed = { .hooks = -1 };
    int pair[2];
    char byte;

    EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
    EXPECT(bh_guard_begin(pair[0]) == 0);
    (void)close(pair[0]);
    EXPECT(freeze(1) == 0);
    EXPECT(bh_guard_undo(&thawed) == 0);
    EXPECT(thawed.count == 1 && thawed.hooks >= 0);
    EXPECT(send(pair[1], "x", 1, 0) == 1 && recv(thawed.hooks, &byte, 1, 0) == 1);
    (void)close(thawed.hooks);
    EXPECT(bh_guard_thaw(&thawed) == 0 && thawed.count == 0 && thawed.hooks == -1);
    return 0;
}

static void hooks_go_to_the_guard_and_come_back(void **state)
{
    struct play play = { 0 };

    (void)state;
    run(&play, with_hooks);
}

static int refused(void)
{
    struct bh_thawed thawed = { .hooks = 77 };

    EXPECT(bh_guard_begin(-1) == -EACCES);
    EXPECT(bh_guard_undo(&thawed) == -ENOTCONN); /* nobody is asked */
    EXPECT(thawed.hooks == 77);
    EXPECT(bh_guard_begin(-1) == 0);
    EXPECT(bh_guard_undo(&thawed) == 0);
    return 0;
}

static void no_guard_is_an_error_and_is_asked_for_again(void **state)
{
    struct play play = { .refuses = true };

    (void)state;
    run(&play, refused);
    assert_int_equal(play.n_starts, 2);
    assert_int_equal(play.n_questions, 3); /* the last of them is the worker's end */
}

/* The guard's own no ends nothing: the freeze can be undone. */
static int too_many(void)
{
    const struct bh_filesystem fs = filesystem(5);
    struct bh_thawed thawed;

    EXPECT(bh_guard_begin(-1) == 0);
    EXPECT(freeze(1) == 0);
    for (uint32_t i = 1; i < BH_FROZEN_MOUNTS_MAX; i++)
        EXPECT(bh_guard_skip(&fs, "/mnt/y", 0) == 0);
    EXPECT(hold(2) == -E2BIG);
    EXPECT(guard_scene_frozen(&s) == 1);
    EXPECT(bh_guard_undo(&thawed) == 0);
    EXPECT(thawed.count == 1);
    EXPECT(guard_scene_frozen(&s) == 0);
    return 0;
}

static void a_refusal_leaves_the_freeze_to_be_undone(void **state)
{
    struct play play = { 0 };

    (void)state;
    run(&play, too_many);
    assert_int_equal(play.n_starts, 1);
}

static int guard_dies_in_between(void)
{
    struct bh_thawed thawed;

    EXPECT(bh_guard_begin(-1) == 0);
    EXPECT(hold(1) == 0); /* the last that it answers */
    EXPECT(bh_guard_done(0, 0) < 0);
    EXPECT(bh_guard_commit() == -ENOTCONN); /* of another guard, which knows of nothing */
    EXPECT(bh_guard_undo(&thawed) == -ENOTCONN);
    return 0;
}

static void a_guard_that_dies_while_one_freezes(void **state)
{
    struct play play = { .dies_after = 2 };

    (void)state;
    run(&play, guard_dies_in_between);
    assert_int_equal(play.n_starts, 2);
}

/* The socket of a guard that has died since is no reason to fail. */
static int begin_after_death(void)
{
    struct bh_thawed thawed;

    EXPECT(bh_guard_begin(-1) == 0);
    EXPECT(bh_guard_undo(&thawed) == 0);
    EXPECT(bh_guard_begin(-1) == 0);
    EXPECT(bh_guard_undo(&thawed) == 0);
    return 0;
}

static int thaw_after_death(void)
{
    struct bh_thawed thawed;

    EXPECT(bh_guard_begin(-1) == 0);
    EXPECT(bh_guard_undo(&thawed) == 0);
    EXPECT(bh_guard_thaw(&thawed) == 0);
    return 0;
}

static void a_guard_that_died_since_has_a_successor(void **state)
{
    (void)state;
    for (unsigned late = 0; late < 2; late++) {
        struct play begins = { .dies_after = 2, .dies_late = late }, thaws = begins;

        run(&begins, begin_after_death);
        assert_int_equal(begins.n_starts, 2);
        run(&thaws, thaw_after_death);
        assert_int_equal(thaws.n_starts, 2);
    }
}

/* An answer that is none drops the socket, so that a late one is never taken for the next. */
static int answered_badly(void)
{
    struct bh_thawed thawed = { .hooks = 77 };

    EXPECT(bh_guard_begin(-1) == -EPROTO);
    EXPECT(bh_guard_thaw(&thawed) == -EPROTO);
    EXPECT(bh_guard_commit() == -EPROTO);
    EXPECT(thawed.hooks == 77);
    return 0;
}

static void a_guard_that_was_taken_over(void **state)
{
    static const struct bh_guard_reply bad[] = {
        { .magic = BH_GUARD_MAGIC + 1 },
        { .magic = BH_GUARD_MAGIC, .error = 1 },
        { .magic = BH_GUARD_MAGIC, .error = INT32_MAX },
        { .magic = BH_GUARD_MAGIC, .cause = BH_THAW_CAUSE_END },
        { .magic = BH_GUARD_MAGIC, .cause = UINT32_MAX },
        { .magic = BH_GUARD_MAGIC },
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
        bool last = i == BH_ARRAY_SIZE(bad) - 1;
        struct play play = { .fake = &bad[i], .fake_len = sizeof(bad[i]) - last };

        run(&play, answered_badly);
        assert_int_equal(play.n_starts, 3);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_worker_freezes_and_thaws),
        TEST(hooks_go_to_the_guard_and_come_back),
        TEST(no_guard_is_an_error_and_is_asked_for_again),
        TEST(a_refusal_leaves_the_freeze_to_be_undone),
        TEST(a_guard_that_dies_while_one_freezes),
        TEST(a_guard_that_died_since_has_a_successor),
        TEST(a_guard_that_was_taken_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
