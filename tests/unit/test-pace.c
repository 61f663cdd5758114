/* How bulkheadctl exec paces itself: waits, sizes, and what a signal leads to. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/ctl/exec_pace.h"

static void waits_grow_with_idleness_and_end(void **state)
{
    int64_t idle = 0;
    unsigned requests = 0;

    (void)state;
    assert_int_equal(ctl_pace_wait(0, CTL_INPUT_OPEN), CTL_WAIT_MIN_MS);
    assert_int_equal(ctl_pace_wait(0, CTL_INPUT_NONE), CTL_WAIT_MIN_MS);
    assert_int_equal(ctl_pace_wait(4 * CTL_WAIT_OPEN_MS - 4, CTL_INPUT_OPEN), CTL_WAIT_OPEN_MS - 1);
    assert_int_equal(ctl_pace_wait(4 * CTL_WAIT_OPEN_MS, CTL_INPUT_OPEN), CTL_WAIT_OPEN_MS);
    assert_int_equal(ctl_pace_wait(INT64_MAX, CTL_INPUT_OPEN), CTL_WAIT_OPEN_MS);
    assert_int_equal(ctl_pace_wait(4 * CTL_WAIT_CLOSED_MS - 4, CTL_INPUT_NONE), CTL_WAIT_CLOSED_MS - 1);
    assert_int_equal(ctl_pace_wait(INT64_MAX, CTL_INPUT_NONE), CTL_WAIT_CLOSED_MS);
    assert_int_equal(ctl_pace_wait(7, CTL_INPUT_WAITS), 1);
    assert_int_equal(ctl_pace_wait(3, CTL_INPUT_WAITS), 0);
    assert_int_equal(ctl_pace_wait(INT64_MAX, CTL_INPUT_WAITS), CTL_WAIT_OPEN_MS);
    for (; idle < 60000; requests++)
        idle += ctl_pace_wait(idle, CTL_INPUT_NONE);
    assert_in_range(requests, 120, 150);
}

static void offers_grow_while_all_is_taken(void **state)
{
    size_t chunk = CTL_CHUNK_MIN;
    unsigned steps = 0;

    (void)state;
    for (; chunk < CTL_CHUNK_MAX; steps++)
        chunk = ctl_pace_chunk(chunk, chunk, chunk);
    assert_int_equal(chunk, CTL_CHUNK_MAX);
    assert_int_equal(steps, 8);
    assert_int_equal(ctl_pace_chunk(chunk, chunk, chunk), CTL_CHUNK_MAX);
    assert_int_equal(ctl_pace_chunk(chunk, 65536, chunk), 65536);
    assert_int_equal(ctl_pace_chunk(chunk, 0, chunk), CTL_CHUNK_MIN);
    assert_int_equal(ctl_pace_chunk(10, 10, 65536), 65536); /* there was no more: nothing is known */
}

static void second_signal_kills_and_no_third_is_sent(void **state)
{
    struct ctl_cancel cancel = { 0 };

    (void)state;
    assert_null(ctl_cancel_next(&cancel, 0, 0));
    assert_string_equal(ctl_cancel_next(&cancel, SIGINT, 1000), "int");
    assert_null(ctl_cancel_next(&cancel, 0, 1000 + 100 * CTL_KILL_AFTER_MS)); /* somebody watches */
    assert_string_equal(ctl_cancel_next(&cancel, SIGTERM, 2000), "kill");
    assert_null(ctl_cancel_next(&cancel, SIGINT, 3000));
    assert_int_equal(cancel.first, SIGINT);
}

static void what_nobody_watches_is_killed_in_time(void **state)
{
    static const struct {
        int signal;
        const char *word;
    } rows[] = { { SIGTERM, "term" }, { SIGHUP, "hup" }, { SIGPIPE, "term" } };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ctl_cancel cancel = { 0 };

        assert_string_equal(ctl_cancel_next(&cancel, rows[i].signal, 10), rows[i].word);
        assert_null(ctl_cancel_next(&cancel, 0, 10 + CTL_KILL_AFTER_MS - 1));
        assert_string_equal(ctl_cancel_next(&cancel, 0, 10 + CTL_KILL_AFTER_MS), "kill");
        assert_null(ctl_cancel_next(&cancel, 0, 10 + 2 * CTL_KILL_AFTER_MS));
    }
}

static void each_signal_has_its_word(void **state)
{
    struct ctl_cancel cancel = { 0 };

    (void)state;
    assert_string_equal(ctl_cancel_next(&cancel, SIGQUIT, 0), "quit");
    assert_null(ctl_cancel_next(&cancel, 0, CTL_KILL_AFTER_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_grow_with_idleness_and_end),
        cmocka_unit_test(offers_grow_while_all_is_taken),
        cmocka_unit_test(second_signal_kills_and_no_third_is_sent),
        cmocka_unit_test(what_nobody_watches_is_killed_in_time),
        cmocka_unit_test(each_signal_has_its_word),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
