/* workers/fs/{resolve,open}.h: links, creation, what is judged, what is recorded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "protocol/codes.h"
#include "protocol/types.h"
#include "tests/unit/worker-fixture.h"
#include "workers/fs/open.h"
#include "workers/fs/resolve.h"

static struct bh_worker worker;
static struct records records;
static char dir[64];
static struct bh_error error;

static int setup(void **state)
{
    (void)state;
    dir_make(dir);
    dir_file(dir, "file", "text");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    dir_remove(dir);
    return 0;
}

static const char *in_dir(const char *name)
{
    static char path[4][PATH_MAX];
    static unsigned next;
    char *out = path[next++ % 4];

    (void)snprintf(out, PATH_MAX, "%s/%s", dir, name);
    return out;
}

static void make_link(const char *target, const char *name)
{
    assert_int_equal(symlink(target, in_dir(name)), 0);
}

static int resolves(const char *path, enum bh_symlinks symlinks)
{
    int fd = bh_resolve(path, symlinks);

    if (fd < 0)
        return fd;
    (void)close(fd);
    return 0;
}

static void test_links(void **state)
{
    (void)state;
    make_link("file", "link");
    make_link("loop", "loop");
    make_link("nowhere", "dangling");
    assert_int_equal(mkdir(in_dir("sub"), 0755), 0);
    dir_file(dir, "sub/deep", "");
    make_link("sub", "dirlink");
    for (int how = BH_SYMLINKS_REFUSE; how <= BH_SYMLINKS_FOLLOW; how++) {
        assert_int_equal(resolves(in_dir("file"), (enum bh_symlinks)how), 0);
        assert_int_equal(resolves(in_dir("sub/deep"), (enum bh_symlinks)how), 0);
        assert_int_equal(resolves(in_dir("none"), (enum bh_symlinks)how), -ENOENT);
        assert_int_equal(resolves(in_dir("loop"), (enum bh_symlinks)how), -ELOOP);
        assert_int_equal(resolves(in_dir("file/x"), (enum bh_symlinks)how), -ENOTDIR);
        assert_int_equal(resolves("", (enum bh_symlinks)how), -ENOENT);
    }
    assert_int_equal(resolves(in_dir("link"), BH_SYMLINKS_REFUSE), -ELOOP);
    assert_int_equal(resolves(in_dir("dirlink/deep"), BH_SYMLINKS_REFUSE), -ELOOP);
    assert_int_equal(resolves(in_dir("dangling"), BH_SYMLINKS_REFUSE), -ELOOP);
    assert_int_equal(resolves("/proc/self/fd/0", BH_SYMLINKS_REFUSE), -ELOOP);
    assert_int_equal(resolves("/proc/self/fd/0", BH_SYMLINKS_FOLLOW), -ELOOP);
    assert_int_equal(resolves(in_dir("link"), BH_SYMLINKS_FOLLOW), 0);
    assert_int_equal(resolves(in_dir("dirlink/deep"), BH_SYMLINKS_FOLLOW), 0);
    assert_int_equal(resolves(in_dir("dangling"), BH_SYMLINKS_FOLLOW), -ENOENT);
}

/* Only root can own a trusted link, so only root can test that one is followed. */
static void test_trusted_links(void **state)
{
    (void)state;
    make_link("file", "link");
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(resolves(in_dir("link"), BH_SYMLINKS_TRUSTED), 0);
    make_link(in_dir("file"), "absolute");
    assert_int_equal(resolves(in_dir("absolute"), BH_SYMLINKS_TRUSTED), 0);
    assert_int_equal(lchown(in_dir("link"), 65519, 65519), 0);
    assert_int_equal(resolves(in_dir("link"), BH_SYMLINKS_TRUSTED), -ELOOP);
    assert_int_equal(chmod(dir, 0775), 0);
    assert_int_equal(resolves(in_dir("absolute"), BH_SYMLINKS_TRUSTED), -ELOOP);
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(chown(dir, 65519, 65519), 0);
    assert_int_equal(resolves(in_dir("absolute"), BH_SYMLINKS_TRUSTED), -ELOOP);
}

