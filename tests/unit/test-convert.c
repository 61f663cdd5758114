/*
 * Text of arguments -> struct, over the generated tables of real commands and one table of
 * all kinds: values, bounds, and the exact sentences that clients match.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/mem.h"
#include "protocol/codes.h"
#include "protocol/commands.h"
#include "protocol/json/convert.h"
#include "protocol/json/lexer.h"
#include "protocol/types.h"
#include "tests/unit/convert_table.h"

static struct bh_arena arena;
static struct bh_error error;

/* Through the lexer, as a request comes: members and lifted bits are its own. `arguments` may be any value.
 */
static int convert(const struct bh_type *type, const char *arguments, bh_lift_fn lift, void *out)
{
    struct bh_lexer *lexer = bh_lexer_new(lift, NULL);
    _cleanup_free_ char *input = NULL;
    struct bh_text text = { 0 };
    struct bh_error lex_error;
    size_t eaten;
    bool half;
    int r;

    assert_non_null(lexer);
    assert_true(asprintf(&input, "{\"arguments\":%s}", arguments) > 0);
    assert_int_equal(bh_lexer_feed(lexer, input, strlen(input), &eaten, &text, &lex_error, &half),
                     BH_LEX_REQUEST);
    bh_arena_reset(&arena);
    error.code = 0;
    r = bh_json_to_struct(type, text.text + text.arguments.at, text.arguments.len, text.members, text.lifted,
                          &arena, out, &error);
    bh_lexer_free(lexer);
    return r;
}

static bool ignore_lift(void *context, unsigned which, const char *data, size_t len)
{
    (void)context, (void)which, (void)data, (void)len;
    return true;
}

static struct all accept(const char *arguments)
{
    struct all all;

    memset(&all, 0xa5, sizeof(all));
    assert_int_equal(convert(&all_type, arguments, NULL, &all), 0);
    return all;
}

static void refuse_as(const struct bh_type *type, const char *arguments, int code, const char *text)
{
    _Alignas(16) char out[1024];

    assert_true(!type || type->size <= sizeof(out));
    assert_int_equal(convert(type, arguments, ignore_lift, out), code);
    assert_int_equal(error.code, code);
    assert_string_equal(error.text, text);
}

static void refuse(const char *arguments, int code, const char *text)
{
    refuse_as(&all_type, arguments, code, text);
}

static const struct bh_type *args_of(enum bh_command_id id)
{
    return bh_commands[id].args;
}

static void test_absent(void **state)
{
    static const struct all none;
    struct all all = accept("{}");

    (void)state;
    assert_memory_equal(&all, &none, sizeof(all));
    assert_int_equal(bh_json_to_struct(&all_type, NULL, 0, 0, 0, &arena, &all, &error), 0);
    assert_int_equal(bh_json_to_struct(NULL, NULL, 0, 0, 0, &arena, NULL, &error), 0);
    assert_int_equal(bh_json_to_struct(NULL, "{}", 2, 0, 0, &arena, NULL, &error), 0);
    assert_int_equal(bh_json_to_struct(args_of(BH_CMD_GUEST_SYNC), NULL, 0, 0, 0, &arena, &all, &error),
                     BH_E_ARG_MISSING);
    assert_string_equal(error.text, "Parameter 'id' is missing");
}

static void test_simple_values(void **state)
{
    struct all all;

    (void)state;
    assert_true(accept("{\"b\":true}").b);
    all = accept("{\"b\":false}");
    assert_true(all.has_b && !all.b && !all.has_i);
    assert_int_equal(accept("{\"i\":-5}").i, -5);
    assert_int_equal(accept("{\"i\":10}").i, 10);
    assert_int_equal(accept("{\"i\":-0}").i, 0);
    assert_true(accept("{\"d\":0.5}").d == 0.5);
    assert_true(accept("{\"d\":-3}").d == -3.0);
    assert_true(accept("{\"d\":1e300}").d == 1e300);
    assert_true(accept("{\"d\":18446744073709551616}").d == 18446744073709551616.0);
    assert_true(accept("{\"d\":-123456789012345678901234}").d == -123456789012345678901234.0);
    all = accept("{\"s\":\"\\u00e9'\\n\"}");
    assert_string_equal(all.s.ptr, "\xc3\xa9'\n");
    assert_int_equal(all.s.len, 4);
    all = accept("{\"y\":\"Zm9v\"}");
    assert_int_equal(all.y.len, 3);
    assert_memory_equal(all.y.ptr, "foo", 3);
    assert_int_equal(accept("{\"y\":\"\"}").y.len, 0);
}

