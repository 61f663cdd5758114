/* Struct -> text: strings, limits, each kind of field, lists, optional and bulk members. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/mem.h"
#include "protocol/json/convert.h"

struct inner {
    bool on;
    bool has_note;
    struct bh_str note;
};

struct outer {
    int64_t i;
    uint64_t u;
    double d;
    struct bh_str s;
    struct bh_bytes b;
    uint8_t e;
    struct inner in;
    bool has_list;
    struct inner *list;
    uint32_t n_list;
    int64_t *numbers;
    uint32_t n_numbers;
    struct bh_bytes bulk;
};

static const struct bh_field inner_fields[] = {
    { .name = "on", .kind = BH_KIND_BOOL, .offset = offsetof(struct inner, on) },
    { .name = "note",
      .kind = BH_KIND_STR,
      .flags = BH_FIELD_OPTIONAL,
      .offset = offsetof(struct inner, note),
      .has = offsetof(struct inner, has_note) },
};
static const struct bh_type inner_type = { "inner", sizeof(struct inner), 2, inner_fields };
static const char *const colours[] = { "red", "green" };
static const struct bh_enumeration colour = { "Colour", colours, NULL, 2, 0 };
static const struct bh_field outer_fields[] = {
    { .name = "bulk", .kind = BH_KIND_BYTES, .flags = BH_FIELD_BULK, .offset = offsetof(struct outer, bulk) },
    { .name = "i", .kind = BH_KIND_INT, .offset = offsetof(struct outer, i) },
    { .name = "u", .kind = BH_KIND_UINT, .offset = offsetof(struct outer, u) },
    { .name = "d", .kind = BH_KIND_NUMBER, .offset = offsetof(struct outer, d) },
    { .name = "s", .kind = BH_KIND_STR, .offset = offsetof(struct outer, s) },
    { .name = "b", .kind = BH_KIND_BYTES, .offset = offsetof(struct outer, b) },
    { .name = "e", .kind = BH_KIND_ENUM, .offset = offsetof(struct outer, e), .of.enumeration = &colour },
    { .name = "in", .kind = BH_KIND_STRUCT, .offset = offsetof(struct outer, in), .of.type = &inner_type },
    { .name = "list",
      .kind = BH_KIND_STRUCT,
      .flags = BH_FIELD_LIST | BH_FIELD_OPTIONAL,
      .offset = offsetof(struct outer, list),
      .has = offsetof(struct outer, has_list),
      .count = offsetof(struct outer, n_list),
      .of.type = &inner_type },
    { .name = "numbers",
      .kind = BH_KIND_INT,
      .flags = BH_FIELD_LIST,
      .offset = offsetof(struct outer, numbers),
      .count = offsetof(struct outer, n_numbers) },
};
static const struct bh_type outer_type = { "outer", sizeof(struct outer), BH_ARRAY_SIZE(outer_fields),
                                           outer_fields };

static void expect(struct bh_out *out, const char *text)
{
    assert_false(out->failed);
    assert_int_equal(out->len, strlen(text));
    assert_memory_equal(out->data, text, out->len);
    bh_out_deinit(out);
}

static void check_string(const char *in, size_t len, const char *text)
{
    struct bh_out out;

    bh_out_init(&out, 4096);
    bh_out_string(&out, in, len);
    expect(&out, text);
}

#define STRING(literal, text) check_string(literal, sizeof(literal) - 1, text)

static void test_strings(void **state)
{
    (void)state;
    STRING("", "\"\"");
    STRING("plain / 'text'", "\"plain / 'text'\"");
    STRING("\"\\\b\f\n\r\t", "\"\\\"\\\\\\b\\f\\n\\r\\t\"");
    STRING("a\x01\x1f\0b\x7f", "\"a\\u0001\\u001F\\u0000b\\u007F\"");
    STRING("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbd",
           "\"\\u00E9\\u20AC\\uD83D\\uDE00\\uDBFF\\uDFFD\"");
    STRING("\x80x\xff", "\"\\uFFFDx\\uFFFD\"");
    STRING("\xc3", "\"\\uFFFD\"");
    STRING("\xe2\x82z", "\"\\uFFFD\\uFFFDz\"");
    STRING("\xc0\x80\xed\xa0\x80", "\"\\uFFFD\\uFFFD\\uFFFD\\uFFFD\\uFFFD\"");
    STRING("0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\x7f!",
           "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\\u007F!\"");
}

/* Each byte value at each place of a block is escaped or not as it should be. */
static void test_every_byte_is_ascii_out(void **state)
{
    char text[100];
    size_t at, i;
    unsigned c;

    (void)state;
    for (c = 0; c < 256; c++)
        for (at = 0; at < sizeof(text); at++) {
            bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
            struct bh_out out;

            memset(text, 'y', sizeof(text));
            text[at] = (char)c;
            bh_out_init(&out, 4096);
            bh_out_string(&out, text, sizeof(text));
            assert_int_equal(out.len == sizeof(text) + 2, plain);
            for (i = 0; i < out.len; i++)
                assert_in_range(out.data[i], 0x20, 0x7e);
            bh_out_deinit(&out);
        }
}

