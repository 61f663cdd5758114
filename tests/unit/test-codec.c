/*
 * protocol/wire/codec.h over every type of the schema: random values come back as they were, each bound holds
 * at, below and above, and no cut or flipped message does harm. Memory that a decoder must not touch is
 * watched by the sanitizers; every message is decoded from a block of exactly its size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "protocol/base/mem.h"
#include "protocol/commands.h"
#include "protocol/types.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/utf8.h"
#include "protocol/wire/walk.h"

#define ARENA (64u << 20)

#define _cleanup_arena_ BH_CLEANUP(bh_arena_deinit)

static uint64_t seed = 1;

/* xorshift64*: the same values on every run. */
static uint64_t draw(uint64_t below)
{
    seed ^= seed >> 12;
    seed ^= seed << 25;
    seed ^= seed >> 27;
    return seed * UINT64_C(2685821657736338717) % below;
}

static int64_t draw_int(const struct bh_field *field)
{
    uint64_t width = (uint64_t)field->max - (uint64_t)field->min;

    switch (draw(4)) {
    case 0:
        return field->min;
    case 1:
        return (int64_t)field->max;
    default:
        return (int64_t)((uint64_t)field->min + (width == UINT64_MAX ? draw(UINT64_MAX) : draw(width + 1)));
    }
}

static struct bh_str draw_str(const struct bh_field *field, struct bh_arena *arena)
{
    uint32_t len = (uint32_t)draw((field->limit < 40 ? field->limit : 40) + UINT64_C(1));
    char *text = bh_arena_alloc(arena, len + 1);

    for (uint32_t i = 0; i < len; i++)
        text[i] = (char)(field->kind == BH_KIND_BYTES ? draw(256) : 1 + draw(127));
    if (len >= 4 && field->kind == BH_KIND_STR)
        memcpy(text + draw(len - 3), "\xf0\x9f\x98\x80", 4);
    return (struct bh_str){ text, len };
}

static void draw_struct(const struct bh_type *type, struct bh_arena *arena, char *out);

static void draw_value(const struct bh_field *field, struct bh_arena *arena, void *out)
{
    struct bh_str str;

    switch ((enum bh_kind)field->kind) {
    case BH_KIND_BOOL:
        *(bool *)out = draw(2);
        break;
    case BH_KIND_ENUM:
        *(uint8_t *)out = (uint8_t)draw(field->of.enumeration->n_values);
        break;
    case BH_KIND_INT:
        *(int64_t *)out = draw_int(field);
        break;
    case BH_KIND_UINT:
        *(uint64_t *)out = draw(2) ? field->max : field->max ? draw(field->max) : 0;
        break;
    case BH_KIND_NUMBER:
        *(double *)out = (double)draw(UINT64_MAX) / 3 - 1e18;
        break;
    case BH_KIND_STR:
        *(struct bh_str *)out = draw_str(field, arena);
        break;
    case BH_KIND_BYTES:
        str = draw_str(field, arena);
        *(struct bh_bytes *)out = (struct bh_bytes){ (const uint8_t *)str.ptr, str.len };
        break;
    case BH_KIND_STRUCT:
        draw_struct(field->of.type, arena, out);
        break;
    }
}

static void draw_struct(const struct bh_type *type, struct bh_arena *arena, char *out)
{
    for (uint32_t f = 0; f < type->n_fields; f++) {
        const struct bh_field *field = &type->fields[f];
        uint32_t n = 1;
        char *elements = out + field->offset;

        if (bh_field_has(field, BH_FIELD_OPTIONAL) && !(out[field->has] = (char)draw(2)))
            continue;
        if (bh_field_has(field, BH_FIELD_BULK))
            continue;
        if (bh_field_has(field, BH_FIELD_LIST)) {
            n = (uint32_t)draw(field->items < 4 ? field->items + UINT64_C(1) : 4);
            elements = bh_arena_array(arena, n, bh_field_size(field));
            memcpy(out + field->offset, &elements, sizeof(elements));
            memcpy(out + field->count, &n, sizeof(n));
        }
        for (uint32_t i = 0; i < n; i++)
            draw_value(field, arena, elements + i * bh_field_size(field));
    }
}

