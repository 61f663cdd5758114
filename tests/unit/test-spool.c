/* workers/spool as clients meet it: real pipes, a spool in a child. */
#include "tests/unit/spool-play.h"

#include "protocol/base/mem.h"
#include "protocol/base/sha256.h"

#define EXITED(code) ((code) << 8)
#define BOTH (BH_SPOOL_OUT | BH_SPOOL_ERR)
#define WAITING (BOTH | BH_SPOOL_WAITS)
#define MIB (1024u * 1024u)

static struct bh_guest_exec_status st;

static int teardown(void **state)
{
    (void)state;
    stop();
    return 0;
}

/* --- guest-exec-status ------------------------------------------------------------------- */

static void test_output_and_exit_code(void **state)
{
    struct played played;

    (void)state;
    start(0);
    played = play(BOTH, 100);
    write_to(played.out, "hello", 5);
    assert_int_equal(ask_status(played.number, &st), 0);
    assert_false(st.exited || st.has_exitcode || st.has_signal || st.has_out_truncated);
    assert_int_equal(data_len, 0);
    write_to(played.err, "oops", 4);
    end_played(&played, EXITED(3));
    assert_int_equal(fetch(played.number, &st), 0);
    assert_true(st.exited && st.has_exitcode && !st.has_signal);
    assert_int_equal(st.exitcode, 3);
    assert_int_equal(data_len, 5);
    assert_memory_equal(data, "hello", 5);
    assert_int_equal(second_len, 4);
    assert_memory_equal(second_data, "oops", 4);
    assert_true(st.has_out_truncated && !st.out_truncated && st.has_err_truncated && !st.err_truncated);
    assert_int_equal(told_forgotten(SOON_MS), played.number);
}

static void test_number_is_forgotten_after_it_was_told(void **state)
{
    struct played played;
    char text[64];

    (void)state;
    start(0);
    played = play(0, 100);
    end_played(&played, EXITED(0));
    assert_int_equal(fetch(played.number, &st), 0);
    assert_true(st.exited && !st.has_out_truncated && !st.has_err_truncated);
    assert_int_equal(ask_status(played.number, &st), BH_E_BAD_PID);
    (void)snprintf(text, sizeof(text), "PID %llu does not exist", (unsigned long long)played.number);
    assert_string_equal(error.text, text);
    assert_int_equal(ask_status((uint64_t)-5, &st), BH_E_BAD_PID);
    assert_string_equal(error.text, "PID -5 does not exist");
}

static void test_signal(void **state)
{
    struct played played;

    (void)state;
    start(0);
    played = play(BOTH, 100);
    end_played(&played, SIGTERM);
    assert_int_equal(fetch(played.number, &st), 0);
    assert_true(st.exited && st.has_signal && !st.has_exitcode);
    assert_int_equal(st.signal, SIGTERM);
}

/* Who keeps a pipe open keeps the execution from being over, as with upstream. */
static void test_exit_waits_for_the_pipes(void **state)
{
    struct played played;

    (void)state;
    start(0);
    played = play(BOTH, 100);
    tell_end_of(&played, EXITED(0));
    close_end(&played.out);
    assert_int_equal(ask_status(played.number, &st), 0);
    (void)poll(NULL, 0, 50);
    assert_int_equal(ask_status(played.number, &st), 0);
    assert_false(st.exited);
    write_to(played.err, "late", 4);
    close_end(&played.err);
    assert_int_equal(fetch(played.number, &st), 0);
    assert_true(st.exited && st.has_exitcode);
    assert_int_equal(second_len, 4);
    assert_int_equal(data_len, 0);
}