static void test_uint(void **state)
{
    (void)state;
    assert_true(accept("{\"u\":0}").u == 0);
    assert_true(accept("{\"u\":9223372036854775807}").u == INT64_MAX);
    assert_true(accept("{\"u\":9223372036854775808}").u == 9223372036854775808u);
    assert_true(accept("{\"u\":18446744073709551615}").u == UINT64_MAX);
    assert_true(accept("{\"u\":-1}").u == UINT64_MAX);
    assert_true(accept("{\"u\":-9223372036854775808}").u == 9223372036854775808u);
    refuse("{\"u\":18446744073709551616}", BH_E_ARG_TYPE, "Parameter 'u' expects uint64");
    refuse("{\"u\":-9223372036854775809}", BH_E_ARG_TYPE, "Parameter 'u' expects uint64");
    refuse("{\"u\":1.0}", BH_E_ARG_TYPE, "Parameter 'u' expects uint64");
    refuse("{\"u\":\"1\"}", BH_E_ARG_TYPE, "Parameter 'u' expects uint64");
    refuse("{\"u\":null}", BH_E_ARG_TYPE, "Parameter 'u' expects uint64");
}

static void test_int_range(void **state)
{
    static const char *const wrong[] = { "1.0",
                                         "1e3",
                                         "\"1\"",
                                         "true",
                                         "null",
                                         "[1]",
                                         "{}",
                                         "9223372036854775808",
                                         "18446744073709551615",
                                         "18446744073709551616",
                                         "-9223372036854775809",
                                         "99999999999999999999999999" };
    struct bh_guest_sync_args sync;
    char text[64];
    size_t i;

    (void)state;
    refuse("{\"i\":11}", BH_E_ARG_RANGE, "value '11' is invalid for argument i");
    refuse("{\"i\":-6}", BH_E_ARG_RANGE, "value '-6' is invalid for argument i");
    for (i = 0; i < BH_ARRAY_SIZE(wrong); i++) {
        (void)snprintf(text, sizeof(text), "{\"id\":%s}", wrong[i]);
        refuse_as(args_of(BH_CMD_GUEST_SYNC), text, BH_E_ARG_TYPE,
                  "Invalid parameter type for 'id', expected: integer");
    }
    assert_int_equal(convert(args_of(BH_CMD_GUEST_SYNC), "{\"id\":9223372036854775807}", NULL, &sync), 0);
    assert_true(sync.id == INT64_MAX);
    assert_int_equal(convert(args_of(BH_CMD_GUEST_SYNC), "{\"id\":-9223372036854775808}", NULL, &sync), 0);
    assert_true(sync.id == INT64_MIN);
}

