/*
 * Which files a rule may run, in folders of root's made below /root: whatever another could have written or
 * put in another's place has a flaw. Without root, the starting user's files count as root's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/fds.h"
#include "tests/unit/hook-fixture.h"
#include "workers/exec/program.h"

static struct bh_program program;

static void open_as_made(const char *name)
{
    assert_int_equal(bh_program_open(in_hooks(name), &program), 0);
}

static void assert_sound(const char *name)
{
    open_as_made(name);
    assert_string_equal(program.flaw, "");
    bh_program_close(&program);
}

static void assert_flaw(const char *name, const char *part)
{
    open_as_made(name);
    if (!strstr(program.flaw, part))
        fail_msg("the flaw of %s is '%s', without '%s'", name, program.flaw, part);
    bh_program_close(&program);
}

static void test_sound(void **state)
{
    (void)state;
    hook_file("tool", "exit 0", 0755);
    open_as_made("tool");
    assert_string_equal(program.flaw, "");
    assert_string_equal(program.name, in_hooks("tool"));
    assert_true(program.script);
    assert_string_equal(program.interpreter_name, "/bin/sh");
    assert_true(program.interpreter >= 0);
    bh_program_close(&program);
    assert_int_equal(program.fd, -1);
    assert_int_equal(program.interpreter, -1);
}

static void test_no_script(void **state)
{
    (void)state;
    assert_int_equal(bh_program_open("/bin/true", &program), 0);
    assert_false(program.script);
    assert_string_equal(program.flaw, "");
    bh_program_close(&program);
}

static void test_what_is_not_there(void **state)
{
    (void)state;
    hook_file("plain", "exit 0", 0644);
    assert_int_equal(bh_program_open(in_hooks("missing"), &program), -ENOENT);
    assert_int_equal(bh_program_open(in_hooks("plain"), &program), -EACCES);
    assert_int_equal(bh_program_open("/", &program), -EACCES);
    assert_int_equal(bh_program_open("/dev/null", &program), -EACCES);
    assert_int_equal(bh_program_open("", &program), -ENOENT);
    assert_int_equal(bh_program_open("relative", &program), -ENOENT);
    assert_int_equal(bh_program_open("/bin/true/", &program), -ENOTDIR);
    assert_int_equal(bh_program_open("/bin/true/x", &program), -ENOTDIR);
}

static void test_long_names(void **state)
{
    char path[PATH_MAX + 2];

    (void)state;
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[NAME_MAX + 2] = '\0';
    assert_int_equal(bh_program_open(path, &program), -ENAMETOOLONG);
    path[NAME_MAX + 1] = '\0';
    assert_int_equal(bh_program_open(path, &program), -ENOENT);
    for (size_t i = 0; i < sizeof(path); i += 2)
        memcpy(path + i, "/a", 2);
    path[PATH_MAX] = '\0';
    assert_int_equal(bh_program_open(path, &program), -ENAMETOOLONG);
    path[PATH_MAX - 2] = '\0';
    assert_int_equal(bh_program_open(path, &program), -ENOENT);
}

static void test_written_by_others(void **state)
{
    (void)state;
    hook_file("tool", "exit 0", 0755);
    assert_int_equal(chmod(in_hooks("tool"), 0775), 0);
    assert_flaw("tool", "chmod go-w");
    assert_int_equal(chmod(in_hooks("tool"), 0757), 0);
    assert_flaw("tool", "chmod go-w");
    assert_int_equal(chmod(in_hooks("tool"), 0755), 0);
    assert_sound("tool");
    if (geteuid() != 0)
        return;
    assert_int_equal(chown(in_hooks("tool"), 65534, 0), 0);
    assert_flaw("tool", "chown it to root");
}

static void test_folder_of_others(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_hooks("folder"), 0755), 0);
    hook_file("folder/tool", "exit 0", 0755);
    assert_sound("folder/tool");
    assert_int_equal(chmod(in_hooks("folder"), 0775), 0);
    assert_flaw("folder/tool", "could put another program");
    assert_int_equal(chmod(in_hooks("folder"), 01777),
                     0); /* the sticky bit does not help: he may be there first */
    assert_flaw("folder/tool", "could put another program");
}

/* A link is as good as the folders that it leads through. */
static void test_links(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_hooks("open"), 0755), 0);
    hook_file("tool", "exit 0", 0755);
    assert_int_equal(symlink("tool", in_hooks("relative")), 0);
    assert_int_equal(symlink(in_hooks("tool"), in_hooks("open/absolute")), 0);
    assert_int_equal(symlink("loop", in_hooks("loop")), 0);
    assert_sound("relative");
    assert_sound("open/absolute");
    assert_int_equal(chmod(in_hooks("open"), 0777), 0);
    assert_flaw("open/absolute", "could put another program");
    assert_int_equal(bh_program_open(in_hooks("loop"), &program), -ELOOP);
}

static void test_links_that_lead_out(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_hooks("open"), 0777), 0);
    assert_int_equal(chmod(in_hooks("open"), 0777), 0);
    hook_file("open/tool", "exit 0", 0755);
    assert_int_equal(symlink("open/tool", in_hooks("to")), 0);
    open_as_made("to");
    assert_string_equal(program.name, in_hooks("open/tool"));
    assert_true(program.flaw[0]);
    bh_program_close(&program);
}