/* A keeper that is killed says nothing, and one that was taken over says what no wait(2) does. */
static void test_keeper_that_does_not_tell(void **state)
{
    static const size_t lens[] = { 0, 1, sizeof(struct bh_ending) - 1, sizeof(struct bh_ending) };
    static const struct bh_ending nonsense = { .status = 0x57f, .how = 99 };

    (void)state;
    start(0);
    for (unsigned i = 0; i < BH_ARRAY_SIZE(lens); i++) {
        struct played played = play(BH_SPOOL_OUT, 100);

        if (lens[i] > 0)
            write_to(played.end, &nonsense, lens[i]);
        drop_played(&played);
        assert_int_equal(fetch(played.number, &st), 0);
        assert_true(st.exited && st.has_signal && !st.has_exitcode);
        assert_int_equal(st.signal, SIGKILL);
    }
}

static void test_output_is_cut_at_its_limit(void **state)
{
    static const struct {
        size_t written;
        bool cut;
    } cases[] = { { 99999, false }, { 100000, false }, { 100001, true }, { 900000, true } };
    char *bytes = malloc(900000);

    (void)state;
    memset(bytes, 'x', 900000);
    start(0);
    for (unsigned i = 0; i < BH_ARRAY_SIZE(cases); i++) {
        struct played played = play(BOTH, 100000);

        write_to(played.out, bytes, cases[i].written);
        end_played(&played, EXITED(0));
        assert_int_equal(fetch(played.number, &st), 0);
        assert_int_equal(data_len, cases[i].cut ? 100000 : cases[i].written);
        assert_int_equal(st.out_truncated, cases[i].cut);
        assert_false(st.has_err_truncated);
    }
    free(bytes);
}

/* --- bulkhead-exec ------------------------------------------------------------------------ */

static void test_read_takes_what_is_new(void **state)
{
    struct played played;

    (void)state;
    start(0);
    played = play(WAITING, 1);
    write_to(played.out, "one", 3);
    assert_int_equal(read_new(played.number, 1000, &st), 0);
    assert_int_equal(data_len, 3);
    assert_true(st.has_out_truncated && !st.out_truncated && !st.exited && !st.has_err_truncated);
    assert_int_equal(read_new(played.number, -1, &st), 0);
    assert_int_equal(data_len + second_len, 0);
    write_to(played.err, "two", 3);
    end_played(&played, EXITED(7));
    assert_int_equal(read_new(played.number, 1000, &st), 0);
    assert_int_equal(second_len, 3);
    if (!st.exited)
        assert_int_equal(read_new(played.number, 1000, &st), 0);
    while (!st.exited)
        assert_int_equal(read_new(played.number, 1000, &st), 0);
    assert_int_equal(st.exitcode, 7);
    assert_int_equal(read_new(played.number, -1, &st), BH_E_BAD_PID);
}

/* What is taken of guest-exec's output is not there again, and makes room. */
static void test_read_consumes_what_status_would_tell(void **state)
{
    struct played played;

    (void)state;
    start(0);
    played = play(BOTH, 5);
    write_to(played.out, "12345", 5);
    await_bytes(played.number, 5);
    assert_int_equal(read_new(played.number, 0, &st), 0);
    assert_int_equal(data_len, 5);
    assert_true(st.has_out_truncated && !st.out_truncated);
    write_to(played.out, "abcdefg", 7);
    await_bytes(played.number, 12);
    end_played(&played, EXITED(0));
    assert_int_equal(fetch(played.number, &st), 0);
    assert_int_equal(data_len, 5);
    assert_memory_equal(data, "abcde", 5);
    assert_true(st.has_out_truncated && st.out_truncated);
}

static void test_read_waits_no_longer_than_asked(void **state)
{
    struct played played;
    uint64_t begin;

    (void)state;
    start(0);
    played = play(WAITING, 1);
    begin = bh_clock_ms(CLOCK_MONOTONIC);
    assert_int_equal(read_new(played.number, 200, &st), 0);
    assert_in_range(bh_clock_ms(CLOCK_MONOTONIC) - begin, 199, 2000);
    assert_false(st.exited);
    drop_played(&played);
}

