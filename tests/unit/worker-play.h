/*
 * A worker to play with: the loop runs in a child, unconfined, with the fs worker's handlers; the test is its
 * front (of which anything may come) and its supervisor. A second child is the opener.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = tests/unit/test-file.c, tests/unit/test-worker.c
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "protocol/base/fd.h"
#include "protocol/codes.h"
#include "protocol/types.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/control.h"
#include "protocol/wire/frame.h"
#include "tests/unit/frames.h"
#include "tests/unit/worker-fixture.h"
#include "workers/fs/handle.h"
#include "workers/fs/opener_serve.h"
#include "workers/fs/opener_wire.h"
#include "workers/lib/loop.h"

#define OPEN BH_CMD_GUEST_FILE_OPEN
#define CLOSE BH_CMD_GUEST_FILE_CLOSE
#define READ BH_CMD_GUEST_FILE_READ
#define WRITE BH_CMD_GUEST_FILE_WRITE
#define SEEK BH_CMD_GUEST_FILE_SEEK
#define FLUSH BH_CMD_GUEST_FILE_FLUSH
#define EPOCH (UINT64_C(3) << 32)

static struct bh_worker worker;
static struct records records;
static char dir[64];
static struct bh_handles handles;
static int front, supervisor; /* our ends */
static int opener_end = -1;   /* what START gets */
static pid_t child, opener;
static uint64_t id;
static struct bh_arena arena;
static struct bh_error error;
static struct frames in;
static uint8_t *data; /* DATA frames of the last call */
static size_t data_len;

#define HEAD "policy 1\ncommands 49\n"
#define EVERYTHING                                                                                           \
    HEAD "allow @file-read { path beneath \"$DIR\"\ntypes any }\n"                                           \
         "allow @file-write { path beneath \"$DIR/w\"\nverbs write create truncate append\nuser "            \
         "root\nmax-size 100\n"                                                                              \
         "create-mode 0600 }\n"

static inline void pair_of(int ret[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret), 0);
}

/* In a child: the two descriptors where a process of ours expects them. */
static inline void place(int control, int peer)
{
    control = fcntl(control, F_DUPFD, 100);
    peer = fcntl(peer, F_DUPFD, 100);
    (void)dup2(control, BH_FD_CONTROL);
    (void)dup2(peer, BH_FD_PEER);
}

static inline void keep_high(int *fd)
{
    int high = fcntl(*fd, F_DUPFD_CLOEXEC, 50);

    (void)close(*fd);
    *fd = high;
}

static inline pid_t spawn(int control, int peer, bool is_opener)
{
    static const struct bh_worker_main bare;
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    (void)signal(SIGPIPE, SIG_IGN);
    place(control, peer);
    (void)close(front);
    (void)close(supervisor);
    if (opener_end >= 0)
        (void)close(opener_end);
    if (is_opener)
        _exit(bh_opener_serve(&worker));
    bh_handles_init(&handles, worker.state, &worker.audit, 0);
    worker.context = &handles;
    _exit(bh_worker_serve(&worker, &bare));
}

static inline void start(const char *policy)
{
    struct bh_state *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int control[2], peer[2], opening[2];

    dir_make(dir);
    dir_file(dir, "file", "Hello, world");
    worker_init(&worker, &records, policy, dir);
    worker.state = worker.audit.state = shared;
    keep_high(&worker.audit.fd);
    keep_high(&records.fd);
    pair_of(control);
    pair_of(peer);
    pair_of(opening);
    front = peer[0];
    supervisor = control[0];
    opener_end = opening[0];
    keep_high(&front);
    keep_high(&supervisor);
    keep_high(&opener_end);
    child = spawn(control[1], peer[1], false);
    opener = spawn(control[1], opening[1], true);
    (void)close(control[1]);
    (void)close(peer[1]);
    (void)close(opening[1]);
    id = EPOCH;
    bh_arena_init(&arena, 1 << 20);
}