static void test_interpreters(void **state)
{
    char line[BH_PROGRAM_SHEBANG_MAX + 64];

    (void)state;
    hook_file("inner", "exit 0", 0755);
    (void)snprintf(line, sizeof(line), "#!%s\n", in_hooks("inner"));
    hook_bytes("outer", line, 0755);
    assert_flaw("outer", "is a script itself");
    hook_bytes("gone", "#!/nonexistent/interpreter\n", 0755);
    assert_flaw("gone", "cannot be executed");
    hook_bytes("relative", "#!sh\n", 0755);
    assert_flaw("relative", "absolute path");
    hook_bytes("endless", "#!/bin/sh", 0755);
    assert_flaw("endless", "absolute path");
    memset(line, ' ', sizeof(line));
    memcpy(line, "#!/bin/sh", 9);
    line[BH_PROGRAM_SHEBANG_MAX - 1] = '\n';
    line[BH_PROGRAM_SHEBANG_MAX] = '\0';
    hook_bytes("long", line, 0755);
    assert_sound("long");
    line[BH_PROGRAM_SHEBANG_MAX - 1] = ' ';
    line[BH_PROGRAM_SHEBANG_MAX] = '\n';
    line[BH_PROGRAM_SHEBANG_MAX + 1] = '\0';
    hook_bytes("longer", line, 0755);
    assert_flaw("longer", "absolute path");
}

static void test_interpreter_of_others(void **state)
{
    char line[PATH_MAX + 8], shell[128 * 1024];
    int fd = open("/bin/sh", O_RDONLY | O_CLOEXEC), copy;
    ssize_t n;

    (void)state;
    copy = open(in_hooks("shell"), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    while ((n = read(fd, shell, sizeof(shell))) > 0)
        assert_int_equal(write(copy, shell, (size_t)n), n);
    (void)close(fd);
    (void)close(copy);
    (void)snprintf(line, sizeof(line), "#! %s  -e -u \n", in_hooks("shell"));
    hook_bytes("script", line, 0755);
    open_as_made("script");
    assert_string_equal(program.flaw, "");
    assert_string_equal(program.interpreter_arg, "-e -u");
    bh_program_close(&program);
    assert_int_equal(chmod(in_hooks("shell"), 0777), 0);
    assert_flaw("script", "others than root may write");
}

static void test_digest(void **state)
{
    char before[sizeof(program.sha256)];
    int fd;

    (void)state;
    hook_bytes("tool", "abc", 0755);
    open_as_made("tool");
    assert_int_equal(bh_program_digest(&program, false), 0);
    assert_string_equal(program.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    strcpy(before, program.sha256);
    bh_program_close(&program);
    fd = open(in_hooks("tool"), O_WRONLY | O_CLOEXEC); /* the same file, changed */
    assert_int_equal(pwrite(fd, "d", 1, 2), 1);
    (void)close(fd);
    open_as_made("tool");
    assert_int_equal(bh_program_digest(&program, false), 0);
    assert_string_not_equal(program.sha256, before);
    bh_program_close(&program);
}

/* What anybody may have written is read up to a limit, what is pinned to its end. */
static void test_digest_of_a_large_file(void **state)
{
    (void)state;
    hook_bytes("tool", "abc", 0755);
    assert_int_equal(truncate(in_hooks("tool"), BH_PROGRAM_DIGEST_MAX), 0);
    open_as_made("tool");
    assert_int_equal(bh_program_digest(&program, false), 0);
    bh_program_close(&program);
    assert_int_equal(truncate(in_hooks("tool"), BH_PROGRAM_DIGEST_MAX + 1), 0);
    open_as_made("tool");
    assert_int_equal(bh_program_digest(&program, false), -EFBIG);
    assert_string_equal(program.sha256, "");
    program.st.st_size = 1; /* it has grown meanwhile */
    assert_int_equal(bh_program_digest(&program, false), -EFBIG);
    assert_int_equal(bh_program_digest(&program, true), 0);
    bh_program_close(&program);
}

static void test_search(void **state)
{
    char path[3 * PATH_MAX], found[PATH_MAX];

    (void)state;
    hook_file("plain", "exit 0", 0644);
    hook_file("tool", "exit 0", 0755);
    assert_int_equal(mkdir(in_hooks("sub"), 0755), 0);
    hook_file("sub/plain", "exit 0", 0755);
    (void)snprintf(path, sizeof(path), "::relative:%s:%s:/bin", in_hooks(""), in_hooks("sub"));
    assert_int_equal(bh_program_search("tool", path, found), 0);
    assert_int_equal(bh_program_search("plain", path, found), 0);
    assert_string_equal(found, in_hooks("sub/plain"));
    assert_int_equal(bh_program_search("no-such-tool", path, found), -ENOENT);
    assert_int_equal(bh_program_search("sub", path, found), -ENOENT);
    assert_int_equal(bh_program_search("tool", "", found), -ENOENT);
}

static void test_leaks_nothing(void **state)
{
    int before = count_fds();

    (void)state;
    hook_file("tool", "exit 0", 0755);
    hook_bytes("gone", "#!/nonexistent/interpreter\n", 0755);
    for (int i = 0; i < 100; i++) {
        assert_sound("tool");
        assert_flaw("gone", "interpreter");
        assert_int_equal(bh_program_open(in_hooks("missing"), &program), -ENOENT);
    }
    assert_int_equal(count_fds(), before);
}

#define in_folder(test) cmocka_unit_test_setup_teardown(test, hooks_make, hooks_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        in_folder(test_sound),
        in_folder(test_no_script),
        in_folder(test_what_is_not_there),
        in_folder(test_long_names),
        in_folder(test_written_by_others),
        in_folder(test_folder_of_others),
        in_folder(test_links),
        in_folder(test_links_that_lead_out),
        in_folder(test_interpreters),
        in_folder(test_interpreter_of_others),
        in_folder(test_digest),
        in_folder(test_digest_of_a_large_file),
        in_folder(test_search),
        in_folder(test_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