static void test_object(void **state)
{
    struct bh_object object;
    int fd = bh_resolve(in_dir("file"), BH_SYMLINKS_REFUSE);

    (void)state;
    assert_int_equal(bh_object_of(fd, &object), 0);
    assert_true(object.regular);
    assert_string_equal(object.name, in_dir("file"));
    assert_int_equal(link(in_dir("file"), in_dir("second")), 0);
    assert_int_equal(bh_object_of(fd, &object), 0);
    assert_false(object.regular);
    assert_int_equal(unlink(in_dir("file")), 0);
    assert_int_equal(unlink(in_dir("second")), 0);
    assert_int_equal(bh_object_of(fd, &object), -ENOENT);
    (void)close(fd);
    fd = bh_resolve("/proc/self/mem", BH_SYMLINKS_FOLLOW);
    assert_int_equal(bh_object_of(fd, &object), -EACCES);
    (void)close(fd);
    fd = bh_resolve("/proc/version", BH_SYMLINKS_REFUSE);
    assert_int_equal(bh_object_of(fd, &object), 0);
    assert_false(object.regular);
    (void)close(fd);
}

/* Opens `path` as the first user of the policy; the code, with the descriptor in *ret_fd if that is 0. */
static int open_as(uint32_t user, const char *path, uint8_t mode, int *ret_fd)
{
    struct bh_open request = { .policy = &worker.policy,
                               .audit = &worker.audit,
                               .error = &error,
                               .user = user,
                               .path = { path, (uint32_t)strlen(path) },
                               .mode = mode,
                               .id = 1 };
    struct bh_opened opened = { .fd = -1 };
    uint32_t rule;
    int r;

    error = (struct bh_error){ 0 };
    r = bh_open_judge_name(&request, &rule);
    if (r == 0)
        r = bh_open_file(&request, rule, &opened);
    if (r == 0)
        assert_true(opened.fd >= 0 && opened.record > 0);
    else
        assert_int_equal(error.code, r);
    if (ret_fd)
        *ret_fd = opened.fd;
    else if (opened.fd >= 0)
        (void)close(opened.fd);
    return r;
}

#define HEAD "policy 1\ncommands 49\n"
#define OPEN                                                                                                 \
    HEAD "allow @file-read, @file-write { verbs read write create truncate append\nuser root\ntypes any\n"   \
         "symlinks follow\ncreate-mode 0666 }\n"

static void test_reading(void **state)
{
    int fd;
    char text[8] = "";

    (void)state;
    worker_init(&worker, &records, HEAD "rule logs: allow @file-read { path beneath \"$DIR\" }\n", dir);
    assert_int_equal(open_as(BH_NO_USER, in_dir("file"), BH_GUEST_FILE_MODE_R, &fd), 0);
    assert_int_equal(read(fd, text, sizeof(text)), 4);
    assert_string_equal(text, "text");
    (void)close(fd);
    assert_true(records_next(&records));
    assert_int_equal(records.last.kind, BH_RECORD_ACT);
    assert_string_equal(records.last.object.ptr, in_dir("file"));
    assert_string_equal(records.last.rule.ptr, "logs");
    assert_false(records_next(&records));
    assert_int_equal(open_as(BH_NO_USER, in_dir("none"), BH_GUEST_FILE_MODE_R, NULL), BH_E_KERNEL);
    assert_non_null(strstr(error.text, "(mode: 'r'): No such file or directory"));
    assert_true(records_next(&records));
    assert_int_equal(records.last.kind, BH_RECORD_RESULT);
    assert_int_equal(records.last.error, ENOENT);
    assert_int_equal(records.last.number, error.record);
    worker_deinit(&worker, &records);
}

static void check_refused(const char *path, uint8_t mode, uint16_t code)
{
    uint64_t denials = worker.state->denials;

    assert_int_equal(open_as(BH_NO_USER, path, mode, NULL), code);
    assert_int_equal(worker.state->denials, denials + 1);
    assert_true(records_next(&records));
    assert_int_equal(records.last.kind, BH_RECORD_REFUSED);
    assert_int_equal(records.last.code, code);
    assert_int_equal(records.last.number, error.record);
    assert_false(records_next(&records));
}

