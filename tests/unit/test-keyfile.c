/* The configuration's grammar: what is an entry, where an error is, values there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/supervisor/keyfile.h"

struct seen {
    char text[1024];
    struct bh_keyfile_entry last;
};

static void take(void *context, const struct bh_keyfile_entry *entry)
{
    struct seen *seen = context;
    size_t used = strlen(seen->text);

    (void)snprintf(seen->text + used, sizeof(seen->text) - used, "%u:%u %s/%s=%s\n", entry->line,
                   entry->column, entry->group, entry->key, entry->value);
    seen->last = *entry;
}

static int parse(char *text, size_t len, struct seen *seen, struct bh_keyfile_error *error)
{
    *seen = (struct seen){ .text = "" };
    return bh_keyfile_parse(text, len, take, seen, error);
}

static void expect(const char *text, const char *entries)
{
    char copy[512];
    struct seen seen;
    struct bh_keyfile_error error;

    strcpy(copy, text);
    assert_int_equal(parse(copy, strlen(copy), &seen, &error), 0);
    assert_string_equal(seen.text, entries);
}

static void entries_are_told_in_order(void **state)
{
    (void)state;
    expect("", "");
    expect("# only\n \t\n\r\n", "");
    expect("[a]\nk=v\n[b]\nk=w", "2:3 a/k=v\n4:3 b/k=w\n");
    expect("[a]\r\nk=v\r\n", "2:3 a/k=v\n");
    expect("[a] \t\n  k  =\t v \n", "2:9 a/k=v \n");
    expect("[a]\nk=\n;x=y=z\n", "2:3 a/k=\n3:4 a/;x=y=z\n");
    expect("[a]\nk[de_DE.UTF-8@euro]=v\n", "2:21 a/k[de_DE.UTF-8@euro]=v\n");
    expect("[a]\nEncoding=utf-8\n[b]\nEncoding=x\n", "2:10 a/Encoding=utf-8\n4:10 b/Encoding=x\n");
}

static void errors_have_a_place(void **state)
{
    static const struct {
        const char *text;
        unsigned line, column;
    } cases[] = {
        { "k=v\n", 1, 1 },          { "[a]\nx\n", 2, 1 },         { "[a]\n  =v\n", 2, 3 },
        { "[]\n", 1, 2 },           { "[a[b]\n", 1, 3 },          { "\n\n[a\x7f]\n", 3, 3 },
        { "[a] b\n", 1, 1 },        { "[a]\nk]=v\n", 2, 2 },      { "[a]\nk[a b]=v\n", 2, 4 },
        { "[a]\nk [a]=v\n", 2, 3 }, { "[a]\nk[a]b=v\n", 2, 5 },   { "[a]\nk[a=v\n", 2, 4 },
        { "[a\n", 1, 1 },           { "[a]\nEncoding=x", 2, 10 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char copy[64];
        struct seen seen;
        struct bh_keyfile_error error = { 0 };

        strcpy(copy, cases[i].text);
        assert_true(parse(copy, strlen(copy), &seen, &error) < 0);
        assert_int_equal(error.line, cases[i].line);
        assert_int_equal(error.column, cases[i].column);
        assert_true(strlen(error.what) > 5);
    }
}

static void a_nul_byte_is_an_error(void **state)
{
    char text[] = "[a]\nk=v\0w\n";
    struct seen seen;
    struct bh_keyfile_error error;

    (void)state;
    assert_true(parse(text, sizeof(text) - 1, &seen, &error) < 0);
    assert_int_equal(error.line, 2);
    assert_int_equal(error.column, 4);
}

/* 0, or the column of the error. */
static unsigned string_of(const char *value, char ret[64])
{
    struct bh_keyfile_entry entry = { "a", "k", ret, 7, 10 };
    struct bh_keyfile_error error;

    strcpy(ret, value);
    if (bh_keyfile_string(&entry, &error) == 0)
        return 0;
    assert_int_equal(error.line, 7);
    return error.column;
}

static void strings_undo_five_escapes(void **state)
{
    char text[64];

    (void)state;
    assert_int_equal(string_of("a\\sb\\nc\\td\\re\\\\f\\\\s", text), 0);
    assert_string_equal(text, "a b\nc\td\re\\f\\s");
    assert_int_equal(string_of("\\s\\q", text), 12);
    assert_int_equal(string_of("ab\\", text), 12);
    assert_int_equal(string_of("\\;", text), 10);
    assert_int_equal(string_of("\xc3", text), 10);
    assert_int_equal(string_of("\xc3\xa4", text), 0);
}

static void booleans_are_four_words(void **state)
{
    static const char *const wrong[] = { "", "TRUE", "yes", "2", "01", "1 1", "true1", "\\s1" };
    struct bh_keyfile_error error;
    bool truth = false;

    (void)state;
    assert_int_equal(
        bh_keyfile_boolean(&(struct bh_keyfile_entry){ .value = (char[]){ "true \t" } }, &truth, &error), 0);
    assert_true(truth);
    assert_int_equal(
        bh_keyfile_boolean(&(struct bh_keyfile_entry){ .value = (char[]){ "0" } }, &truth, &error), 0);
    assert_false(truth);
    assert_int_equal(
        bh_keyfile_boolean(&(struct bh_keyfile_entry){ .value = (char[]){ "1" } }, &truth, &error), 0);
    assert_true(truth);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char copy[16];

        strcpy(copy, wrong[i]);
        assert_true(bh_keyfile_boolean(&(struct bh_keyfile_entry){ .value = copy }, &truth, &error) < 0);
        assert_true(truth); /* untouched */
    }
}

static void print(char *ret, size_t size, const char *value)
{
    FILE *out = fmemopen(ret, size, "w");

    assert_non_null(out);
    bh_keyfile_print(out, "k", value);
    assert_int_equal(fclose(out), 0);
}

static void what_is_printed_is_read_back(void **state)
{
    static const char *const values[] = { "", " ", "\t a\tb ", "a\nb\r\\c", "\\s", "#x", "a=b;c" };

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char line[64], text[128];
        struct seen seen;
        struct bh_keyfile_error error;

        print(line, sizeof(line), values[i]);
        (void)snprintf(text, sizeof(text), "[a]\n%s", line);
        assert_int_equal(parse(text, strlen(text), &seen, &error), 0);
        assert_int_equal(bh_keyfile_string(&seen.last, &error), 0);
        assert_string_equal(seen.last.value, values[i]);
    }
}

static void only_leading_blanks_are_escaped(void **state)
{
    char line[64];

    (void)state;
    print(line, sizeof(line), " \t a\tb \n\\\r");
    assert_string_equal(line, "k=\\s\\t\\sa\tb \\n\\\\\\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_told_in_order),       cmocka_unit_test(errors_have_a_place),
        cmocka_unit_test(a_nul_byte_is_an_error),          cmocka_unit_test(strings_undo_five_escapes),
        cmocka_unit_test(booleans_are_four_words),         cmocka_unit_test(what_is_printed_is_read_back),
        cmocka_unit_test(only_leading_blanks_are_escaped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