/* Decodes from a block of exactly `len` bytes, so that a sanitizer sees a read past its end. */
static int decode(const struct bh_type *type, const void *data, size_t len, struct bh_arena *arena, void *out)
{
    _cleanup_free_ void *exact = malloc(len);

    if (len > 0)
        memcpy(exact, data, len);
    return bh_decode(type, exact, len, arena, out);
}

/* A random value of `type`, encoded. */
static struct bh_bytes draw_message(const struct bh_type *type, struct bh_arena *arena)
{
    char *value = bh_arena_alloc(arena, type->size);
    struct bh_bytes bytes = { 0 };

    draw_struct(type, arena, value);
    assert_int_equal(bh_encode(type, value, SIZE_MAX, arena, &bytes), 0);
    return bytes;
}

static void test_round_trip(void **state)
{
    _cleanup_arena_ struct bh_arena arena;

    (void)state;
    bh_arena_init(&arena, ARENA);
    for (unsigned t = 0; t < bh_n_wire_types; t++)
        for (int round = 0; round < 200; round++) {
            struct bh_bytes message, again;
            void *value;

            bh_arena_reset(&arena);
            message = draw_message(bh_wire_types[t], &arena);
            value = bh_arena_alloc(&arena, bh_wire_types[t]->size);
            assert_int_equal(decode(bh_wire_types[t], message.ptr, message.len, &arena, value), 0);
            assert_int_equal(bh_encode(bh_wire_types[t], value, message.len, &arena, &again), 0);
            assert_int_equal(again.len, message.len);
            assert_memory_equal(again.ptr, message.ptr, message.len);
            if (message.len > 0)
                assert_int_equal(bh_encode(bh_wire_types[t], value, message.len - 1, &arena, &again), -E2BIG);
        }
}

static void test_truncated_and_longer(void **state)
{
    _cleanup_arena_ struct bh_arena arena, scratch;

    (void)state;
    bh_arena_init(&arena, ARENA);
    bh_arena_init(&scratch, ARENA);
    for (unsigned t = 0; t < bh_n_wire_types; t++)
        for (int round = 0; round < 5; round++) {
            struct bh_bytes message;
            char *value, *longer;

            bh_arena_reset(&arena);
            message = draw_message(bh_wire_types[t], &arena);
            value = bh_arena_alloc(&arena, bh_wire_types[t]->size);
            longer = bh_arena_alloc(&arena, message.len + 1);
            memcpy(longer, message.ptr, message.len);
            for (size_t len = 0; len <= message.len + 1; len++) {
                bh_arena_reset(&scratch);
                assert_int_equal(decode(bh_wire_types[t], longer, len, &scratch, value),
                                 len == message.len ? 0 : -EPROTO);
            }
        }
}

/* Whatever a flipped bit makes of a message: it is refused, or it is a value that encodes to the same bytes.
 */
static void test_flipped_bits(void **state)
{
    _cleanup_arena_ struct bh_arena arena, scratch;

    (void)state;
    bh_arena_init(&arena, ARENA);
    bh_arena_init(&scratch, 1u << 20);
    for (unsigned t = 0; t < bh_n_wire_types; t++)
        for (int round = 0; round < 300; round++) {
            struct bh_bytes message, again;
            char *value, *flipped;
            int r;

            bh_arena_reset(&arena);
            bh_arena_reset(&scratch);
            message = draw_message(bh_wire_types[t], &arena);
            if (message.len == 0)
                continue;
            value = bh_arena_alloc(&arena, bh_wire_types[t]->size);
            flipped = bh_arena_alloc(&arena, message.len);
            memcpy(flipped, message.ptr, message.len);
            for (uint64_t n = 1 + draw(3); n > 0; n--)
                flipped[draw(message.len)] ^= (char)(1 << draw(8));
            r = decode(bh_wire_types[t], flipped, message.len, &scratch, value);
            assert_true(r == 0 || r == -EPROTO || r == -E2BIG || r == -ENOMEM);
            if (r < 0)
                continue;
            assert_int_equal(bh_encode(bh_wire_types[t], value, SIZE_MAX, &arena, &again), 0);
            assert_int_equal(again.len, message.len);
            assert_memory_equal(again.ptr, flipped, message.len);
        }
}

/* A type of one field made here, so that every bound can be stood upon. */
struct one {
    union {
        bool flag;
        int64_t i;
        uint64_t u;
        double d;
        struct bh_str str;
        uint8_t e;
        struct bh_str *list;
    };
    uint32_t n_list;
    bool has;
};

