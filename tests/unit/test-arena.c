/* protocol/base/arena.h: the limit at, below and above; alignment; what a reset keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "protocol/base/arena.h"
#include "protocol/base/mem.h"

#define LIMIT 100000u

#define _cleanup_arena_ BH_CLEANUP(bh_arena_deinit)

static void test_limit(void **state)
{
    _cleanup_arena_ struct bh_arena arena;

    (void)state;
    bh_arena_init(&arena, LIMIT);
    assert_null(bh_arena_alloc(&arena, LIMIT + 1));
    assert_non_null(bh_arena_alloc(&arena, LIMIT - 1));
    assert_non_null(bh_arena_alloc(&arena, 1));
    assert_int_equal(arena.used, LIMIT);
    assert_null(bh_arena_alloc(&arena, 1));
    bh_arena_reset(&arena);
    assert_int_equal(arena.used, 0);
    assert_non_null(bh_arena_alloc(&arena, LIMIT));
}

static void test_sizes_that_overflow(void **state)
{
    _cleanup_arena_ struct bh_arena arena;

    (void)state;
    bh_arena_init(&arena, LIMIT);
    assert_null(bh_arena_array(&arena, SIZE_MAX / 2, 3));
    assert_null(bh_arena_array(&arena, SIZE_MAX, SIZE_MAX));
    assert_null(bh_arena_alloc(&arena, SIZE_MAX));
    assert_null(bh_arena_str(&arena, "", UINT32_MAX).ptr);
    assert_int_equal(arena.used, 0);
}

/* Blocks of many sizes: none overlaps another, all are aligned and zero even where memory was used before. */
static void test_blocks_are_apart(void **state)
{
    _cleanup_arena_ struct bh_arena arena;
    unsigned char *blocks[200];

    (void)state;
    bh_arena_init(&arena, 1u << 20);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 200; i++) {
            blocks[i] = bh_arena_alloc(&arena, i * 7);
            assert_non_null(blocks[i]);
            assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
            for (size_t k = 0; k < i * 7; k++)
                assert_int_equal(blocks[i][k], 0);
            memset(blocks[i], (int)i, i * 7);
        }
        for (size_t i = 0; i < 200; i++)
            for (size_t k = 0; k < i * 7; k++)
                assert_int_equal(blocks[i][k], i);
        bh_arena_reset(&arena);
    }
}

static void test_reset_keeps_first_block(void **state)
{
    _cleanup_arena_ struct bh_arena arena;
    void *first;

    (void)state;
    bh_arena_init(&arena, LIMIT);
    first = bh_arena_alloc(&arena, 16);
    assert_non_null(bh_arena_alloc(&arena, LIMIT / 2));
    bh_arena_reset(&arena);
    assert_ptr_equal(bh_arena_alloc(&arena, 16), first);
}

static void test_size_zero(void **state)
{
    _cleanup_arena_ struct bh_arena arena;

    (void)state;
    bh_arena_init(&arena, 0);
    assert_non_null(bh_arena_alloc(&arena, 0));
    assert_null(bh_arena_alloc(&arena, 1));
}

static void test_growing_array(void **state)
{
    _cleanup_arena_ struct bh_arena arena;
    uint32_t *array = NULL;

    (void)state;
    bh_arena_init(&arena, (16 + 32 + 64) * sizeof(*array));
    for (uint32_t n = 0; n < 64; n++) {
        array = bh_arena_more(&arena, array, n, sizeof(*array));
        assert_non_null(array);
        assert_int_equal(array[n], 0);
        array[n] = n + 1;
    }
    for (uint32_t n = 0; n < 64; n++)
        assert_int_equal(array[n], n + 1);
    assert_null(bh_arena_more(&arena, array, 64, sizeof(*array)));
    assert_null(bh_arena_more(&arena, NULL, 0, SIZE_MAX / 2 + 1));
    assert_null(bh_arena_more(&arena, array, 64, SIZE_MAX / 64));
}

static void test_text(void **state)
{
    _cleanup_arena_ struct bh_arena arena;
    struct bh_str str;

    (void)state;
    bh_arena_init(&arena, 12);
    str = bh_arena_str(&arena, "abcdef", 3);
    assert_string_equal(str.ptr, "abc");
    assert_int_equal(str.len, 3);
    str = bh_arena_printf(&arena, "%d-%s", 12, "xyz");
    assert_string_equal(str.ptr, "12-xyz");
    assert_int_equal(str.len, 6);
    str = bh_arena_printf(&arena, "%s", "x");
    assert_null(str.ptr);
    assert_int_equal(str.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_sizes_that_overflow),
        cmocka_unit_test(test_blocks_are_apart),
        cmocka_unit_test(test_reset_keeps_first_block),
        cmocka_unit_test(test_size_zero),
        cmocka_unit_test(test_growing_array),
        cmocka_unit_test(test_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