static void test_input(void **state)
{
    struct played played;
    int64_t n = 0;
    char got[16];

    (void)state;
    start(0);
    played = play(WAITING | BH_SPOOL_IN, 1);
    assert_int_equal(write_input(played.number, "abc", 3, false, &n), 0);
    assert_int_equal(n, 3);
    assert_int_equal(write_input(played.number, "de", 2, true, &n), 0);
    assert_int_equal(read(played.in, got, sizeof(got)), 5);
    assert_memory_equal(got, "abcde", 5);
    assert_int_equal(read(played.in, got, sizeof(got)), 0);
    assert_int_equal(write_input(played.number, "f", 1, false, &n), BH_E_NOT_SUPPORTED);
    drop_played(&played);
}

static void test_program_that_does_not_read(void **state)
{
    struct played played;
    int64_t n = 0;

    (void)state;
    start(0);
    played = play(WAITING, 1); /* it was started without input */
    assert_int_equal(write_input(played.number, "a", 1, false, &n), BH_E_NOT_SUPPORTED);
    drop_played(&played);
    played = play(WAITING | BH_SPOOL_IN, 1);
    assert_int_equal(write_input(played.number, "a", 1, false, &n), 0);
    close_end(&played.in);
    assert_int_equal(write_input(played.number, "b", 1, false, &n), BH_E_KERNEL);
    assert_non_null(strstr(error.text, "does not read its input any more"));
    assert_int_equal(write_input(played.number, "b", 1, false, &n), BH_E_NOT_SUPPORTED);
    assert_int_equal(write_input(4, "b", 1, false, &n), BH_E_BAD_PID);
    drop_played(&played);
}

/* What does not fit is to be sent again, and the end comes only behind it. */
static void test_input_as_much_as_fits(void **state)
{
    char *bytes = malloc(MIB), *got = malloc(MIB);
    struct played played;
    int64_t n = 0, m = 0;

    (void)state;
    memset(bytes, 'i', MIB);
    start(0);
    played = play(WAITING | BH_SPOOL_IN, 1);
    assert_int_equal(write_input(played.number, bytes, MIB, true, &n), 0);
    assert_in_range(n, 4096, MIB - 1);
    assert_int_equal(write_input(played.number, "z", 1, false, &m), 0);
    assert_int_equal(m, 0);
    for (int64_t left = n; left > 0;)
        left -= read(played.in, got, MIB);
    assert_int_equal(write_input(played.number, "z", 1, true, &m), 0);
    assert_int_equal(m, 1);
    assert_int_equal(read(played.in, got, MIB), 1);
    assert_int_equal(read(played.in, got, MIB), 0);
    drop_played(&played);
    free(bytes);
    free(got);
}

static void test_list(void **state)
{
    struct bh_bulkhead_exec_list_ret ret = { 0 };
    struct played first, second;

    (void)state;
    start(0);
    list(&ret);
    assert_int_equal(ret.n_value, 0);
    first = play(BOTH, 100);
    second = play(WAITING, 100);
    write_to(first.out, "12345", 5);
    (void)read_new(second.number, 50, &st);
    list(&ret);
    assert_int_equal(ret.n_value, 2);
    assert_int_equal(ret.value[0].pid, first.number);
    assert_int_equal(ret.value[1].pid, second.number);
    assert_string_equal(ret.value[0].program.ptr, "/bin/prog");
    assert_string_equal(ret.value[0].rule.ptr, "rule 3");
    assert_string_equal(ret.value[0].user.ptr, "root");
    assert_int_equal(ret.value[0].out_bytes, 5);
    assert_false(ret.value[0].exited);
    drop_played(&first);
    drop_played(&second);
}

/* --- what is recorded ------------------------------------------------------------------------ */

