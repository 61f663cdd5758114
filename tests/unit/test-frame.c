/* protocol/wire/frame.h: frames at the size limit, malformed heads, messages in pieces, error payloads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <cmocka.h>

#include "protocol/base/err.h"
#include "protocol/codes.h"
#include "protocol/commands.h"
#include "protocol/wire/frame.h"
#include "tests/unit/pair.h"

static char buffer[BH_FRAME_PAYLOAD_MAX], payload[3 * BH_FRAME_PAYLOAD_MAX];

static const struct bh_frame example = {
    .schema = BH_SCHEMA_HASH, .type = BH_FRAME_CALL, .command = BH_CMD_GUEST_PING, .id = 7
};

static int setup(void **state)
{
    (void)state;
    (void)signal(SIGPIPE, SIG_IGN);
    if (pair_open(SOCK_NONBLOCK) < 0)
        return -1;
    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (char)(i * 31 >> 3);
    return 0;
}

/* Sends what bh_frame_send would never send. */
static void send_raw(const struct bh_frame *frame, size_t head, size_t len)
{
    struct iovec parts[] = { { (void *)(uintptr_t)frame, head }, { payload, len } };

    assert_int_equal(writev(theirs, parts, 2), (ssize_t)(head + len));
}

static void test_sizes(void **state)
{
    static const size_t sizes[] = { 0, 1, 4096, BH_FRAME_PAYLOAD_MAX - 1, BH_FRAME_PAYLOAD_MAX };
    struct bh_frame sent = example, got;

    (void)state;
    assert_int_equal(bh_frame_recv(ours, &got, buffer), -EAGAIN);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(bh_frame_send(theirs, &sent, payload, sizes[i]), 0);
        assert_int_equal(bh_frame_recv(ours, &got, buffer), 1);
        assert_int_equal(got.length, sizes[i]);
        assert_int_equal(got.id, 7);
        assert_memory_equal(buffer, payload, sizes[i]);
    }
    assert_int_equal(bh_frame_send(theirs, &sent, payload, BH_FRAME_PAYLOAD_MAX + 1), -EMSGSIZE);
}

static void test_malformed_heads(void **state)
{
    struct bh_frame bad[8], got;

    (void)state;
    for (size_t i = 0; i < 8; i++)
        bad[i] = example;
    bad[0].schema ^= 1;
    bad[1].type = 0;
    bad[2].type = BH_FRAME_TYPE_END;
    bad[3].command = BH_CMD_COUNT;
    bad[4].length = 1;
    bad[5].flags = BH_FRAME_MORE << 1;
    bad[6].id = 0;
    bad[7].flags = UINT32_MAX;
    for (size_t i = 0; i < 8; i++) {
        send_raw(&bad[i], sizeof(bad[i]), 0);
        assert_int_equal(bh_frame_recv(ours, &got, buffer), -EPROTO);
    }
    send_raw(&example, sizeof(example), 0);
    assert_int_equal(bh_frame_recv(ours, &got, buffer), 1);
}

static void test_wrong_packet_sizes(void **state)
{
    struct bh_frame frame = example, got;

    (void)state;
    for (size_t head = 1; head < sizeof(frame); head++) {
        send_raw(&frame, head, 0);
        assert_int_equal(bh_frame_recv(ours, &got, buffer), -EPROTO);
    }
    frame.length = BH_FRAME_PAYLOAD_MAX;
    send_raw(&frame, sizeof(frame), BH_FRAME_PAYLOAD_MAX + 1);
    assert_int_equal(bh_frame_recv(ours, &got, buffer), -EPROTO);
    send_raw(&frame, sizeof(frame), BH_FRAME_PAYLOAD_MAX - 1);
    assert_int_equal(bh_frame_recv(ours, &got, buffer), -EPROTO);
}

static void test_full_and_gone(void **state)
{
    struct bh_frame frame = example, got;
    int r = 0;

    (void)state;
    for (int i = 0; i < 1000 && r == 0; i++)
        r = bh_frame_send(ours, &frame, payload, BH_FRAME_PAYLOAD_MAX);
    assert_int_equal(r, -EAGAIN);
    (void)close(theirs);
    assert_int_equal(bh_frame_recv(ours, &got, buffer), 0);
    assert_int_equal(bh_frame_send(ours, &frame, payload, 1), -EPIPE);
}

