/* workers/info/routes.h: the kernel's lines, and lines that only look like them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "protocol/base/fd.h"
#include "workers/info/routes.h"

#define V4 "eth0\t0008A8C0\t0902010A\t0003\t0\t0\t55\t00FFFFFF\t1040\t7000\t37   "
#define V6                                                                                                   \
    "20010db8000000000000000000000000 40 00000000000000000000000000000000 00 "                               \
    "fe800000000000000000000000000001 ffffffff 00000001 0000000a 80200001     eth0"

#define ROUTES_MAX 100

static struct bh_arena arena;
static struct bh_routes routes;
static struct bh_guest_network_get_route_ret told;
static const char *hidden;

static bool is_shown(void *context, const char *name, size_t len)
{
    (void)context;
    return !hidden || strlen(hidden) != len || memcmp(name, hidden, len) != 0;
}

static void start(size_t memory)
{
    bh_arena_deinit(&arena);
    bh_arena_init(&arena, memory);
    bh_routes_init(&routes, &arena, ROUTES_MAX, is_shown, NULL);
    hidden = NULL;
}

static int line(int version, const char *text)
{
    start(65536);
    return bh_routes_line(&routes, version, text, strlen(text));
}

static void all_keys_of_4(void **state)
{
    const struct bh_guest_network_route *r;

    (void)state;
    assert_int_equal(line(4, V4), 0);
    assert_int_equal(bh_routes_tell(&routes, &told), 0);
    r = &told.value[0];
    assert_string_equal(r->iface.ptr, "eth0");
    assert_string_equal(r->destination.ptr, "192.168.8.0");
    assert_string_equal(r->gateway.ptr, "10.1.2.9");
    assert_string_equal(r->mask.ptr, "255.255.255.0");
    assert_int_equal(r->flags, 3);
    assert_int_equal(r->metric, 55);
    assert_int_equal(r->mtu, 1040);
    assert_int_equal(r->window, 7000);
    assert_int_equal(r->irtt, 37);
    assert_int_equal(r->version, 4);
    assert_true(r->has_gateway && r->has_mask && r->has_irtt && r->has_flags && r->has_refcnt && r->has_use &&
                r->has_window && r->has_mtu);
    assert_false(r->has_source || r->has_nexthop || r->has_desprefixlen || r->has_srcprefixlen);
}

static void all_keys_of_6(void **state)
{
    const struct bh_guest_network_route *r;

    (void)state;
    assert_int_equal(line(6, V6), 0);
    assert_int_equal(bh_routes_tell(&routes, &told), 0);
    r = &told.value[0];
    assert_string_equal(r->iface.ptr, "eth0");
    assert_string_equal(r->destination.ptr, "2001:db8::");
    assert_string_equal(r->desprefixlen.ptr, "64");
    assert_string_equal(r->source.ptr, "::");
    assert_string_equal(r->srcprefixlen.ptr, "0");
    assert_string_equal(r->nexthop.ptr, "fe80::1");
    assert_true(r->metric == 0xffffffff && r->flags == 0x80200001);
    assert_int_equal(r->refcnt, 1);
    assert_int_equal(r->use, 10);
    assert_int_equal(r->version, 6);
    assert_true(r->has_source && r->has_nexthop && r->has_desprefixlen && r->has_srcprefixlen &&
                r->has_flags && r->has_refcnt && r->has_use);
    assert_false(r->has_gateway || r->has_mask || r->has_irtt || r->has_window || r->has_mtu);
}

static void numbers(void **state)
{
    (void)state;
    assert_int_equal(line(4, "e 00000000 00000000 0001 0 0 -294967296 00000000 0 0 4294967295"), 0);
    assert_int_equal(bh_routes_tell(&routes, &told), 0);
    assert_true(told.value[0].metric == 4000000000 && told.value[0].irtt == UINT32_MAX);
    assert_int_equal(line(4, "e 00000000 00000000 0001 0 0 4294967296 00000000 0 0 0"), -EBADMSG);
    assert_int_equal(line(4, "e 00000000 00000000 0001 0 0 - 00000000 0 0 0"), -EBADMSG);
    assert_int_equal(line(4, "e 00000000 00000000 0001 0 0 1x 00000000 0 0 0"), -EBADMSG);
    assert_int_equal(line(4, "e 00000000 00000000 -001 0 0 0 00000000 0 0 0"), -EBADMSG);
    assert_int_equal(line(4, "e 000000000000 00000000 0001 0 0 0 00000000 0 0 0"), -EBADMSG);
    assert_int_equal(line(4, "e 0000000g 00000000 0001 0 0 0 00000000 0 0 0"), -EBADMSG);
    assert_int_equal(line(4, "e 00000000 00000000 0001 0 0 0 00000000 0 0"), -EBADMSG);
    assert_int_equal(line(4, ""), -EBADMSG);
}

static void lines_of_6_that_lie(void **state)
{
    static const char *const bad[] = {
        "0 40 00000000000000000000000000000000 00 00000000000000000000000000000000 1 1 0 1 e",
        "2001 0db8 00000000000000000000000000000000 00 00000000000000000000000000000000 1 1 0 1 e",
        "00000000000000000000000000000000 81 00000000000000000000000000000000 00 "
        "00000000000000000000000000000000 1 1 0 1 e",
        "00000000000000000000000000000000 80 00000000000000000000000000000000 00 "
        "0000000000000000000000000000000x 1 1 0 1 e",
        "00000000000000000000000000000000 80 00000000000000000000000000000000 00 "
        "00000000000000000000000000000000 1 1 0 1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(line(6, bad[i]), -EBADMSG);
}

static void what_is_hidden(void **state)
{
    (void)state;
    start(65536);
    hidden = "eth0";
    assert_int_equal(bh_routes_line(&routes, 4, V4, strlen(V4)), 0);
    assert_int_equal(bh_routes_line(&routes, 6, V6, strlen(V6)), 0);
    assert_int_equal(routes.n, 0);
}

static int text(int version, const char *bytes, size_t len)
{
    int fd = bh_memfd_new("routes", bytes, len), r;

    assert_true(fd >= 0);
    r = bh_routes_file(&routes, version, fd);
    (void)close(fd);
    return r;
}

static void files(void **state)
{
    static const char two[] = "Iface\tDestination\n" V4 "\n" V4 "\n";

    (void)state;
    start(65536);
    assert_int_equal(text(4, two, sizeof(two) - 1), 0);
    assert_int_equal(routes.n, 2);
    assert_int_equal(text(6, V6 "\n", sizeof(V6)), 0);
    assert_int_equal(routes.n, 3);
    assert_int_equal(text(6, "", 0), 0);
    assert_int_equal(bh_routes_file(&routes, 4, -1), 0);
    assert_int_equal(routes.n, 3);
    assert_int_equal(text(6, V6, sizeof(V6) - 1), -EBADMSG);
}

/* The longest line, and one byte more; many lines, so that most are cut by the end of a read. */
static void long_lines_and_many(void **state)
{
    char bytes[BH_ROUTE_LINE_MAX + 2];

    (void)state;
    start(65536);
    memset(bytes, ' ', sizeof(bytes));
    memcpy(bytes, V6, sizeof(V6) - 1);
    bytes[BH_ROUTE_LINE_MAX - 1] = '\n';
    assert_int_equal(text(6, bytes, BH_ROUTE_LINE_MAX), 0);
    bytes[BH_ROUTE_LINE_MAX - 1] = ' ';
    assert_int_equal(text(6, bytes, BH_ROUTE_LINE_MAX), -EBADMSG);
}

