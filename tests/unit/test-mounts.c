/* workers/storage/mounts.c: mountinfo made here, hostile text too; and mounts of our own that hide each
 * other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "tests/unit/fds.h"
#include "workers/storage/mounts.h"

#define TAIL " rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
#define ONE "20 1 254:1 / /mnt" TAIL

static struct bh_arena arena;
static struct bh_filesystems all;

static int begin(void **state)
{
    (void)state;
    bh_arena_deinit(&arena);
    bh_arena_init(&arena, 64u << 20);
    all = (struct bh_filesystems){ 0 };
    return 0;
}

static int end(void **state)
{
    (void)state;
    bh_arena_deinit(&arena);
    return 0;
}

static int read_bytes(const char *text, size_t len)
{
    _cleanup_close_ int fd = bh_memfd_new("mountinfo", NULL, 0);
    int r;

    assert_true(fd >= 0);
    assert_int_equal(bh_write_all(fd, text, len), 0);
    bh_arena_reset(&arena);
    r = bh_mounts_read(fd, &arena, &all);
    bh_arena_reset(&arena);
    assert_int_equal(bh_mounts_read(fd, &arena, &all), r); /* each reading begins anew */
    return r;
}

static int read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

static void assert_mount(uint32_t filesystem, uint32_t mount, uint64_t id, const char *path)
{
    const struct bh_mount *found = &all.list[filesystem].mounts[mount];

    assert_true(filesystem < all.n && mount < all.list[filesystem].n_mounts);
    assert_string_equal(found->path.ptr, path);
    assert_int_equal(found->path.len, strlen(path));
    assert_int_equal(found->id, id);
}

static void each_device_stands_once_where_it_was_mounted_first(void **state)
{
    (void)state;
    assert_int_equal(read_text("21 20 0:5 / /dev rw - devtmpfs udev rw\n"
                               "22 20 254:2 / / rw - xfs /dev/vda2 rw\n"
                               "23 22 254:1 / /boot rw,nosuid shared:1 master:2 - ext4 /dev/vda1 rw\n"
                               "24 22 254:2 /srv /srv rw - xfs /dev/vda2 rw\n"
                               "25 22 0:40 / /proc rw - proc proc rw\n"),
                     0);
    assert_int_equal(all.n, 2);
    assert_int_equal(all.list[0].n_mounts, 2);
    assert_mount(0, 0, 22, "/");
    assert_mount(0, 1, 24, "/srv");
    assert_mount(1, 0, 23, "/boot");
    assert_int_equal(all.list[1].major, 254);
    assert_int_equal(all.list[1].minor, 1);
    assert_string_equal(all.list[1].type.ptr, "ext4");
    assert_string_equal(all.list[1].source.ptr, "/dev/vda1");
}

static void escapes_are_undone_and_any_byte_may_stand_in_a_path(void **state)
{
    (void)state;
    assert_int_equal(
        read_text("20 1 8:1 / /a\\040b\\011c\\012d\\134e\377\\303\\251 rw - ext4 /dev/sd\\040a rw\n"), 0);
    assert_mount(0, 0, 20, "/a b\tc\nd\\e\377\303\251");
    assert_string_equal(all.list[0].source.ptr, "/dev/sd a");
}

static void a_device_without_a_number_is_found_by_its_source_if_it_is_btrfs(void **state)
{
    (void)state;
    assert_int_equal(read_text("20 1 0:30 / /a rw - btrfs /dev/null rw\n"
                               "21 1 0:31 / /b rw - btrfs /nowhere/at/all rw\n"
                               "22 1 0:32 / /c rw - btrfs  rw\n"
                               "23 1 0:33 / /d rw - tmpfs  rw\n"
                               "24 1 0:34 / /e rw - nfs host:/x rw\n"
                               "25 1 0:35 / /f rw\n"),
                     0);
    assert_int_equal(all.n, 0); /* /dev/null is a device, but no block device */
}

static void subvolumes_of_one_source_are_one_file_system(void **state)
{
    const char *loop = "/dev/loop0";
    char text[512];
    struct stat st;

    (void)state;
    if (stat(loop, &st) < 0 || !S_ISBLK(st.st_mode))
        skip();
    (void)snprintf(text, sizeof(text), "20 1 0:30 /a /a rw - btrfs %s rw\n21 1 0:30 /b /b rw - btrfs %s rw\n",
                   loop, loop);
    assert_int_equal(read_text(text), 0);
    assert_int_equal(all.n, 1);
    assert_int_equal(all.list[0].n_mounts, 2);
    assert_int_equal(all.list[0].major, 7);
    assert_mount(0, 1, 21, "/b");
}