static void test_record_of_the_end(void **state)
{
    static const char want[] =
        "standard output: 150 bytes, sha256 "
        "7595af82ae2fa59cd9bf3b4405d31c69b98de71fed5945fd777d8ab3b393a85f, cut by 50; "
        "standard error: 0 bytes, sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    struct played played;
    char bytes[150];

    (void)state;
    memset(bytes, 'a', sizeof(bytes));
    start(0);
    played = play(BOTH, 100);
    write_to(played.out, bytes, sizeof(bytes));
    end_played(&played, EXITED(0));
    assert_true(next_record(BH_RECORD_RESULT));
    assert_int_equal(records.last.of, 77);
    assert_int_equal(records.last.command, BH_CMD_GUEST_EXEC);
    assert_int_equal(records.last.bytes_written, 150);
    assert_string_equal(records.last.object.ptr, "/bin/prog");
    assert_string_equal(records.last.rule.ptr, "rule 3");
    assert_string_equal(records.last.user.ptr, "root");
    assert_string_equal(records.last.text.ptr, want);
    played = play(WAITING, 100);
    end_played(&played, EXITED(0));
    assert_true(next_record(BH_RECORD_RESULT));
    assert_int_equal(records.last.command, BH_CMD_BULKHEAD_EXEC);
    played = play(0, 100); /* nothing is captured: there is nothing to say */
    end_played(&played, EXITED(0));
    assert_int_equal(fetch(played.number, &st), 0);
    assert_false(records_next(&records));
}

/* Puts together what the records say of a stream; their number. */
static unsigned gather(const char *name, char *to, size_t *ret_len)
{
    char head[64];
    unsigned n = 0;
    size_t raw = 0;

    *ret_len = 0;
    while (records_next(&records)) {
        const char *text = records.last.text.ptr;

        if (records.last.kind != BH_RECORD_EVENT)
            break;
        assert_int_equal(records.last.of, 77);
        assert_in_range(records.last.text.len, 1, BH_RECORD_TEXT_MAX);
        (void)snprintf(head, sizeof(head), "%s from byte %zu: ", name, raw);
        assert_memory_equal(text, head, strlen(head));
        for (text += strlen(head); *text; text++, raw++) {
            bool escaped = *text == '\\';

            text += escaped;
            to[(*ret_len)++] = escaped && *text == '0' ? '\0' : *text;
        }
        n++;
    }
    return n;
}

static void check_text(const char *bytes, size_t len, size_t recorded)
{
    static char got[2 * BH_SPOOL_RECORDED_MAX];
    struct played played = play(BH_SPOOL_OUT | BH_SPOOL_RECORD, 10);
    char tail[64];
    size_t n;

    write_to(played.out, bytes, len);
    end_played(&played, EXITED(0));
    assert_int_equal(fetch(played.number, &st), 0);
    (void)gather("standard output", got, &n);
    assert_int_equal(n, recorded);
    assert_memory_equal(got, bytes, n);
    assert_int_equal(records.last.kind, BH_RECORD_RESULT);
    (void)snprintf(tail, sizeof(tail), "; recorded: %zu bytes", recorded);
    assert_non_null(strstr(records.last.text.ptr, tail));
}

static void test_text_is_recorded_in_full(void **state)
{
    static char bytes[BH_SPOOL_RECORDED_MAX + 100];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (char)(i * 7 >> 2);
    start(0);
    check_text("", 0, 0);
    check_text("one\ntwo\\\0three\xff", 15, 15);
    check_text(bytes, 5000, 5000);
    check_text(bytes, BH_SPOOL_RECORDED_MAX - 1, BH_SPOOL_RECORDED_MAX - 1);
    check_text(bytes, BH_SPOOL_RECORDED_MAX, BH_SPOOL_RECORDED_MAX);
    check_text(bytes, BH_SPOOL_RECORDED_MAX + 1, BH_SPOOL_RECORDED_MAX);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_output_and_exit_code),
        TEST(test_number_is_forgotten_after_it_was_told),
        TEST(test_signal),
        TEST(test_exit_waits_for_the_pipes),
        TEST(test_keeper_that_does_not_tell),
        TEST(test_output_is_cut_at_its_limit),
        TEST(test_read_takes_what_is_new),
        TEST(test_read_consumes_what_status_would_tell),
        TEST(test_read_waits_no_longer_than_asked),
        TEST(test_input),
        TEST(test_list),
        TEST(test_record_of_the_end),
        TEST(test_text_is_recorded_in_full),
        TEST(test_program_that_does_not_read),
        TEST(test_input_as_much_as_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
