/* workers/lib: a front that dies, gives up, floods, or lies; an opener that is asked nonsense. */
#include "tests/unit/worker-play.h"

static void test_not_granted(void **state)
{
    struct bh_guest_file_read got;

    (void)state;
    start(HEAD "allow guest-file-open { verbs read\npath beneath \"$DIR\" }\n");
    assert_int_equal(read_some(1, 1, &got), BH_E_NOT_GRANTED);
    assert_string_equal(error.text, "Command guest-file-read has been disabled");
    assert_true(records_next(&records));
    assert_int_equal(records.last.kind, BH_RECORD_REFUSED);
    assert_int_equal(records.last.command, READ);
    assert_int_equal(records.last.request, id);
    assert_int_equal(error.record, records.last.number);
    assert_int_equal(worker.state->denials, 1);
    assert_int_equal(worker.state->requests, 1);
    stop(0);
}

/* Half of a call stays behind when a front dies: the next one, of a newer epoch, is served. */
static void test_next_front(void **state)
{
    struct bh_guest_file_close_args args = { 5 };

    (void)state;
    start(EVERYTHING);
    send_frame(BH_FRAME_STAGE, WRITE, EPOCH + 1, BH_FRAME_MORE, "abcdefgh", 8);
    id = EPOCH + (UINT64_C(1) << 32);
    assert_int_equal(call(CLOSE, &args, NULL), BH_E_BAD_HANDLE);
    send_frame(BH_FRAME_CALL, WRITE, ++id, BH_FRAME_MORE, "abc", 3);
    id += UINT64_C(1) << 32;
    assert_int_equal(call(CLOSE, &args, NULL), BH_E_BAD_HANDLE);
    stop(0);
}

static void test_abandon(void **state)
{
    struct bh_guest_file_write put;

    (void)state;
    start(EVERYTHING);
    send_frame(BH_FRAME_STAGE, WRITE, ++id, BH_FRAME_MORE, "abcdefgh", 8);
    send_frame(BH_FRAME_ABANDON, 0, id, 0, NULL, 0);
    send_frame(BH_FRAME_ABANDON, 0, ++id, 0, NULL, 0); /* nothing of it had been sent */
    assert_int_equal(write_some(5, "ab", 2, 3, &put), BH_E_BAD_HANDLE);
    stop(0);
}

/* Answers the worker's POLICY with this policy, sealed or not. */
static void serve_policy(const char *text, bool seal)
{
    struct bh_control message;
    struct bh_policy policy;
    int none, fd;

    policy_from(&policy, text, dir);
    fd = bh_memfd_new("policy", policy.slice, policy.slice->size);
    assert_true(fd >= 0 && (!seal || bh_memfd_seal(fd) == 0));
    assert_int_equal(bh_control_recv(supervisor, &message, &none), 1);
    assert_int_equal(message.op, BH_CONTROL_POLICY);
    assert_int_equal(bh_control_send(supervisor, BH_CONTROL_POLICY, policy.slice->size, fd), 0);
    (void)close(fd);
}

/* A call that is whole when there is a newer policy is decided by that; what is open is judged again. */
static void test_another_policy(void **state)
{
    struct bh_guest_file_close_args args = { 0 };
    struct bh_guest_file_read got;
    int64_t handle, other;

    (void)state;
    start(EVERYTHING);
    dir_file(dir, "other", "Other");
    handle = open_read("file");
    other = open_read("other");
    worker.state->edition = 1;
    send_frame(BH_FRAME_WAKE, 0, 1, 0, NULL, 0);
    serve_policy(EVERYTHING "rule shut: deny guest-file-open { path is \"$DIR/file\" }\n", true);
    assert_int_equal(read_some(handle, 1, &got), BH_E_DENIED);
    assert_int_equal(read_some(handle, 1, &got), BH_E_BAD_HANDLE);
    assert_int_equal(read_some(other, 1, &got), 0);
    worker.state->edition = 2;
    args.handle = other;
    id++;
    send_call(CLOSE, &args);
    serve_policy(HEAD "allow guest-file-open { verbs read\npath beneath \"$DIR\" }\n", true);
    assert_int_equal(receive(CLOSE, NULL), BH_E_NOT_GRANTED);
    stop(0);
}

static void test_policy_that_is_not_sealed(void **state)
{
    (void)state;
    start(EVERYTHING);
    worker.state->edition = 1;
    send_frame(BH_FRAME_WAKE, 0, 1, 0, NULL, 0);
    serve_policy(EVERYTHING, false);
    assert_int_equal(end_of(child), 0);
    child = fork();
    if (child == 0)
        _exit(0);
    stop(0);
}

/* A front says WAKE whenever it likes: nothing comes of it. */
static void test_wake_means_nothing(void **state)
{
    struct bh_guest_file_write put;

    (void)state;
    start(EVERYTHING);
    send_frame(BH_FRAME_STAGE, WRITE, id + 1, BH_FRAME_MORE, "ab", 2);
    send_frame(BH_FRAME_WAKE, 0, 1, 0, NULL, 0);
    assert_int_equal(write_some(5, "ab", 2, 3, &put), BH_E_BAD_HANDLE);
    stop(0);
}

