/* broker/audit/line.h: records as JSON; nothing of a client's can leave its string, and the largest record
 * fits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "broker/audit/line.h"

static char buffer[BH_LINE_MAX];

static const char *write_with_cap(const struct bh_record *record, bool front, size_t cap)
{
    const struct bh_line_source source = { .name = "main/fs", .front = front };
    struct bh_line line = { .data = buffer, .cap = cap };

    bh_line_record(&line, &source, record);
    if (line.full)
        return NULL;
    buffer[line.len] = '\0';
    return buffer;
}

static const char *written(const struct bh_record *record, bool front)
{
    return write_with_cap(record, front, sizeof(buffer) - BH_CHAIN_TAIL - 1);
}

static void every_member(void **state)
{
    const struct bh_record_count counts[] = { { BH_CMD_GUEST_PING, 0, 7 }, { 60000, 0, 1 } };
    const struct bh_record record = {
        .number = 48123,
        .of = 48100,
        .realtime_ns = 1767225599999999999u,
        .boottime_ns = 12,
        .request = 9,
        .handle = 1000,
        .bytes_read = UINT64_MAX,
        .bytes_written = 2,
        .count = 3,
        .kind = BH_RECORD_RESULT,
        .command = BH_CMD_GUEST_FILE_OPEN,
        .code = 1202,
        .n_counts = 2,
        .error = ENOENT,
        .policy = { 0xde, 0xad, 0xbe, 0xef, 0, 1, 2, 3 },
        .rule = BH_STR("logs"),
        .object = BH_STR("/var/log/a"),
        .user = BH_STR("root"),
        .text = BH_STR("why"),
        .counts = counts,
    };

    (void)state;
    assert_string_equal(
        written(&record, false),
        "{\"n\":48123,\"time\":\"2025-12-31T23:59:59.999999Z\",\"boot\":12,\"src\":\"main/fs\","
        "\"kind\":\"result\",\"cmd\":\"guest-file-open\",\"req\":9,\"of\":48100,\"handle\":1000,"
        "\"obj\":\"/var/log/a\",\"user\":\"root\",\"rule\":\"logs\",\"policy\":\"deadbeef00010203\","
        "\"code\":\"BH1202\",\"errno\":\"ENOENT\",\"read\":18446744073709551615,\"written\":2,"
        "\"count\":3,\"counts\":{\"guest-ping\":7,\"#60000\":1},\"text\":\"why\"");
}

static void absent_members_are_left_out(void **state)
{
    const struct bh_record record = { .number = 1, .kind = BH_RECORD_EVENT, .command = BH_NO_COMMAND };

    (void)state;
    assert_string_equal(
        written(&record, false),
        "{\"n\":1,\"time\":\"1970-01-01T00:00:00.000000Z\",\"src\":\"main/fs\",\"kind\":\"event\"");
}

static void dates(void **state)
{
    static const struct {
        uint64_t seconds;
        const char *text;
    } cases[] = {
        { 951782399, "2000-02-28T23:59:59" },  { 951782400, "2000-02-29T00:00:00" },
        { 951868800, "2000-03-01T00:00:00" },  { 4107542399, "2100-02-28T23:59:59" },
        { 4107542400, "2100-03-01T00:00:00" }, { 1709164800, "2024-02-29T00:00:00" },
    };
    struct bh_record record = { .number = 1, .kind = BH_RECORD_ACT, .command = BH_NO_COMMAND };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        record.realtime_ns = cases[i].seconds * 1000000000u;
        assert_non_null(strstr(written(&record, false), cases[i].text));
    }
}

static void object_is(const char *bytes, size_t len, const char *wanted)
{
    const struct bh_record record = {
        .number = 1, .kind = BH_RECORD_ACT, .command = BH_NO_COMMAND, .object = { bytes, (uint32_t)len }
    };
    const char *found = strstr(written(&record, false), "\"obj\":");

    assert_non_null(found);
    assert_string_equal(found + strlen("\"obj\":"), wanted);
}

static void strings_stay_strings(void **state)
{
    (void)state;
    object_is("a\"b\\c", 5, "\"a\\\"b\\\\c\"");
    object_is("\n\x1b[31m\x7f", 7, "\"\\u000a\\u001b[31m\\u007f\"");
    object_is("\xc3\xa4\xe2\x82\xac", 5, "\"\xc3\xa4\xe2\x82\xac\"");
    object_is("\xc2\x9b"
              "1m\xc2\xa0",
              6, "\"\\u009b1m\xc2\xa0\"");
    object_is("\xc3\xa4\xff\x80z", 5, "\"\\udcc3\\udca4\\udcff\\udc80z\"");
    object_is("\xed\xa0\x80", 3, "\"\\udced\\udca0\\udc80\"");
}

static void front_only_claims(void **state)
{
    static const struct {
        uint16_t kind;
        const char *wanted;
        bool noted;
    } cases[] = {
        { BH_RECORD_ACT, "\"kind\":\"claim\"", true },
        { BH_RECORD_RESULT, "\"kind\":\"claim\"", true },
        { BH_RECORD_REFUSED, "\"kind\":\"claim\"", true },
        { BH_RECORD_CLOSED, "\"kind\":\"claim\"", true },
        { BH_RECORD_EVENT, "\"kind\":\"claim\"", true },
        { BH_RECORD_CLAIM, "\"kind\":\"claim\"", false },
        { BH_RECORD_SUMMARY, "\"kind\":\"summary\"", false },
        { BH_RECORD_LOST, "\"kind\":\"lost\"", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct bh_record record = { .number = 1, .kind = cases[i].kind, .command = BH_NO_COMMAND };
        const char *line = written(&record, true);

        assert_non_null(strstr(line, cases[i].wanted));
        assert_int_equal(strstr(line, "\"note\":") != NULL, cases[i].noted);
    }
}

static void errors_without_a_name_have_a_number(void **state)
{
    struct bh_record record = {
        .number = 1, .kind = BH_RECORD_RESULT, .command = BH_NO_COMMAND, .error = 4000
    };

    (void)state;
    assert_non_null(strstr(written(&record, false), "\"errno\":\"E4000\""));
    record.error = -EACCES;
    assert_non_null(strstr(written(&record, false), "\"errno\":\"EACCES\""));
}

static void largest_record_fits(void **state)
{
    static char text[BH_RECORD_TEXT_MAX];
    static struct bh_record_count counts[BH_RECORD_COUNTS_MAX];
    const struct bh_str worst = { text, sizeof(text) };
    const struct bh_record record = {
        .number = UINT64_MAX,
        .of = UINT64_MAX,
        .realtime_ns = UINT64_MAX,
        .boottime_ns = UINT64_MAX,
        .request = UINT64_MAX,
        .handle = UINT64_MAX,
        .bytes_read = UINT64_MAX,
        .bytes_written = UINT64_MAX,
        .count = UINT64_MAX,
        .kind = BH_RECORD_ACT,
        .command = BH_CMD_COUNT - 1,
        .code = UINT16_MAX,
        .n_counts = BH_RECORD_COUNTS_MAX,
        .error = INT32_MAX,
        .policy = { 1 },
        .rule = worst,
        .object = worst,
        .user = worst,
        .text = worst,
        .counts = counts,
    };

    (void)state;
    memset(text, 1, sizeof(text));
    for (size_t i = 0; i < BH_RECORD_COUNTS_MAX; i++)
        counts[i] = (struct bh_record_count){ BH_CMD_GUEST_GET_MEMORY_BLOCK_INFO, 0, UINT32_MAX };
    assert_non_null(written(&record, true));
}

static void what_does_not_fit_is_said(void **state)
{
    const struct bh_record record = { .number = 1, .kind = BH_RECORD_EVENT, .command = BH_NO_COMMAND };
    size_t need = strlen(written(&record, false));

    (void)state;
    assert_null(write_with_cap(&record, false, need - 1));
    assert_non_null(write_with_cap(&record, false, need));
    assert_non_null(write_with_cap(&record, false, need + 1));
}

static void remarks(void **state)
{
    struct bh_line line = { .data = buffer, .cap = sizeof(buffer) - 1 };
    struct bh_line_segment segment = { .segment = 2, .previous = 1, .previous_size = 77, .steps = 5 };

    (void)state;
    bh_line_segment(&line, &segment);
    bh_line_gap(&line, "main/fs", 0, BH_SOURCES_MAX + 2, 3 * BH_SOURCES_MAX + 2);
    bh_line_event(&line, 0, "x\ny");
    buffer[line.len] = '\0';
    assert_non_null(strstr(
        buffer, "\"kind\":\"segment\",\"format\":1,\"segment\":2,\"previous\":1,\"previous-size\":77"));
    assert_non_null(strstr(buffer, "\"steps\":5,\"started\":\"1970-01-01T00:00:00.000000Z\""));
    assert_non_null(strstr(buffer, "\"kind\":\"gap\",\"from\":514,\"to\":1538,\"count\":3"));
    assert_non_null(strstr(buffer, "\"kind\":\"event\",\"text\":\"x\\u000ay\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_member),
        cmocka_unit_test(absent_members_are_left_out),
        cmocka_unit_test(dates),
        cmocka_unit_test(strings_stay_strings),
        cmocka_unit_test(front_only_claims),
        cmocka_unit_test(errors_without_a_name_have_a_number),
        cmocka_unit_test(largest_record_fits),
        cmocka_unit_test(what_does_not_fit_is_said),
        cmocka_unit_test(remarks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
