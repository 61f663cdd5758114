/* protocol/wire/record.h: numbers, cuts, losses, summaries, and packets that a taken-over writer could send.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "tests/unit/worker-fixture.h"

static struct bh_worker worker;
static struct records records;

static int setup(void **state)
{
    (void)state;
    worker_init(&worker, &records, NULL, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    worker_deinit(&worker, &records);
    return 0;
}

static void test_round_trip(void **state)
{
    struct bh_record_count counts[] = { { 3, 0, 7 } };
    struct bh_record record = { .kind = BH_RECORD_RESULT,
                                .command = 5,
                                .of = 4,
                                .request = 9,
                                .handle = 10,
                                .bytes_read = 11,
                                .bytes_written = 12,
                                .count = 13,
                                .code = 1301,
                                .error = 28,
                                .rule = BH_STR("rule"),
                                .object = BH_STR("/\xff"),
                                .user = BH_STR("root"),
                                .text = BH_STR("text"),
                                .counts = counts,
                                .n_counts = 1 };
    uint64_t number = 0;

    (void)state;
    memset(worker.audit.policy, 0xab, sizeof(worker.audit.policy));
    assert_int_equal(bh_audit_send(&worker.audit, &record, &number), 0);
    assert_int_equal(number, 1 * BH_SOURCES_MAX + 18);
    assert_true(records_next(&records));
    assert_int_equal(records.last.number, number);
    assert_int_equal(records.last.kind, BH_RECORD_RESULT);
    assert_int_equal(records.last.command, 5);
    assert_int_equal(records.last.of, 4);
    assert_int_equal(records.last.request, 9);
    assert_int_equal(records.last.handle, 10);
    assert_int_equal(records.last.bytes_read, 11);
    assert_int_equal(records.last.bytes_written, 12);
    assert_int_equal(records.last.count, 13);
    assert_int_equal(records.last.code, 1301);
    assert_int_equal(records.last.error, 28);
    assert_true(records.last.realtime_ns > 0 && records.last.boottime_ns > 0);
    assert_memory_equal(records.last.policy, worker.audit.policy, 8);
    assert_string_equal(records.last.rule.ptr, "rule");
    assert_string_equal(records.last.object.ptr, "/\xff");
    assert_string_equal(records.last.user.ptr, "root");
    assert_string_equal(records.last.text.ptr, "text");
    assert_int_equal(records.last.n_counts, 1);
    assert_int_equal(records.counts[0].count, 7);
    assert_int_equal(bh_audit_send(&worker.audit, &record, &number), 0);
    assert_int_equal(number, 2 * BH_SOURCES_MAX + 18);
}

/* A text of `len` bytes arrives with `want` bytes. */
static void check_len(uint32_t len, uint32_t want, bool cut)
{
    static char text[2 * BH_RECORD_TEXT_MAX];
    struct bh_record record = { .kind = BH_RECORD_EVENT, .command = BH_NO_COMMAND, .text = { text, len } };

    memset(text, 'x', sizeof(text));
    assert_int_equal(bh_audit_send(&worker.audit, &record, NULL), 0);
    assert_true(records_next(&records));
    assert_int_equal(records.last.text.len, want);
    assert_int_equal(memcmp(records.last.text.ptr + want - 3, "...", 3) == 0, cut);
}

static void test_cut(void **state)
{
    (void)state;
    check_len(BH_RECORD_TEXT_MAX - 1, BH_RECORD_TEXT_MAX - 1, false);
    check_len(BH_RECORD_TEXT_MAX, BH_RECORD_TEXT_MAX, false);
    check_len(BH_RECORD_TEXT_MAX + 1, BH_RECORD_TEXT_MAX, true);
}

static void test_four_long_strings_fit(void **state)
{
    static char text[BH_RECORD_TEXT_MAX];
    struct bh_str all = { text, sizeof(text) };
    struct bh_record record = { .kind = BH_RECORD_EVENT,
                                .command = BH_NO_COMMAND,
                                .rule = all,
                                .object = all,
                                .user = all,
                                .text = all };

    (void)state;
    memset(text, 'y', sizeof(text));
    assert_int_equal(bh_audit_send(&worker.audit, &record, NULL), 0);
    assert_true(records_next(&records));
    assert_int_equal(records.last.object.len, BH_RECORD_TEXT_MAX);
    assert_true(records.last.text.len < BH_RECORD_TEXT_MAX);
    assert_memory_equal(records.last.text.ptr + records.last.text.len - 3, "...", 3);
}