struct foul {
    uint16_t type, command;
    uint64_t id;
    uint32_t flags;
    size_t len;
};

/* After `frames` the worker has left a record and ended. */
static void check_foul(const struct foul *frames, unsigned n)
{
    static const uint8_t zeros[BH_FRAME_PAYLOAD_MAX];

    start(EVERYTHING);
    for (unsigned i = 0; i < n; i++)
        send_frame(frames[i].type, frames[i].command, frames[i].id, frames[i].flags, zeros, frames[i].len);
    assert_int_equal(end_of(child), BH_EXIT_PROTOCOL);
    assert_true(records_next(&records));
    assert_int_equal(records.last.kind, BH_RECORD_EVENT);
    assert_memory_equal(records.last.text.ptr, "protocol violation", 18);
    child = fork();
    if (child == 0)
        _exit(0);
    stop(0);
}

#define FOUL(...)                                                                                            \
    check_foul((const struct foul[]){ __VA_ARGS__ },                                                         \
               sizeof((const struct foul[]){ __VA_ARGS__ }) / sizeof(struct foul))
#define ID(n) (EPOCH + (n))
#define MORE BH_FRAME_MORE

static void test_foul_frames(void **state)
{
    (void)state;
    FOUL({ BH_FRAME_CALL, CLOSE, 0, 0, 8 });
    FOUL({ BH_FRAME_TYPE_END, CLOSE, ID(1), 0, 8 });
    FOUL({ BH_FRAME_REPLY, CLOSE, ID(1), 0, 8 });
    FOUL({ BH_FRAME_DATA, READ, ID(1), 0, 8 });
    FOUL({ BH_FRAME_ERROR, CLOSE, ID(1), 0, 16 });
    FOUL({ BH_FRAME_CALL, BH_CMD_COUNT, ID(1), 0, 0 });
    FOUL({ BH_FRAME_CALL, BH_CMD_GUEST_PING, ID(1), 0, 0 });
    FOUL({ BH_FRAME_CALL, BH_CMD_GUEST_SHUTDOWN, ID(1), 0, 1 });
    FOUL({ BH_FRAME_CALL, CLOSE, ID(1), 0, 7 });
    FOUL({ BH_FRAME_CALL, CLOSE, ID(1), 0, 9 });
    FOUL({ BH_FRAME_CALL, CLOSE, ID(1), 0, 0 });
    FOUL({ BH_FRAME_CALL, CLOSE, ID(1), 2, 8 });
    FOUL({ BH_FRAME_CALL, CLOSE, ID(1), MORE, 0 });
    FOUL({ BH_FRAME_STAGE, CLOSE, ID(1), MORE, 1 });
    FOUL({ BH_FRAME_STAGE, READ, ID(1), MORE, 1 });
    FOUL({ BH_FRAME_STAGE, WRITE, ID(1), 0, 1 });
    FOUL({ BH_FRAME_STAGE, WRITE, ID(1), MORE, 0 });
    FOUL({ BH_FRAME_AGAIN, CLOSE, ID(1), 0, 0 });
    FOUL({ BH_FRAME_WAKE, 0, ID(1), 0, 1 });
    FOUL({ BH_FRAME_WAKE, 0, ID(1), MORE, 0 });
    FOUL({ BH_FRAME_ABANDON, 0, ID(1), 0, 1 });
    FOUL({ BH_FRAME_ABANDON, 0, ID(1), MORE, 0 });
}

static void test_foul_order(void **state)
{
    (void)state;
    FOUL({ BH_FRAME_CALL, CLOSE, ID(1), 0, 8 }, { BH_FRAME_CALL, CLOSE, ID(1), 0, 8 });
    FOUL({ BH_FRAME_CALL, CLOSE, ID(2), 0, 8 }, { BH_FRAME_CALL, CLOSE, ID(1), 0, 8 });
    FOUL({ BH_FRAME_CALL, CLOSE, ID(1), 0, 8 }, { BH_FRAME_CALL, CLOSE, 1, 0, 8 });
    FOUL({ BH_FRAME_STAGE, WRITE, ID(1), MORE, 8 }, { BH_FRAME_STAGE, WRITE, ID(2), MORE, 8 });
    FOUL({ BH_FRAME_STAGE, WRITE, ID(1), MORE, 8 }, { BH_FRAME_CALL, WRITE, ID(2), 0, 9 });
    FOUL({ BH_FRAME_STAGE, WRITE, ID(1), MORE, 8 }, { BH_FRAME_CALL, CLOSE, ID(1), 0, 8 });
    FOUL({ BH_FRAME_STAGE, WRITE, ID(1), MORE, 8 }, { BH_FRAME_ABANDON, 0, ID(2), 0, 0 });
    FOUL({ BH_FRAME_CALL, WRITE, ID(1), MORE, 4 }, { BH_FRAME_STAGE, WRITE, ID(1), MORE, 4 });
    FOUL({ BH_FRAME_CALL, WRITE, ID(1), MORE, 4 }, { BH_FRAME_CALL, WRITE, ID(2), 0, 5 });
    FOUL({ BH_FRAME_CALL, CLOSE, ID(1), 0, 8 }, { BH_FRAME_ABANDON, 0, ID(1), 0, 0 });
}

