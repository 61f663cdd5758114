/*
 * The lexer, by transcripts: what comes out of a stream of bytes is written down as one
 * line of text, which must be the expected one and the same however the stream is cut.
 */
#include "tests/unit/lexer_play.h"

#include "tests/unit/lexer_cases.h"

#define REFUSED(literal, code) check_refused(literal, sizeof(literal) - 1, code)

static void test_values(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < BH_ARRAY_SIZE(values); i++)
        check_value(values[i][0], values[i][1]);
}

static void test_refused_tokens(void **state)
{
    (void)state;
    REFUSED("[01", BH_E_JSON_TOKEN);
    REFUSED("[+1", BH_E_JSON_TOKEN);
    REFUSED("[.5", BH_E_JSON_TOKEN);
    REFUSED("[1.", BH_E_JSON_TOKEN);
    REFUSED("[1.e", BH_E_JSON_TOKEN);
    REFUSED("[-", BH_E_JSON_TOKEN);
    REFUSED("[--1", BH_E_JSON_TOKEN);
    REFUSED("[1e", BH_E_JSON_TOKEN);
    REFUSED("[1e+", BH_E_JSON_TOKEN);
    REFUSED("[1-2", BH_E_JSON_TOKEN);
    REFUSED("[12a", BH_E_JSON_TOKEN);
    REFUSED("[0x10", BH_E_JSON_TOKEN);
    REFUSED("[NaN", BH_E_JSON_TOKEN);
    REFUSED("[-Infinity", BH_E_JSON_TOKEN);
    REFUSED("[True", BH_E_JSON_TOKEN);
    REFUSED("[nul", BH_E_JSON_TOKEN);
    REFUSED("[nullx", BH_E_JSON_TOKEN);
    REFUSED("[falsefalse", BH_E_JSON_TOKEN);
    REFUSED("[\x80", BH_E_JSON_TOKEN);
    REFUSED("[\0", BH_E_JSON_TOKEN);
    REFUSED("#", BH_E_JSON_TOKEN);
    REFUSED("\\", BH_E_JSON_TOKEN);
    REFUSED("[/* */", BH_E_JSON_TOKEN);
    REFUSED("[\"a\tb", BH_E_JSON_TOKEN);
    REFUSED("[\"a\x01", BH_E_JSON_TOKEN);
    REFUSED("[\"a\0", BH_E_JSON_TOKEN);
    REFUSED("[\"\x1f", BH_E_JSON_TOKEN);
}

static void test_refused_strings(void **state)
{
    (void)state;
    REFUSED("[\"\\x", BH_E_JSON_ESCAPE);
    REFUSED("[\"\\a", BH_E_JSON_ESCAPE);
    REFUSED("[\"\\0", BH_E_JSON_ESCAPE);
    REFUSED("[\"\\u12g4", BH_E_JSON_ESCAPE);
    REFUSED("[\"\\u123\"", BH_E_JSON_ESCAPE);
    REFUSED("[\"\\u0000", BH_E_JSON_ESCAPE);
    REFUSED("[\"\\uD800\"", BH_E_JSON_ESCAPE);
    REFUSED("[\"\\uD800x", BH_E_JSON_ESCAPE);
    REFUSED("[\"\\uD800\\n", BH_E_JSON_ESCAPE);
    REFUSED("[\"\\uD800\\u0041", BH_E_JSON_ESCAPE);
    REFUSED("[\"\\uD800\\uD800", BH_E_JSON_ESCAPE);
    REFUSED("[\"\\uDC00", BH_E_JSON_ESCAPE);
    REFUSED("[\"\\uFFFE", BH_E_JSON_ESCAPE);
    REFUSED("[\"\\uFFFF", BH_E_JSON_ESCAPE);
    REFUSED("[\"\\uFDD0", BH_E_JSON_ESCAPE);
    REFUSED("[\"\\uD83F\\uDFFE", BH_E_JSON_ESCAPE);
    REFUSED("[\"\x80", BH_E_JSON_UTF8);
    REFUSED("[\"\xc0\x80", BH_E_JSON_UTF8);
    REFUSED("[\"\xc1\xbf", BH_E_JSON_UTF8);
    REFUSED("[\"\xc3\"", BH_E_JSON_UTF8);
    REFUSED("[\"\xc3\xc3", BH_E_JSON_UTF8);
    REFUSED("[\"\xe0\x9f\xbf", BH_E_JSON_UTF8);
    REFUSED("[\"\xed\xa0\x80", BH_E_JSON_UTF8);
    REFUSED("[\"\xef\xbf\xbe", BH_E_JSON_UTF8);
    REFUSED("[\"\xef\xb7\x90", BH_E_JSON_UTF8);
    REFUSED("[\"\xf0\x8f\xbf\xbf", BH_E_JSON_UTF8);
    REFUSED("[\"\xf4\x90\x80\x80", BH_E_JSON_UTF8);
    REFUSED("[\"\xf5\x80\x80\x80", BH_E_JSON_UTF8);
    REFUSED("[\"\xf0\x9f\xbf\xbf", BH_E_JSON_UTF8);
}

