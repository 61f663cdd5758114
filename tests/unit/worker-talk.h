/*
 * To talk to a worker whose loop runs in a child, unconfined: the test is its front (of which anything may
 * come) and its supervisor.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = tests/unit/worker-play.h, tests/unit/spool-play.h
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
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
#include "workers/lib/loop.h"

#define EPOCH (UINT64_C(3) << 32)

static struct bh_worker worker;
static struct records records;
static int front, supervisor; /* our ends */
static pid_t child;
static uint64_t id;
static struct bh_arena arena;
static struct bh_error error;
static struct frames in;
static uint8_t *data, *second_data; /* DATA frames of the last call: of each bulk member */
static size_t data_len, second_len;

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

static inline int end_of(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline void send_frame(uint16_t type, uint16_t command, uint64_t number, uint32_t flags,
                              const void *payload, size_t len)
{
    struct bh_frame frame = { .type = type, .command = command, .id = number, .flags = flags };

    assert_int_equal(bh_frame_send(front, &frame, payload, len), 0);
}

/* The members come one after the other. */
static inline void take_data(const struct bh_frame *frame, const uint8_t *payload)
{
    bool second = frame->flags & BH_FRAME_SECOND;
    uint8_t **to = second ? &second_data : &data;
    size_t *len = second ? &second_len : &data_len;

    assert_true(second || second_len == 0);
    *to = realloc(*to, *len + frame->length);
    memcpy(*to + *len, payload, frame->length);
    *len += frame->length;
}

/* Takes frames until the reply. 0 with `ret` decoded, or the error's code. */
static inline int receive(uint16_t command, void *ret)
{
    const uint8_t *payload = in.room;
    struct bh_frame frame;

    data_len = second_len = 0;
    for (;;) {
        assert_int_equal(frames_next(front, &in), 1);
        frame = in.frame;
        assert_int_equal(frame.id, id);
        assert_int_equal(frame.command, command);
        if (frame.type != BH_FRAME_DATA)
            break;
        take_data(&frame, payload);
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
