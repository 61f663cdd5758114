/*
 * The spool between feeders that say what they like, keepers and programs that do what they like, and a
 * client. The input is a script: one byte says who acts, the next ones what he does. Messages that are nearly
 * right are offered, so that executions come to be.
 *
 * Must hold after each step: what is charged is what is kept, limits hold, the table is in order, a number is
 * there once. And at the end: no descriptor is left that was not there before.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "protocol/handlers-spool.h"
#include "protocol/wire/frame.h"
#include "tests/unit/fds.h"
#include "workers/lib/loop.h"
#include "workers/spool/spool.h"

#define FEEDERS 3u
#define PIPES 8u   /* other ends that the script holds */
#define NUMBERS 6u /* executions are numbered so low that they meet */
#define WRITTEN_MAX                                                                                          \
    40000u /* bytes in one run: nobody takes a reply while it is made, so it must fit the socket */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct script {
    const uint8_t *at, *end;
    struct bh_worker worker;
    struct bh_state state;
    int feeders[FEEDERS], pipes[PIPES];
    unsigned next_pipe;
    size_t written;
    int front;
};

static struct bh_spool spool;

static void require(bool truth)
{
    if (!truth)
        abort();
}

static uint8_t next(struct script *s)
{
    return s->at < s->end ? *s->at++ : 0;
}

/* --- feeders ------------------------------------------------------------------------------- */

static void introduce(struct script *s)
{
    unsigned slot = next(s) % FEEDERS;
    int pair[2];

    bh_close_p(&s->feeders[slot]);
    require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    s->feeders[slot] = pair[0];
    bh_feeder_add(&spool, pair[1]);
}

static void leave(struct script *s)
{
    bh_close_p(&s->feeders[next(s) % FEEDERS]);
}

/* One end of a new pipe; the script keeps the other one. */
static int make_pipe(struct script *s, bool reading)
{
    unsigned slot = s->next_pipe++ % PIPES;
    int ends[2];

    require(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    bh_close_p(&s->pipes[slot]);
    s->pipes[slot] = ends[reading ? 1 : 0];
    return ends[reading ? 0 : 1];
}

/* `lie` decides what is wrong with the descriptor, if anything. */
static int make_fd(struct script *s, bool reading, uint8_t lie)
{
    if (lie == 1)
        return make_pipe(s, !reading);
    if (lie == 2)
        return fcntl(s->front, F_DUPFD_CLOEXEC, 0);
    return make_pipe(s, reading);
}

static void send_with(int socket, const void *bytes, size_t len, int *fds, unsigned n)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(8 * sizeof(int))];
    } space = { 0 };
    struct iovec iov = { (void *)(uintptr_t)bytes, len };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (n > 0) {
        space.head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                       .cmsg_type = SCM_RIGHTS,
                                       .cmsg_len = CMSG_LEN(n * sizeof(int)) };
        memcpy(CMSG_DATA(&space.head), fds, n * sizeof(int));
        msg.msg_control = space.bytes;
        msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
    }
    if (socket >= 0)
        (void)sendmsg(socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n > 0)
        (void)close(fds[--n]);
}

/* Changes some byte of a message, so that each member is wrong now and then. */
static void spoil(struct script *s, struct bh_spool_message *message)
{
    uint8_t how = next(s);
    size_t at = next(s) * 16u;

    at = (at + next(s)) % sizeof(*message);
    if (how & 1)
        ((uint8_t *)message)[at] = next(s);
    if (how & 2)
        memset(message->rule, 'r', sizeof(message->rule));
}

