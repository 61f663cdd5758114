/* workers/info/logins.h: records of utmp, session files, and what is neither. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utmp.h>
#include <cmocka.h>

#include "policy/listed.h"
#include "protocol/base/fd.h"
#include "workers/info/logins.h"

#define USERS_MAX 100

static struct bh_arena arena;
static struct bh_logins logins;
static struct bh_guest_get_users_ret told;
static const char *hidden;

static bool is_shown(void *context, const char *name, size_t len)
{
    (void)context;
    return !hidden || strlen(hidden) != len || memcmp(name, hidden, len) != 0;
}

static void start(void)
{
    bh_arena_deinit(&arena);
    bh_arena_init(&arena, 16u << 20);
    bh_logins_init(&logins, &arena, USERS_MAX, is_shown, NULL);
    hidden = NULL;
}

static struct utmp utmp_login(const char *name, int32_t seconds, int32_t microseconds)
{
    struct utmp record = { .ut_type = USER_PROCESS };

    memcpy(record.ut_user, name, strnlen(name, sizeof(record.ut_user)));
    record.ut_tv.tv_sec = seconds;
    record.ut_tv.tv_usec = microseconds;
    return record;
}

static int utmp_of(const void *bytes, size_t len)
{
    int fd = bh_memfd_new("utmp", bytes, len), r;

    assert_true(fd >= 0);
    r = bh_logins_utmp(&logins, fd);
    (void)close(fd);
    assert_int_equal(bh_logins_tell(&logins, false, &told), 0);
    return r;
}

static void unique_and_earliest(void **state)
{
    struct utmp records[] = { utmp_login("bob", 1000, 5),     utmp_login("ann", 2000, 0),
                              utmp_login("bob", 999, 250000), utmp_login("bob", 1001, 0),
                              utmp_login("gone", 1, 0),       utmp_login("", 1, 0) };

    (void)state;
    records[4].ut_type = DEAD_PROCESS;
    start();
    assert_int_equal(utmp_of(records, sizeof(records)), 0);
    assert_int_equal(told.n_value, 2);
    assert_string_equal(told.value[0].user.ptr, "bob");
    assert_true(told.value[0].login_time == 999.25);
    assert_string_equal(told.value[1].user.ptr, "ann");
    assert_false(told.value[0].has_domain);
    hidden = "bob";
    bh_logins_init(&logins, &arena, USERS_MAX, is_shown, NULL);
    assert_int_equal(utmp_of(records, sizeof(records)), 0);
    assert_int_equal(told.n_value, 1);
}

static void a_name_that_fills_its_field(void **state)
{
    struct utmp record = utmp_login("abcdefghijklmnopqrstuvwxyz012345", 7, 0);

    (void)state;
    start();
    memset(record.ut_host, 'h', sizeof(record.ut_host));
    assert_int_equal(utmp_of(&record, sizeof(record)), 0);
    assert_int_equal(told.value[0].user.len, 32);
    assert_string_equal(told.value[0].user.ptr, "abcdefghijklmnopqrstuvwxyz012345");
}

static void a_name_that_is_no_text(void **state)
{
    struct utmp record = utmp_login("a\xff", 7, 0);

    (void)state;
    start();
    assert_int_equal(utmp_of(&record, sizeof(record)), 0);
    assert_string_equal(told.value[0].user.ptr, "a\xef\xbf\xbd");
}

static void after_2038(void **state)
{
    struct utmp record = utmp_login("a", -1, 0);

    (void)state;
    start();
    assert_int_equal(utmp_of(&record, sizeof(record)), 0);
    assert_true(sizeof(record.ut_tv.tv_sec) != 4 || told.value[0].login_time == UINT32_MAX);
}

static void a_record_that_is_cut(void **state)
{
    struct utmp records[] = { utmp_login("a", 1, 0), utmp_login("b", 1, 0) };

    (void)state;
    for (size_t len = 0; len <= sizeof(records); len += 16) {
        start();
        assert_int_equal(utmp_of(records, len), 0);
        assert_int_equal(told.n_value, len / sizeof(records[0]));
    }
}

static int users_of(unsigned n)
{
    int r = 0;

    start();
    for (unsigned i = 0; i < n && r == 0; i++) {
        char name[16];

        (void)snprintf(name, sizeof(name), "u%u", i);
        r = bh_logins_add(&logins, name, strlen(name), 1);
    }
    return r;
}

static int records_of(unsigned n)
{
    struct utmp *records = calloc(n, sizeof(*records));
    int r;

    assert_non_null(records);
    start();
    r = utmp_of(records, n * sizeof(*records));
    free(records);
    return r;
}

static void limits(void **state)
{
    (void)state;
    assert_int_equal(users_of(USERS_MAX - 1), 0);
    assert_int_equal(users_of(USERS_MAX), 0);
    assert_int_equal(users_of(USERS_MAX + 1), -E2BIG);
    assert_int_equal(records_of(BH_SESSIONS_MAX - 1), 0);
    assert_int_equal(records_of(BH_SESSIONS_MAX), 0);
    assert_int_equal(records_of(BH_SESSIONS_MAX + 1), -E2BIG);
}

/* How many users a session file comes to, which is 0 or 1. */
static uint32_t session(const char *text)
{
    start();
    assert_int_equal(bh_logins_session(&logins, text, strlen(text)), 0);
    assert_int_equal(bh_logins_tell(&logins, true, &told), 0);
    return told.n_value;
}

