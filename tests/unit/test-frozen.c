/*
 * protocol/wire/frozen.h: what a reader believes of the frozen page, which a guard that was taken over may
 * have written, and what follows from it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "protocol/wire/frozen.h"

#define BOOT "12345678-1234-1234-1234-123456789abc"
#define MAPPED 0
#define REFUSED 1

static struct bh_frozen page;

/* A page of this boot on which `n` file systems are frozen. */
static void fill(uint32_t n)
{
    memset(&page, 0, sizeof(page));
    bh_frozen_init(&page, BOOT "\n");
    page.state = BH_FROZEN;
    strcpy(page.channel, "backup");
    page.n_mounts = n;
    for (uint32_t i = 0; i < n && i < BH_FROZEN_MOUNTS_MAX; i++)
        page.mounts[i] =
            (struct bh_frozen_mount){ .fate = BH_MOUNT_FROZEN, .major = 250, .minor = i, .path = "/m" };
}

static bool is_sound(void)
{
    return bh_frozen_check(&page, BOOT "\n");
}

static void a_new_page_is_thawed_and_sound(void **state)
{
    (void)state;
    memset(&page, 0, sizeof(page));
    assert_false(is_sound());
    bh_frozen_init(&page, BOOT "\n");
    assert_true(is_sound());
    assert_true(bh_frozen_check(&page, BOOT));
    assert_int_equal(bh_frozen_state(&page), BH_THAWED);
    assert_int_equal(bh_frozen_used(&page), offsetof(struct bh_frozen, mounts));
    assert_true(bh_frozen_check(&page, page.boot_id));
}

