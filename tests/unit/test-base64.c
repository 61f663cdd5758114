/* Base64: known answers, what is refused, and every engine against the scalar one, in pieces and with line
 * feeds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/mem.h"
#include "protocol/json/base64.h"
#include "protocol/json/base64_engine.h"

static bool usable(const struct bh_base64_engine *engine)
{
    return !engine->usable || engine->usable();
}

/* Decodes in pieces of `piece`, each into a block of just the promised size; bytes, or -EBADMSG. */
static long decode(const char *text, size_t len, size_t piece, uint8_t *out)
{
    struct bh_base64 state = { 0 };
    long total = 0, n;
    size_t at, part;

    for (at = 0; at < len; at += part) {
        _cleanup_free_ uint8_t *exact = NULL;

        part = len - at < piece ? len - at : piece;
        exact = malloc(BH_BASE64_DECODED_MAX(part) + 1);
        assert_non_null(exact);
        exact[BH_BASE64_DECODED_MAX(part)] = 0x5a;
        n = bh_base64_decode(&state, text + at, part, exact);
        assert_int_equal(exact[BH_BASE64_DECODED_MAX(part)], 0x5a);
        if (n < 0)
            return n;
        memcpy(out + total, exact, (size_t)n);
        total += n;
    }
    return bh_base64_decode_end(&state) < 0 ? -EBADMSG : total;
}

static size_t encode(const uint8_t *data, size_t len, size_t piece, char *out)
{
    struct bh_base64 state = { 0 };
    size_t total = 0, at, part;

    for (at = 0; at < len; at += part) {
        _cleanup_free_ uint8_t *exact = NULL;

        part = len - at < piece ? len - at : piece;
        exact = malloc(part);
        assert_non_null(exact);
        memcpy(exact, data + at, part);
        total += bh_base64_encode(&state, exact, part, out + total);
    }
    return total + bh_base64_encode_end(&state, out + total);
}

static void check_known(const char *text, const char *data, size_t len)
{
    uint8_t bytes[64];
    char chars[64];
    size_t piece;

    for (piece = 1; piece <= 20; piece++) {
        assert_int_equal(encode((const uint8_t *)data, len, piece, chars), strlen(text));
        assert_memory_equal(chars, text, strlen(text));
        assert_int_equal(decode(text, strlen(text), piece, bytes), len);
        assert_memory_equal(bytes, data, len);
    }
}

static void test_known_answers(void **state)
{
    (void)state;
    check_known("", "", 0);
    check_known("Zg==", "f", 1);
    check_known("Zm8=", "fo", 2);
    check_known("Zm9v", "foo", 3);
    check_known("Zm9vYg==", "foob", 4);
    check_known("Zm9vYmE=", "fooba", 5);
    check_known("Zm9vYmFy", "foobar", 6);
    check_known("+/+/AAD/", "\xfb\xff\xbf\0\0\xff", 6);
}

static void test_line_feeds(void **state)
{
    static const char *const cases[] = { "Zm9v\n",     "\nZm9v", "Z\nm\n9\nv",
                                         "Zm9v\n\n\n", "Zm\n9v", "\n\nZ\nm9v" };
    uint8_t bytes[16];
    size_t i, piece;

    (void)state;
    for (i = 0; i < BH_ARRAY_SIZE(cases); i++)
        for (piece = 1; piece < 9; piece++) {
            assert_int_equal(decode(cases[i], strlen(cases[i]), piece, bytes), 3);
            assert_memory_equal(bytes, "foo", 3);
        }
    assert_int_equal(decode("Zg\n=\n=\n", 7, 1, bytes), 1);
    assert_int_equal(decode("Zm8\n=", 5, 2, bytes), 2);
}

static void test_refused(void **state)
{
    static const char *const cases[] = {
        "Z",        "Zg",   "Zg=",   "Zm8",    "=",        "Z===", "====", "Zg===",  "Zm8==",   "Zm9v=",
        "Zg==Zg==", "Zg=a", "Zg=\n", "Zm9v Z", "Zm9v\r\n", "Zm-v", "Zm_v", "Zm.v",   "Zm\x80v", "Zm9v\xff",
        "Zm9@",     "Zm9[", "Zm9`",  "Zm9{",   "Zm9:",     "Zm9*", "Zm9,", "Zm9v\t", "Zm8=\nZ", "Zm8=Zm9v",
    };
    uint8_t bytes[16];
    size_t i, piece;

    (void)state;
    for (i = 0; i < BH_ARRAY_SIZE(cases); i++)
        for (piece = 1; piece < 11; piece++)
            assert_int_equal(decode(cases[i], strlen(cases[i]), piece, bytes), -EBADMSG);
    assert_int_equal(decode("Zm\0v", 4, 4, bytes), -EBADMSG);
}

