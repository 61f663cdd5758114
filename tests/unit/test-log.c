/* Lines of the log: their form, what is escaped, where they go, and the file that takes standard error's
 * place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/supervisor/logfile.h"
#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"

#define ROOM 4096
#define HELD_LINE 128 /* bytes of a line that is held, its level before it included */

static int old_stderr;

/* Puts a memfd in the place of standard error. */
static int capture(void)
{
    int fd = bh_memfd_new("log", NULL, 0);

    assert_true(fd >= 0);
    old_stderr = dup(STDERR_FILENO);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    return fd;
}

static void release(int fd, char ret[ROOM])
{
    ssize_t n = bh_read_file(fd, ret, ROOM - 1);

    (void)dup2(old_stderr, STDERR_FILENO);
    (void)close(old_stderr);
    (void)close(fd);
    assert_true(n >= 0);
    ret[n] = '\0';
}

static void expect(const char *text, const char *wanted)
{
    char got[ROOM], line[ROOM];
    int fd = capture();

    bh_log(BH_LOG_NOTICE, "%s", text);
    release(fd, got);
    (void)snprintf(line, sizeof(line), "t[%d] notice: %s\n", (int)getpid(), wanted);
    assert_string_equal(got, line);
}

static void control_characters_are_escaped(void **state)
{
    (void)state;
    bh_log_init("t", BH_LOG_NOTICE);
    expect("plain \xc3\xa4 \\", "plain \xc3\xa4 \\");
    expect("a\nb\x1b[1m\x7f\t", "a\\x0ab\\x1b[1m\\x7f\\x09");
    expect("\xc2\x9b\xc2\xa0\xc2\x80\xc2", "\\xc2\\x9b\xc2\xa0\\xc2\\x80\xc2");
}

