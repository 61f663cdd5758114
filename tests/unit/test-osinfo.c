/* workers/info/osrelease.h: the dialects of os-release in the field. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <string.h>
#include <cmocka.h>

#include "workers/info/osrelease.h"

static struct bh_arena arena;
static struct bh_guest_os_info info;

static void parse(const char *text)
{
    bh_arena_deinit(&arena);
    bh_arena_init(&arena, 65536);
    info = (struct bh_guest_os_info){ 0 };
    assert_int_equal(bh_os_release_parse(text, strlen(text), &arena, &info), 0);
}

/* NAME=value gives `want`; NULL: it is left out. */
static void check(const char *line, const char *want)
{
    parse(line);
    assert_int_equal(info.has_name, want != NULL);
    if (want) {
        assert_string_equal(info.name.ptr, want);
        assert_int_equal(info.name.len, strlen(want));
    }
}

static void test_values(void **state)
{
    (void)state;
    check("NAME=Debian", "Debian");
    check("NAME=Debian\n", "Debian");
    check("NAME=Debian\r\n", "Debian");
    check("NAME=\"Debian GNU/Linux\"\n", "Debian GNU/Linux");
    check("NAME='single quoted'\n", "single quoted");
    check("NAME='it\\s'\n", "it\\s");
    check("NAME=\"a \\\"b\\\" \\$c \\\\ \\` \\' \\n\"\n", "a \"b\" $c \\ ` ' \\n");
    check("NAME=\n", "");
    check("NAME=\"\"\n", "");
    check("NAME=''\n", "");
    check("NAME=a b\n", "a");
    check("NAME=a;b\n", "a");
    check("NAME=a\\ b\n", "a b");
    check("  NAME=x\n", "x");
    check("NAME=one\nNAME=two\n", "two");
    check("NAME=\"caf\303\251\"\n", "caf\303\251");
}

static void test_left_out(void **state)
{
    (void)state;
    check("", NULL);
    check("# NAME=x\n", NULL);
    check("NAME\n", NULL);
    check("NAME x\n", NULL);
    check("XNAME=x\n", NULL);
    check("NAMEX=x\n", NULL);
    check("NAME=\"open\n", NULL);
    check("NAME='open\n", NULL);
    check("NAME=\"", NULL);
    check("NAME=\"\\", NULL);
    check("NAME=\"\\\"", NULL);
    check("=x\n\n\n", NULL);
}

static void test_all_keys(void **state)
{
    (void)state;
    parse("ID=i\nNAME=n\nPRETTY_NAME=p\nVERSION=v\nVERSION_ID=vi\nVARIANT=va\nVARIANT_ID=vai\nHOME_URL=h\n");
    assert_string_equal(info.id.ptr, "i");
    assert_string_equal(info.name.ptr, "n");
    assert_string_equal(info.pretty_name.ptr, "p");
    assert_string_equal(info.version.ptr, "v");
    assert_string_equal(info.version_id.ptr, "vi");
    assert_string_equal(info.variant.ptr, "va");
    assert_string_equal(info.variant_id.ptr, "vai");
    parse("ID=i\n");
    assert_false(info.has_variant || info.has_version || info.has_kernel_release);
}

static void test_no_memory(void **state)
{
    static const char line[] = "NAME=0123456789";

    (void)state;
    bh_arena_deinit(&arena);
    bh_arena_init(&arena, 10);
    assert_int_equal(bh_os_release_parse(line, sizeof(line) - 1, &arena, &info), -ENOMEM);
    bh_arena_init(&arena, 11);
    assert_int_equal(bh_os_release_parse(line, sizeof(line) - 1, &arena, &info), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_all_keys),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