static void session_files(void **state)
{
    (void)state;
    assert_int_equal(
        session("# a comment\nUID=1000\nUSER=bob\nSTATE=active\nCLASS=user\nREALTIME=1700000000250000\n"), 1);
    assert_string_equal(told.value[0].user.ptr, "bob");
    assert_true(told.value[0].login_time == 1700000000.25);
    assert_int_equal(session("USER=bob\nCLASS=user\nREALTIME=1"), 1);
    assert_int_equal(session("USER=bob\nCLASS=user-early\nSTATE=online\nREALTIME=1\n"), 1);
    assert_int_equal(session("USER=bob\nCLASS=user\nSTATE=closing\nREALTIME=1\n"), 0);
    assert_int_equal(session("USER=gdm\nCLASS=greeter\nREALTIME=1\n"), 0);
    assert_int_equal(session("USER=root\nCLASS=background\nREALTIME=1\n"), 0);
    assert_int_equal(session("USER=root\nCLASS=manager\nREALTIME=1\n"), 0);
    assert_int_equal(session("USER=bob\nCLASS=user\n"), 0);
    assert_int_equal(session("USER=bob\nCLASS=user\nREALTIME=-1\n"), 0);
    assert_int_equal(session("USER=bob\nCLASS=user\nREALTIME=\n"), 0);
    assert_int_equal(session("USER=bob\nCLASS=user\nREALTIME=9999999999999999999\n"), 0);
    assert_int_equal(session("USER=\nCLASS=user\nREALTIME=1\n"), 0);
    assert_int_equal(session("CLASS=user\nREALTIME=1\n"), 0);
    assert_int_equal(session("XUSER=bob\nCLASS=user\nREALTIME=1\n"), 0);
    assert_int_equal(session(""), 0);
    assert_int_equal(session("\n\n=\n"), 0);
}

static void long_names(void **state)
{
    char text[BH_USER_MAX + 64];

    (void)state;
    for (unsigned more = 0; more < 2; more++) {
        (void)snprintf(text, sizeof(text), "CLASS=user\nREALTIME=1\nUSER=%0*d\n", (int)(BH_USER_MAX + more),
                       0);
        assert_int_equal(session(text), more == 0);
    }
}

static void write_file(const char *folder, const char *name, const char *text)
{
    char path[128];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "we");
    assert_non_null(file);
    (void)fputs(text, file);
    (void)fclose(file);
}

static void a_folder_of_sessions(void **state)
{
    char folder[] = "/tmp/bh-sessions-XXXXXX", path[128], command[64], large[BH_SESSION_FILE_MAX + 2];

    (void)state;
    assert_non_null(mkdtemp(folder));
    write_file(folder, "1", "USER=late\nCLASS=user\nREALTIME=5000000\n");
    write_file(folder, "c2", "USER=early\nCLASS=user\nREALTIME=4000000\n");
    write_file(folder, ".hidden", "USER=dot\nCLASS=user\nREALTIME=1\n");
    memset(large, '\n', sizeof(large));
    memcpy(large, "USER=big\nCLASS=user\nREALTIME=1\n", 31);
    large[sizeof(large) - 1] = '\0';
    write_file(folder, "large", large);
    large[BH_SESSION_FILE_MAX] = '\0';
    memcpy(large, "USER=fit", 8);
    write_file(folder, "fits", large);
    (void)snprintf(path, sizeof(path), "%s/3.ref", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    (void)snprintf(path, sizeof(path), "%s/link", folder);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    start();
    assert_int_equal(bh_logins_sessions(&logins, folder), 0);
    assert_int_equal(bh_logins_tell(&logins, true, &told), 0);
    assert_int_equal(told.n_value, 3);
    assert_string_equal(told.value[0].user.ptr, "fit");
    assert_string_equal(told.value[1].user.ptr, "early");
    assert_string_equal(told.value[2].user.ptr, "late");
    (void)snprintf(command, sizeof(command), "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(bh_logins_sessions(&logins, folder), 0);
    assert_int_equal(bh_logins_sessions(&logins, "/etc/hostname"), -ENOTDIR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unique_and_earliest),    cmocka_unit_test(a_name_that_fills_its_field),
        cmocka_unit_test(a_name_that_is_no_text), cmocka_unit_test(after_2038),
        cmocka_unit_test(a_record_that_is_cut),   cmocka_unit_test(limits),
        cmocka_unit_test(session_files),          cmocka_unit_test(long_names),
        cmocka_unit_test(a_folder_of_sessions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
