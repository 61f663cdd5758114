/* protocol/base/err.h: what is kept of a text that fits, that just fits, and that does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "protocol/base/err.h"
#include "protocol/wire/utf8.h"

static void fill(char *text, size_t len)
{
    memset(text, 'x', len);
    text[len] = '\0';
}

static void test_sets_all(void **state)
{
    struct bh_error error = { .record = 7 };

    (void)state;
    assert_int_equal(bh_fail(&error, 1234, "no %s of %d", "thing", 5), 1234);
    assert_int_equal(error.code, 1234);
    assert_int_equal(error.record, 0);
    assert_string_equal(error.text, "no thing of 5");
}

static void test_errno_of_either_sign(void **state)
{
    struct bh_error error;

    (void)state;
    assert_int_equal(bh_fail_errno(&error, 1301, ENOENT, "open"), 1301);
    assert_string_equal(error.text, "open: No such file or directory");
    assert_int_equal(bh_fail_errno(&error, 1301, -ENOENT, "open"), 1301);
    assert_string_equal(error.text, "open: No such file or directory");
}

static void test_length_around_the_limit(void **state)
{
    char text[BH_ERROR_TEXT_MAX + 2];
    struct bh_error error;

    (void)state;
    for (size_t len = BH_ERROR_TEXT_MAX - 2; len <= BH_ERROR_TEXT_MAX + 1; len++) {
        fill(text, len);
        bh_fail(&error, 1, "%s", text);
        assert_int_equal(strlen(error.text), len < BH_ERROR_TEXT_MAX ? len : BH_ERROR_TEXT_MAX - 1);
    }
}

/* Characters of 2, 3 and 4 bytes at every place around the cut: what remains is whole and as long as it can
 * be. */
static void test_cut_between_characters(void **state)
{
    static const char *const characters[] = { "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };

    (void)state;
    for (size_t c = 0; c < 3; c++)
        for (size_t len = BH_ERROR_TEXT_MAX - 8; len < BH_ERROR_TEXT_MAX + 2; len++) {
            char text[BH_ERROR_TEXT_MAX + 16];
            size_t size = strlen(characters[c]), expected = BH_ERROR_TEXT_MAX - 1;
            struct bh_error error;

            fill(text, len);
            strcat(text, characters[c]);
            strcat(text, "yyyyyyyyyy");
            if (len < expected && expected < len + size)
                expected = len;
            bh_fail(&error, 1, "%s", text);
            assert_int_equal(strlen(error.text), expected);
            assert_true(bh_utf8_valid(error.text, strlen(error.text)));
        }
}

/* Bytes that are not UTF-8 at all must not make the text vanish. */
static void test_cut_of_stray_bytes(void **state)
{
    char text[BH_ERROR_TEXT_MAX + 16];
    struct bh_error error;

    (void)state;
    memset(text, 0x80, sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    bh_fail(&error, 1, "%s", text);
    assert_true(strlen(error.text) >= BH_ERROR_TEXT_MAX - 5);
}

static void test_errno_does_not_overflow(void **state)
{
    char text[BH_ERROR_TEXT_MAX];
    struct bh_error error;

    (void)state;
    for (size_t len = BH_ERROR_TEXT_MAX - 40; len < BH_ERROR_TEXT_MAX; len++) {
        fill(text, len);
        bh_fail_errno(&error, 1, EIO, "%s", text);
        assert_true(strlen(error.text) < BH_ERROR_TEXT_MAX);
        assert_memory_equal(error.text, text, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets_all),
        cmocka_unit_test(test_errno_of_either_sign),
        cmocka_unit_test(test_length_around_the_limit),
        cmocka_unit_test(test_cut_between_characters),
        cmocka_unit_test(test_cut_of_stray_bytes),
        cmocka_unit_test(test_errno_does_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