/* Inserts a line feed before each place at which `gap` characters have passed; 0 = at random. */
static size_t break_lines(const char *text, size_t len, size_t gap, char *out)
{
    size_t n = 0, i;

    for (i = 0; i < len; i++) {
        if (gap ? i > 0 && i % gap == 0 : random() % 9 == 0)
            out[n++] = '\n';
        out[n++] = text[i];
    }
    return n;
}

/* Round trip of random bytes through `engine`, against the text of the scalar one, with lines of several
 * lengths. */
static void round_trip(const struct bh_base64_engine *engine, size_t len, size_t piece)
{
    static const size_t gaps[] = { 0, 1, 31, 33, 64, 76, 77, 1000000 };
    _cleanup_free_ uint8_t *data = malloc(len + 1), *back = malloc(len + 8);
    _cleanup_free_ char *text = malloc(2 * len + 64), *expected = malloc(2 * len + 64),
                        *lines = malloc(4 * len + 64);
    size_t n, i;

    for (i = 0; i < len; i++)
        data[i] = (uint8_t)random();
    bh_base64_engine = &bh_base64_engines[bh_base64_n_engines - 1];
    n = encode(data, len, len + 1, expected);
    bh_base64_engine = engine;
    assert_int_equal(encode(data, len, piece, text), n);
    assert_memory_equal(text, expected, n);
    for (i = 0; i < BH_ARRAY_SIZE(gaps); i++) {
        size_t lines_len = break_lines(text, n, gaps[i], lines);

        assert_int_equal(decode(lines, lines_len, piece, back), len);
        assert_memory_equal(back, data, len);
    }
}

static void test_engines_agree(void **state)
{
    unsigned e, round;
    size_t len;

    (void)state;
    srandom(3);
    for (e = 0; e < bh_base64_n_engines; e++) {
        if (!usable(&bh_base64_engines[e]))
            continue;
        for (len = 0; len < 140; len++)
            round_trip(&bh_base64_engines[e], len, len + 1);
        for (round = 0; round < 400; round++)
            round_trip(&bh_base64_engines[e], (size_t)random() % 1000, 1 + (size_t)random() % 300);
    }
}

/* Each byte value at each place of a block: an engine accepts exactly what the scalar one accepts. */
static void test_engines_refuse_alike(void **state)
{
    char text[96];
    uint8_t out[96], out2[96];
    unsigned e, c;
    size_t at;
    long n;

    (void)state;
    for (e = 0; e + 1 < bh_base64_n_engines; e++) {
        if (!usable(&bh_base64_engines[e]))
            continue;
        for (c = 0; c < 256; c++)
            for (at = 0; at < sizeof(text); at++) {
                memset(text, 'x', sizeof(text));
                text[at] = (char)c;
                bh_base64_engine = &bh_base64_engines[bh_base64_n_engines - 1];
                n = decode(text, sizeof(text), sizeof(text), out);
                bh_base64_engine = &bh_base64_engines[e];
                assert_int_equal(decode(text, sizeof(text), sizeof(text), out2), n);
                if (n > 0)
                    assert_memory_equal(out, out2, (size_t)n);
            }
    }
}

/* Left to itself the module takes the first engine that this CPU can run. */
static void test_best_engine_is_chosen(void **state)
{
    uint8_t bytes[3];
    unsigned e = 0;

    (void)state;
    bh_base64_engine = NULL;
    assert_int_equal(decode("Zm9v", 4, 4, bytes), 3);
    while (!usable(&bh_base64_engines[e]))
        e++;
    assert_ptr_equal(bh_base64_engine, &bh_base64_engines[e]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_line_feeds),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_engines_agree),
        cmocka_unit_test(test_engines_refuse_alike),
        cmocka_unit_test(test_best_engine_is_chosen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
