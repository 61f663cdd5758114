/*
 * The view, by attempts: as root with DAC_OVERRIDE and without any other fence, so that
 * nothing but the view can be what refuses.
 *
 * The tests have a mount namespace of their own, with shared mounts as on a real
 * system; what they mount is gone with them.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/confine/profiles.h"
#include "protocol/base/mem.h"
#include "tests/confine/launch.h"

#define READ "02000000"   /* O_RDONLY | O_CLOEXEC */
#define WRITE "02000002"  /* O_RDWR */
#define CREATE "02000302" /* O_RDWR | O_CREAT | O_EXCL */
#define FOLDER "02200000" /* O_DIRECTORY */
#define PATHS_MAX 4

static char base[64]; /* a tmpfs of ours: devices work, no one else is there */

struct scene {
    struct bh_view_path paths[PATHS_MAX];
    char names[PATHS_MAX][PATH_MAX];
    char text[2][PATH_MAX];
    unsigned n_texts;
    struct launch launch;
};

/* The absolute form of a name below `base`; two at a time. */
static const char *at(struct scene *scene, const char *name)
{
    char *text = scene->text[scene->n_texts++ % 2];

    (void)snprintf(text, PATH_MAX, "%s/%s", base, name);
    return text;
}

static void list(struct scene *scene, const char *name, uint32_t access)
{
    uint32_t n = scene->launch.view.n_paths++;

    (void)snprintf(scene->names[n], PATH_MAX, "%s/%s", base, name);
    scene->paths[n] = (struct bh_view_path){ scene->names[n], access };
}

static void begin(struct scene *scene, enum bh_view_kind kind)
{
    memset(scene, 0, sizeof(*scene));
    scene->launch = launch_begin(&bh_profile_opener, 0);
    scene->launch.identity = (struct bh_identity){ .caps = UINT64_C(1) << CAP_DAC_OVERRIDE }; /* uid 0 */
    scene->launch.off = ONLY(BH_FENCE_VIEW | BH_FENCE_UID | BH_FENCE_CAPS);
    scene->launch.view.kind = kind;
    scene->launch.view.paths = scene->paths;
}

static int try_open(struct scene *scene, const char *name, const char *flags)
{
    return launch_try(&scene->launch, "open", at(scene, name), flags);
}

static void make_file(const char *folder, const char *name)
{
    char path[PATH_MAX];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "text", 4), 4);
    (void)close(fd);
}

static void make_folder(const char *name)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/%s", base, name);
    assert_int_equal(mkdir(path, 0777), 0);
    make_file(path, "file");
}

static int set_up(void **state)
{
    static const char *const folders[] = { "ro", "ro/sub", "ro/mount", "rw", "rw/sub", "outside" };
    char path[PATH_MAX];

    (void)state;
    if (geteuid() != 0)
        return 0;
    launch_init();
    assert_int_equal(unshare(CLONE_NEWNS), 0);
    assert_int_equal(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL), 0);
    strcpy(base, "/tmp/bh-view-XXXXXX");
    assert_non_null(mkdtemp(base));
    assert_int_equal(mount("test", base, "tmpfs", 0, "mode=0777"), 0);
    assert_int_equal(mount(NULL, "/", NULL, MS_SHARED | MS_REC, NULL), 0);
    (void)umask(0);
    for (size_t i = 0; i < BH_ARRAY_SIZE(folders); i++)
        make_folder(folders[i]);
    (void)snprintf(path, sizeof(path), "%s/link", base);
    assert_int_equal(symlink("outside", path), 0);
    (void)snprintf(path, sizeof(path), "%s/ro/null", base);
    assert_int_equal(mknod(path, S_IFCHR | 0666, makedev(1, 3)), 0);
    (void)snprintf(path, sizeof(path), "%s/ro/mount", base);
    assert_int_equal(mount("test", path, "tmpfs", 0, "mode=0777"), 0);
    make_file(path, "inside");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (geteuid() != 0)
        return 0;
    (void)umount2(base, MNT_DETACH);
    return rmdir(base);
}