static void test_message_in_pieces(void **state)
{
    static const size_t sizes[] = { 0, 1, BH_FRAME_PAYLOAD_MAX, BH_FRAME_PAYLOAD_MAX + 1,
                                    2 * BH_FRAME_PAYLOAD_MAX };

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        size_t got = 0, frames = 0;
        struct bh_frame frame;

        assert_int_equal(bh_message_send(theirs, &example, payload, sizes[i]), 0);
        do {
            assert_int_equal(bh_frame_recv(ours, &frame, buffer), 1);
            assert_memory_equal(buffer, payload + got, frame.length);
            got += frame.length;
            frames++;
        } while (frame.flags & BH_FRAME_MORE);
        assert_int_equal(got, sizes[i]);
        assert_int_equal(frames, sizes[i] ? (sizes[i] + BH_FRAME_PAYLOAD_MAX - 1) / BH_FRAME_PAYLOAD_MAX : 1);
        assert_int_equal(bh_frame_recv(ours, &frame, buffer), -EAGAIN);
    }
}

/* Sends `error` and parses it on the other side. */
static void send_and_parse(const struct bh_error *error, struct bh_error *got)
{
    struct bh_frame frame;

    assert_int_equal(bh_error_send(theirs, &example, error), 0);
    assert_int_equal(bh_frame_recv(ours, &frame, buffer), 1);
    assert_int_equal(frame.type, BH_FRAME_ERROR);
    assert_int_equal(frame.id, example.id);
    assert_int_equal(bh_error_parse(buffer, frame.length, got), 0);
}

static void test_error_round_trip(void **state)
{
    struct bh_error error = { .code = BH_E_KERNEL, .record = UINT64_MAX, .text = "gr\xc3\xbc\xc3\x9f" }, got;

    (void)state;
    send_and_parse(&error, &got);
    assert_int_equal(got.code, BH_E_KERNEL);
    assert_int_equal(got.record, UINT64_MAX);
    assert_string_equal(got.text, error.text);
    memset(error.text, 'x', sizeof(error.text) - 1);
    error.text[sizeof(error.text) - 1] = '\0';
    send_and_parse(&error, &got);
    assert_string_equal(got.text, error.text);
    strcpy(error.text, "caf\xe9 closed");
    send_and_parse(&error, &got);
    assert_string_equal(got.text, "caf? closed");
}

static void test_error_malformed(void **state)
{
    struct {
        struct bh_error_frame head;
        char text[BH_ERROR_TEXT_MAX];
    } bad = { .head = { .code = BH_E_KERNEL, .text_len = 3 }, .text = "abc" }, p;
    struct bh_error got;

    (void)state;
    assert_int_equal(bh_error_parse(&bad, sizeof(bad.head) + 3, &got), 0);
    for (size_t len = 0; len < sizeof(bad.head) + 3; len++)
        assert_int_equal(bh_error_parse(&bad, len, &got), -EPROTO);
    assert_int_equal(bh_error_parse(&bad, sizeof(bad.head) + 4, &got), -EPROTO);
    p = bad, p.head.code = 1;
    assert_int_equal(bh_error_parse(&p, sizeof(p.head) + 3, &got), -EPROTO);
    p = bad, p.head.zero = 1;
    assert_int_equal(bh_error_parse(&p, sizeof(p.head) + 3, &got), -EPROTO);
    p = bad, p.text[1] = '\0';
    assert_int_equal(bh_error_parse(&p, sizeof(p.head) + 3, &got), -EPROTO);
    p = bad, p.text[2] = '\xc3';
    assert_int_equal(bh_error_parse(&p, sizeof(p.head) + 3, &got), -EPROTO);
    memset(p.text, 'x', sizeof(p.text));
    p.head.text_len = BH_ERROR_TEXT_MAX;
    assert_int_equal(bh_error_parse(&p, sizeof(p.head) + BH_ERROR_TEXT_MAX, &got), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sizes, setup, pair_close),
        cmocka_unit_test_setup_teardown(test_malformed_heads, setup, pair_close),
        cmocka_unit_test_setup_teardown(test_wrong_packet_sizes, setup, pair_close),
        cmocka_unit_test_setup_teardown(test_full_and_gone, setup, pair_close),
        cmocka_unit_test_setup_teardown(test_message_in_pieces, setup, pair_close),
        cmocka_unit_test_setup_teardown(test_error_round_trip, setup, pair_close),
        cmocka_unit_test(test_error_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