static int routes_of(unsigned n)
{
    size_t len = 0, cap = n * sizeof(V6);
    char *bytes = test_malloc(cap);
    int r;

    start(64u << 20);
    for (unsigned i = 0; i < n; i++) {
        memcpy(bytes + len, V6 "\n", sizeof(V6));
        len += sizeof(V6);
    }
    r = text(6, bytes, len);
    test_free(bytes);
    return r;
}

static void limits(void **state)
{
    (void)state;
    assert_int_equal(routes_of(ROUTES_MAX - 1), 0);
    assert_int_equal(routes_of(ROUTES_MAX), 0);
    assert_int_equal(routes.n, ROUTES_MAX);
    assert_int_equal(routes_of(ROUTES_MAX + 1), -E2BIG);
}

static void no_memory(void **state)
{
    int r = -ENOMEM;

    (void)state;
    for (size_t room = 0; r == -ENOMEM && room < 4096; room++) {
        start(room);
        r = bh_routes_line(&routes, 6, V6, strlen(V6));
        r = r == 0 ? bh_routes_tell(&routes, &told) : r;
    }
    assert_int_equal(r, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_keys_of_4),       cmocka_unit_test(all_keys_of_6),  cmocka_unit_test(numbers),
        cmocka_unit_test(lines_of_6_that_lie), cmocka_unit_test(what_is_hidden), cmocka_unit_test(files),
        cmocka_unit_test(long_lines_and_many), cmocka_unit_test(limits),         cmocka_unit_test(no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
