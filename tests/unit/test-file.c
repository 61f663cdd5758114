/* The file commands of workers/fs, through the worker loop; and an opener that may be anybody. */
#include "tests/unit/worker-play.h"

static void test_read(void **state)
{
    struct bh_guest_file_read got;
    struct bh_guest_file_seek sought;
    struct bh_guest_file_seek_args seek = { .offset = -5, .whence = BH_GUEST_FILE_WHENCE_END };
    struct bh_guest_file_close_args close_args;

    (void)state;
    start(EVERYTHING);
    seek.handle = close_args.handle = open_read("file");
    assert_int_equal(read_some(seek.handle, -1, &got), 0);
    assert_int_equal(got.count, 12);
    assert_true(got.eof);
    assert_int_equal(data_len, 12);
    assert_memory_equal(data, "Hello, world", 12);
    assert_int_equal(call(SEEK, &seek, &sought), 0);
    assert_int_equal(sought.position, 7);
    assert_false(sought.eof);
    assert_int_equal(read_some(seek.handle, 5, &got), 0);
    assert_int_equal(got.count, 5);
    assert_false(got.eof);
    assert_int_equal(read_some(seek.handle, 0, &got), 0);
    assert_int_equal(got.count, 0);
    assert_false(got.eof);
    assert_int_equal(read_some(seek.handle, 5, &got), 0);
    assert_int_equal(got.count, 0);
    assert_true(got.eof);
    assert_int_equal(call(FLUSH, &close_args, NULL), 0);
    assert_int_equal(call(CLOSE, &close_args, NULL), 0);
    assert_int_equal(call(CLOSE, &close_args, NULL), BH_E_BAD_HANDLE);
    assert_non_null(strstr(error.text, "' has not been found"));
    stop(0);
}

static void test_large_read_streams(void **state)
{
    struct bh_guest_file_read got;
    char path[128];
    int64_t handle;

    (void)state;
    start(EVERYTHING);
    (void)snprintf(path, sizeof(path), "%s/file", dir);
    assert_int_equal(truncate(path, 200000), 0);
    handle = open_read("file");
    assert_int_equal(read_some(handle, 200000, &got), 0);
    assert_int_equal(got.count, 200000);
    assert_false(got.eof);
    assert_int_equal(data_len, 200000);
    assert_memory_equal(data, "Hello, world\0", 13);
    stop(0);
}

/* A small read is one packet: the last data bring the reply. A large one streams all but its end. */
static void test_last_data_bring_the_reply(void **state)
{
    struct bh_guest_file_read_args args = { .has_count = true, .count = 100 };
    struct bh_guest_file_read got;
    char path[128];

    (void)state;
    start(EVERYTHING);
    args.handle = open_read("file");
    id++;
    send_call(READ, &args);
    assert_int_equal(frames_next(front, &in), 1);
    assert_int_equal(in.frame.type, BH_FRAME_DATA);
    assert_int_equal(in.frame.length, 12);
    assert_int_equal(in.tail.frame.type, BH_FRAME_REPLY);
    assert_int_equal(receive(READ, &got), 0);
    assert_true(got.count == 12 && got.eof);
    (void)snprintf(path, sizeof(path), "%s/file", dir);
    assert_int_equal(truncate(path, 12 + BH_FRAME_PAYLOAD_MAX + 1), 0);
    args.count = BH_FRAME_PAYLOAD_MAX + 1;
    id++;
    send_call(READ, &args);
    assert_int_equal(frames_next(front, &in), 1);
    assert_int_equal(in.frame.length, BH_FRAME_PAYLOAD_MAX);
    assert_int_equal(in.tail.frame.type, 0);
    assert_int_equal(frames_next(front, &in), 1);
    assert_int_equal(in.frame.length, 1);
    assert_int_equal(in.tail.frame.type, BH_FRAME_REPLY);
    assert_int_equal(receive(READ, &got), 0);
    assert_int_equal(got.count, BH_FRAME_PAYLOAD_MAX + 1);
    stop(0);
}