static const char *const colours[] = { "red", "green" };
static const struct bh_enumeration colour = { "Colour", colours, NULL, 2, 0 };

/* What the encoder says of `value`, and the decoder of the bytes that a laxer table made of it. */
static void check(const struct bh_field *strict, const struct one *value, int encoded, int decoded)
{
    _cleanup_arena_ struct bh_arena arena;
    struct bh_field lax = *strict;
    const struct bh_type strict_type = { "one", sizeof(struct one), 1, strict };
    const struct bh_type lax_type = { "one", sizeof(struct one), 1, &lax };
    struct bh_bytes bytes;
    struct one out;

    lax.limit = lax.items = UINT32_MAX;
    lax.min = INT64_MIN;
    lax.max = strict->kind == BH_KIND_INT ? INT64_MAX : UINT64_MAX;
    bh_arena_init(&arena, ARENA);
    assert_int_equal(bh_encode(&strict_type, value, SIZE_MAX, &arena, &bytes), encoded);
    assert_int_equal(bh_encode(&lax_type, value, SIZE_MAX, &arena, &bytes), 0);
    assert_int_equal(decode(&strict_type, bytes.ptr, bytes.len, &arena, &out), decoded);
}

static void test_bounds_of_numbers(void **state)
{
    const struct bh_field i = { .kind = BH_KIND_INT, .min = -5, .max = 7 };
    const struct bh_field u = { .kind = BH_KIND_UINT, .max = 7 };

    (void)state;
    check(&i, &(struct one){ .i = -6 }, -E2BIG, -E2BIG);
    check(&i, &(struct one){ .i = -5 }, 0, 0);
    check(&i, &(struct one){ .i = 7 }, 0, 0);
    check(&i, &(struct one){ .i = 8 }, -E2BIG, -E2BIG);
    check(&i, &(struct one){ .i = INT64_MIN }, -E2BIG, -E2BIG);
    check(&i, &(struct one){ .i = INT64_MAX }, -E2BIG, -E2BIG);
    check(&u, &(struct one){ .u = 0 }, 0, 0);
    check(&u, &(struct one){ .u = 7 }, 0, 0);
    check(&u, &(struct one){ .u = 8 }, -E2BIG, -E2BIG);
    check(&u, &(struct one){ .u = UINT64_MAX }, -E2BIG, -E2BIG);
}

static void test_bounds_of_lengths(void **state)
{
    const struct bh_field str = { .kind = BH_KIND_STR, .limit = 3 };
    const struct bh_field bytes = { .kind = BH_KIND_BYTES, .limit = 3 };
    const struct bh_field list = { .kind = BH_KIND_STR,
                                   .flags = BH_FIELD_LIST,
                                   .limit = 9,
                                   .items = 3,
                                   .count = offsetof(struct one, n_list) };
    struct bh_str elements[4] = { BH_STR("a"), BH_STR("b"), BH_STR("c"), BH_STR("d") };

    (void)state;
    check(&str, &(struct one){ .str = BH_STR("") }, 0, 0);
    check(&str, &(struct one){ .str = BH_STR("abc") }, 0, 0);
    check(&str, &(struct one){ .str = BH_STR("abcd") }, -E2BIG, -E2BIG);
    check(&bytes, &(struct one){ .str = BH_STR("\0\xff\0") }, 0, 0);
    check(&bytes, &(struct one){ .str = BH_STR("\0\xff\0\0") }, -E2BIG, -E2BIG);
    check(&list, &(struct one){ .list = NULL, .n_list = 0 }, 0, 0);
    check(&list, &(struct one){ .list = elements, .n_list = 3 }, 0, 0);
    check(&list, &(struct one){ .list = elements, .n_list = 4 }, -E2BIG, -E2BIG);
}