static void test_refused_grammar(void **state)
{
    (void)state;
    REFUSED("}", BH_E_JSON_SYNTAX);
    REFUSED("]", BH_E_JSON_SYNTAX);
    REFUSED(",", BH_E_JSON_SYNTAX);
    REFUSED(":", BH_E_JSON_SYNTAX);
    REFUSED("[1,]", BH_E_JSON_SYNTAX);
    REFUSED("[,1]", BH_E_JSON_SYNTAX);
    REFUSED("[1 2]", BH_E_JSON_SYNTAX);
    REFUSED("[1}", BH_E_JSON_SYNTAX);
    REFUSED("[\"a\" \"b\"", BH_E_JSON_SYNTAX);
    REFUSED("[1:2", BH_E_JSON_SYNTAX);
    REFUSED("{\"a\":1,}", BH_E_JSON_SYNTAX);
    REFUSED("{,", BH_E_JSON_SYNTAX);
    REFUSED("{1:2", BH_E_JSON_SYNTAX);
    REFUSED("{a:1", BH_E_JSON_SYNTAX);
    REFUSED("{\"a\" 1", BH_E_JSON_SYNTAX);
    REFUSED("{\"a\"}", BH_E_JSON_SYNTAX);
    REFUSED("{\"a\":}", BH_E_JSON_SYNTAX);
    REFUSED("{\"a\":1 \"b\"", BH_E_JSON_SYNTAX);
    REFUSED("{\"a\":1]", BH_E_JSON_SYNTAX);
    REFUSED("{]", BH_E_JSON_SYNTAX);
    REFUSED("{\"a\":1", BH_E_JSON_SYNTAX);
}

/* Streams and the transcripts they must give. */
static void test_transcripts(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < BH_ARRAY_SIZE(transcripts); i++) {
        _cleanup_free_ char *got =
            play(transcripts[i][0], strlen(transcripts[i][0]), strlen(transcripts[i][0]), true);

        assert_string_equal(got, transcripts[i][1]);
        check_cuts(transcripts[i][0], strlen(transcripts[i][0]));
    }
}

static void test_runs_of_resets(void **state)
{
    _cleanup_free_ char *got = play("[\xff\xfe\xff[1]", 7, 7, true);

    (void)state;
    assert_string_equal(got, "X1\nR [1]  members=0 lifted=0\n");
}

static void test_without_lift(void **state)
{
    const char *input = "{\"arguments\":{\"password\":\"x\"}}";
    _cleanup_free_ char *got = play(input, strlen(input), strlen(input), false);

    (void)state;
    assert_string_equal(
        got, "R {\"arguments\":{\"password\":\"x\"}} arguments={\"password\":\"x\"} OA members=1 lifted=0\n");
}

/* A text of `n` copies of `unit` between `head` and `tail`, and " \n[]" behind. */
static char *repeat(const char *head, const char *unit, size_t n, const char *tail, size_t *ret_len)
{
    size_t unit_len = strlen(unit), head_len = strlen(head), i;
    char *text = malloc(head_len + n * unit_len + strlen(tail) + 8);

    assert_non_null(text);
    memcpy(text, head, head_len);
    for (i = 0; i < n; i++)
        memcpy(text + head_len + i * unit_len, unit, unit_len);
    strcpy(text + head_len + n * unit_len, tail);
    strcat(text, " \n[]");
    *ret_len = head_len + n * unit_len + strlen(tail) + 4;
    return text;
}