static inline int end_of(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The supervisor and the front go away: both processes end by themselves. */
static inline void stop(int want)
{
    (void)close(supervisor);
    (void)close(front);
    (void)close(opener_end);
    assert_int_equal(end_of(child), want);
    (void)kill(opener, SIGKILL); /* a dead fs worker's end may live on in the child's queue */
    (void)end_of(opener);
    (void)munmap(worker.state, sizeof(*worker.state));
    worker_deinit(&worker, &records);
    bh_arena_deinit(&arena);
    free(data);
    data = NULL;
    dir_remove(dir);
}

static inline void send_frame(uint16_t type, uint16_t command, uint64_t number, uint32_t flags,
                              const void *payload, size_t len)
{
    struct bh_frame frame = { .type = type, .command = command, .id = number, .flags = flags };

    assert_int_equal(bh_frame_send(front, &frame, payload, len), 0);
}

/* Takes frames until the reply. 0 with `ret` decoded, or the error's code. */
static inline int receive(uint16_t command, void *ret)
{
    const uint8_t *payload = in.room;
    struct bh_frame frame;

    data_len = 0;
    for (;;) {
        assert_int_equal(frames_next(front, &in), 1);
        frame = in.frame;
        assert_int_equal(frame.id, id);
        assert_int_equal(frame.command, command);
        if (frame.type != BH_FRAME_DATA)
            break;
        data = realloc(data, data_len + frame.length);
        memcpy(data + data_len, payload, frame.length);
        data_len += frame.length;
    }
    if (frame.type == BH_FRAME_ERROR) {
        assert_int_equal(bh_error_parse(payload, frame.length, &error), 0);
        return error.code;
    }
    assert_int_equal(frame.type, BH_FRAME_REPLY);
    if (bh_commands[command].ret)
        assert_int_equal(bh_decode(bh_commands[command].ret, payload, frame.length, &arena, ret), 0);
    else
        assert_int_equal(frame.length, 0);
    return 0;
}

static inline void send_call(uint16_t command, const void *args)
{
    struct bh_bytes bytes;

    bh_arena_reset(&arena);
    assert_int_equal(bh_encode(bh_commands[command].args, args, 1 << 16, &arena, &bytes), 0);
    send_frame(BH_FRAME_CALL, command, id, 0, bytes.ptr, bytes.len);
}

static inline int call(uint16_t command, const void *args, void *ret)
{
    id++;
    send_call(command, args);
    return receive(command, ret);
}

static inline void send_open(const char *name, uint8_t mode)
{
    char path[256];
    struct bh_guest_file_open_args args = { .has_mode = true, .mode = mode };

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    args.path = (struct bh_str){ path, (uint32_t)strlen(path) };
    id++;
    send_call(OPEN, &args);
}

/* Answers the fs worker's START with a descriptor, or a refusal. */
static inline void serve_start(int fd)
{
    struct bh_control message;
    int none;

    assert_int_equal(bh_control_recv(supervisor, &message, &none), 1);
    assert_int_equal(message.op, BH_CONTROL_START);
    assert_int_equal(message.arg, BH_PEER_OPENER);
    assert_int_equal(
        bh_control_send(supervisor, fd >= 0 ? BH_CONTROL_PEER : BH_CONTROL_REFUSED, message.arg, fd), 0);
}

static inline int64_t open_read(const char *name)
{
    struct bh_guest_file_open_ret ret = { 0 };

    send_open(name, BH_GUEST_FILE_MODE_R);
    assert_int_equal(receive(OPEN, &ret), 0);
    return ret.value;
}

static inline int64_t open_write(const char *name, uint8_t mode, bool first)
{
    struct bh_guest_file_open_ret ret = { 0 };

    send_open(name, mode);
    if (first)
        serve_start(opener_end);
    assert_int_equal(receive(OPEN, &ret), 0);
    return ret.value;
}

static inline int read_some(int64_t handle, int64_t count, struct bh_guest_file_read *ret)
{
    struct bh_guest_file_read_args args = { .handle = handle, .has_count = count >= 0, .count = count };

    return call(READ, &args, ret);
}

static inline int write_some(int64_t handle, const void *bytes, size_t len, int64_t count,
                             struct bh_guest_file_write *ret)
{
    struct bh_guest_file_write_args args = { .handle = handle, .has_count = count >= 0, .count = count };
    const uint8_t *at = bytes;

    id++;
    while (len > 0) {
        size_t n = len < BH_FRAME_PAYLOAD_MAX ? len : BH_FRAME_PAYLOAD_MAX;

        send_frame(BH_FRAME_STAGE, WRITE, id, BH_FRAME_MORE, at, n);
        at += n;
        len -= n;
    }
    send_call(WRITE, &args);
    return receive(WRITE, ret);
}

static inline void make_w(void)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/w", dir);
    assert_int_equal(mkdir(path, 0755), 0);
}