/* Values that the encoder refuses whatever the bounds, and the decoder when another made them. */
static void test_forbidden_values(void **state)
{
    static const struct bh_field fields[] = {
        { .kind = BH_KIND_BOOL },
        { .kind = BH_KIND_ENUM, .of.enumeration = &colour },
        { .kind = BH_KIND_BOOL, .flags = BH_FIELD_OPTIONAL, .has = offsetof(struct one, has) },
        { .kind = BH_KIND_NUMBER },
        { .kind = BH_KIND_STR, .limit = 9 },
        { .kind = BH_KIND_STR, .limit = 9 },
        { .kind = BH_KIND_STR,
          .limit = 9,
          .flags = BH_FIELD_LIST,
          .items = 9,
          .count = offsetof(struct one, n_list) },
    };
    static const struct {
        const char *bytes;
        size_t len;
    } wire[] = { { "\2", 1 },
                 { "\2", 1 },
                 { "\2\1", 2 },
                 { "\0\0\0\0\0\0\xf0\x7f", 8 },
                 { "\1\0\0\0\0", 5 },
                 { "\1\0\0\0\xff", 5 },
                 { "\5\0\0\0\0\0\0\0", 8 } };
    struct one values[7] = { 0 }, out;
    _cleanup_arena_ struct bh_arena arena;
    struct bh_bytes bytes;

    (void)state;
    memset(&values[0], 2, 1);
    values[1].e = 2;
    memset(&values[2].has, 2, 1);
    values[3].d = INFINITY;
    values[4].str = BH_STR("\0");
    values[5].str = BH_STR("\xff");
    values[6].n_list = 2;
    bh_arena_init(&arena, ARENA);
    for (size_t i = 0; i < 7; i++) {
        const struct bh_type type = { "one", sizeof(struct one), 1, &fields[i] };

        assert_int_equal(bh_encode(&type, &values[i], SIZE_MAX, &arena, &bytes), -EINVAL);
        assert_int_equal(decode(&type, wire[i].bytes, wire[i].len, &arena, &out), -EPROTO);
    }
}

static const struct bh_field list_field = { .kind = BH_KIND_STR,
                                            .flags = BH_FIELD_LIST,
                                            .limit = 9,
                                            .items = 1000,
                                            .count = offsetof(struct one, n_list) };
static const struct bh_type list_type = { "one", sizeof(struct one), 1, &list_field };

/* Lists whose elements take one byte on the wire and many in memory: the arena's limit holds. */
static void test_memory_is_limited(void **state)
{
    _cleanup_arena_ struct bh_arena arena;
    char message[4 + 1000 * 4] = { (char)0xe8, 3 };
    struct one out;

    (void)state;
    bh_arena_init(&arena, 1000 * (sizeof(struct bh_str) + 1));
    assert_int_equal(decode(&list_type, message, sizeof(message), &arena, &out), 0);
    assert_int_equal(out.n_list, 1000);
    bh_arena_deinit(&arena);
    bh_arena_init(&arena, 1000 * (sizeof(struct bh_str) + 1) - 1);
    assert_int_equal(decode(&list_type, message, sizeof(message), &arena, &out), -ENOMEM);
}

/* A list that claims more elements than there are bytes is malformed before any memory is taken for it. */
static void test_short_message_claims_long_list(void **state)
{
    _cleanup_arena_ struct bh_arena arena;
    struct one out;

    (void)state;
    bh_arena_init(&arena, ARENA);
    assert_int_equal(decode(&list_type, "\xe8\3\0\0\0\0\0\0", 8, &arena, &out), -EPROTO);
    assert_int_equal(arena.used, 0);
}

static void test_bulk_takes_no_bytes(void **state)
{
    _cleanup_arena_ struct bh_arena arena;
    struct bh_guest_file_read value = { .buf_b64 = { (const uint8_t *)"secret", 6 },
                                        .count = 6,
                                        .eof = true },
                              out;
    const struct bh_type *type = bh_commands[BH_CMD_GUEST_FILE_READ].ret;
    struct bh_bytes bytes;

    (void)state;
    bh_arena_init(&arena, ARENA);
    assert_int_equal(bh_encode(type, &value, SIZE_MAX, &arena, &bytes), 0);
    assert_int_equal(bytes.len, 9);
    assert_int_equal(decode(type, bytes.ptr, bytes.len, &arena, &out), 0);
    assert_null(out.buf_b64.ptr);
    assert_int_equal(out.count, 6);
    assert_true(out.eof);
}