static void test_limit(void **state)
{
    struct bh_out out;

    (void)state;
    bh_out_init(&out, 10);
    bh_out_raw(&out, "123456789", 9);
    assert_false(out.failed);
    bh_out_raw(&out, "0", 1);
    expect(&out, "1234567890");
    bh_out_init(&out, 10);
    bh_out_raw(&out, "12345678901", 11);
    assert_true(out.failed);
    bh_out_raw(&out, "1", 1);
    bh_out_string(&out, "1", 1);
    assert_int_equal(out.len, 0);
    bh_out_deinit(&out);
    bh_out_init(&out, 0);
    bh_out_raw(&out, "", 0);
    expect(&out, "");
}

static void test_every_kind(void **state)
{
    struct inner list[] = { { .on = true }, { .has_note = true, .note = BH_STR("n") } };
    int64_t numbers[] = { 1, -2 };
    struct outer value = {
        .i = INT64_MIN,
        .u = UINT64_MAX,
        .d = 0.1,
        .s = BH_STR("\xc3\xa9"),
        .b = { (const uint8_t *)"foob", 4 },
        .e = 1,
        .in = { .has_note = true, .note = BH_STR("") },
        .has_list = true,
        .list = list,
        .n_list = 2,
        .numbers = numbers,
        .n_numbers = 2,
    };
    struct bh_out out;

    (void)state;
    bh_out_init(&out, 4096);
    bh_struct_to_json(&outer_type, &value, false, &out);
    expect(
        &out,
        "{\"i\": -9223372036854775808, \"u\": 18446744073709551615, \"d\": 0.10000000000000001, "
        "\"s\": \"\\u00E9\", \"b\": \"Zm9vYg==\", \"e\": \"green\", \"in\": {\"on\": false, \"note\": \"\"}, "
        "\"list\": [{\"on\": true}, {\"on\": false, \"note\": \"n\"}], \"numbers\": [1, -2]}");
}

static void test_members_and_bare(void **state)
{
    struct inner value = { .has_note = true, .note = BH_STR("x") };
    static const struct bh_type list_type = { "list", sizeof(struct outer), 1, &outer_fields[9] };
    static const struct bh_type empty_type = { "empty", 1, 0, NULL };
    struct outer list = { .n_numbers = 0 };
    struct bh_out out;

    (void)state;
    bh_out_init(&out, 4096);
    bh_members_to_json(&inner_type, &value, false, &out);
    expect(&out, ", \"on\": false, \"note\": \"x\"");
    bh_out_init(&out, 4096);
    bh_members_to_json(&inner_type, &value, true, &out);
    expect(&out, "\"on\": false, \"note\": \"x\"");
    bh_out_init(&out, 4096);
    bh_struct_to_json(&inner_type, &value, true, &out);
    expect(&out, "false");
    bh_out_init(&out, 4096);
    bh_struct_to_json(&list_type, &list, true, &out);
    expect(&out, "[]");
    bh_out_init(&out, 4096);
    bh_struct_to_json(&empty_type, &value, false, &out);
    expect(&out, "{}");
}

static void test_limit_in_the_middle(void **state)
{
    struct outer value = { .s = BH_STR("s"), .b = { (const uint8_t *)"foob", 4 } };
    struct bh_out out;
    size_t limit, full;

    (void)state;
    bh_out_init(&out, 4096);
    bh_struct_to_json(&outer_type, &value, false, &out);
    full = out.len;
    bh_out_deinit(&out);
    for (limit = 0; limit < full; limit++) {
        bh_out_init(&out, limit);
        bh_struct_to_json(&outer_type, &value, false, &out);
        assert_true(out.failed);
        assert_true(out.len <= limit);
        bh_out_deinit(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_every_byte_is_ascii_out),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_members_and_bare),
        cmocka_unit_test(test_limit_in_the_middle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