static void feed(struct script *s)
{
    struct bh_spool_message message = {
        .magic = BH_SPOOL_MAGIC, .act = 1, .program = "/p", .rule = "r", .user = "u"
    };
    int socket = s->feeders[next(s) % FEEDERS], fds[8];
    uint8_t flags = next(s), lie = next(s);
    unsigned n = 0;

    message.op = flags & 128 ? BH_SPOOL_LOST : BH_SPOOL_OPEN;
    message.flags = (flags & BH_SPOOL_FLAGS_ALL) | BH_SPOOL_END;
    message.number = next(s) % NUMBERS + 1;
    message.output = next(s) * 16u + 1;
    for (unsigned i = 0; i < 4; i++)
        if (message.flags & 1 << i)
            fds[n++] = make_fd(s, 1 << i != BH_SPOOL_IN, (lie & 15) == i ? lie >> 4 : 0);
    if ((lie & 15) == 4)
        fds[n++] = make_pipe(s, true);
    if ((lie & 15) == 5 && n > 0)
        (void)close(fds[--n]);
    if (message.op == BH_SPOOL_LOST)
        message = (struct bh_spool_message){ .magic = BH_SPOOL_MAGIC,
                                             .op = BH_SPOOL_LOST,
                                             .number = message.number };
    spoil(s, &message);
    send_with(socket, &message, sizeof(message) - ((lie & 15) == 6), fds, n);
}

static void feed_noise(struct script *s)
{
    uint8_t bytes[64];
    size_t n = next(s) % sizeof(bytes) + 1;

    for (size_t i = 0; i < n; i++)
        bytes[i] = next(s);
    send_with(s->feeders[next(s) % FEEDERS], bytes, n, NULL, 0);
}

/* --- programs and keepers --------------------------------------------------------------------- */

static void pipe_says(struct script *s)
{
    static uint8_t zeros[10000];
    int fd = s->pipes[next(s) % PIPES];
    uint8_t how = next(s);
    size_t n = how & 128 ? sizeof(zeros) : how;

    if (fd < 0 || s->written + n > WRITTEN_MAX)
        return;
    s->written += n;
    (void)!write(fd, zeros, n);
}

static void keeper_says(struct script *s)
{
    int fd = s->pipes[next(s) % PIPES];
    struct bh_ending ending = { .status = next(s) << 8 };

    ending.status |= next(s);
    ending.ended_ms = next(s);
    if (fd >= 0)
        (void)!write(fd, &ending, sizeof(ending));
}

static void pipe_ends(struct script *s)
{
    bh_close_p(&s->pipes[next(s) % PIPES]);
}

/* --- the client ------------------------------------------------------------------------------- */

static void drain(const struct script *s)
{
    static uint8_t room[BH_PACKET_ROOM];
    struct bh_frame frame;
    struct bh_tail tail;

    while (bh_frame_recv(s->front, &frame, room, &tail) > 0)
        require(frame.type == BH_FRAME_DATA || frame.type == BH_FRAME_REPLY || frame.type == BH_FRAME_ERROR);
}

static int run(struct bh_call *call, uint16_t command, int64_t number, uint8_t how, void *ret)
{
    struct bh_guest_exec_status_args status = { .pid = number };
    struct bh_bulkhead_exec_read_args reading = { .pid = number, .has_wait = how & 1, .wait = 1 };
    struct bh_bulkhead_exec_write_args writing = { .pid = number, .has_eof = how & 1, .eof = how & 2 };

    switch (command) {
    case BH_CMD_GUEST_EXEC_STATUS:
        return bh_do_guest_exec_status(call, &status, ret);
    case BH_CMD_BULKHEAD_EXEC_READ:
        return bh_do_bulkhead_exec_read(call, &reading, ret);
    case BH_CMD_BULKHEAD_EXEC_WRITE:
        return bh_do_bulkhead_exec_write(call, &writing, ret);
    default:
        return bh_do_bulkhead_exec_list(call, ret);
    }
}

static void client_asks(struct script *s)
{
    static const uint16_t commands[] = { BH_CMD_GUEST_EXEC_STATUS, BH_CMD_BULKHEAD_EXEC_READ,
                                         BH_CMD_BULKHEAD_EXEC_WRITE, BH_CMD_BULKHEAD_EXEC_LIST };
    static uint8_t room[BH_FRAME_PAYLOAD_MAX], stage[1000];
    uint16_t command = commands[next(s) % BH_ARRAY_SIZE(commands)];
    struct bh_arena arena;
    struct bh_error error = { 0 };
    struct bh_call call = { .worker = &s->worker,
                            .command = &bh_commands[command],
                            .arena = &arena,
                            .error = &error,
                            .room = room,
                            .id = 1 };
    int64_t number = next(s) % (NUMBERS + 1);
    uint8_t how = next(s);
    void *ret;

    if (command == BH_CMD_BULKHEAD_EXEC_WRITE)
        call.stage = (struct bh_bytes){ stage, how * 3u };
    bh_arena_init(&arena, 1 << 20);
    ret = bh_arena_alloc(&arena, call.command->ret->size);
    (void)bh_answer(&call, BH_FD_PEER, run(&call, command, number, how, ret), ret);
    bh_arena_deinit(&arena);
    drain(s);
}

