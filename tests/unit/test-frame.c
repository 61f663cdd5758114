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

static char buffer[BH_PACKET_ROOM], payload[3 * BH_FRAME_PAYLOAD_MAX];
static struct bh_tail tail;

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
    assert_int_equal(bh_frame_recv(ours, &got, buffer, &tail), -EAGAIN);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(bh_frame_send(theirs, &sent, payload, sizes[i]), 0);
        assert_int_equal(bh_frame_recv(ours, &got, buffer, &tail), 1);
        assert_int_equal(got.length, sizes[i]);
        assert_int_equal(got.id, 7);
        assert_memory_equal(buffer, payload, sizes[i]);
    }
    assert_int_equal(bh_frame_send(theirs, &sent, payload, BH_FRAME_PAYLOAD_MAX + 1), -EMSGSIZE);
}

/* Each frame of a long message says of which member it is. */
static void test_message_of_the_second_member(void **state)
{
    struct bh_frame head = {
        .type = BH_FRAME_DATA, .flags = BH_FRAME_SECOND, .command = BH_CMD_GUEST_EXEC_STATUS, .id = 3
    };
    struct bh_frame got;

    (void)state;
    assert_int_equal(bh_message_send(theirs, &head, payload, BH_FRAME_PAYLOAD_MAX + 1), 0);
    assert_int_equal(bh_frame_recv(ours, &got, buffer, &tail), 1);
    assert_int_equal(got.flags, BH_FRAME_SECOND | BH_FRAME_MORE);
    assert_int_equal(bh_frame_recv(ours, &got, buffer, &tail), 1);
    assert_int_equal(got.flags, BH_FRAME_SECOND);
}

static void test_malformed_heads(void **state)
{
    struct bh_frame bad[9], got;

    (void)state;
    for (size_t i = 0; i < 9; i++)
        bad[i] = example;
    bad[0].schema ^= 1;
    bad[1].type = 0;
    bad[2].type = BH_FRAME_TYPE_END;
    bad[3].command = BH_CMD_COUNT;
    bad[4].length = 1;
    bad[5].flags = BH_FRAME_SECOND; /* it is no DATA */
    bad[6].id = 0;
    bad[7].flags = UINT32_MAX;
    bad[8].type = BH_FRAME_DATA;
    bad[8].flags = BH_FRAME_SECOND << 1;
    for (size_t i = 0; i < 9; i++) {
        send_raw(&bad[i], sizeof(bad[i]), 0);
        assert_int_equal(bh_frame_recv(ours, &got, buffer, &tail), -EPROTO);
    }
    send_raw(&example, sizeof(example), 0);
    assert_int_equal(bh_frame_recv(ours, &got, buffer, &tail), 1);
}

static void test_wrong_packet_sizes(void **state)
{
    struct bh_frame frame = example, got;

    (void)state;
    for (size_t head = 1; head < sizeof(frame); head++) {
        send_raw(&frame, head, 0);
        assert_int_equal(bh_frame_recv(ours, &got, buffer, &tail), -EPROTO);
    }
    frame.length = BH_FRAME_PAYLOAD_MAX;
    send_raw(&frame, sizeof(frame), BH_FRAME_PAYLOAD_MAX + 1);
    assert_int_equal(bh_frame_recv(ours, &got, buffer, &tail), -EPROTO);
    send_raw(&frame, sizeof(frame), BH_PACKET_ROOM + 1);
    assert_int_equal(bh_frame_recv(ours, &got, buffer, &tail), -EPROTO);
    send_raw(&frame, sizeof(frame), BH_FRAME_PAYLOAD_MAX - 1);
    assert_int_equal(bh_frame_recv(ours, &got, buffer, &tail), -EPROTO);
}

static const struct bh_frame data_head = { .schema = BH_SCHEMA_HASH,
                                           .type = BH_FRAME_DATA,
                                           .flags = BH_FRAME_MORE,
                                           .command = BH_CMD_GUEST_FILE_READ,
                                           .id = 7 };

static void test_pairs(void **state)
{
    static const size_t sizes[] = { 1, 4096, BH_FRAME_PAYLOAD_MAX }, tails[] = { 0, 1, BH_FRAME_TAIL_MAX };
    struct bh_frame head = data_head, end = data_head, got;

    (void)state;
    end.type = BH_FRAME_REPLY;
    end.flags = 0;
    for (size_t i = 0; i < 9; i++) {
        size_t n = sizes[i / 3], t = tails[i % 3];

        assert_int_equal(bh_frame_send_pair(theirs, &head, payload, n, &end, payload + 5, t), 0);
        assert_int_equal(bh_frame_recv(ours, &got, buffer, &tail), 1);
        assert_int_equal(got.length, n);
        assert_memory_equal(buffer, payload, n);
        assert_int_equal(tail.frame.type, BH_FRAME_REPLY);
        assert_int_equal(tail.frame.length, t);
        assert_memory_equal(tail.payload, payload + 5, t);
    }
    assert_int_equal(bh_frame_send_pair(theirs, &head, payload, BH_FRAME_PAYLOAD_MAX + 1, &end, payload, 0),
                     -EMSGSIZE);
    assert_int_equal(bh_frame_send_pair(theirs, &head, payload, 1, &end, payload, BH_FRAME_TAIL_MAX + 1),
                     -EMSGSIZE);
    assert_int_equal(bh_frame_send(theirs, &head, payload, 1), 0);
    assert_int_equal(bh_frame_recv(ours, &got, buffer, &tail), 1);
    assert_int_equal(tail.frame.type, 0);
}

