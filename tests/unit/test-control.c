/* protocol/wire/control.h: what a peer may send, and what asking for a peer makes of every answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "protocol/base/fd.h"
#include "protocol/wire/control.h"
#include "tests/unit/fds.h"
#include "tests/unit/pair.h"

static int setup(void **state)
{
    (void)state;
    return pair_open(0);
}

static void test_round_trip(void **state)
{
    struct bh_control message;
    int fd = 5;

    (void)state;
    assert_int_equal(bh_control_send(theirs, BH_CONTROL_KILL, 0xfffffffe, -1), 0);
    assert_int_equal(bh_control_recv(ours, &message, &fd), 1);
    assert_int_equal(message.op, BH_CONTROL_KILL);
    assert_int_equal(message.arg, 0xfffffffe);
    assert_int_equal(fd, -1);
    assert_int_equal(bh_control_send(theirs, BH_CONTROL_CLIENT, 0, theirs), 0);
    assert_int_equal(bh_control_recv(ours, &message, &fd), 1);
    assert_true(fd >= 0);
    (void)close(fd);
}

static void test_malformed(void **state)
{
    static const struct bh_control bad[] = {
        { BH_CONTROL_MAGIC + 1, BH_CONTROL_START, 0 },
        { BH_CONTROL_MAGIC, 0, 0 },
        { BH_CONTROL_MAGIC, BH_CONTROL_OP_END, 0 },
    };
    struct bh_control message;
    int fd = 77, before = count_fds();

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(bh_fd_send(theirs, &bad[i], sizeof(bad[i]), theirs), 0);
        assert_int_equal(bh_control_recv(ours, &message, &fd), -EPROTO);
    }
    for (size_t len = 1; len < 8; len++) {
        assert_int_equal(bh_fd_send(theirs, &bad[0], len, -1), 0);
        assert_int_equal(bh_control_recv(ours, &message, &fd), -EPROTO);
    }
    assert_int_equal(count_fds(), before);
}

/* The supervisor went away, whether it read all we sent or not. */
static void test_peer_gone(void **state)
{
    struct bh_control message;
    int fd;

    (void)state;
    assert_int_equal(bh_control_send(ours, BH_CONTROL_START, 1, -1), 0);
    (void)close(theirs);
    assert_int_equal(bh_control_recv(ours, &message, &fd), 0);
    assert_int_equal(bh_control_recv(ours, &message, &fd), 0);
    assert_int_equal(bh_control_start(ours, 1, 100), -EPIPE);
}

static void test_start_gets_peer(void **state)
{
    struct bh_control request;
    int fd, none, before = count_fds();

    (void)state;
    assert_int_equal(bh_control_send(theirs, BH_CONTROL_PEER, 4, theirs), 0);
    assert_int_equal(bh_control_send(theirs, BH_CONTROL_REFUSED, 5, -1), 0);
    assert_int_equal(bh_control_send(theirs, BH_CONTROL_PEER, 3, theirs), 0);
    fd = bh_control_start(ours, 3, 1000);
    assert_true(fd >= 0);
    assert_int_equal(count_fds(), before + 1);
    (void)close(fd);
    assert_int_equal(bh_control_recv(theirs, &request, &none), 1);
    assert_int_equal(request.op, BH_CONTROL_START);
    assert_int_equal(request.arg, 3);
}

static void test_policy_comes(void **state)
{
    struct bh_control request;
    uint32_t size = 0;
    int fd, none;

    (void)state;
    assert_int_equal(bh_control_send(theirs, BH_CONTROL_PEER, 3, theirs), 0); /* asked for earlier */
    assert_int_equal(bh_control_send(theirs, BH_CONTROL_POLICY, 4711, theirs), 0);
    fd = bh_control_policy(ours, 1000, NULL, &size);
    assert_true(fd >= 0);
    assert_int_equal(size, 4711);
    (void)close(fd);
    assert_int_equal(bh_control_recv(theirs, &request, &none), 1);
    assert_int_equal(request.op, BH_CONTROL_POLICY);
    assert_int_equal(bh_control_policy(ours, 1, NULL, &size), -ETIMEDOUT);
    assert_int_equal(bh_control_send(theirs, BH_CONTROL_POLICY, 4711, -1), 0);
    assert_int_equal(bh_control_policy(ours, 1000, NULL, &size), -EPROTO);
    assert_int_equal(bh_control_send(theirs, BH_CONTROL_POLICY, 4711, theirs), 0);
    assert_int_equal(bh_control_start(ours, 3, 1000), -EPROTO);
}

static void test_start_is_refused(void **state)
{
    (void)state;
    assert_int_equal(bh_control_send(theirs, BH_CONTROL_REFUSED, 3, -1), 0);
    assert_int_equal(bh_control_start(ours, 3, 1000), -EACCES);
}

/* A PEER without a descriptor, a REFUSED with one, and what nobody may send now. */
static void test_start_is_answered_wrongly(void **state)
{
    int before = count_fds();

    (void)state;
    assert_int_equal(bh_control_send(theirs, BH_CONTROL_PEER, 3, -1), 0);
    assert_int_equal(bh_control_start(ours, 3, 1000), -EPROTO);
    assert_int_equal(bh_control_send(theirs, BH_CONTROL_REFUSED, 3, theirs), 0);
    assert_int_equal(bh_control_start(ours, 3, 1000), -EPROTO);
    assert_int_equal(bh_control_send(theirs, BH_CONTROL_CLIENT, 0, theirs), 0);
    assert_int_equal(bh_control_start(ours, 3, 1000), -EPROTO);
    assert_int_equal(count_fds(), before);
}

/* Answers about others do not stretch the deadline. */
static void test_start_times_out(void **state)
{
    struct timespec begin, end;
    long ms;

    (void)state;
    assert_int_equal(bh_control_send(theirs, BH_CONTROL_PEER, 4, theirs), 0);
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    assert_int_equal(bh_control_start(ours, 3, 60), -ETIMEDOUT);
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    ms = (end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000;
    assert_in_range(ms, 55, 2000);
    assert_int_equal(bh_control_start(ours, 3, 0), -ETIMEDOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, pair_close),
        cmocka_unit_test_setup_teardown(test_malformed, setup, pair_close),
        cmocka_unit_test_setup_teardown(test_peer_gone, setup, pair_close),
        cmocka_unit_test_setup_teardown(test_start_gets_peer, setup, pair_close),
        cmocka_unit_test_setup_teardown(test_start_is_refused, setup, pair_close),
        cmocka_unit_test_setup_teardown(test_policy_comes, setup, pair_close),
        cmocka_unit_test_setup_teardown(test_start_is_answered_wrongly, setup, pair_close),
        cmocka_unit_test_setup_teardown(test_start_times_out, setup, pair_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