static void what_the_kernel_never_writes_is_refused(void **state)
{
    static const char *const bad[] = {
        "\n",
        "x\n",
        "20\n",
        "20 1\n",
        "20 1 8\n",
        "20 1 8:\n",
        "20 1 8:1\n",
        "20 1 8:1 /\n",
        "20 1 8:1 / /a\n",
        "20 1 8:1 / /a rw\n",
        "20 1 8:1 / /a rw -\n",
        "20 1 8:1 / /a rw - ext4\n",
        "20 1 8:1 / a rw - ext4 /dev/x rw\n",
        "20 1 8:1 / /a rw -  /dev/x rw\n",
        "20 1 8:1x / /a" TAIL,
        "20 1 4294967296:1 / /a" TAIL,
        "18446744073709551616 1 8:1 / /a" TAIL,
        "-1 1 8:1 / /a" TAIL,
        "20 1 8:1 / /a\\" TAIL,
        "20 1 8:1 / /a\\04" TAIL,
        "20 1 8:1 / /a\\400" TAIL,
        "20 1 8:1 / /a\\000b" TAIL,
        "20 1 8:1 / /a\\089" TAIL,
        "20 1 8:1 / /a rw - ext4 /dev/vda1 rw" /* no line feed: it was not read to its end */,
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++)
        if (read_text(bad[i]) != -EBADMSG)
            fail_msg("was taken: %s", bad[i]);
    assert_int_equal(read_bytes("20 1 8:1 / /a\0b" TAIL, sizeof("20 1 8:1 / /a\0b" TAIL) - 1), -EBADMSG);
    assert_int_equal(all.n, 0);
    assert_int_equal(read_text(""), 0);
}

static void a_cut_text_never_reads_past_its_end(void **state)
{
    static const char text[] = "20 1 8:1 / /a\\040b rw shared:1 - ext4 /dev/vda1 rw\n";

    (void)state;
    for (size_t len = 1; len < sizeof(text) - 1; len++)
        assert_int_equal(read_bytes(text, len), -EBADMSG);
    assert_int_equal(read_bytes(text, sizeof(text) - 1), 0);
}

/* A line whose options take it to exactly `len` bytes, then ONE. */
static int read_long(const char *head, size_t len)
{
    char *text = malloc(len + sizeof(ONE));
    int r;

    assert_non_null(text);
    memset(text, 'o', len);
    memcpy(text, head, strlen(head));
    text[len - 1] = '\n';
    memcpy(text + len, ONE, sizeof(ONE));
    r = read_bytes(text, len + sizeof(ONE) - 1);
    free(text);
    return r;
}

static void options_of_any_length_are_passed_over(void **state)
{
    static const size_t lengths[] = { 4096, 65535, 65536, 65537, 131071, 131072, 131073, 2000000 };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_SIZE(lengths); i++) {
        assert_int_equal(read_long("19 1 0:60 / /merged rw - overlay overlay ", lengths[i]), 0);
        assert_int_equal(all.n, 1);
        assert_int_equal(read_long("19 1 8:60 / /long rw - ext4 /dev/sdz ", lengths[i]), 0);
        assert_int_equal(all.n, 2);
        assert_mount(0, 0, 19, "/long");
        assert_mount(1, 0, 20, "/mnt");
    }
    assert_int_equal(read_long("19 1 8:60 / /endless", 65537), -EBADMSG);
}

/* `n` lines of `format` with a running number. */
static int read_many(unsigned n, const char *format)
{
    char *text = malloc((size_t)n * 64), *at = text;
    int r;

    assert_non_null(text);
    for (unsigned i = 0; i < n; i++)
        at += sprintf(at, "%u 1 9:%u / /m rw - ext4 /d rw\n", i, *format == 'd' ? i : 0);
    r = read_bytes(text, (size_t)(at - text));
    free(text);
    return r;
}

static void there_are_bounds(void **state)
{
    (void)state;
    assert_int_equal(read_many(BH_FILESYSTEMS_MAX - 1, "devices"), 0);
    assert_int_equal(read_many(BH_FILESYSTEMS_MAX, "devices"), 0);
    assert_int_equal(all.n, BH_FILESYSTEMS_MAX);
    assert_int_equal(read_many(BH_FILESYSTEMS_MAX + 1, "devices"), -E2BIG);
    assert_int_equal(read_many(BH_MOUNTS_MAX - 1, "mounts"), 0);
    assert_int_equal(read_many(BH_MOUNTS_MAX, "mounts"), 0);
    assert_int_equal(all.n, 1);
    assert_int_equal(all.list[0].n_mounts, BH_MOUNTS_MAX);
    assert_int_equal(read_many(BH_MOUNTS_MAX + 1, "mounts"), -E2BIG);
    bh_arena_deinit(&arena);
    bh_arena_init(&arena, 1u << 19);
    assert_int_equal(read_many(BH_MOUNTS_MAX, "mounts"), -ENOMEM);
}