static void test_lost_are_reported(void **state)
{
    struct bh_record record = { .kind = BH_RECORD_EVENT, .command = BH_NO_COMMAND };
    uint64_t sent = 0, lost = 0, number = 0;

    (void)state;
    while (bh_audit_send(&worker.audit, &record, &number) == 0)
        sent++;
    assert_int_equal(bh_audit_send(&worker.audit, &record, &number), -EAGAIN);
    lost = worker.state->lost;
    assert_int_equal(lost, 2);
    for (uint64_t i = 0; i < sent; i++)
        assert_true(records_next(&records));
    assert_int_equal(bh_audit_send(&worker.audit, &record, &number), 0);
    assert_true(records_next(&records));
    assert_int_equal(records.last.kind, BH_RECORD_LOST);
    assert_int_equal(records.last.count, lost);
    assert_true(records_next(&records));
    assert_int_equal(records.last.kind, BH_RECORD_EVENT);
    assert_int_equal(records.last.number, number);
    assert_int_equal(worker.state->lost, 0);
}

static void test_summary(void **state)
{
    (void)state;
    assert_int_equal(bh_audit_summary_due(&worker.audit), -1);
    assert_int_equal(bh_audit_summary(&worker.audit), 0);
    assert_false(records_next(&records));
    bh_audit_count(&worker.audit, 2);
    bh_audit_count(&worker.audit, 2);
    bh_audit_count(&worker.audit, BH_CMD_COUNT - 1);
    bh_audit_count(&worker.audit, BH_CMD_COUNT);
    assert_in_range(bh_audit_summary_due(&worker.audit), 59000, 60000);
    worker.state->counted_since_ms = UINT64_MAX; /* spoiled */
    assert_int_equal(bh_audit_summary_due(&worker.audit), 0);
    assert_int_equal(bh_audit_summary(&worker.audit), 0);
    assert_true(records_next(&records));
    assert_int_equal(records.last.kind, BH_RECORD_SUMMARY);
    assert_int_equal(records.last.n_counts, 2);
    assert_int_equal(records.counts[0].command, 2);
    assert_int_equal(records.counts[0].count, 2);
    assert_int_equal(records.counts[1].command, BH_CMD_COUNT - 1);
    assert_int_equal(bh_audit_summary_due(&worker.audit), -1);
}

/* Each truncation is refused, and no changed byte is ever read out of bounds or gives an inner NUL. */
static void test_hostile_bytes(void **state)
{
    struct bh_record_count counts[] = { { 3, 0, 7 } };
    struct bh_record record = { .kind = BH_RECORD_ACT,
                                .command = 5,
                                .rule = BH_STR("rule"),
                                .text = BH_STR("text"),
                                .counts = counts,
                                .n_counts = 1 },
                     out;
    struct bh_record_count found[BH_RECORD_COUNTS_MAX];
    char data[512];
    ssize_t n;

    (void)state;
    assert_int_equal(bh_audit_send(&worker.audit, &record, NULL), 0);
    n = recv(records.fd, data, sizeof(data), 0);
    assert_true(n > 0);
    for (ssize_t len = 0; len < n; len++) {
        char *exact = malloc((size_t)len + 1);

        memcpy(exact, data, (size_t)len);
        assert_int_equal(bh_record_parse(exact, (size_t)len, &out, found), -EPROTO);
        free(exact);
    }
    assert_int_equal(bh_record_parse(data, (size_t)n + 1, &out, found), -EPROTO);
    for (ssize_t at = 0; at < n; at++)
        for (unsigned value = 0; value < 256; value += 51) {
            char old = data[at];

            data[at] = (char)value;
            if (bh_record_parse(data, (size_t)n, &out, found) == 0) {
                assert_int_equal(strlen(out.rule.ptr), out.rule.len);
                assert_int_equal(strlen(out.text.ptr), out.text.len);
                assert_true(out.kind > 0 && out.kind < BH_RECORD_KIND_END);
                assert_true(out.command < BH_CMD_COUNT || out.command == BH_NO_COMMAND);
            }
            data[at] = old;
        }
}

static void test_refusals_are_paced(void **state)
{
    (void)state;
    for (unsigned i = 0; i < BH_REFUSALS_PER_SECOND; i++)
        assert_int_equal(bh_audit_refused(&worker.audit), 0);
    assert_in_range(bh_audit_refused(&worker.audit), 1, 1000);
    worker.state->refused_since_ms -= 1000;
    assert_int_equal(bh_audit_refused(&worker.audit), 0);
    worker.state->refused_since_ms = UINT64_MAX; /* spoiled by a predecessor */
    assert_int_equal(bh_audit_refused(&worker.audit), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_four_long_strings_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lost_are_reported, setup, teardown),
        cmocka_unit_test_setup_teardown(test_summary, setup, teardown),
        cmocka_unit_test_setup_teardown(test_hostile_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals_are_paced, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