static void a_line_ends_at_its_limit(void **state)
{
    char text[3 * BH_LOG_LINE_MAX], got[ROOM];
    int fd;

    (void)state;
    for (int escaped = 0; escaped < 2; escaped++) {
        memset(text, escaped ? 1 : 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        fd = capture();
        bh_log(BH_LOG_ERROR, "%s", text);
        release(fd, got);
        assert_in_range(strlen(got), BH_LOG_LINE_MAX - 8, BH_LOG_LINE_MAX);
        assert_int_equal(got[strlen(got) - 1], '\n');
    }
}

static void levels_and_time(void **state)
{
    char got[ROOM];
    int fd = capture();

    (void)state;
    bh_log_init("t", BH_LOG_WARNING);
    bh_log(BH_LOG_NOTICE, "dropped");
    bh_log_style(false, true);
    bh_log(BH_LOG_WARNING, "kept");
    bh_log_style(true, false);
    bh_log(BH_LOG_DEBUG, "too");
    release(fd, got);
    assert_null(strstr(got, "dropped"));
    assert_int_equal(strlen(got), strlen("2026-01-01T00:00:00.000000Z ") +
                                      (size_t)snprintf(NULL, 0, "t[%d] warning: kept\n", (int)getpid()) +
                                      (size_t)snprintf(NULL, 0, "t[%d] debug: too\n", (int)getpid()));
    assert_memory_equal(got, "20", 2);
    assert_memory_equal(got + 26, "Z t[", 4);
    bh_log_init("t", BH_LOG_NOTICE);
}

static unsigned count_of(const char *text, const char *what)
{
    unsigned n = 0;

    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void lines_are_held_while_the_flag_is_set(void **state)
{
    char got[ROOM];
    uint32_t flag = 1;
    struct stat st;
    int fd = capture();

    (void)state;
    bh_log_hold(&flag);
    bh_log(BH_LOG_NOTICE, "one");
    bh_log(BH_LOG_DEBUG, "dropped by its level");
    bh_log(BH_LOG_NOTICE, "two\n");
    bh_log_flush();
    assert_true(bh_log_held());
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, 0);
    flag = 0;
    bh_log(BH_LOG_NOTICE, "three");
    assert_false(bh_log_held());
    flag = 1;
    bh_log(BH_LOG_NOTICE, "four");
    flag = 0;
    bh_log_flush();
    assert_false(bh_log_held());
    release(fd, got);
    bh_log_hold(NULL);
    assert_int_equal(count_of(got, "\n"), 4);
    assert_true(strstr(got, "one\n") < strstr(got, "two\\x0a\n") &&
                strstr(got, "two") < strstr(got, "three\n") && strstr(got, "three") < strstr(got, "four\n"));
}

/* A line that takes so many bytes. */
static void hold_line(unsigned bytes)
{
    char text[2 * HELD_LINE];
    size_t head = (size_t)snprintf(NULL, 0, "t[%d] notice: ", (int)getpid());

    memset(text, 'x', sizeof(text));
    text[bytes - 2 - head] = '\0';
    bh_log(BH_LOG_NOTICE, "%s", text);
}

/* Holds so many lines, the first of another length, and then a short one. Returns what is written at the
 * thaw. */
static const char *hold_lines(unsigned n, unsigned first)
{
    static char got[2 * BH_LOG_HELD_MAX];
    uint32_t flag = 1;
    int fd = capture();
    ssize_t len;

    bh_log_hold(&flag);
    hold_line(first);
    for (unsigned i = 1; i < n; i++)
        hold_line(HELD_LINE);
    bh_log(BH_LOG_NOTICE, ".");
    flag = 0;
    bh_log_flush();
    len = bh_read_file(fd, got, sizeof(got) - 1);
    (void)dup2(old_stderr, STDERR_FILENO);
    (void)close(old_stderr);
    (void)close(fd);
    bh_log_hold(NULL);
    assert_true(len > 0);
    got[len] = '\0';
    assert_false(bh_log_held());
    return got;
}

/* So many lines fill the room exactly. One that would fit behind one that did not is dropped too: no line is
 * missing between two others. */
static void what_is_held_has_a_limit(void **state)
{
    static const unsigned most = BH_LOG_HELD_MAX / HELD_LINE;
    static const struct {
        unsigned lines, first, kept, dropped;
    } cases[] = {
        { most - 1, HELD_LINE, most - 1, 0 }, { most, HELD_LINE, most, 1 },
        { most, HELD_LINE + 1, most - 1, 2 }, { most, HELD_LINE - 1, most, 1 },
        { most + 1, HELD_LINE, most, 2 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *got = hold_lines(cases[i].lines, cases[i].first);
        char told[64];

        (void)snprintf(told, sizeof(told), "warning: %u lines of the log were dropped", cases[i].dropped);
        assert_int_equal(count_of(got, "x\n"), cases[i].kept);
        assert_int_equal(count_of(got, "were dropped"), cases[i].dropped > 0);
        assert_int_equal(count_of(got, told), cases[i].dropped > 0);
    }
}

static void a_child_says_nothing_for_its_parent(void **state)
{
    char got[ROOM];
    uint32_t flag = 1;
    int fd = capture();

    (void)state;
    bh_log_hold(&flag);
    bh_log(BH_LOG_NOTICE, "of the parent");
    bh_log_init("t", BH_LOG_NOTICE);
    flag = 0;
    bh_log(BH_LOG_NOTICE, "of the child");
    release(fd, got);
    bh_log_hold(NULL);
    assert_true(!strstr(got, "parent") && strstr(got, "child"));
}

/* Says a line and dies, with `fd` in the place of standard error, while lines are to be held. */
static int die_with(int fd)
{
    static uint32_t flag = 1;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        (void)alarm(10);
        (void)dup2(fd, STDERR_FILENO);
        bh_log_hold(&flag);
        bh_log(BH_LOG_NOTICE, "before");
        bh_die(7, "gone");
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void death_does_not_wait_for_a_thaw(void **state)
{
    char got[ROOM], page[4096] = { 0 };
    int file = bh_memfd_new("log", NULL, 0), ends[2];
    struct stat st;
    ssize_t n;

    (void)state;
    assert_int_equal(die_with(file), 7);
    assert_int_equal(fstat(file, &st), 0);
    assert_int_equal(st.st_size, 0); /* it might be on what is frozen */
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(die_with(ends[1]), 7);
    n = read(ends[0], got, sizeof(got) - 1);
    assert_true(n > 0);
    got[n] = '\0';
    assert_true(strstr(got, "notice: before\n") && strstr(got, "error: gone\n"));
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    while (write(ends[1], page, sizeof(page)) > 0)
        ;
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
    assert_int_equal(die_with(ends[1]), 7); /* nobody reads */
    (void)close(file);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void moments_as_text(void **state)
{
    static const struct {
        uint64_t ns;
        const char *text;
    } cases[] = {
        { 0, "1970-01-01T00:00:00.000000Z" },
        { 951782399999999999u, "2000-02-28T23:59:59.999999Z" },
        { 951782400000000000u, "2000-02-29T00:00:00.000000Z" },
        { 4107542400000001000u, "2100-03-01T00:00:00.000001Z" },
    };
    char text[BH_CLOCK_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bh_clock_text(cases[i].ns, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void who_waits_hears_the_worst(void **state)
{
    char got[ROOM], heard[ROOM];
    int fd = capture(), echo = bh_memfd_new("echo", NULL, 0);
    ssize_t n;

    (void)state;
    bh_log_echo(echo);
    bh_log(BH_LOG_NOTICE, "one");
    bh_log(BH_LOG_WARNING, "two");
    bh_log(BH_LOG_ERROR, "three");
    bh_log_echo(-1);
    bh_log(BH_LOG_ERROR, "four");
    n = bh_read_file(echo, heard, sizeof(heard) - 1);
    release(fd, got);
    assert_true(n > 0);
    heard[n] = '\0';
    assert_true(!strstr(heard, "one") && strstr(heard, "two") && strstr(heard, "three") &&
                !strstr(heard, "four"));
    assert_true(strstr(got, "one") && strstr(got, "four"));
    (void)close(echo);
}

static void last_act(void)
{
    (void)!write(STDERR_FILENO, "done", 4);
}

static void death_is_the_last_act(void **state)
{
    char got[ROOM];
    int fd = capture(), status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        bh_log_last_act(last_act);
        bh_die(7, "gone");
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    release(fd, got);
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_non_null(strstr(got, "error: gone\ndone"));
}

static void the_file_is_opened_anew(void **state)
{
    char folder[] = "/tmp/bh-log-XXXXXX", path[64], moved[64], got[ROOM];
    struct stat st;
    int fd;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/log", folder);
    (void)snprintf(moved, sizeof(moved), "%s/log.1", folder);
    fd = capture();
    assert_int_equal(bh_log_file_open(path), 0);
    bh_log(BH_LOG_ERROR, "first");
    assert_int_equal(rename(path, moved), 0);
    bh_log(BH_LOG_ERROR, "second");
    assert_int_equal(bh_log_file_open(path), 0);
    bh_log(BH_LOG_ERROR, "third");
    assert_int_equal(bh_log_file_open("/nonexistent/log"), -ENOENT);
    bh_log(BH_LOG_ERROR, "fourth");
    assert_int_equal(fcntl(STDERR_FILENO, F_GETFD), 0); /* children inherit it */
    release(fd, got);
    assert_string_equal(got, "");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    got[bh_read_file(fd, got, sizeof(got) - 1)] = '\0';
    (void)close(fd);
    assert_true(!strstr(got, "second") && strstr(got, "third") && strstr(got, "fourth"));
    fd = open(moved, O_RDONLY | O_CLOEXEC);
    got[bh_read_file(fd, got, sizeof(got) - 1)] = '\0';
    (void)close(fd);
    assert_true(strstr(got, "first") && strstr(got, "second") && !strstr(got, "third"));
    (void)unlink(path);
    (void)unlink(moved);
    (void)rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_are_escaped),
        cmocka_unit_test(a_line_ends_at_its_limit),
        cmocka_unit_test(levels_and_time),
        cmocka_unit_test(lines_are_held_while_the_flag_is_set),
        cmocka_unit_test(what_is_held_has_a_limit),
        cmocka_unit_test(a_child_says_nothing_for_its_parent),
        cmocka_unit_test(death_does_not_wait_for_a_thaw),
        cmocka_unit_test(moments_as_text),
        cmocka_unit_test(who_waits_hears_the_worst),
        cmocka_unit_test(death_is_the_last_act),
        cmocka_unit_test(the_file_is_opened_anew),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