static void time_passes(void)
{
    for (uint32_t i = 0; i < spool.n; i++)
        spool.executions[i]->asked_ms -= 2000;
    spool.check_ms = 0;
    bh_spool_expire(&spool);
}

/* --- the run -------------------------------------------------------------------------------- */

static void act(struct script *s)
{
    switch (next(s) % 12) {
    case 0:
        introduce(s);
        break;
    case 1:
        leave(s);
        break;
    case 2:
    case 3:
        feed(s);
        break;
    case 4:
        feed_noise(s);
        break;
    case 5:
    case 6:
        pipe_says(s);
        break;
    case 7:
        keeper_says(s);
        break;
    case 8:
        pipe_ends(s);
        break;
    case 9:
    case 10:
        client_asks(s);
        break;
    case 11:
        time_passes();
        break;
    }
    bh_spool_pump(&spool, 0);
}

static void check_stream(const struct bh_spooled *execution, const struct bh_stream *stream)
{
    size_t most = execution->flags & BH_SPOOL_WAITS ? BH_SPOOL_WAIT_MAX : execution->output;

    require(stream->kept.len <= most && stream->kept.len <= stream->kept.mapped);
    require(stream->captured || (stream->watch.fd < 0 && stream->total == 0));
    require(stream->cut <= stream->total && !(execution->over && stream->watch.fd >= 0));
    require(stream->text_len <= BH_RECORD_TEXT_MAX);
}

static void check(void)
{
    uint64_t kept = 0;

    require(spool.n <= NUMBERS && !spool.ended);
    for (uint32_t i = 0; i < spool.n; i++) {
        const struct bh_spooled *execution = spool.executions[i];

        require(execution->number == spool.numbers[i]);
        require(bh_spool_find(&spool, (int64_t)execution->number) == execution);
        require(execution->recorded <= BH_SPOOL_RECORDED_MAX);
        for (unsigned j = 0; j < 2; j++) {
            check_stream(execution, &execution->streams[j]);
            kept += execution->streams[j].kept.len;
        }
    }
    require(kept == spool.kept);
}

static void begin(struct script *s)
{
    static struct bh_boot boot;
    int pair[2];

    (void)signal(SIGPIPE, SIG_IGN);
    memset(s->feeders, 0xff, sizeof(s->feeders));
    memset(s->pipes, 0xff, sizeof(s->pipes));
    require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    s->front = fcntl(pair[0], F_DUPFD_CLOEXEC, BH_FD_LAST + 1);
    require(dup2(pair[1], BH_FD_PEER) == BH_FD_PEER);
    if (pair[0] != BH_FD_PEER)
        (void)close(pair[0]);
    if (pair[1] != BH_FD_PEER)
        (void)close(pair[1]);
    s->worker = (struct bh_worker){ .boot = &boot, .state = &s->state, .context = &spool };
    s->worker.audit = (struct bh_audit){ .fd = -1, .state = &s->state };
    require(bh_spool_init(&spool, &s->worker.audit, -1, 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct script s;
    int before;

    bh_log_init("fuzz-spool", BH_LOG_ERROR);
    bh_log_style(false, false);
    s = (struct script){ .at = data, .end = data + size };
    (void)close(BH_FD_PEER);
    before = count_fds();
    begin(&s);
    while (s.at < s.end) {
        act(&s);
        check();
    }
    bh_spool_deinit(&spool);
    for (unsigned i = 0; i < FEEDERS; i++)
        bh_close_p(&s.feeders[i]);
    for (unsigned i = 0; i < PIPES; i++)
        bh_close_p(&s.pipes[i]);
    (void)close(s.front);
    (void)close(BH_FD_PEER);
    require(spool.kept == 0 && count_fds() == before);
    return 0;
}