/* It arrives apart; whether the client has sent it, empty or not, stands in the call. */
static void test_optional_bulk_is_told_of(void **state)
{
    _cleanup_arena_ struct bh_arena arena;
    const struct bh_type *type = bh_commands[BH_CMD_GUEST_EXEC].args;
    struct bh_bytes bytes;

    (void)state;
    bh_arena_init(&arena, ARENA);
    for (unsigned has = 0; has < 2; has++) {
        struct bh_guest_exec_args value = { .path = BH_STR("/bin/cat"), .has_input_data = has }, out = { 0 };

        assert_int_equal(bh_encode(type, &value, SIZE_MAX, &arena, &bytes), 0);
        assert_int_equal(decode(type, bytes.ptr, bytes.len, &arena, &out), 0);
        assert_int_equal(out.has_input_data, has);
        assert_null(out.input_data.ptr);
    }
}

static void test_strings_end_in_nul(void **state)
{
    _cleanup_arena_ struct bh_arena arena;
    const struct bh_field field = { .kind = BH_KIND_STR, .limit = 9 };
    const struct bh_type type = { "one", sizeof(struct one), 1, &field };
    struct one out;

    (void)state;
    bh_arena_init(&arena, ARENA);
    assert_int_equal(decode(&type, "\3\0\0\0abc", 7, &arena, &out), 0);
    assert_string_equal(out.str.ptr, "abc");
}

/* Whether `text` is valid with `lead` letters before it and `tail` behind, in a block of just that size. */
static bool valid_between(size_t lead, const char *text, size_t tail)
{
    size_t len = strlen(text), total = lead + len + tail;
    _cleanup_free_ char *exact = malloc(total ? total : 1);

    memset(exact, 'x', total);
    memcpy(exact + lead, text, len);
    return bh_utf8_valid(exact, total);
}

/* RFC 3629's table, its neighbours, and every place relative to the eight-byte step. */
static void test_utf8(void **state)
{
    static const char *const good[] = { "",
                                        "a",
                                        "\x7f",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf" };
    static const char *const bad[] = { "\x80",
                                       "\xbf",
                                       "\xc0\x80",
                                       "\xc1\xbf",
                                       "\xc2",
                                       "\xc2\x7f",
                                       "\xc2\xc0",
                                       "\xe0\x9f\xbf",
                                       "\xe1\x80",
                                       "\xe1\x80\x7f",
                                       "\xed\xa0\x80",
                                       "\xed\xbf\xbf",
                                       "\xf0\x8f\xbf\xbf",
                                       "\xf1\x80\x80",
                                       "\xf1\x80\x80\xc0",
                                       "\xf4\x90\x80\x80",
                                       "\xf5\x80\x80\x80",
                                       "\xfe",
                                       "\xff" };

    (void)state;
    for (size_t lead = 0; lead < 20; lead++)
        for (size_t tail = 0; tail <= 16; tail += 8) {
            for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
                assert_true(valid_between(lead, good[i], tail));
            for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
                assert_false(valid_between(lead, bad[i], tail));
        }
    assert_true(bh_utf8_valid("a\0b", 3));
}

/* The tables as the headers promise them. */
static void test_tables(void **state)
{
    (void)state;
    for (int i = 0; i < BH_CMD_COUNT; i++) {
        const struct bh_command *command = &bh_commands[i];

        assert_int_equal(bh_command_find(command->name, strlen(command->name)), i);
        assert_true(command->worker < BH_WORKER_COUNT);
        assert_true(command->classes != 0 && command->classes < 1u << BH_CLASS_COUNT);
        assert_true(!command->bare || command->ret->n_fields == 1);
        assert_true(!command->bulk_arg || bh_field_has(command->bulk_arg, BH_FIELD_BULK));
    }
    assert_int_equal(bh_command_find("guest-pin", 9), -1);
    assert_int_equal(bh_command_find("guest-pingg", 11), -1);
    assert_int_equal(bh_command_find("guest-pingg", 10), BH_CMD_GUEST_PING);
    assert_int_equal(bh_command_find("", 0), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_truncated_and_longer),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_bounds_of_numbers),
        cmocka_unit_test(test_bounds_of_lengths),
        cmocka_unit_test(test_forbidden_values),
        cmocka_unit_test(test_memory_is_limited),
        cmocka_unit_test(test_short_message_claims_long_list),
        cmocka_unit_test(test_bulk_takes_no_bytes),
        cmocka_unit_test(test_optional_bulk_is_told_of),
        cmocka_unit_test(test_strings_end_in_nul),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_tables),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
