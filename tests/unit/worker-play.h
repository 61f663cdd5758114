/*
 * A worker to play with: the loop runs in a child, unconfined, with the fs worker's handlers; the test is its
 * front (of which anything may come) and its supervisor. A second child is the opener.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = tests/unit/test-file.c, tests/unit/test-worker.c
 */
#pragma once

#include <stdio.h>
#include <sys/stat.h>

#include "tests/unit/worker-talk.h"
#include "workers/fs/handle.h"
#include "workers/fs/opener_serve.h"
#include "workers/fs/opener_wire.h"

#define OPEN BH_CMD_GUEST_FILE_OPEN
#define CLOSE BH_CMD_GUEST_FILE_CLOSE
#define READ BH_CMD_GUEST_FILE_READ
#define WRITE BH_CMD_GUEST_FILE_WRITE
#define SEEK BH_CMD_GUEST_FILE_SEEK
#define FLUSH BH_CMD_GUEST_FILE_FLUSH

static char dir[64];
static struct bh_handles handles;
static int opener_end = -1; /* what START gets */
static pid_t opener;

#define HEAD "policy 1\ncommands 49\n"
#define EVERYTHING                                                                                           \
    HEAD "allow @file-read { path beneath \"$DIR\"\ntypes any }\n"                                           \
         "allow @file-write { path beneath \"$DIR/w\"\nverbs write create truncate append\nuser "            \
         "root\nmax-size 100\n"                                                                              \
         "create-mode 0600 }\n"

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
