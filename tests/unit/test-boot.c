/* protocol/wire/boot.h: each child maps what it was given, or ends with the status that says "configuration".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "protocol/base/fd.h"
#include "protocol/wire/boot.h"

#define MAPPED 0
#define REFUSED 78

static const struct bh_boot good = { .magic = BH_BOOT_MAGIC, .channel = "main" };

/* Exit status of a child that has `boot_fd` and `state_fd` where the supervisor puts them, and maps both. */
static int map_in_child(int boot_fd, int state_fd)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);
        const struct bh_boot *boot;
        int boot_copy = fcntl(boot_fd, F_DUPFD, 20), state_copy = fcntl(state_fd, F_DUPFD, 20);

        (void)dup2(null, STDERR_FILENO);
        (void)dup2(boot_copy, BH_FD_BOOT);
        (void)dup2(state_copy, BH_FD_STATE);
        boot = bh_boot_map();
        bh_state_map()->requests++;
        _exit(strcmp(boot->channel, "main") == 0 ? MAPPED : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int make_boot(const struct bh_boot *boot, size_t size, int sealed)
{
    int fd = bh_memfd_new("boot", boot, size);

    assert_true(fd >= 0);
    if (sealed)
        assert_int_equal(bh_memfd_seal(fd), 0);
    return fd;
}

static int make_state(size_t size)
{
    int fd = bh_memfd_new("state", NULL, size);

    assert_true(fd >= 0);
    return fd;
}

static void test_state_is_shared(void **state)
{
    int boot = make_boot(&good, sizeof(good), 1), page = make_state(sizeof(struct bh_state));
    struct bh_state found;

    (void)state;
    assert_int_equal(map_in_child(boot, page), MAPPED);
    assert_int_equal(map_in_child(boot, page), MAPPED);
    assert_int_equal(bh_read_file(page, &found, sizeof(found)), sizeof(found));
    assert_int_equal(found.requests, 2);
    (void)close(boot);
    (void)close(page);
}

static void test_wrong_boot_is_refused(void **state)
{
    struct bh_boot magic = good, name = good;
    int page = make_state(sizeof(struct bh_state)), pipe_fds[2];

    (void)state;
    magic.magic++;
    memset(name.channel, 'x', sizeof(name.channel));
    assert_int_equal(pipe(pipe_fds), 0);
    assert_int_equal(map_in_child(make_boot(&good, sizeof(good), 0), page), REFUSED);
    assert_int_equal(map_in_child(make_boot(&good, sizeof(good) - 1, 1), page), REFUSED);
    assert_int_equal(map_in_child(make_boot(&magic, sizeof(magic), 1), page), REFUSED);
    assert_int_equal(map_in_child(make_boot(&name, sizeof(name), 1), page), REFUSED);
    assert_int_equal(map_in_child(pipe_fds[0], page), REFUSED);
}

static void test_wrong_state_is_refused(void **state)
{
    int boot = make_boot(&good, sizeof(good), 1), null = open("/dev/null", O_RDWR);

    (void)state;
    assert_int_equal(map_in_child(boot, make_state(sizeof(struct bh_state) - 1)), REFUSED);
    assert_int_equal(map_in_child(boot, make_state(sizeof(struct bh_state) + 1)), MAPPED);
    assert_int_equal(map_in_child(boot, boot), REFUSED);
    assert_int_equal(map_in_child(boot, null), REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_is_shared),
        cmocka_unit_test(test_wrong_boot_is_refused),
        cmocka_unit_test(test_wrong_state_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