static void test_types(void **state)
{
    (void)state;
    refuse("{\"b\":0}", BH_E_ARG_TYPE, "Invalid parameter type for 'b', expected: boolean");
    refuse("{\"b\":null}", BH_E_ARG_TYPE, "Invalid parameter type for 'b', expected: boolean");
    refuse("{\"d\":\"1\"}", BH_E_ARG_TYPE, "Invalid parameter type for 'd', expected: number");
    refuse("{\"d\":1e400}", BH_E_ARG_RANGE, "value '1e400' is invalid for argument d");
    refuse("{\"s\":1}", BH_E_ARG_TYPE, "Invalid parameter type for 's', expected: string");
    refuse("{\"s\":null}", BH_E_ARG_TYPE, "Invalid parameter type for 's', expected: string");
    refuse("{\"y\":1}", BH_E_ARG_TYPE, "Invalid parameter type for 'y', expected: string");
    refuse("{\"y\":\"Zg\"}", BH_E_BASE64, "Parameter 'y' is not valid base64");
    refuse("{\"y\":\"Z g=\"}", BH_E_BASE64, "Parameter 'y' is not valid base64");
    refuse("{\"in\":[]}", BH_E_ARG_TYPE, "Invalid parameter type for 'in', expected: object");
    refuse("{\"list\":{}}", BH_E_ARG_TYPE, "Invalid parameter type for 'list', expected: array");
    refuse("[]", BH_E_ENVELOPE, "QMP input member 'arguments' must be an object");
    refuse("null", BH_E_ENVELOPE, "QMP input member 'arguments' must be an object");
}

static void test_limits(void **state)
{
    (void)state;
    assert_int_equal(accept("{\"s\":\"abc\"}").s.len, 3);
    assert_int_equal(accept("{\"s\":\"abcd\"}").s.len, 4);
    refuse("{\"s\":\"abcde\"}", BH_E_ARG_RANGE, "Parameter 's' has more than 4 bytes");
    assert_int_equal(accept("{\"y\":\"Zm8=\"}").y.len, 2);
    refuse("{\"y\":\"Zm9vYg==\"}", BH_E_ARG_RANGE, "Parameter 'y' has more than 3 bytes");
    assert_int_equal(accept("{\"list\":[{\"id\":1}]}").n_list, 1);
    assert_int_equal(accept("{\"list\":[{\"id\":1},{\"id\":2}]}").n_list, 2);
    refuse("{\"list\":[{\"id\":1},{\"id\":2},{\"id\":3}]}", BH_E_ARG_RANGE,
           "Parameter 'list' has more than 2 elements");
}

static void test_enums(void **state)
{
    struct bh_guest_file_seek_args seek;

    (void)state;
    assert_int_equal(accept("{\"e\":\"none\"}").e, 0);
    assert_int_equal(accept("{\"e\":\"both\"}").e, 1);
    assert_int_equal(accept("{\"e\":\"all\"}").e, 1);
    assert_int_equal(accept("{\"e\":true}").e, 1);
    assert_int_equal(accept("{\"e\":7}").e, 1);
    assert_int_equal(accept("{\"e\":-1}").e, 0);
    assert_int_equal(accept("{\"plain\":\"x\"}").plain, 1);
    refuse("{\"e\":\"7\"}", BH_E_ARG_VALUE, "Parameter 'e' does not accept value '7'");
    refuse("{\"e\":\"true\"}", BH_E_ARG_VALUE, "Parameter 'e' does not accept value 'true'");
    refuse("{\"e\":\"\"}", BH_E_ARG_VALUE, "Parameter 'e' does not accept value ''");
    refuse("{\"e\":8}", BH_E_ARG_VALUE, "Parameter 'e' does not accept value '8'");
    refuse("{\"e\":1.5}", BH_E_ARG_TYPE, "Invalid parameter type for 'e', expected: Mode");
    refuse("{\"e\":null}", BH_E_ARG_TYPE, "Invalid parameter type for 'e', expected: Mode");
    refuse("{\"plain\":\"X\"}", BH_E_ARG_VALUE, "Parameter 'plain' does not accept value 'X'");
    refuse("{\"plain\":true}", BH_E_ARG_TYPE, "Invalid parameter type for 'plain', expected: string");
    refuse("{\"plain\":7}", BH_E_ARG_TYPE, "Invalid parameter type for 'plain', expected: string");
    assert_int_equal(
        convert(args_of(BH_CMD_GUEST_FILE_SEEK), "{\"handle\":1,\"offset\":-2,\"whence\":2}", NULL, &seek),
        0);
    assert_int_equal(seek.whence, BH_GUEST_FILE_WHENCE_END);
    refuse_as(args_of(BH_CMD_GUEST_FILE_SEEK), "{\"handle\":1,\"offset\":-2,\"whence\":{}}", BH_E_ARG_TYPE,
              "Invalid parameter type for 'whence', expected: GuestFileWhence");
}