/* The code of the one error, or 0 if all is accepted; in any case the next text is read well. Whole and in
 * thirds. */
static int limit_code(const char *head, const char *unit, size_t n, const char *tail)
{
    size_t len;
    _cleanup_free_ char *input = repeat(head, unit, n, tail, &len);
    _cleanup_free_ char *got = play(input, len, len, true), *cut = play(input, len, len / 3, true);
    char *last = strstr(got, "R []  members=0 lifted=0\n");
    char *error = strstr(got, "E10");

    assert_string_equal(got, cut);
    assert_non_null(last);
    assert_int_equal(strlen(last), strlen("R []  members=0 lifted=0\n"));
    if (error && error < last) {
        assert_true(strchr(error, '\n') + 1 == last);
        return atoi(error + 1);
    }
    return 0;
}

static void test_limit_depth(void **state)
{
    (void)state;
    assert_int_equal(limit_code("", "[", BH_DEPTH_MAX - 1,
                                "1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
                     0);
    assert_int_equal(limit_code("", "[", BH_DEPTH_MAX,
                                "1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
                     0);
    assert_int_equal(limit_code("", "[", BH_DEPTH_MAX + 1, ""), BH_E_JSON_DEPTH);
    assert_int_equal(limit_code("", "{\"a\":", BH_DEPTH_MAX + 1, ""), BH_E_JSON_DEPTH);
    assert_int_equal(limit_code("", "[", 100000, "]"), BH_E_JSON_DEPTH);
}

static void test_limit_members(void **state)
{
    (void)state;
    assert_int_equal(limit_code("[1", ",1", BH_MEMBERS_MAX - 2, "]"), 0);
    assert_int_equal(limit_code("[1", ",1", BH_MEMBERS_MAX - 1, "]"), 0);
    assert_int_equal(limit_code("[1", ",1", BH_MEMBERS_MAX, "]"), BH_E_JSON_MEMBERS);
    assert_int_equal(limit_code("{\"a\":1", ",\"\":1", BH_MEMBERS_MAX - 1, "}"), 0);
    assert_int_equal(limit_code("{\"a\":1", ",\"\":1", BH_MEMBERS_MAX, "}"), BH_E_JSON_MEMBERS);
}

static void test_limit_size(void **state)
{
    (void)state;
    assert_int_equal(limit_code("[\"", "x", BH_TEXT_MAX - 5, "\"]"), 0);
    assert_int_equal(limit_code("[\"", "x", BH_TEXT_MAX - 4, "\"]"), 0);
    assert_int_equal(limit_code("[\"", "x", BH_TEXT_MAX - 3, "\"]"), BH_E_JSON_SIZE);
    assert_int_equal(limit_code("[\"", "x", BH_TEXT_MAX - 2, "\"]"), BH_E_JSON_SIZE);
    assert_int_equal(limit_code("[\"", "x", 5 * BH_TEXT_MAX, "\"]"), BH_E_JSON_SIZE);
    assert_int_equal(limit_code("[\"", "\\n", BH_TEXT_MAX / 2 - 2, "\"]"), 0);
    assert_int_equal(limit_code("[\"", "\\n", BH_TEXT_MAX / 2 - 1, "\"]"), BH_E_JSON_SIZE);
    assert_int_equal(limit_code("[", "1", BH_TEXT_MAX, "]"), BH_E_JSON_SIZE);
    assert_int_equal(limit_code("[1", " ", 2 * BH_TEXT_MAX, "]"), 0);
    assert_int_equal(limit_code("{\"execute\":\"", "\\n", BH_TEXT_MAX / 2 - 7, "\"}"), 0);
}

struct counter {
    size_t n, limit;
};

static bool count_lift(void *context, unsigned which, const char *data, size_t len)
{
    struct counter *counter = context;

    (void)data;
    (void)which;
    counter->n += len;
    return counter->n <= counter->limit;
}

/* Feeds `n` bytes of a lifted string and its end; the result. */
static enum bh_lex_result lift_bytes(size_t n, struct counter *counter, struct bh_error *error)
{
    struct bh_lexer *lexer = bh_lexer_new(count_lift, counter);
    enum bh_lex_result result;
    char piece[65536];
    struct bh_text text;
    size_t eaten, len;
    bool half;

    assert_non_null(lexer);
    memset(piece, 'A', sizeof(piece));
    result = bh_lexer_feed(lexer, "{\"arguments\":{\"buf-b64\":\"", 25, &eaten, &text, error, &half);
    for (; n > 0 && result == BH_LEX_MORE; n -= len) {
        len = n < sizeof(piece) ? n : sizeof(piece);
        result = bh_lexer_feed(lexer, piece, len, &eaten, &text, error, &half);
    }
    if (result == BH_LEX_MORE)
        result = bh_lexer_feed(lexer, "\"}}", 3, &eaten, &text, error, &half);
    bh_lexer_free(lexer);
    return result;
}

static void test_limit_lift(void **state)
{
    static const size_t sizes[] = { 0, 1, 100000, BH_LIFT_MAX - 1, BH_LIFT_MAX };
    struct counter counter;
    struct bh_error error;
    size_t i;

    (void)state;
    for (i = 0; i < BH_ARRAY_SIZE(sizes); i++) {
        counter = (struct counter){ 0, SIZE_MAX };
        assert_int_equal(lift_bytes(sizes[i], &counter, &error), BH_LEX_REQUEST);
        assert_int_equal(counter.n, sizes[i]);
    }
    counter = (struct counter){ 0, SIZE_MAX };
    assert_int_equal(lift_bytes(BH_LIFT_MAX + 1, &counter, &error), BH_LEX_ERROR);
    assert_int_equal(error.code, BH_E_JSON_LIFT);
    assert_int_equal(counter.n, BH_LIFT_MAX);
}

static void test_lift_refused(void **state)
{
    struct counter counter = { 0, 99 };
    struct bh_error error;

    (void)state;
    assert_int_equal(lift_bytes(99, &counter, &error), BH_LEX_REQUEST);
    counter.n = 0;
    assert_int_equal(lift_bytes(100, &counter, &error), BH_LEX_ERROR);
    assert_int_equal(error.code, BH_E_JSON_LIFT);
}

/* Random mutations of requests, cut at random: always the transcript of the whole. */
static void test_random_cuts(void **state)
{
    static const char seed[] =
        "{'execute':\"guest-exec\",\"id\":-1.5e3,\"arguments\":{\"path\":\"/b\\u00e9\xc3\xa9\","
        "\"arg\":[true,null,\"\\ud83d\\ude00\"],\"input-data\":\"QUJD\\n\"}}\n[1]\n";
    static const char bytes[] = "{}[]:,\"'\\u0nt1-.eE \n\xff\xc3\xa9\x01x";
    char text[sizeof(seed)];
    unsigned round, i;

    (void)state;
    srandom(7);
    for (round = 0; round < 3000; round++) {
        size_t len = sizeof(seed) - 1;

        memcpy(text, seed, sizeof(seed));
        for (i = (unsigned)random() % 4; i > 0; i--)
            text[(size_t)random() % len] = bytes[(size_t)random() % (sizeof(bytes) - 1)];
        if (memmem(text, len, "\xff\xff", 2))
            continue;
        {
            _cleanup_free_ char *whole = play(text, len, len, true);
            _cleanup_free_ char *cut = play(text, len, (size_t)random() % len, true);
            _cleanup_free_ char *single = play(text, len, len + 1, true);

            assert_string_equal(cut, whole);
            assert_string_equal(single, whole);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),          cmocka_unit_test(test_refused_tokens),
        cmocka_unit_test(test_refused_strings), cmocka_unit_test(test_refused_grammar),
        cmocka_unit_test(test_transcripts),     cmocka_unit_test(test_runs_of_resets),
        cmocka_unit_test(test_without_lift),    cmocka_unit_test(test_limit_depth),
        cmocka_unit_test(test_limit_members),   cmocka_unit_test(test_limit_size),
        cmocka_unit_test(test_limit_lift),      cmocka_unit_test(test_lift_refused),
        cmocka_unit_test(test_random_cuts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