static void test_read_path(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_PATHS);
    list(&s, "ro", BH_ACCESS_READ);
    assert_int_equal(try_open(&s, "ro/file", READ), 0);
    assert_int_equal(try_open(&s, "ro/file", WRITE), EROFS);
    assert_int_equal(try_open(&s, "ro/new", CREATE), EROFS);
    assert_int_equal(try_open(&s, "ro/null", READ), EACCES);
    assert_int_equal(launch_left_out->n, 0);
}

static void test_write_path(void **state)
{
    struct scene s;
    char path[PATH_MAX];

    (void)state;
    begin(&s, BH_VIEW_PATHS);
    list(&s, "rw", BH_ACCESS_READ | BH_ACCESS_WRITE);
    assert_int_equal(try_open(&s, "rw/file", WRITE), 0);
    assert_int_equal(try_open(&s, "rw/new", CREATE), 0);
    (void)snprintf(path, sizeof(path), "%s/rw/new", base);
    assert_int_equal(unlink(path), 0);
}

static void test_single_file(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_PATHS);
    list(&s, "ro/file", BH_ACCESS_READ);
    assert_int_equal(try_open(&s, "ro/file", READ), 0);
    assert_int_equal(try_open(&s, "ro/file", WRITE), EROFS);
    assert_int_equal(try_open(&s, "ro/sub", READ), ENOENT);
}

static void test_devices_where_asked(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_PATHS);
    list(&s, "ro", BH_ACCESS_READ | BH_ACCESS_ANY);
    assert_int_equal(try_open(&s, "ro/null", READ), 0);
}

static void test_nothing_else_is_there(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_PATHS);
    list(&s, "ro", BH_ACCESS_READ);
    assert_int_equal(try_open(&s, "outside/file", READ), ENOENT);
    assert_int_equal(launch_try(&s.launch, "open", "/etc/passwd", READ), ENOENT);
    assert_int_equal(launch_try(&s.launch, "open", "/proc/self/status", READ), ENOENT);
    assert_int_equal(launch_try(&s.launch, "open", "/.bulkhead-old-root", FOLDER), ENOENT);
    assert_int_equal(launch_try(&s.launch, "mkdir", "/new", NULL), EROFS);
    assert_int_equal(launch_try(&s.launch, "escape", at(&s, "outside/file"), NULL), EPERM);
}

static void test_empty(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_EMPTY);
    assert_int_equal(launch_try(&s.launch, "open", "/", FOLDER), 0);
    assert_int_equal(launch_try(&s.launch, "open", "/proc", FOLDER), ENOENT);
    assert_int_equal(launch_try(&s.launch, "mkdir", "/new", NULL), EROFS);
    assert_int_equal(launch_try(&s.launch, "escape", at(&s, "outside/file"), NULL), EPERM);
}

static void test_symlink_is_left_out(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_PATHS);
    list(&s, "link", BH_ACCESS_READ);
    assert_int_equal(try_open(&s, "link/file", READ), ENOENT);
    assert_int_equal(launch_left_out->n, 1);
    assert_int_equal(launch_left_out->rows[0].error, -ELOOP);
    list(&s, "link/file", BH_ACCESS_READ);
    assert_int_equal(try_open(&s, "link/file", FOLDER), 0); /* an empty folder, not the file */
    assert_int_equal(launch_left_out->n, 2);
}

static void test_missing_is_an_empty_folder(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_PATHS);
    list(&s, "missing/below", BH_ACCESS_READ | BH_ACCESS_WRITE);
    assert_int_equal(try_open(&s, "missing/below", FOLDER), 0);
    assert_int_equal(launch_left_out->n, 1);
    assert_int_equal(launch_left_out->rows[0].error, -ENOENT);
    assert_string_equal(launch_left_out->rows[0].path, s.names[0]);
    assert_int_equal(try_open(&s, "missing/below/new", CREATE), EROFS);
    assert_int_equal(try_open(&s, "outside", FOLDER), ENOENT);
}

