/* Addresses of virtio sockets, and who may connect. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/supervisor/vsock.h"

static void addresses_are_two_numbers(void **state)
{
    static const struct {
        const char *text;
        uint32_t cid, port;
    } good[] = {
        { "2:1234", 2, 1234 },
        { "0:0", 0, 0 },
        { "4294967295:4294967295", UINT32_MAX, UINT32_MAX },
        { "03:007", 3, 7 },
    };
    uint32_t cid, port;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(bh_vsock_parse(good[i].text, &cid, &port), 0);
        assert_int_equal(cid, good[i].cid);
        assert_int_equal(port, good[i].port);
    }
}

static void nothing_else_is_an_address(void **state)
{
    static const char *const bad[] = {
        "",      ":",     "2",    "2:",           ":2",           "2:3x",
        "2:3 ",  " 2:3",  "2 :3", "2: 3",         "+2:3",         "-1:3",
        "0x2:3", "2:3:4", "a:b",  "4294967296:1", "1:4294967296", "18446744073709551618:1"
    };
    uint32_t cid = 77, port = 77;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_true(bh_vsock_parse(bad[i], &cid, &port) < 0);
    assert_int_equal(cid, 77);
    assert_int_equal(port, 77);
}

/* Bit by bit: who is let in under each set of words. */
static void peers(void **state)
{
    static const uint32_t cids[] = { 0, 1, 2, 3, UINT32_MAX };

    (void)state;
    for (uint64_t words = 0; words <= BH_VSOCK_ALL; words++)
        for (size_t i = 0; i < sizeof(cids) / sizeof(cids[0]); i++) {
            bool expected =
                words >= 4 || (cids[i] == 2 && words % 2 == 1) || (cids[i] == 1 && words / 2 == 1);

            assert_int_equal(bh_vsock_admits(words, cids[i]), expected);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_two_numbers),
        cmocka_unit_test(nothing_else_is_an_address),
        cmocka_unit_test(peers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
