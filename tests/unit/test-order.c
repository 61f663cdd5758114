/* workers/storage/order.h: trees like sysfs made here, loop files in folders of ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "protocol/base/mem.h"
#include "tests/unit/fds.h"
#include "workers/storage/order.h"

#define FILESYSTEMS 6u
#define DISK "devices/pci0000:00/0000:00:05.0/virtio2/block/vda"
#define VIRTUAL "devices/virtual/block/"

/* Two real file systems of this machine, which tests say are others: known by their mount ids. */
static char here[64], there[64];
static uint64_t here_id, there_id;
static int sys = -1;
static struct bh_arena arena;

static struct bh_mount mounts[FILESYSTEMS];
static struct bh_filesystem list[FILESYSTEMS];
static struct bh_filesystems all = { list, 0 };

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    return ftw->level > 0 ? remove(path) : 0;
}

static int empty(const char *folder)
{
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static uint64_t mount_id(const char *path)
{
    struct statx st;

    if (statx(AT_FDCWD, path, 0, STATX_MNT_ID, &st) < 0 || !(st.stx_mask & STATX_MNT_ID))
        return 0;
    return st.stx_mnt_id;
}

static int prepare(void **state)
{
    (void)state;
    strcpy(here, "/tmp/bh-order-XXXXXX");
    strcpy(there, "/dev/shm/bh-order-XXXXXX");
    if (!mkdtemp(here))
        return -1;
    if (!mkdtemp(there))
        strcpy(there, here); /* then there are no two */
    here_id = mount_id(here);
    there_id = mount_id(there);
    sys = open(here, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return sys < 0 ? -1 : 0;
}

static int leave(void **state)
{
    (void)state;
    bh_arena_deinit(&arena);
    (void)close(sys);
    return empty(here) | empty(there) | rmdir(here) | (strcmp(here, there) ? rmdir(there) : 0);
}

/* No device, no file system. A kernel before 5.8 tells no mount ids, by which tests know theirs. */
static int begin(void **state)
{
    (void)state;
    bh_arena_deinit(&arena);
    bh_arena_init(&arena, 1u << 20);
    all.n = 0;
    return empty(here) | empty(there);
}

static void need_two_mounts(void)
{
    if (!here_id || here_id == there_id)
        skip();
}

static void make_folders(const char *path)
{
    char part[1024];

    for (size_t i = 1; path[i - 1]; i++)
        if (path[i] == '/' || path[i] == '\0') {
            (void)snprintf(part, sizeof(part), "%.*s", (int)i, path);
            assert_true(mkdirat(sys, part, 0755) == 0 || errno == EEXIST);
        }
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[1024];
    int fd;

    make_folders(folder);
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    fd = openat(sys, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    (void)close(fd);
}

/* A device as /sys/class/block and /sys/dev/block list it. */
static void add_device(const char *path, uint32_t major_number, uint32_t minor_number)
{
    char link[300], target[1024];

    make_folders(path);
    make_folders("class/block");
    make_folders("dev/block");
    (void)snprintf(target, sizeof(target), "../../%s", path);
    (void)snprintf(link, sizeof(link), "class/block/%s", strrchr(path, '/') + 1);
    assert_int_equal(symlinkat(target, sys, link), 0);
    (void)snprintf(link, sizeof(link), "dev/block/%u:%u", major_number, minor_number);
    assert_int_equal(symlinkat(target, sys, link), 0);
}

/* A loop device whose file is `name` in this folder; NULL: a file that is not there. */
static void add_loop(uint32_t minor_number, const char *folder, const char *name)
{
    char path[128], file[128], text[160];
    int fd;

    (void)snprintf(path, sizeof(path), VIRTUAL "loop%u", minor_number);
    add_device(path, 7, minor_number);
    (void)snprintf(file, sizeof(file), "%s/%s", folder, name ? name : "gone (deleted)");
    if (name) {
        fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
    }
    (void)snprintf(text, sizeof(text), "%s\n", file);
    (void)snprintf(path, sizeof(path), VIRTUAL "loop%u/loop", minor_number);
    put(path, "backing_file", text);
}

/* A device of the device mapper upon another. */
static void add_dm(uint32_t minor_number, const char *slave)
{
    char path[128];

    (void)snprintf(path, sizeof(path), VIRTUAL "dm-%u", minor_number);
    add_device(path, 253, minor_number);
    (void)snprintf(path, sizeof(path), VIRTUAL "dm-%u/slaves", minor_number);
    put(path, slave, "");
}

static void mounted(uint32_t major_number, uint32_t minor_number, uint64_t id)
{
    mounts[all.n] = (struct bh_mount){ .id = id, .path = BH_STR("/m") };
    list[all.n] = (struct bh_filesystem){ .major = major_number,
                                          .minor = minor_number,
                                          .type = BH_STR("ext4"),
                                          .source = BH_STR("/dev/x"),
                                          .mounts = &mounts[all.n],
                                          .n_mounts = 1 };
    all.n++;
}

/* The order, as digits. */
static const char *order(void)
{
    static char text[FILESYSTEMS + 1];
    uint32_t *found = NULL;
    int fds = count_fds();

    assert_int_equal(bh_freeze_order(&all, sys, &arena, &found), 0);
    assert_int_equal(count_fds(), fds);
    for (uint32_t i = 0; i < all.n; i++)
        text[i] = (char)('0' + found[i]);
    text[all.n] = '\0';
    return text;
}

static void among_equals_the_last_mounted_comes_first(void **state)
{
    (void)state;
    assert_string_equal(order(), "");
    add_device(DISK, 8, 0);
    add_device(DISK "/vda1", 8, 1);
    add_device(DISK "/vda2", 8, 2);
    mounted(8, 1, 1);
    assert_string_equal(order(), "0");
    mounted(8, 2, 2);
    mounted(8, 0, 3);
    mounted(9, 9, 4); /* which sysfs does not know */
    assert_string_equal(order(), "3210");
}

static void what_lies_in_a_file_comes_before_that_file_s(void **state)
{
    (void)state;
    need_two_mounts();
    add_device(DISK, 8, 0);
    add_device(DISK "/vda1", 8, 1);
    add_loop(0, here, "image");
    mounted(7, 0, 1); /* mounted first: by the time it would come last */
    mounted(8, 1, here_id);
    mounted(8, 0, 3);
    assert_string_equal(order(), "021");
}

/* A kernel that tells no mount id tells the device. */
static void the_holder_is_known_by_its_device(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(fstat(sys, &st), 0);
    if (major(st.st_dev) == 0)
        skip();
    add_device(DISK, major(st.st_dev), minor(st.st_dev));
    add_loop(77, here, "image");
    add_loop(78, here, NULL);
    mounted(7, 78, 1);
    mounted(7, 77, 2); /* if it were not known, it would come first */
    mounted(major(st.st_dev), minor(st.st_dev), 3);
    mounted(9, 9, 4);
    assert_string_equal(order(), "0132");
}

static void a_loop_in_a_loop(void **state)
{
    (void)state;
    need_two_mounts();
    add_device(DISK, 8, 0);
    add_loop(0, here, "outer");
    add_loop(1, there, "inner");
    add_device(VIRTUAL "loop1/loop1p1", 259, 4); /* a partition of it */
    mounted(259, 4, 1);
    mounted(7, 0, there_id);
    mounted(8, 0, here_id);
    mounted(9, 9, 5);
    assert_string_equal(order(), "0132");
}

static void a_mapped_device_is_as_deep_as_its_deepest(void **state)
{
    (void)state;
    need_two_mounts();
    add_device(DISK, 8, 0);
    add_device(DISK "/vda1", 8, 1);
    add_loop(0, here, "outer");
    add_loop(1, there, "inner");
    add_dm(0, "vda1");
    put(VIRTUAL "dm-0/slaves", "loop0", "");
    put(VIRTUAL "dm-0/slaves", "loop1", "");
    put(VIRTUAL "dm-0/slaves", "gone", "");
    add_dm(1, "vda1");
    mounted(253, 0, 1); /* two deep */
    mounted(253, 1, 2); /* on the disk alone */
    mounted(7, 0, there_id);
    mounted(8, 0, here_id);
    assert_string_equal(order(), "0231");
}

static void what_is_not_known_comes_first(void **state)
{
    (void)state;
    need_two_mounts();
    add_device(DISK, 8, 0);
    add_loop(0, here, "outer");
    add_loop(1, there, "inner");
    add_loop(2, here, NULL);         /* its file was removed */
    add_loop(3, "/proc", "version"); /* it lies on nothing that is listed */
    add_dm(0, "loop2");
    mounted(7, 2, 1);
    mounted(7, 3, 2);
    mounted(253, 0, 3);
    mounted(7, 1, 4);
    mounted(7, 0, there_id);
    mounted(8, 0, here_id);
    assert_string_equal(order(), "210345");
}

/* Each lies in the other, which cannot be, and is not followed for ever. */
static void a_cycle_comes_first(void **state)
{
    (void)state;
    need_two_mounts();
    add_device(DISK, 8, 0);
    add_loop(0, there, "a");
    add_loop(1, here, "b");
    mounted(7, 0, here_id);
    mounted(7, 1, there_id);
    mounted(8, 0, 5);
    assert_string_equal(order(), "102");
    add_loop(2, here, "own");
    list[0].minor = 2; /* one that lies in itself */
    assert_string_equal(order(), "102");
}

/* Devices upon devices: 16 are followed, of which the loop device is one and the disk another. */
static void so_many_levels_are_followed(void **state)
{
    (void)state;
    need_two_mounts();
    add_device(DISK, 8, 0);
    add_loop(0, here, "outer");
    add_loop(1, there, "inner");
    add_dm(0, "loop0");
    for (uint32_t i = 1; i < 16; i++) {
        char below[16];

        (void)snprintf(below, sizeof(below), "dm-%u", i - 1);
        add_dm(i, below);
    }
    mounted(7, 1, 1); /* two deep */
    mounted(253, 12, 2);
    mounted(7, 0, there_id);
    mounted(8, 0, here_id);
    assert_string_equal(order(), "0213");
    list[1].minor = 13; /* 14 of them: just followed */
    assert_string_equal(order(), "0213");
    list[1].minor = 14;
    assert_string_equal(order(), "1023");
}

static void without_memory_there_is_no_order(void **state)
{
    uint32_t *found = NULL;

    (void)state;
    mounted(8, 0, 1);
    bh_arena_deinit(&arena);
    bh_arena_init(&arena, 4);
    assert_int_equal(bh_freeze_order(&all, sys, &arena, &found), -ENOMEM);
    assert_null(found);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(among_equals_the_last_mounted_comes_first),
        TEST(what_lies_in_a_file_comes_before_that_file_s),
        TEST(the_holder_is_known_by_its_device),
        TEST(a_loop_in_a_loop),
        TEST(a_mapped_device_is_as_deep_as_its_deepest),
        TEST(what_is_not_known_comes_first),
        TEST(a_cycle_comes_first),
        TEST(so_many_levels_are_followed),
        TEST(without_memory_there_is_no_order),
    };

    return cmocka_run_group_tests(tests, prepare, leave);
}
