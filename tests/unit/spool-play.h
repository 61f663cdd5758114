/*
 * A spool to play with: the loop runs in a child, unconfined; the test is its front, its supervisor, a
 * feeder, and the programs whose output it collects.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = tests/unit/test-spool.c, tests/unit/test-spool-load.c
 */
#pragma once

#include "tests/unit/worker-talk.h"

#include <malloc.h>
#include <poll.h>
#include <stdio.h>

#include "protocol/base/clock.h"
#include "workers/spool/hooks.h"
#include "workers/spool/spool.h"

#define STATUS BH_CMD_GUEST_EXEC_STATUS
#define READ BH_CMD_BULKHEAD_EXEC_READ
#define WRITE BH_CMD_BULKHEAD_EXEC_WRITE
#define LIST BH_CMD_BULKHEAD_EXEC_LIST
#define POLICY                                                                                               \
    "policy 1\ncommands 49\nallow guest-exec-status\nallow bulkhead-exec-read\nallow bulkhead-exec-write\n"  \
    "allow bulkhead-exec-list\n"
#define SOON_MS 5000 /* what must happen has happened */

/* An execution as its keeper and its program have it: the other ends. */
struct played {
    uint64_t number;
    int out, err, end, in; /* -1: none */
};

static int feeder; /* our end of the feeder's socket */
static uint64_t next_number = 1000;
static uint32_t idle_s;

static inline void serve_spool(int control, int peer)
{
    uint64_t *settings = (uint64_t *)(uintptr_t)worker.policy.slice->settings;

    (void)signal(SIGPIPE, SIG_IGN);
    place(control, peer);
    (void)close(front);
    (void)close(supervisor);
#ifdef __GLIBC__
    (void)malloc_trim(0); /* what the test has freed is none of the spool's memory */
#endif
    settings[BH_SET_EXEC_IDLE_S] = idle_s;
    bh_spool_hooks.prepare(&worker);
    _exit(bh_worker_serve(&worker, &bh_spool_hooks));
}

static inline int introduce(void)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    keep_high(&pair[0]);
    assert_int_equal(bh_control_send(supervisor, BH_CONTROL_CLIENT, 0, pair[1]), 0);
    (void)close(pair[1]);
    return pair[0];
}

static inline void start(uint32_t idle)
{
    struct bh_state *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int control[2], peer[2];

    idle_s = idle;
    worker_init(&worker, &records, POLICY, "/");
    worker.state = worker.audit.state = shared;
    keep_high(&worker.audit.fd);
    keep_high(&records.fd);
    pair_of(control);
    pair_of(peer);
    front = peer[0];
    supervisor = control[0];
    keep_high(&front);
    keep_high(&supervisor);
    child = fork();
    if (child == 0)
        serve_spool(control[1], peer[1]);
    (void)close(control[1]);
    (void)close(peer[1]);
    id = EPOCH;
    bh_arena_init(&arena, 8 << 20);
    feeder = introduce();
}

/* The front goes away: the spool ends by itself. */
static inline void stop(void)
{
    (void)close(front);
    assert_int_equal(end_of(child), 0);
    (void)close(supervisor);
    (void)close(feeder);
    (void)munmap(worker.state, sizeof(*worker.state));
    worker_deinit(&worker, &records);
    bh_arena_deinit(&arena);
    free(data);
    free(second_data);
    data = second_data = NULL;
}

/* --- the feeder ------------------------------------------------------------------------ */

/* Sends any bytes with any descriptors. */
static inline void feed_raw(int to, const void *bytes, size_t len, const int *fds, unsigned n_fds)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(16 * sizeof(int))];
    } space = { 0 };
    struct iovec iov = { (void *)(uintptr_t)bytes, len };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (n_fds > 0) {
        msg.msg_control = space.bytes;
        msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        space.head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                       .cmsg_type = SCM_RIGHTS,
                                       .cmsg_len = CMSG_LEN(n_fds * sizeof(int)) };
        memcpy(CMSG_DATA(&space.head), fds, n_fds * sizeof(int));
    }
    while (sendmsg(to, &msg, MSG_NOSIGNAL) < 0) {
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(poll(&(struct pollfd){ .fd = to, .events = POLLOUT }, 1, SOON_MS), 1);
    }
}

/* A pipe: our end is returned, `theirs` is the spool's. */
static inline int new_pipe(bool we_write, int *theirs)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    *theirs = ends[we_write ? 0 : 1];
    return ends[we_write ? 1 : 0];
}

static inline struct bh_spool_message open_message(uint16_t flags, uint32_t output)
{
    struct bh_spool_message message = { .magic = BH_SPOOL_MAGIC,
                                        .op = BH_SPOOL_OPEN,
                                        .flags = flags | BH_SPOOL_END,
                                        .number = next_number,
                                        .act = 77,
                                        .started_ms = bh_clock_ms(CLOCK_BOOTTIME),
                                        .output = output };

    next_number += 2;
    strcpy(message.program, "/bin/prog");
    strcpy(message.rule, "rule 3");
    strcpy(message.user, "root");
    return message;
}

static inline struct played play(uint16_t flags, uint32_t output)
{
    struct bh_spool_message message = open_message(flags, output);
    struct played played = { .number = message.number, .out = -1, .err = -1, .in = -1 };
    int fds[BH_SPOOL_FDS_MAX];
    unsigned n = 0;

    if (flags & BH_SPOOL_OUT)
        played.out = new_pipe(true, &fds[n++]);
    if (flags & BH_SPOOL_ERR)
        played.err = new_pipe(true, &fds[n++]);
    if (flags & BH_SPOOL_IN)
        played.in = new_pipe(false, &fds[n++]);
    played.end = new_pipe(true, &fds[n++]);
    feed_raw(feeder, &message, sizeof(message), fds, n);
    while (n > 0)
        (void)close(fds[--n]);
    return played;
}