static void test_read_errors(void **state)
{
    struct bh_guest_file_read got;
    struct bh_guest_file_seek sought;
    struct bh_guest_file_seek_args seek = { 0 };
    char path[128];
    int fd;

    (void)state;
    start(EVERYTHING);
    make_w();
    assert_int_equal(read_some(open_read("w"), 10, &got), BH_E_KERNEL);
    assert_string_equal(error.text, "failed to read file: Is a directory");
    (void)snprintf(path, sizeof(path), "%s/fifo", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    seek.handle = open_read("fifo");
    assert_int_equal(read_some(seek.handle, 10, &got), 0);
    assert_true(got.eof);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_int_equal(read_some(seek.handle, 10, &got), 0);
    assert_int_equal(got.count, 3);
    assert_false(got.eof);
    assert_int_equal(read_some(seek.handle, 10, &got), BH_E_KERNEL);
    assert_string_equal(error.text, "failed to read file: Resource temporarily unavailable");
    assert_int_equal(call(SEEK, &seek, &sought), BH_E_KERNEL);
    assert_string_equal(error.text, "failed to seek file: Illegal seek");
    (void)close(fd);
    stop(0);
}

static void test_write(void **state)
{
    struct bh_guest_file_write put;
    struct bh_guest_file_read got;
    char text[200] = { 0 };
    int64_t handle;

    (void)state;
    start(EVERYTHING);
    make_w();
    handle = open_write("w/new", BH_GUEST_FILE_MODE_W, true);
    assert_int_equal(write_some(handle, "abcdef", 6, -1, &put), 0);
    assert_int_equal(put.count, 6);
    assert_int_equal(write_some(handle, "ghi", 3, 2, &put), 0);
    assert_int_equal(put.count, 2);
    assert_int_equal(write_some(handle, "ghi", 3, 4, &put), BH_E_ARG_RANGE);
    assert_string_equal(error.text, "value '4' is invalid for argument count");
    assert_int_equal(write_some(handle, NULL, 0, -1, &put), 0);
    assert_int_equal(put.count, 0);
    assert_int_equal(read_some(handle, 1, &got), BH_E_KERNEL);
    assert_string_equal(error.text, "failed to read file: Bad file descriptor");
    assert_int_equal(write_some(handle, text, 91, -1, &put), 0);
    assert_int_equal(write_some(handle, text, 1, -1, &put), 0); /* 100 bytes: the most */
    assert_int_equal(write_some(handle, text, 1, -1, &put), BH_E_LIMIT);
    handle = open_write("w/new", BH_GUEST_FILE_MODE_A, false);
    assert_int_equal(write_some(handle, text, 1, -1, &put), BH_E_LIMIT);
    assert_int_equal(write_some(open_read("w/new"), "x", 1, -1, &put), BH_E_KERNEL);
    assert_string_equal(error.text, "failed to write to file: Bad file descriptor");
    stop(0);
}

static void test_stage_limit(void **state)
{
    static const size_t sizes[] = { BH_WORKER_STAGE_MAX - 1, BH_WORKER_STAGE_MAX, BH_WORKER_STAGE_MAX + 1 };
    struct bh_guest_file_write put;
    uint8_t *bytes = calloc(1, BH_WORKER_STAGE_MAX + 1);

    (void)state;
    start(EVERYTHING);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(write_some(77, bytes, sizes[i], -1, &put), i < 2 ? BH_E_BAD_HANDLE : BH_E_LIMIT);
    assert_int_equal(write_some(77, bytes, 1, -1, &put), BH_E_BAD_HANDLE);
    free(bytes);
    stop(0);
}

static void test_opener_trouble(void **state)
{
    struct bh_guest_file_open_ret ret;
    int dead[2];

    (void)state;
    start(EVERYTHING);
    make_w();
    send_open("w/x", BH_GUEST_FILE_MODE_W);
    serve_start(-1);
    assert_int_equal(receive(OPEN, &ret), BH_E_WORKER_UNAVAILABLE);
    pair_of(dead);
    (void)close(dead[1]);
    send_open("w/x", BH_GUEST_FILE_MODE_W);
    serve_start(dead[0]);
    (void)close(dead[0]);
    assert_int_equal(receive(OPEN, &ret), BH_E_WORKER_DIED);
    assert_true(open_write("w/x", BH_GUEST_FILE_MODE_W, true) > 0);
    send_open("x", BH_GUEST_FILE_MODE_W);
    assert_int_equal(receive(OPEN, &ret), BH_E_NO_RULE);
    stop(0);
}

/* Whatever an opener answers, it gets no more than an error into the fs worker. */
static void test_hostile_opener(void **state)
{
    struct bh_opener_request request;
    struct bh_opener_result lies[4];
    struct bh_guest_file_open_ret ret;

    (void)state;
    start(EVERYTHING);
    make_w();
    for (unsigned i = 0; i < 4; i++) {
        struct bh_opener_result *lie = &lies[i];
        int pair[2], none;

        pair_of(pair);
        send_open("w/x", BH_GUEST_FILE_MODE_W);
        serve_start(pair[0]);
        (void)close(pair[0]);
        assert_int_equal(bh_fd_recv(pair[1], &request, sizeof(request), &none), 1);
        *lie = (struct bh_opener_result){ .magic = BH_OPENER_MAGIC, .id = request.id, .rule = 1 };
        if (i == 1)
            lie->rule = 0; /* not a rule of its user */
        if (i == 2)
            lie->code = 9999;
        if (i == 3)
            *lie = (struct bh_opener_result){
                .magic = BH_OPENER_MAGIC, .id = request.id, .code = BH_E_DENIED, .text_len = UINT16_MAX
            };
        assert_int_equal(bh_fd_send(pair[1], lie, sizeof(*lie), i == 1 ? pair[1] : -1),
                         0); /* i == 0: no file */
        assert_int_equal(receive(OPEN, &ret), BH_E_WORKER_DIED);
        (void)close(pair[1]);
    }
    stop(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_large_read_streams),
        cmocka_unit_test(test_last_data_bring_the_reply),
        cmocka_unit_test(test_read_errors),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_stage_limit),
        cmocka_unit_test(test_opener_trouble),
        cmocka_unit_test(test_hostile_opener),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
