/* broker/audit/chain.h: the vectors were made with Python's hmac and hashlib; lines are taken apart as they
 * are made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "broker/audit/chain.h"

static void hex_is(const uint8_t *data, const char *wanted)
{
    char hex[BH_CHAIN_HEX + 1] = "";

    bh_chain_hex(data, BH_SHA256_SIZE, hex);
    assert_string_equal(hex, wanted);
}

static struct bh_chain first(void)
{
    struct bh_chain chain = { .steps = 0 };

    for (uint8_t i = 0; i < BH_SHA256_SIZE; i++)
        chain.key[i] = i;
    return chain;
}

static struct bh_chain step(const struct bh_chain *chain, const char *body)
{
    uint8_t room[BH_CHAIN_ROOM + 64];
    struct bh_chain next;

    memcpy(room + BH_CHAIN_ROOM, body, strlen(body));
    bh_chain_step(chain, room, strlen(body), &next);
    return next;
}

static void vectors(void **state)
{
    struct bh_chain chain = first();

    (void)state;
    chain = step(&chain, "{\"a\":1");
    hex_is(chain.mac, "6f3e313d6f23f4d3b78c88aebec4149d594a5f5479897c05b19815f65ec397ba");
    chain = step(&chain, "{\"b\":2");
    hex_is(chain.mac, "c1bba649f9448912fde97618501499355c85a0e1d3b5233192558cb2943683d6");
    chain = step(&chain, "");
    hex_is(chain.mac, "ed09f978a94edb598eb7eea57e197fe528a9deab5be6ed0e3b5f00e624ac2d34");
    hex_is(chain.key, "bff44bbc1433eee9981e641928b9d0c56cf68e41e1e8af68f83b2d7eb937c55a");
    assert_int_equal(chain.steps, 3);
}

static void skip_is_many_steps(void **state)
{
    struct bh_chain stepped = first(), skipped = first();

    (void)state;
    for (int i = 0; i < 10; i++)
        stepped = step(&stepped, "x");
    bh_chain_skip(&skipped, 10);
    assert_memory_equal(skipped.key, stepped.key, BH_SHA256_SIZE);
    assert_int_equal(skipped.steps, stepped.steps);
}

static void line_is_split_as_it_was_made(void **state)
{
    const char *body = "{\"text\":\"\\\",\\\"mac\\\":\"";
    char line[256];
    uint8_t mac[BH_SHA256_SIZE], found[BH_SHA256_SIZE];
    size_t len = strlen(body), at = 0;

    (void)state;
    memset(mac, 0xa5, sizeof(mac));
    memcpy(line, body, len);
    bh_chain_tail(mac, line + len);
    assert_true(bh_chain_split(line, len + BH_CHAIN_TAIL, &at, found));
    assert_int_equal(at, len);
    assert_memory_equal(mac, found, sizeof(mac));
}

static void half_lines_are_refused(void **state)
{
    char line[BH_CHAIN_TAIL + 1];
    uint8_t mac[BH_SHA256_SIZE] = { 1 };
    size_t at;

    (void)state;
    bh_chain_tail(mac, line);
    assert_true(bh_chain_split(line, BH_CHAIN_TAIL, &at, mac));
    assert_int_equal(at, 0);
    for (size_t len = 0; len < BH_CHAIN_TAIL; len++)
        assert_false(bh_chain_split(line, len, &at, mac));
    line[20] = 'A'; /* one mac has one spelling */
    assert_false(bh_chain_split(line, BH_CHAIN_TAIL, &at, mac));
}

static void digits_come_back(void **state)
{
    const uint8_t data[] = { 0x00, 0x7f, 0x80, 0xff };
    uint8_t back[4];
    char hex[8];

    (void)state;
    bh_chain_hex(data, sizeof(data), hex);
    assert_memory_equal(hex, "007f80ff", 8);
    assert_true(bh_chain_unhex(hex, 8, back));
    assert_memory_equal(back, data, 4);
    assert_false(bh_chain_unhex("0g", 2, back));
    assert_false(bh_chain_unhex("000", 3, back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(skip_is_many_steps),
        cmocka_unit_test(line_is_split_as_it_was_made),
        cmocka_unit_test(half_lines_are_refused),
        cmocka_unit_test(digits_come_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