static inline void close_end(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static inline void write_to(int fd, const void *bytes, size_t len)
{
    assert_int_equal(bh_write_all(fd, bytes, len), 0);
}

/* The keeper tells the end; the program's pipes stay. */
static inline void tell_end_of(struct played *played, int status)
{
    struct bh_ending ending = { .status = status, .ended_ms = bh_clock_ms(CLOCK_BOOTTIME) };

    write_to(played->end, &ending, sizeof(ending));
    close_end(&played->end);
}

static inline void end_played(struct played *played, int status)
{
    tell_end_of(played, status);
    close_end(&played->out);
    close_end(&played->err);
    close_end(&played->in);
}

static inline void drop_played(struct played *played)
{
    close_end(&played->end);
    close_end(&played->out);
    close_end(&played->err);
    close_end(&played->in);
}

/* The next number that the feeder is told is forgotten; 0: it is told nothing. */
static inline uint64_t told_forgotten(int ms)
{
    struct bh_spool_message message;
    struct pollfd poller = { .fd = feeder, .events = POLLIN };

    if (poll(&poller, 1, ms) != 1 || recv(feeder, &message, sizeof(message), 0) != (ssize_t)sizeof(message))
        return 0;
    assert_int_equal(message.magic, BH_SPOOL_MAGIC);
    assert_int_equal(message.op, BH_SPOOL_FORGOTTEN);
    return message.number;
}

static inline void assert_feeder_dropped(int socket)
{
    struct pollfd poller = { .fd = socket, .events = POLLIN };
    char byte;

    assert_int_equal(poll(&poller, 1, SOON_MS), 1);
    assert_int_equal(recv(socket, &byte, 1, 0), 0);
}

/* --- the client ------------------------------------------------------------------------ */

static inline int ask_status(uint64_t number, struct bh_guest_exec_status *ret)
{
    struct bh_guest_exec_status_args args = { .pid = (int64_t)number };

    return call(STATUS, &args, ret);
}

/* Asks until it is over: as a client does. 0 or the error's code. */
static inline int fetch(uint64_t number, struct bh_guest_exec_status *ret)
{
    uint64_t until = bh_clock_ms(CLOCK_MONOTONIC) + SOON_MS;
    int r;

    while ((r = ask_status(number, ret)) == 0 && !ret->exited && bh_clock_ms(CLOCK_MONOTONIC) < until)
        (void)poll(NULL, 0, 1);
    return r;
}

static inline int read_new(uint64_t number, int64_t wait, struct bh_guest_exec_status *ret)
{
    struct bh_bulkhead_exec_read_args args = { .pid = (int64_t)number, .has_wait = wait >= 0, .wait = wait };

    return call(READ, &args, ret);
}

static inline int write_input(uint64_t number, const void *bytes, size_t len, bool eof, int64_t *ret_count)
{
    struct bh_bulkhead_exec_write_args args = { .pid = (int64_t)number, .has_eof = eof, .eof = eof };
    struct bh_bulkhead_exec_write ret = { 0 };
    const uint8_t *at = bytes;
    int r;

    id++;
    while (len > 0) {
        size_t n = len < BH_FRAME_PAYLOAD_MAX ? len : BH_FRAME_PAYLOAD_MAX;

        send_frame(BH_FRAME_STAGE, WRITE, id, BH_FRAME_MORE, at, n);
        at += n;
        len -= n;
    }
    send_call(WRITE, &args);
    r = receive(WRITE, &ret);
    *ret_count = ret.count;
    return r;
}

static inline void list(struct bh_bulkhead_exec_list_ret *ret)
{
    id++;
    bh_arena_reset(&arena);
    send_frame(BH_FRAME_CALL, LIST, id, 0, NULL, 0);
    assert_int_equal(receive(LIST, ret), 0);
}

/* Until so many bytes of its output have come, or SOON_MS have passed. */
static inline void await_bytes(uint64_t number, uint64_t bytes)
{
    uint64_t until = bh_clock_ms(CLOCK_MONOTONIC) + SOON_MS, now = 0;
    struct bh_bulkhead_exec_list_ret ret = { 0 };

    while (bh_clock_ms(CLOCK_MONOTONIC) < until && now < bytes) {
        list(&ret);
        for (uint32_t i = 0; i < ret.n_value; i++)
            if (ret.value[i].pid == (int64_t)number)
                now = ret.value[i].out_bytes;
        (void)poll(NULL, 0, 1);
    }
    assert_int_equal(now, bytes);
}

/* The next record of this kind; others are passed over. */
static inline bool next_record(uint16_t kind)
{
    uint64_t until = bh_clock_ms(CLOCK_MONOTONIC) + SOON_MS;

    do {
        while (records_next(&records))
            if (records.last.kind == kind)
                return true;
        (void)poll(NULL, 0, 1);
    } while (bh_clock_ms(CLOCK_MONOTONIC) < until);
    return false;
}

/* Bytes of the spool's memory that are its own. */
static inline size_t own_memory(void)
{
    char path[64], text[2048], *at;
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)child);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    n = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    assert_true(n > 0);
    text[n] = '\0';
    at = strstr(text, "Private_Dirty:");
    assert_non_null(at);
    return strtoul(at + strlen("Private_Dirty:"), NULL, 10) * 1024;
}

/* A sanitizer keeps what was freed, and more beside it: there only what is done is looked at, not what it
 * costs. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED true
#else
#define SANITIZED false
#endif

static inline void assert_memory(size_t least, size_t most)
{
    if (!SANITIZED)
        assert_in_range(own_memory(), least, most);
}