static void what_cannot_be_read_is_an_error(void **state)
{
    _cleanup_close_ int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    assert_int_equal(bh_mounts_read(folder, &arena, &all), -EISDIR);
    assert_int_equal(bh_mounts_read(-1, &arena, &all), -EBADF);
}

/* The newest mount whose place is `path`, as the kernel numbers it. */
static struct bh_mount mount_at(const char *path)
{
    struct bh_mount mount = { .path = { path, (uint32_t)strlen(path) } };
    struct statx st;
    int fd = open(path, O_PATH | O_CLOEXEC);

    assert_int_equal(statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st), 0);
    if (!(st.stx_mask & STATX_MNT_ID))
        skip();
    mount.id = st.stx_mnt_id;
    (void)close(fd);
    return mount;
}

static void put_tmpfs(const char *path)
{
    assert_int_equal(mount("bulkhead-test", path, "tmpfs", 0, "size=64k"), 0);
}

static void open_takes_the_mount_that_was_meant_or_none(void **state)
{
    char base[] = "/tmp/bh-mounts-XXXXXX", a[64], b[64];
    struct bh_filesystem fs = { .type = BH_STR("tmpfs") };
    const struct bh_mount *opened = NULL;
    struct bh_mount mounts[2];
    int fd, fds = count_fds();

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(unshare(CLONE_NEWNS), 0);
    assert_int_equal(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL), 0);
    assert_non_null(mkdtemp(base));
    put_tmpfs(base);
    (void)snprintf(a, sizeof(a), "%s/a", base);
    (void)snprintf(b, sizeof(b), "%s/b", base);
    assert_int_equal(mkdir(a, 0700) | mkdir(b, 0700), 0);
    put_tmpfs(a);
    assert_int_equal(mount(a, b, NULL, MS_BIND, NULL), 0);
    mounts[0] = mount_at(a);
    mounts[1] = mount_at(b);
    fs.mounts = mounts;
    fs.n_mounts = 2;

    fd = bh_mounts_open(&fs, &opened);
    assert_true(fd >= 0 && opened == &mounts[0]);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    (void)close(fd);

    put_tmpfs(a); /* hides the first */
    fd = bh_mounts_open(&fs, &opened);
    assert_true(fd >= 0 && opened == &mounts[1]);
    (void)close(fd);

    put_tmpfs(b);
    opened = NULL;
    assert_int_equal(bh_mounts_open(&fs, &opened), -ENODEV);
    assert_null(opened);

    assert_int_equal(umount(a) | umount(a) | umount(b) | umount(b), 0);
    assert_int_equal(bh_mounts_open(&fs, &opened), -ENODEV);
    assert_int_equal(rmdir(a), 0);
    assert_int_equal(bh_mounts_open(&fs, &opened), -ENOENT);
    assert_int_equal(umount(base) | rmdir(base), 0);
    assert_int_equal(count_fds(), fds);
}

static void the_kernel_s_own_is_read(void **state)
{
    _cleanup_close_ int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_int_equal(bh_mounts_read(fd, &arena, &all), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_device_stands_once_where_it_was_mounted_first, begin),
        cmocka_unit_test_setup(escapes_are_undone_and_any_byte_may_stand_in_a_path, begin),
        cmocka_unit_test_setup(a_device_without_a_number_is_found_by_its_source_if_it_is_btrfs, begin),
        cmocka_unit_test_setup(subvolumes_of_one_source_are_one_file_system, begin),
        cmocka_unit_test_setup(what_the_kernel_never_writes_is_refused, begin),
        cmocka_unit_test_setup(a_cut_text_never_reads_past_its_end, begin),
        cmocka_unit_test_setup(options_of_any_length_are_passed_over, begin),
        cmocka_unit_test_setup(there_are_bounds, begin),
        cmocka_unit_test_setup(what_cannot_be_read_is_an_error, begin),
        cmocka_unit_test_setup(the_kernel_s_own_is_read, begin),
        cmocka_unit_test_setup(open_takes_the_mount_that_was_meant_or_none, begin),
    };

    return cmocka_run_group_tests(tests, NULL, end);
}