static void test_refusals(void **state)
{
    (void)state;
    make_link("/etc/passwd", "link");
    assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
    dir_file(dir, "secret", "");
    worker_init(&worker, &records,
                HEAD
                "allow @file-read { path beneath \"$DIR\" }\ndeny @file-read { path is \"$DIR/secret\" }\n",
                dir);
    check_refused("/etc/passwd", BH_GUEST_FILE_MODE_R, BH_E_NO_RULE);
    assert_string_equal(error.text, "denied by policy");
    check_refused(in_dir("file"), BH_GUEST_FILE_MODE_W, BH_E_NO_RULE);
    check_refused(in_dir("link"), BH_GUEST_FILE_MODE_R, BH_E_NO_RULE);
    check_refused(in_dir("fifo"), BH_GUEST_FILE_MODE_R, BH_E_NO_RULE);
    check_refused(dir, BH_GUEST_FILE_MODE_R, BH_E_NO_RULE);
    check_refused(in_dir("../file"), BH_GUEST_FILE_MODE_R, BH_E_NO_RULE);
    check_refused(in_dir("secret"), BH_GUEST_FILE_MODE_R, BH_E_DENIED);
    check_refused("file", BH_GUEST_FILE_MODE_R, BH_E_NO_RULE);
    worker_deinit(&worker, &records);
}

/* A link that the rule follows does not lead out of the rule. */
static void test_follow_is_judged_on_the_object(void **state)
{
    (void)state;
    make_link("/etc/passwd", "out");
    make_link("file", "within");
    worker_init(&worker, &records, HEAD "allow @file-read { path beneath \"$DIR\"\nsymlinks follow }\n", dir);
    assert_int_equal(open_as(BH_NO_USER, in_dir("within"), BH_GUEST_FILE_MODE_R, NULL), 0);
    assert_true(records_next(&records));
    assert_string_equal(records.last.object.ptr, in_dir("file"));
    check_refused(in_dir("out"), BH_GUEST_FILE_MODE_R, BH_E_NO_RULE);
    assert_string_equal(records.last.object.ptr, "/etc/passwd");
    worker_deinit(&worker, &records);
}

static void test_explains_if_told(void **state)
{
    (void)state;
    worker_init(&worker, &records,
                HEAD "allow @file-read { path beneath \"$DIR\" }\nset explain-to-client yes\n"
                     "rule no: deny @file-read { path is \"$DIR/file\" }\n",
                dir);
    check_refused(in_dir("file"), BH_GUEST_FILE_MODE_R, BH_E_DENIED);
    assert_string_equal(error.text, "denied by policy: rule no");
    worker_deinit(&worker, &records);
}

static void check_mode_of(const char *name, mode_t want)
{
    struct stat st;

    assert_int_equal(lstat(in_dir(name), &st), 0);
    assert_int_equal(st.st_mode & 07777, want);
}