static void test_nested(void **state)
{
    struct all all = accept("{\"in\":{\"id\":3,\"on\":true},\"list\":[{\"id\":1},{\"on\":false,\"id\":2}]}");

    (void)state;
    assert_true(all.in.id == 3 && all.in.on && all.list[0].id == 1 && !all.list[0].has_on);
    assert_true(all.list[1].id == 2 && all.list[1].has_on && !all.list[1].on);
    assert_int_equal(accept("{\"list\":[]}").n_list, 0);
    refuse("{\"in\":{}}", BH_E_ARG_MISSING, "Parameter 'in.id' is missing");
    refuse("{\"in\":{\"id\":1,\"x\":2}}", BH_E_ARG_UNEXPECTED, "Parameter 'in.x' is unexpected");
    refuse("{\"list\":[{\"id\":1},{\"id\":1,\"on\":1}]}", BH_E_ARG_TYPE,
           "Invalid parameter type for 'list[1].on', expected: boolean");
    refuse("{\"list\":[1]}", BH_E_ARG_TYPE, "Invalid parameter type for 'list[0]', expected: object");
    refuse_as(args_of(BH_CMD_GUEST_EXEC), "{\"path\":\"/x\",\"arg\":[\"a\",1]}", BH_E_ARG_TYPE,
              "Invalid parameter type for 'arg[1]', expected: string");
    refuse_as(args_of(BH_CMD_GUEST_SET_VCPUS),
              "{\"vcpus\":[{\"logical-id\":0,\"online\":true},{\"logical-id\":1}]}", BH_E_ARG_MISSING,
              "Parameter 'vcpus[1].online' is missing");
}

static void test_unexpected(void **state)
{
    (void)state;
    refuse_as(NULL, "{\"foo\":42}", BH_E_ARG_UNEXPECTED, "Parameter 'foo' is unexpected");
    refuse_as(args_of(BH_CMD_GUEST_SYNC), "{\"foo\":42,\"id\":1}", BH_E_ARG_UNEXPECTED,
              "Parameter 'foo' is unexpected");
    refuse_as(args_of(BH_CMD_GUEST_SYNC), "{\"foo\":42}", BH_E_ARG_MISSING, "Parameter 'id' is missing");
    refuse_as(args_of(BH_CMD_GUEST_SYNC), "{\"id\":1,\"password\":\"x\"}", BH_E_ARG_UNEXPECTED,
              "Parameter 'password' is unexpected");
}

static void test_duplicates(void **state)
{
    static const char text[] = "an object of the arguments names the same member twice";

    (void)state;
    refuse("{\"b\":true,\"b\":true}", BH_E_JSON_DUPLICATE, text);
    refuse("{\"in\":{\"id\":1,\"id\":1}}", BH_E_JSON_DUPLICATE, text);
    refuse("{\"list\":[{\"id\":1,\"\\u0069d\":1}]}", BH_E_JSON_DUPLICATE, text);
    refuse("{\"in\":{\"id\":1},\"in\":{\"id\":1}}", BH_E_JSON_DUPLICATE, text);
}

static void test_lifted(void **state)
{
    struct bh_guest_set_user_password_args password;
    struct bh_guest_exec_args exec;

    (void)state;
    assert_int_equal(convert(args_of(BH_CMD_GUEST_SET_USER_PASSWORD),
                             "{\"username\":\"u\",\"password\":\"cQ==\",\"crypted\":false}", ignore_lift,
                             &password),
                     0);
    assert_int_equal(password.password.len, 0);
    refuse_as(args_of(BH_CMD_GUEST_SET_USER_PASSWORD), "{\"username\":\"u\",\"crypted\":false}",
              BH_E_ARG_MISSING, "Parameter 'password' is missing");
    refuse_as(args_of(BH_CMD_GUEST_SET_USER_PASSWORD),
              "{\"username\":\"u\",\"password\":1,\"crypted\":false}", BH_E_ARG_TYPE,
              "Invalid parameter type for 'password', expected: string");
    assert_int_equal(
        convert(args_of(BH_CMD_GUEST_EXEC), "{\"path\":\"/x\",\"input-data\":\"\"}", ignore_lift, &exec), 0);
    assert_true(exec.has_input_data);
    assert_int_equal(convert(args_of(BH_CMD_GUEST_EXEC), "{\"path\":\"/x\"}", ignore_lift, &exec), 0);
    assert_false(exec.has_input_data);
}