/* A packet as a hostile peer may make it. */
struct pair {
    struct bh_frame head, end;
    size_t cut, more; /* bytes that the end's header lacks, that follow its payload */
};

/* What bh_frame_recv says of it. */
static int receive_pair(const struct pair *pair)
{
    struct iovec parts[] = { { (void *)(uintptr_t)&pair->head, sizeof(pair->head) },
                             { payload, pair->head.length },
                             { (void *)(uintptr_t)&pair->end, sizeof(pair->end) - pair->cut },
                             { payload, pair->cut ? 0 : pair->end.length + pair->more } };
    struct bh_frame got;

    assert_true(writev(theirs, parts, 4) > 0);
    return bh_frame_recv(ours, &got, buffer, &tail);
}

static void test_malformed_pairs(void **state)
{
    struct pair good = { .head = data_head, .end = data_head }, bad[18];
    size_t n = sizeof(bad) / sizeof(bad[0]);

    (void)state;
    good.head.length = 3;
    good.end.type = BH_FRAME_ERROR;
    good.end.flags = 0;
    good.end.length = 2;
    assert_int_equal(receive_pair(&good), 1);
    for (size_t i = 0; i < n; i++)
        bad[i] = good;
    bad[0].end.schema ^= 1;
    bad[1].end.id++;
    bad[2].end.command++;
    bad[3].end.flags = BH_FRAME_MORE;
    bad[4].end.type = BH_FRAME_DATA;
    bad[5].end.type = BH_FRAME_CALL;
    bad[6].end.type = BH_FRAME_TYPE_END;
    bad[7].head.type = BH_FRAME_STAGE;
    bad[8].head.type = BH_FRAME_CALL;
    bad[9].head.type = BH_FRAME_REPLY;
    bad[10].head.type = BH_FRAME_ABANDON;
    bad[11].end.length = BH_FRAME_TAIL_MAX + 1;
    bad[12].more = 1;
    bad[13].more = sizeof(struct bh_frame); /* a third one */
    bad[14].cut = 1;
    bad[15].cut = sizeof(struct bh_frame) - 1;
    bad[16].end.id = bad[16].head.id = 0;
    bad[17].head.length = BH_FRAME_PAYLOAD_MAX + 1;
    for (size_t i = 0; i < n; i++)
        assert_int_equal(receive_pair(&bad[i]), -EPROTO);
    good.head.type = BH_FRAME_STAGE;
    good.end.type = BH_FRAME_CALL;
    assert_int_equal(receive_pair(&good), 1);
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
    assert_int_equal(bh_frame_recv(ours, &got, buffer, &tail), 0);
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
            assert_int_equal(bh_frame_recv(ours, &frame, buffer, &tail), 1);
            assert_memory_equal(buffer, payload + got, frame.length);
            got += frame.length;
            frames++;
        } while (frame.flags & BH_FRAME_MORE);
        assert_int_equal(got, sizes[i]);
        assert_int_equal(frames, sizes[i] ? (sizes[i] + BH_FRAME_PAYLOAD_MAX - 1) / BH_FRAME_PAYLOAD_MAX : 1);
        assert_int_equal(bh_frame_recv(ours, &frame, buffer, &tail), -EAGAIN);
    }
}

/* Sends `error` and parses it on the other side. */
static void send_and_parse(const struct bh_error *error, struct bh_error *got)
{
    uint8_t packed[BH_ERROR_PAYLOAD_MAX];
    size_t len = bh_error_pack(error, packed);

    assert_true(len <= sizeof(packed));
    assert_int_equal(bh_error_parse(packed, len, got), 0);
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
        cmocka_unit_test_setup_teardown(test_message_of_the_second_member, setup, pair_close),
        cmocka_unit_test_setup_teardown(test_wrong_packet_sizes, setup, pair_close),
        cmocka_unit_test_setup_teardown(test_pairs, setup, pair_close),
        cmocka_unit_test_setup_teardown(test_malformed_pairs, setup, pair_close),
        cmocka_unit_test_setup_teardown(test_full_and_gone, setup, pair_close),
        cmocka_unit_test_setup_teardown(test_message_in_pieces, setup, pair_close),
        cmocka_unit_test_setup_teardown(test_error_round_trip, setup, pair_close),
        cmocka_unit_test(test_error_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