/* As upstream: modes of new files, kept modes of old ones, truncation, dangling links, directories. */
static void test_profile_open(void **state)
{
    struct stat st;
    int fd;

    (void)state;
    (void)umask(0); /* as the opener does */
    worker_init(&worker, &records, OPEN, dir);
    assert_int_equal(open_as(0, in_dir("new"), BH_GUEST_FILE_MODE_W, &fd), 0);
    assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK | O_APPEND), O_WRONLY | O_NONBLOCK);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    (void)close(fd);
    check_mode_of("new", 0666);
    assert_int_equal(chmod(in_dir("file"), 0640), 0);
    assert_int_equal(open_as(0, in_dir("file"), BH_GUEST_FILE_MODE_R_PLUS, &fd), 0);
    assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
    (void)close(fd);
    assert_int_equal(stat(in_dir("file"), &st), 0);
    assert_int_equal(st.st_size, 4);
    assert_int_equal(open_as(0, in_dir("file"), BH_GUEST_FILE_MODE_A_PLUS, &fd), 0);
    assert_int_equal(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND), O_RDWR | O_APPEND);
    (void)close(fd);
    assert_int_equal(open_as(0, in_dir("file"), BH_GUEST_FILE_MODE_W, NULL), 0);
    assert_int_equal(stat(in_dir("file"), &st), 0);
    assert_int_equal(st.st_size, 0);
    check_mode_of("file", 0640);
    make_link("nowhere", "dangling");
    assert_int_equal(open_as(0, in_dir("dangling"), BH_GUEST_FILE_MODE_W, NULL), BH_E_KERNEL);
    assert_non_null(strstr(error.text, "(mode: 'w'): No such file or directory"));
    assert_int_equal(access(in_dir("nowhere"), F_OK), -1);
    assert_int_equal(open_as(0, dir, BH_GUEST_FILE_MODE_R, NULL), 0);
    assert_int_equal(open_as(0, dir, BH_GUEST_FILE_MODE_W, NULL), BH_E_KERNEL);
    assert_non_null(strstr(error.text, "Is a directory"));
    assert_int_equal(open_as(0, "/dev/null", BH_GUEST_FILE_MODE_W, NULL), 0);
    assert_int_equal(open_as(0, "/proc/version", BH_GUEST_FILE_MODE_R, NULL), 0);
    assert_int_equal(open_as(0, in_dir("none/x"), BH_GUEST_FILE_MODE_W, NULL), BH_E_KERNEL);
    assert_int_equal(open_as(0, in_dir("none/"), BH_GUEST_FILE_MODE_W, NULL), BH_E_KERNEL);
    assert_int_equal(open_as(0, "", BH_GUEST_FILE_MODE_W, NULL), BH_E_KERNEL);
    assert_int_equal(open_as(0, in_dir("r-plus"), BH_GUEST_FILE_MODE_R_PLUS, NULL), BH_E_KERNEL);
    worker_deinit(&worker, &records);
}

static void test_relative(void **state)
{
    (void)state;
    worker_init(&worker, &records, OPEN, dir);
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(open_as(0, "file", BH_GUEST_FILE_MODE_R, NULL), 0);
    assert_true(records_next(&records));
    assert_string_equal(records.last.object.ptr, in_dir("file"));
    assert_int_equal(open_as(0, "made", BH_GUEST_FILE_MODE_A, NULL), 0);
    assert_int_equal(access(in_dir("made"), F_OK), 0);
    assert_int_equal(chdir("/"), 0);
    worker_deinit(&worker, &records);
}

/* A mutation has a record before and one after; when the queue is full it is not done. */
static void test_mutations_are_recorded(void **state)
{
    struct bh_record filler = { .kind = BH_RECORD_EVENT, .command = BH_NO_COMMAND };
    uint64_t act;

    (void)state;
    worker_init(&worker, &records, OPEN, dir);
    assert_int_equal(open_as(0, in_dir("new"), BH_GUEST_FILE_MODE_W, NULL), 0);
    assert_true(records_next(&records));
    assert_int_equal(records.last.kind, BH_RECORD_ACT);
    assert_string_equal(records.last.object.ptr, in_dir("new"));
    assert_string_equal(records.last.user.ptr, "root");
    act = records.last.number;
    assert_true(records_next(&records));
    assert_int_equal(records.last.kind, BH_RECORD_RESULT);
    assert_int_equal(records.last.of, act);
    while (bh_audit_send(&worker.audit, &filler, NULL) == 0)
        ;
    assert_int_equal(open_as(0, in_dir("unseen"), BH_GUEST_FILE_MODE_W, NULL), BH_E_AUDIT_FULL);
    assert_int_equal(access(in_dir("unseen"), F_OK), -1);
    assert_int_equal(open_as(0, in_dir("file"), BH_GUEST_FILE_MODE_W, NULL), BH_E_AUDIT_FULL);
    worker_deinit(&worker, &records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_links, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trusted_links, setup, teardown),
        cmocka_unit_test_setup_teardown(test_object, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reading, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_follow_is_judged_on_the_object, setup, teardown),
        cmocka_unit_test_setup_teardown(test_explains_if_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_profile_open, setup, teardown),
        cmocka_unit_test_setup_teardown(test_relative, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mutations_are_recorded, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
