/*
 * Whether a process starts at all: not with more than its profile says, not if it finds
 * itself other than it was told, not without a required fence; and how it ends.
 */
#include <linux/capability.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/confine/profiles.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "tests/confine/launch.h"

#define CAP(name) (UINT64_C(1) << (name))

static int set_up(void **state)
{
    (void)state;
    launch_init();
    return 0;
}

static void test_no_more_caps_than_the_profile(void **state)
{
    struct launch launch = launch_begin(&bh_profile_front, 0);

    (void)state;
    launch.identity.caps = CAP(CAP_DAC_OVERRIDE);
    assert_int_equal(launch_try(&launch, "wait", NULL, NULL), LAUNCH_BEFORE_FAILED);
}

static void test_filter(void **state)
{
    struct launch launch = launch_begin(&bh_profile_front, ONLY(BH_FENCE_NNP | BH_FENCE_SECCOMP));

    (void)state;
    assert_int_equal(launch_try(&launch, "fork", NULL, NULL), LAUNCH_SIGNALLED + SIGSYS);
    assert_int_equal(launch_try(&launch, "open", "/etc/passwd", "02000000"), LAUNCH_SIGNALLED + SIGSYS);
    assert_int_equal(launch_try(&launch, "abort", NULL, NULL), LAUNCH_SIGNALLED + SIGABRT);
}

static void lie_caps(struct bh_boot *boot)
{
    boot->caps ^= CAP(CAP_KILL);
}

static void lie_uid(struct bh_boot *boot)
{
    boot->uid++;
}

static void lie_gid(struct bh_boot *boot)
{
    boot->gid++;
}

static void lie_groups(struct bh_boot *boot)
{
    boot->n_groups++;
}

static void lie_no_new_privs(struct bh_boot *boot)
{
    boot->fences |= BH_FENCE_NNP;
}

static void lie_securebits(struct bh_boot *boot)
{
    boot->fences |= BH_FENCE_SECUREBITS;
}

/* What the process finds is not what it was told: it must not start. */
static void test_self_check(void **state)
{
    static void (*const lies[])(struct bh_boot *) = { lie_caps, lie_uid, lie_gid, lie_groups };
    struct launch launch = launch_begin(&bh_profile_front, 0);

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_SIZE(lies); i++) {
        launch.lie = lies[i];
        assert_int_equal(launch_try(&launch, "abort", NULL, NULL), BH_EXIT_CONFINE);
    }
    launch.off = BH_FENCE_NNP | BH_FENCE_SECCOMP | BH_FENCE_LANDLOCK;
    launch.lie = lie_no_new_privs;
    assert_int_equal(launch_try(&launch, "abort", NULL, NULL), BH_EXIT_CONFINE);
    launch.off = BH_FENCE_SECUREBITS;
    launch.lie = lie_securebits;
    assert_int_equal(launch_try(&launch, "abort", NULL, NULL), BH_EXIT_CONFINE);
}

static void test_required(void **state)
{
    struct launch launch = launch_begin(&bh_profile_front, BH_FENCE_LANDLOCK);

    (void)state;
    launch.required = BH_FENCE_LANDLOCK | BH_FENCE_SECCOMP;
    assert_int_equal(launch_try(&launch, "abort", NULL, NULL), BH_EXIT_CONFINE);
    launch.required = BH_FENCE_SECCOMP;
    assert_int_equal(launch_try(&launch, "abort", NULL, NULL), LAUNCH_SIGNALLED + SIGABRT);
}

/* Kills a supervisor whose child of this profile waits; the child's end of the socket is in *ret. */
static void orphan(const struct bh_profile *profile, struct pollfd *ret)
{
    struct launch launch = launch_begin(profile, 0);
    int pair[2];
    char byte;
    pid_t supervisor;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    supervisor = fork();
    if (supervisor == 0) { /* no assertions here: a failed one would run the tests that follow twice */
        struct running running;

        launch.args[0] = "wait";
        launch_start(&launch, &running);
        if (read(running.peer, &running.fences, sizeof(running.fences)) == sizeof(running.fences))
            (void)bh_fd_send(pair[1], "", 1, running.peer);
        else
            _exit(1);
        (void)pause();
        _exit(0);
    }
    (void)close(pair[1]);
    assert_int_equal(bh_fd_recv(pair[0], &byte, 1, &ret->fd), 1);
    ret->events = POLLIN;
    assert_int_equal(poll(ret, 1, 50), 0);
    assert_int_equal(kill(supervisor, SIGKILL), 0);
    (void)waitpid(supervisor, NULL, 0);
    (void)close(pair[0]);
}

/* Killed as the supervisor may be: nobody of ours stays behind. */
static void test_dies_with_the_supervisor(void **state)
{
    struct pollfd gone;

    (void)state;
    orphan(&bh_profile_front, &gone);
    assert_int_equal(poll(&gone, 1, 5000), 1);
    (void)close(gone.fd);
}

/* But the guard, which has something to thaw before it ends, and is told by its sockets. */
static void test_outlives_the_supervisor(void **state)
{
    struct pollfd gone;

    (void)state;
    orphan(&bh_profile_thaw, &gone);
    assert_int_equal(poll(&gone, 1, 300), 0);
    assert_int_equal(shutdown(gone.fd, SHUT_RDWR), 0);
    assert_int_equal(poll(&gone, 1, 5000), 1);
    (void)close(gone.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_more_caps_than_the_profile),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_self_check),
        cmocka_unit_test(test_required),
        cmocka_unit_test(test_dies_with_the_supervisor),
        cmocka_unit_test(test_outlives_the_supervisor),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