static void test_optional(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_PATHS);
    list(&s, "missing/below", BH_ACCESS_READ);
    s.paths[0].optional = true;
    assert_int_equal(try_open(&s, "missing", FOLDER), ENOENT);
    assert_int_equal(launch_left_out->n, 0);
    list(&s, "link", BH_ACCESS_READ);
    s.paths[1].optional = true;
    assert_int_equal(try_open(&s, "link", FOLDER), 0); /* a link is said all the same */
    assert_int_equal(launch_left_out->n, 1);
    list(&s, "ro/file", BH_ACCESS_READ);
    s.paths[2].optional = true;
    assert_int_equal(try_open(&s, "ro/file", READ), 0);
}

/* One file of the kernel's, and not the folder that it lies in. */
static void test_file_of_proc(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_PATHS);
    list(&s, "", BH_ACCESS_READ);
    s.paths[0].path = "/proc/loadavg";
    assert_int_equal(launch_try(&s.launch, "open", "/proc/loadavg", READ), 0);
    assert_int_equal(launch_try(&s.launch, "open", "/proc/stat", READ), ENOENT);
    assert_int_equal(launch_try(&s.launch, "open", "/proc/1/status", READ), ENOENT);
    assert_int_equal(launch_try(&s.launch, "open", "/proc/sys", FOLDER), ENOENT);
}

/* What is missing below a bound folder must not be made in the real one. */
static void test_missing_below_a_listed(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_PATHS);
    list(&s, "rw", BH_ACCESS_READ | BH_ACCESS_WRITE);
    list(&s, "rw/absent/below", BH_ACCESS_READ | BH_ACCESS_ANY); /* more than "rw", so it is looked at */
    assert_int_equal(try_open(&s, "rw/absent", FOLDER), ENOENT);
    assert_int_equal(access(at(&s, "rw/absent"), F_OK), -1);
}

static void test_nested(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_PATHS);
    list(&s, "rw/sub", BH_ACCESS_READ | BH_ACCESS_WRITE);
    list(&s, "rw", BH_ACCESS_READ);
    list(&s, "ro/sub", BH_ACCESS_READ);
    list(&s, "ro", BH_ACCESS_READ | BH_ACCESS_WRITE);
    assert_int_equal(try_open(&s, "rw/file", WRITE), EROFS);
    assert_int_equal(try_open(&s, "rw/sub/file", WRITE), 0);
    assert_int_equal(try_open(&s, "ro/file", WRITE), 0);
    assert_int_equal(try_open(&s, "ro/sub/file", WRITE), 0);
}

static void test_submounts_follow(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_PATHS);
    list(&s, "ro", BH_ACCESS_READ);
    assert_int_equal(try_open(&s, "ro/mount/inside", READ), 0);
    assert_int_equal(try_open(&s, "ro/mount/inside", WRITE), EROFS);
}

/* A mount that comes while the process runs: not seen at all, so not writable either. */
static void test_late_mount(void **state)
{
    struct running running;
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_PATHS);
    list(&s, "ro", BH_ACCESS_READ);
    s.launch.args[1] = at(&s, "ro/sub/late");
    launch_start_waiting(&s.launch, &running);
    assert_int_equal(mount("test", at(&s, "ro/sub"), "tmpfs", 0, "mode=0777"), 0);
    make_file(at(&s, "ro/sub"), "late");
    assert_int_equal(launch_end(&running), ENOENT);
    assert_int_equal(try_open(&s, "ro/sub/late", READ), 0);
    assert_int_equal(umount(at(&s, "ro/sub")), 0);
}

static void test_own_descriptors(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_PATHS);
    list(&s, "ro", BH_ACCESS_READ);
    s.launch.off = ONLY(BH_FENCE_VIEW | BH_FENCE_UID | BH_FENCE_CAPS | BH_FENCE_DUMPABLE);
    s.launch.identity = (struct bh_identity){ .uid = BH_UID_BLOCK + 9, .gid = BH_UID_BLOCK + 9 };
    assert_int_equal(launch_try(&s.launch, "reopen", at(&s, "ro/file"), NULL), 0);
}