static void test_depth(void **state)
{
    char text[512] = "{\"x\":";
    unsigned i;

    (void)state;
    for (i = 0; i < BH_DEPTH_MAX - 2; i++)
        strcat(text, "[");
    strcat(text, "1");
    for (i = 0; i < BH_DEPTH_MAX - 2; i++)
        strcat(text, "]");
    strcat(text, "}");
    refuse_as(NULL, text, BH_E_ARG_UNEXPECTED, "Parameter 'x' is unexpected");
}

static void test_huge_numbers_beside_others(void **state)
{
    struct all all = accept("{\"s\":\"\\\"9\\\\\",\"d\":99999999999999999999,\"u\":18446744073709551615,"
                            "\"i\":3,\"list\":[{\"id\":-9223372036854775808}]}");

    (void)state;
    assert_true(all.d == 1e20 && all.u == UINT64_MAX && all.i == 3 && all.list[0].id == INT64_MIN);
    assert_string_equal(all.s.ptr, "\"9\\");
    refuse("{\"s\":\"9999999999999999999999\"}", BH_E_ARG_RANGE, "Parameter 's' has more than 4 bytes");
}

static void test_arena_exhausted(void **state)
{
    struct bh_arena small;
    struct all all;

    (void)state;
    bh_arena_init(&small, 4);
    assert_int_equal(bh_json_to_struct(&all_type, "{\"s\":\"abcd\"}", 12, 1, 0, &small, &all, &error),
                     -ENOMEM);
    bh_arena_deinit(&small);
}

/* A value of each generated argument type survives the way out and in again. */
static void test_text_is_stable(void **state)
{
    static const char *const cases[][2] = {
        { "guest-file-seek", "{\"handle\": 1000, \"offset\": -5, \"whence\": \"cur\"}" },
        { "guest-exec", "{\"path\": \"/bin/\\u00E9\", \"arg\": [\"a\", \"\"], \"env\": []}" },
        { "guest-set-vcpus", "{\"vcpus\": [{\"logical-id\": 1, \"online\": true, \"can-offline\": false}]}" },
        { "guest-ssh-add-authorized-keys", "{\"username\": \"u\", \"keys\": [\"k\\t\"], \"reset\": true}" },
    };
    _Alignas(16) char value[512];
    struct bh_out out;
    size_t i;

    (void)state;
    for (i = 0; i < BH_ARRAY_SIZE(cases); i++) {
        const struct bh_type *type =
            args_of((enum bh_command_id)bh_command_find(cases[i][0], strlen(cases[i][0])));

        assert_int_equal(convert(type, cases[i][1], ignore_lift, value), 0);
        bh_out_init(&out, 4096);
        bh_struct_to_json(type, value, false, &out);
        assert_int_equal(out.len, strlen(cases[i][1]));
        assert_memory_equal(out.data, cases[i][1], out.len);
        bh_out_deinit(&out);
    }
}

static int setup(void **state)
{
    (void)state;
    bh_arena_init(&arena, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    bh_arena_deinit(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_simple_values),
        cmocka_unit_test(test_uint),
        cmocka_unit_test(test_int_range),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_enums),
        cmocka_unit_test(test_nested),
        cmocka_unit_test(test_unexpected),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_lifted),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_huge_numbers_beside_others),
        cmocka_unit_test(test_arena_exhausted),
        cmocka_unit_test(test_text_is_stable),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
