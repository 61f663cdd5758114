/*
 * Control groups of executions: what the supervisor makes for a worker, what the worker makes for an
 * execution, and that nothing in one survives its end. Needs root and a version 2 hierarchy that can be
 * written to; all happens in a group of the test's own, which is removed.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/supervisor/cgroup.h"
#include "policy/confine/become.h"
#include "policy/confine/cgroupfs.h"
#include "protocol/base/mem.h"
#include "workers/exec/cgroup.h"
#include "workers/exec/sandbox_limits.h"

#define WORKER_ID 65530
#define NUMBER UINT64_C(4711)
#define SECONDS_MAX 20

static char name[64];
static int above = -1; /* where the test's group is made */

/* Whatever a failed test has left. */
static void clean(int group)
{
    static const char *const left[] = { "exec-main/run-4711", "exec-main/worker", "exec-main", "agent" };

    (void)bh_cgroup_write(group, "cgroup.kill", "1");
    for (size_t i = 0; i < BH_ARRAY_SIZE(left); i++)
        for (int n = 0; unlinkat(group, left[i], AT_REMOVEDIR) < 0 && errno == EBUSY && n < 1000; n++)
            (void)usleep(1000);
}

/* Runs `body` in a child that sits in the test's group, so that this process stays where it is. */
static int in_group(bool delegated, int (*body)(void))
{
    int status, group;
    pid_t pid;

    assert_int_equal(mkdirat(above, name, 0755), 0);
    group = openat(above, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(group >= 0);
    if (delegated)
        assert_int_equal(fsetxattr(group, "user.delegate", "1", 1, 0), 0);
    pid = fork();
    if (pid == 0 && alarm(SECONDS_MAX) == 0)
        _exit(bh_cgroup_write(group, "cgroup.procs", "0") < 0 ? 99 : body());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    clean(group);
    (void)close(group);
    assert_int_equal(unlinkat(above, name, AT_REMOVEDIR), 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static uint32_t controllers(int group)
{
    static const char *const names[] = { "memory", "pids", "cpu " };
    char text[256] = "";
    int fd = openat(group, "cgroup.controllers", O_RDONLY | O_CLOEXEC);
    uint32_t found = 0;
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 2);

    if (n > 0)
        strcpy(text + n - 1, " ");
    (void)close(fd);
    for (unsigned i = 0; i < 3; i++)
        if (strstr(text, names[i]))
            found |= 1u << i;
    return found;
}

/* A tree of three, one of which has left the session. Writes when all are there. */
static void grow(const struct bh_sandbox_plan *plan, int ready)
{
    if (bh_sandbox_join(plan) < 0)
        _exit(1);
    if (fork() == 0)
        (void)setsid();
    else if (fork() != 0)
        (void)!write(ready, "", 1);
    (void)alarm(SECONDS_MAX); /* whatever becomes of the test */
    for (;;)
        (void)pause();
}

/* In the worker. Each failure has its own number. */
static int run_one(int place)
{
    struct bh_sandbox_plan plan = { .memory = 64u << 20, .pids = 16, .cpu = 50, .cgroup = -1 };
    int ready[2], status;
    pid_t pid;
    char byte;

    if (bh_cgroup_make(place, NUMBER, &plan) < 0)
        return 20;
    if (plan.held != controllers(plan.cgroup))
        return 21;
    if (pipe(ready) < 0 || bh_cgroup_populated(plan.cgroup) != 0)
        return 22;
    pid = fork();
    if (pid == 0)
        grow(&plan, ready[1]);
    if (read(ready[0], &byte, 1) != 1 || bh_cgroup_populated(plan.cgroup) != 1)
        return 23;
    if (bh_cgroup_remove(place, NUMBER) != -EBUSY)
        return 24;
    if (bh_cgroup_kill(plan.cgroup) < 0 || waitpid(pid, &status, 0) != pid || WTERMSIG(status) != SIGKILL)
        return 25;
    for (int i = 0; bh_cgroup_populated(plan.cgroup) != 0; i++)
        if (usleep(1000) < 0 || i == 5000)
            return 26;
    if (bh_cgroup_remove(place, NUMBER) < 0)
        return 27;
    return bh_cgroup_remove(place, NUMBER) == -ENOENT ? 0 : 28;
}

static int be_worker(const struct bh_cgroups *groups)
{
    int place;

    if (bh_cgroups_sit(groups, "exec", "main", WORKER_ID) < 0 || bh_become(WORKER_ID, WORKER_ID, 0, NULL) < 0)
        return 10;
    place = bh_cgroup_place();
    return place < 0 ? 11 : run_one(place);
}

static int supervise(void)
{
    struct bh_cgroups groups;
    const char *step;
    int status;
    pid_t pid;

    if (bh_cgroups_start(&groups, &step) != 0)
        return 1;
    pid = fork();
    if (pid == 0)
        _exit(be_worker(&groups));
    if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return 3;
    bh_cgroups_sweep(&groups);
    (void)bh_cgroup_write(above, "cgroup.procs", "0");
    return WEXITSTATUS(status)                                  ? WEXITSTATUS(status)
           : faccessat(groups.group, "exec-main", F_OK, 0) == 0 ? 4
                                                                : 0;
}

static void begin(void)
{
    bool root;

    (void)snprintf(name, sizeof(name), "bulkhead-test-%d", (int)getpid());
    above = bh_cgroup_own(&root);
    if (above < 0 || geteuid() != 0 || mkdirat(above, name, 0755) < 0)
        skip();
    assert_int_equal(unlinkat(above, name, AT_REMOVEDIR), 0);
}

static void test_an_execution_and_its_end(void **state)
{
    (void)state;
    begin();
    assert_int_equal(in_group(true, supervise), 0);
}

static int expect_none(void)
{
    struct bh_cgroups groups;
    const char *step;

    if (bh_cgroups_start(&groups, &step) != 1)
        return 1;
    return bh_cgroups_sit(&groups, "exec", "main", WORKER_ID) == 0 && bh_cgroup_place() == -ENOENT ? 0 : 2;
}

static void test_what_is_not_delegated_is_left_alone(void **state)
{
    (void)state;
    begin();
    assert_int_equal(in_group(false, expect_none), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_execution_and_its_end),
        cmocka_unit_test(test_what_is_not_delegated_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