/* /proc/self is a link, and links are not followed: the process's own number stands for it. */
static void test_below_proc_self(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_PATHS);
    s.paths[0] = (struct bh_view_path){ "/proc/self/net/route", BH_ACCESS_READ };
    s.launch.view.n_paths = 1;
    assert_int_equal(launch_try(&s.launch, "open", "/proc/self/net/route", READ), 0);
    assert_int_equal(launch_try(&s.launch, "open", "/proc/self/net/dev", READ), ENOENT);
    assert_int_equal(launch_left_out->n, 0);
}

static void test_all(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_ALL);
    list(&s, "", BH_ACCESS_READ);
    assert_int_equal(try_open(&s, "outside/file", READ), 0);
    assert_int_equal(try_open(&s, "outside/file", WRITE), EROFS);
    assert_int_equal(try_open(&s, "ro/mount/inside", WRITE), EROFS);
    s.launch.view.cwd = base;
    assert_int_equal(launch_try(&s.launch, "open", "outside/file", READ), 0);
    s.paths[0].access |= BH_ACCESS_WRITE;
    assert_int_equal(try_open(&s, "outside/file", WRITE), 0);
}

/* No view: the caller's own mount namespace, with what is mounted later too. */
static void test_host(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_HOST);
    assert_int_equal(try_open(&s, "outside/file", WRITE), 0);
    assert_int_equal(try_open(&s, "ro/mount/inside", WRITE), 0);
}

static void test_root_is_no_path(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_PATHS);
    list(&s, "", BH_ACCESS_READ);
    s.paths[0].path = "/";
    assert_int_equal(try_open(&s, "outside/file", READ), LAUNCH_BEFORE_FAILED);
}

/* Without mount_setattr: the same, but submounts are left behind. */
static void test_old_kernel(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_PATHS);
    s.launch.no_mount_setattr = true;
    list(&s, "ro", BH_ACCESS_READ);
    list(&s, "rw", BH_ACCESS_READ | BH_ACCESS_WRITE);
    assert_int_equal(try_open(&s, "ro/file", READ), 0);
    assert_int_equal(try_open(&s, "ro/file", WRITE), EROFS);
    assert_int_equal(try_open(&s, "ro/null", READ), EACCES);
    assert_int_equal(try_open(&s, "rw/file", WRITE), 0);
    assert_int_equal(try_open(&s, "ro/mount/inside", READ), ENOENT);
}

/* A rule that writes does not make writable what the system has read-only. */
static void test_read_only_stays(void **state)
{
    struct scene s;

    (void)state;
    begin(&s, BH_VIEW_PATHS);
    list(&s, "ro/mount", BH_ACCESS_READ | BH_ACCESS_WRITE);
    assert_int_equal(mount(NULL, at(&s, "ro/mount"), NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
    assert_int_equal(try_open(&s, "ro/mount/inside", WRITE), EROFS);
    s.launch.no_mount_setattr = true;
    assert_int_equal(try_open(&s, "ro/mount/inside", WRITE), EROFS);
    assert_int_equal(mount(NULL, at(&s, "ro/mount"), NULL, MS_REMOUNT | MS_BIND, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_path),
        cmocka_unit_test(test_write_path),
        cmocka_unit_test(test_single_file),
        cmocka_unit_test(test_devices_where_asked),
        cmocka_unit_test(test_nothing_else_is_there),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_symlink_is_left_out),
        cmocka_unit_test(test_missing_is_an_empty_folder),
        cmocka_unit_test(test_optional),
        cmocka_unit_test(test_file_of_proc),
        cmocka_unit_test(test_missing_below_a_listed),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_submounts_follow),
        cmocka_unit_test(test_late_mount),
        cmocka_unit_test(test_own_descriptors),
        cmocka_unit_test(test_below_proc_self),
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_root_is_no_path),
        cmocka_unit_test(test_old_kernel),
        cmocka_unit_test(test_read_only_stays),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