/* A call in many frames is assembled up to its limit, and not beyond. */
static void test_flood(void **state)
{
    static struct foul frames[BH_WORKER_CALL_MAX / BH_FRAME_PAYLOAD_MAX + 1];

    (void)state;
    for (unsigned i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
        frames[i] = (struct foul){ BH_FRAME_CALL, OPEN, ID(1), MORE, BH_FRAME_PAYLOAD_MAX };
    check_foul(frames, sizeof(frames) / sizeof(frames[0]));
}

/* What a large call needed stays until the front is quiet; what a small one needed stays for good. */
static void test_intake_slack(void **state)
{
    struct bh_intake intake;
    struct bh_frame frame = { .type = BH_FRAME_STAGE,
                              .command = BH_CMD_GUEST_FILE_WRITE,
                              .flags = BH_FRAME_MORE,
                              .length = BH_WORKER_KEEP,
                              .id = 1 };

    (void)state;
    assert_int_equal(bh_intake_init(&intake), 0);
    assert_int_equal(bh_intake_frame(&intake, &frame), 0);
    bh_intake_reset(&intake);
    assert_false(bh_intake_has_slack(&intake));
    for (frame.id = 2; intake.staged <= BH_WORKER_KEEP;) {
        memset(bh_intake_room(&intake), 'x', frame.length);
        assert_int_equal(bh_intake_frame(&intake, &frame), 0);
    }
    assert_false(bh_intake_has_slack(&intake)); /* it is in use */
    bh_intake_trim(&intake);
    assert_int_equal(intake.base[BH_WORKER_KEEP], 'x');
    bh_intake_reset(&intake);
    assert_true(bh_intake_has_slack(&intake));
    bh_intake_trim(&intake);
    assert_false(bh_intake_has_slack(&intake));
    assert_int_equal(intake.base[BH_WORKER_KEEP], 0);
    bh_intake_deinit(&intake);
}

static void test_intake_limits(void **state)
{
    struct bh_intake intake;
    struct bh_frame frame = { .type = BH_FRAME_CALL, .command = OPEN, .id = 1, .flags = MORE };

    (void)state;
    assert_int_equal(bh_intake_init(&intake), 0);
    frame.length = BH_WORKER_CALL_MAX - 1;
    assert_int_equal(bh_intake_frame(&intake, &frame), 0);
    frame.length = 1;
    assert_int_equal(bh_intake_frame(&intake, &frame), 0);
    assert_int_equal(bh_intake_frame(&intake, &frame), -EPROTO);
    frame.length = 0;
    frame.flags = 0;
    assert_int_equal(bh_intake_frame(&intake, &frame), 1);
    bh_intake_deinit(&intake);
}

static void test_garbage(void **state)
{
    (void)state;
    for (unsigned len = 1; len < 40; len += 13) {
        uint8_t noise[40];

        memset(noise, 0x5a, sizeof(noise));
        start(EVERYTHING);
        assert_int_equal(write(front, noise, len), len);
        assert_int_equal(end_of(child), BH_EXIT_PROTOCOL);
        child = fork();
        if (child == 0)
            _exit(0);
        stop(0);
    }
}

static void test_foul_question(void **state)
{
    struct bh_opener_request request = { .magic = BH_OPENER_MAGIC, .id = 1, .path_len = 2, .path = "/x" };

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        struct bh_opener_request bad = request;

        bad.magic += i == 0;
        bad.mode = i == 1 ? BH_GUEST_FILE_MODE_COUNT : 0;
        bad.path_len = i == 2 ? 1 : 2;
        if (i == 3)
            memset(bad.path, 'x', sizeof(bad.path));
        start(EVERYTHING);
        assert_int_equal(bh_fd_send(opener_end, &bad, i == 4 ? 10 : sizeof(bad), -1), 0);
        assert_int_equal(end_of(opener), BH_EXIT_PROTOCOL);
        opener = fork();
        if (opener == 0)
            _exit(0);
        stop(0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_not_granted),
        cmocka_unit_test(test_next_front),
        cmocka_unit_test(test_abandon),
        cmocka_unit_test(test_foul_frames),
        cmocka_unit_test(test_foul_order),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_intake_limits),
        cmocka_unit_test(test_intake_slack),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_foul_question),
        cmocka_unit_test(test_another_policy),
        cmocka_unit_test(test_policy_that_is_not_sealed),
        cmocka_unit_test(test_wake_means_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