static void another_boot_is_not_believed(void **state)
{
    char longer[2 * sizeof(page.boot_id)];

    (void)state;
    fill(0);
    assert_false(bh_frozen_check(&page, ""));
    assert_false(bh_frozen_check(&page, "12345678-1234-1234-1234-123456789abd\n"));
    assert_false(bh_frozen_check(&page, "12345678-1234-1234-1234-123456789ab\n"));
    assert_false(bh_frozen_check(&page, BOOT "d\n"));
    page.boot_id[0] = '\0';
    assert_false(is_sound());

    /* A number that is too long is cut, and is then no boot's. */
    memset(&page, 0, sizeof(page));
    memset(longer, 'a', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    bh_frozen_init(&page, longer);
    assert_int_equal(page.boot_id[sizeof(page.boot_id) - 1], 0);
    assert_false(bh_frozen_check(&page, longer));
}

static void each_number_has_its_bounds(void **state)
{
    (void)state;
    fill(3);
    assert_true(is_sound());
    page.magic++;
    assert_false(is_sound());

    fill(3);
    for (page.state = 0; page.state < BH_FREEZE_STATE_END; page.state++)
        assert_true(is_sound());
    assert_false(is_sound());
    page.state = UINT32_MAX;
    assert_false(is_sound());

    fill(3);
    for (page.cause = 0; page.cause < BH_THAW_CAUSE_END; page.cause++)
        assert_true(is_sound());
    assert_false(is_sound());

    for (uint32_t at = 0; at < 3; at++) {
        fill(3);
        for (uint32_t fate = 1; fate < BH_MOUNT_FATE_END; fate++) {
            page.mounts[at].fate = fate;
            assert_true(is_sound());
        }
        page.mounts[at].fate = BH_MOUNT_FATE_END;
        assert_false(is_sound());
        page.mounts[at].fate = 0;
        assert_false(is_sound());
    }
}

static void strings_end(void **state)
{
    (void)state;
    fill(2);
    memset(page.channel, 'x', sizeof(page.channel) - 1);
    memset(page.mounts[1].path, 'x', sizeof(page.mounts[1].path) - 1);
    assert_true(is_sound());
    page.channel[sizeof(page.channel) - 1] = 'x';
    assert_false(is_sound());
    page.channel[0] = '\0';
    assert_true(is_sound());
    page.mounts[1].path[sizeof(page.mounts[1].path) - 1] = 'x';
    assert_false(is_sound());
    page.n_mounts = 1; /* what is not counted says nothing */
    assert_true(is_sound());
}

static void the_count_is_bounded_wherever_it_is_used(void **state)
{
    static const uint32_t counts[] = { BH_FROZEN_MOUNTS_MAX + 1, INT32_MAX, UINT32_MAX };
    struct stat st;
    int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    fill(BH_FROZEN_MOUNTS_MAX - 1);
    assert_true(is_sound());
    assert_int_equal(bh_frozen_used(&page), sizeof(page) - sizeof(page.mounts[0]));
    fill(BH_FROZEN_MOUNTS_MAX);
    assert_true(is_sound());
    assert_int_equal(bh_frozen_used(&page), sizeof(page));
    assert_int_equal(fstat(fd, &st), 0);
    for (size_t i = 0; i < BH_ARRAY_SIZE(counts); i++) {
        page.n_mounts = counts[i];
        assert_false(is_sound());
        assert_int_equal(bh_frozen_mounts(&page), BH_FROZEN_MOUNTS_MAX);
        assert_int_equal(bh_frozen_used(&page), sizeof(page));
        assert_int_equal(bh_frozen_holds(&page, fd), major(st.st_dev) == 0);
    }
    (void)close(fd);
}

static void why_a_mount_was_not_frozen(void **state)
{
    struct bh_frozen_mount mount = { .fate = BH_MOUNT_SKIPPED };

    (void)state;
    assert_string_equal(bh_frozen_why(&mount), "not covered by the policy");
    for (uint32_t fate = BH_MOUNT_ABOUT; fate < BH_MOUNT_FATE_END; fate++) {
        mount.fate = fate;
        assert_null(bh_frozen_why(&mount));
    }
    mount.error = EIO;
    assert_string_equal(bh_frozen_why(&mount), strerror(EIO));
}

/* --- what it means for a command ---------------------------------------------------- */

static enum bh_frozen_word wanted(uint32_t freeze_state, bool own, unsigned command)
{
    if (freeze_state == BH_THAWED)
        return BH_FROZEN_NOTHING;
    switch (command) {
    case BH_CMD_GUEST_FSFREEZE_STATUS:
    case BH_CMD_GUEST_FSFREEZE_THAW:
        return own ? BH_FROZEN_GRANTS : BH_FROZEN_NOTHING;
    case BH_CMD_GUEST_PING:
    case BH_CMD_GUEST_INFO:
    case BH_CMD_GUEST_SYNC:
    case BH_CMD_GUEST_SYNC_DELIMITED:
        return BH_FROZEN_NOTHING;
    default:
        return BH_FROZEN_REFUSES;
    }
}

static void each_command_in_each_state_for_each_channel(void **state)
{
    static const char *const channels[] = { "backup", "backu", "backup2", "main", "" };

    (void)state;
    fill(1);
    for (page.state = 0; page.state < BH_FREEZE_STATE_END; page.state++)
        for (size_t i = 0; i < BH_ARRAY_SIZE(channels); i++)
            for (unsigned command = 0; command < BH_CMD_COUNT; command++)
                if (bh_frozen_says(&page, channels[i], command) != wanted(page.state, i == 0, command))
                    fail_msg("%s for \"%s\" in state %u", bh_commands[command].name, channels[i], page.state);
    page.state = UINT32_MAX; /* nobody knows what that is: the safe side */
    assert_int_equal(bh_frozen_says(&page, "main", BH_CMD_GUEST_FILE_OPEN), BH_FROZEN_REFUSES);
}

/* A channel's name that fills its field has no end; the comparison has. */
static void a_name_without_an_end_is_nobody_s(void **state)
{
    char name[BH_CHANNEL_NAME_MAX + 1];

    (void)state;
    fill(0);
    memset(page.channel, 'x', sizeof(page.channel));
    memset(name, 'x', BH_CHANNEL_NAME_MAX - 1);
    name[BH_CHANNEL_NAME_MAX - 1] = '\0';
    assert_int_equal(bh_frozen_says(&page, name, BH_CMD_GUEST_FSFREEZE_THAW), BH_FROZEN_NOTHING);
    page.channel[BH_CHANNEL_NAME_MAX - 1] = '\0';
    assert_int_equal(bh_frozen_says(&page, name, BH_CMD_GUEST_FSFREEZE_THAW), BH_FROZEN_GRANTS);
}

/* --- may a file be written to --------------------------------------------------------- */

/* A file on a block device; skips where there is none. */
static int file_on_disk(struct stat *ret)
{
    static const char *const folders[] = { ".", "/var/tmp", "/tmp" };

    for (size_t i = 0; i < BH_ARRAY_SIZE(folders); i++) {
        int fd = open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        if (fd >= 0 && fstat(fd, ret) == 0 && major(ret->st_dev) != 0)
            return fd;
        if (fd >= 0)
            (void)close(fd);
    }
    skip();
    return -1;
}

static void memory_is_never_frozen(void **state)
{
    int fd = bh_memfd_new("file", NULL, 1);

    (void)state;
    fill(BH_FROZEN_MOUNTS_MAX);
    for (page.state = 0; page.state < BH_FREEZE_STATE_END; page.state++)
        assert_false(bh_frozen_holds(&page, fd));
    (void)close(fd);
}

static void what_has_no_block_device_may_lie_on_one(void **state)
{
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    fill(0);
    assert_true(bh_frozen_holds(&page, fd));
    assert_true(bh_frozen_holds(&page, -1));
    page.state = BH_THAWED;
    assert_false(bh_frozen_holds(&page, fd));
    assert_false(bh_frozen_holds(&page, -1));
    (void)close(fd);
}

static void a_disk_is_frozen_if_it_is_listed(void **state)
{
    static const bool holds[BH_MOUNT_FATE_END] = { [BH_MOUNT_ABOUT] = true, [BH_MOUNT_FROZEN] = true };
    struct stat st;
    int fd = file_on_disk(&st);

    (void)state;
    fill(5);
    assert_false(bh_frozen_holds(&page, fd));
    for (uint32_t at = 0; at < 5; at += 2) {
        fill(5);
        page.mounts[at].major = major(st.st_dev);
        page.mounts[at].minor = minor(st.st_dev);
        for (uint32_t fate = 0; fate < BH_MOUNT_FATE_END; fate++) {
            page.mounts[at].fate = fate;
            page.state = BH_THAWED;
            assert_false(bh_frozen_holds(&page, fd));
            for (page.state = BH_FREEZING; page.state < BH_FREEZE_STATE_END; page.state++)
                assert_int_equal(bh_frozen_holds(&page, fd), holds[fate]);
            page.state = BH_FROZEN;
            page.n_mounts = at; /* not counted yet */
            assert_false(bh_frozen_holds(&page, fd));
            page.n_mounts = 5;
        }
        page.mounts[at].fate = BH_MOUNT_FROZEN;
        page.mounts[at].minor++;
        assert_false(bh_frozen_holds(&page, fd));
        page.mounts[at].minor--;
        page.mounts[at].major++;
        assert_false(bh_frozen_holds(&page, fd));
    }
    (void)close(fd);
}

/* --- the page as each child finds it --------------------------------------------------- */

/* Exit status of a child that has `fd` where the supervisor puts the page, and maps it. */
static int map_in_child(int fd, bool writes)
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        const struct bh_frozen *mapped;
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        (void)signal(SIGSEGV, SIG_DFL); /* cmocka and sanitizers would say something */
        (void)dup2(null, STDERR_FILENO);
        (void)dup2(fd, BH_FD_FROZEN);
        mapped = bh_frozen_map();
        if (writes)
            *(volatile uint32_t *)(uintptr_t)&mapped->state = BH_THAWED;
        _exit(bh_frozen_state(mapped) == BH_FROZEN ? MAPPED : 2);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void only_a_page_of_this_size_is_mapped(void **state)
{
    int pair[2];

    (void)state;
    fill(1);
    assert_int_equal(map_in_child(bh_memfd_new("page", &page, sizeof(page)), false), MAPPED);
    assert_int_equal(map_in_child(bh_memfd_new("page", &page, sizeof(page) - 1), false), REFUSED);
    assert_int_equal(map_in_child(bh_memfd_new("page", NULL, sizeof(page) + 1), false), REFUSED);
    assert_int_equal(map_in_child(bh_memfd_new("page", NULL, 0), false), REFUSED);
    assert_int_equal(map_in_child(open("/dev/null", O_RDWR | O_CLOEXEC), false), REFUSED);
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(map_in_child(pair[0], false), REFUSED);
}

static void who_maps_it_cannot_write_to_it(void **state)
{
    int fd = bh_memfd_new("page", &page, sizeof(page));

    (void)state;
    fill(1);
    assert_int_equal(pwrite(fd, &page, sizeof(page), 0), sizeof(page));
    assert_int_equal(map_in_child(fd, true), -SIGSEGV);
    assert_int_equal(map_in_child(fd, false), MAPPED);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_page_is_thawed_and_sound),
        cmocka_unit_test(another_boot_is_not_believed),
        cmocka_unit_test(each_number_has_its_bounds),
        cmocka_unit_test(strings_end),
        cmocka_unit_test(the_count_is_bounded_wherever_it_is_used),
        cmocka_unit_test(why_a_mount_was_not_frozen),
        cmocka_unit_test(each_command_in_each_state_for_each_channel),
        cmocka_unit_test(a_name_without_an_end_is_nobody_s),
        cmocka_unit_test(memory_is_never_frozen),
        cmocka_unit_test(what_has_no_block_device_may_lie_on_one),
        cmocka_unit_test(a_disk_is_frozen_if_it_is_listed),
        cmocka_unit_test(only_a_page_of_this_size_is_mapped),
        cmocka_unit_test(who_maps_it_cannot_write_to_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
