/*
 * What feeders say, and what they are told. A message that is not exactly what spool_wire.h says, with
 * exactly the descriptors that it names, each a pipe's right end, ends the feeder's socket; its executions go
 * on.
 *
 * A pipe's reading end is shared with who gave it: a feeder that was taken over may make us wait in a read,
 * as it may stop its executions in other ways.
 */
#include "workers/spool/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "protocol/wire/utf8.h"

#define USER_MAX 256u /* bytes of a user's name in a list */

void bh_feeder_add(struct bh_spool *spool, int fd)
{
    bh_feeders_serve(spool); /* it may be one of them that comes anew: what it has said is heard first */
    for (unsigned i = 0; i < BH_SPOOL_FEEDERS_MAX; i++) {
        struct bh_feeder *feeder = &spool->feeders[i];

        if (feeder->watch.fd >= 0)
            continue;
        feeder->watch.fd = fd;
        feeder->n_untold = 0;
        if (bh_watch_add(spool, &feeder->watch, EPOLLIN) < 0)
            bh_close_p(&feeder->watch.fd);
        return;
    }
    bh_log(BH_LOG_WARNING, "there are %u sockets of executions' owners, another one is closed",
           BH_SPOOL_FEEDERS_MAX);
    bh_close_p(&fd);
}

static void drop(struct bh_spool *spool, struct bh_feeder *feeder)
{
    bh_watch_close(spool, &feeder->watch);
    feeder->n_untold = 0;
    for (uint32_t i = 0; i < spool->n; i++)
        if (spool->executions[i]->feeder == (int)feeder->watch.which)
            spool->executions[i]->feeder = -1;
}

static int tell(const struct bh_feeder *feeder, uint64_t number)
{
    struct bh_spool_message message = { .magic = BH_SPOOL_MAGIC, .op = BH_SPOOL_FORGOTTEN, .number = number };

    return bh_fd_send(feeder->watch.fd, &message, sizeof(message), -1);
}

void bh_feeder_tell(struct bh_spool *spool, int slot, uint64_t number)
{
    struct bh_feeder *feeder = slot < 0 ? NULL : &spool->feeders[slot];
    int r;

    if (!feeder || feeder->watch.fd < 0)
        return;
    r = feeder->n_untold > 0 ? -EAGAIN : tell(feeder, number);
    if (r == -EAGAIN && feeder->n_untold < BH_SPOOL_EXECUTIONS_MAX) {
        feeder->untold[feeder->n_untold++] = number;
        r = bh_watch_add(spool, &feeder->watch, EPOLLIN | EPOLLOUT);
    }
    if (r < 0)
        drop(spool, feeder);
}

void bh_feeder_writable(struct bh_spool *spool, struct bh_feeder *feeder)
{
    uint32_t n = 0;
    int r = 0;

    while (n < feeder->n_untold && (r = tell(feeder, feeder->untold[n])) == 0)
        n++;
    feeder->n_untold -= n;
    memmove(feeder->untold, feeder->untold + n, feeder->n_untold * sizeof(feeder->untold[0]));
    if (feeder->n_untold == 0)
        r = bh_watch_add(spool, &feeder->watch, EPOLLIN);
    if (r < 0 && r != -EAGAIN)
        drop(spool, feeder);
}

/* --- messages ------------------------------------------------------------------------- */

static bool is_text(const char text[BH_SPOOL_TEXT_MAX])
{
    return memchr(text, '\0', BH_SPOOL_TEXT_MAX) != NULL;
}

static unsigned count_fds(uint16_t flags)
{
    return (unsigned)__builtin_popcount(flags & (BH_SPOOL_OUT | BH_SPOOL_ERR | BH_SPOOL_IN | BH_SPOOL_END));
}

static bool is_open(const struct bh_spool_message *message, unsigned n_fds)
{
    return message->op == BH_SPOOL_OPEN && !(message->flags & ~BH_SPOOL_FLAGS_ALL) &&
           (message->flags & BH_SPOOL_END) && n_fds == count_fds(message->flags) && message->output >= 1 &&
           message->output <= BH_EXEC_OUTPUT_MAX && is_text(message->program) && is_text(message->rule) &&
           is_text(message->user);
}

static bool is_lost(const struct bh_spool_message *message, unsigned n_fds)
{
    return message->op == BH_SPOOL_LOST && n_fds == 0 && !message->flags && !message->act &&
           !message->started_ms && !message->output && !message->program[0] && !message->rule[0] &&
           !message->user[0];
}

static bool is_sound(const struct bh_spool_message *message, unsigned n_fds)
{
    if (message->magic != BH_SPOOL_MAGIC || message->zero || message->number == 0 ||
        message->number > INT64_MAX)
        return false;
    if (!is_open(message, n_fds) && !is_lost(message, n_fds))
        return false;
    return true;
}

/* True: it is known. Not lost, if its feeder let go of us only and now comes back. */
static bool is_back(const struct bh_spool *spool, const struct bh_feeder *feeder,
                    const struct bh_spool_message *message)
{
    struct bh_spooled *known = bh_spool_find(spool, (int64_t)message->number);

    if (!known || known->feeder >= 0 || message->op != BH_SPOOL_LOST)
        return false;
    known->feeder = (int)feeder->watch.which;
    return true;
}

/* A pipe, open for what we do with it; from now on it does not block. */
static bool is_pipe(int fd, int mode)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFL);

    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && flags >= 0 && (flags & O_ACCMODE) == mode &&
           fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

/* Names are bytes: what is not UTF-8 shows as '?'. `max` bytes at most. */
static struct bh_str put_text(char **at, const char *text, size_t max)
{
    size_t len = strnlen(text, max);
    char *to = *at;

    memcpy(to, text, len);
    to[len] = '\0';
    if (!bh_utf8_valid(to, len))
        for (size_t i = 0; i < len; i++)
            if ((unsigned char)to[i] >= 0x80)
                to[i] = '?';
    *at += len + 1;
    return (struct bh_str){ to, (uint32_t)len };
}

static struct bh_spooled *new_execution(const struct bh_feeder *feeder,
                                        const struct bh_spool_message *message)
{
    size_t texts = strlen(message->program) + strlen(message->rule) + strlen(message->user) + 3;
    struct bh_spooled *execution = calloc(1, sizeof(*execution) + texts);
    char *at;

    if (!execution)
        return NULL;
    *execution = (struct bh_spooled){ .number = message->number,
                                      .act = message->act,
                                      .started_ms = message->started_ms,
                                      .flags = message->flags,
                                      .lost = message->op == BH_SPOOL_LOST,
                                      .feeder = (int)feeder->watch.which,
                                      .output = message->output,
                                      .in = -1 };
    execution->end = (struct bh_watch){ .kind = BH_WATCH_END, .fd = -1, .execution = execution };
    at = execution->texts;
    execution->program = put_text(&at, message->program, BH_SPOOL_TEXT_MAX - 1);
    execution->rule = put_text(&at, message->rule, BH_SPOOL_TEXT_MAX - 1);
    execution->user = put_text(&at, message->user, USER_MAX);
    if (execution->started_ms > bh_clock_ms(CLOCK_BOOTTIME))
        execution->started_ms = bh_clock_ms(CLOCK_BOOTTIME);
    return execution;
}

/* Takes the pipe of a stream over. False: it is not one. */
static bool give_stream(struct bh_spooled *execution, unsigned which, int *fd)
{
    struct bh_stream *stream = &execution->streams[which];

    stream->watch =
        (struct bh_watch){ .kind = BH_WATCH_STREAM, .fd = -1, .execution = execution, .which = which };
    if (!fd)
        return true;
    stream->captured = true;
    bh_sha256_init(&stream->sha);
    if (execution->flags & BH_SPOOL_RECORD)
        stream->text = malloc(BH_RECORD_TEXT_MAX + 1);
    stream->watch.fd = bh_take_fd(fd);
    return is_pipe(stream->watch.fd, O_RDONLY);
}

/* Takes the descriptors over, in the order of the flags. False: one is not what it should be. */
static bool give_pipes(struct bh_spooled *execution, int *fds)
{
    uint16_t flags = execution->flags;
    bool good = give_stream(execution, 0, flags & BH_SPOOL_OUT ? fds++ : NULL);

    good &= give_stream(execution, 1, flags & BH_SPOOL_ERR ? fds++ : NULL);
    if (flags & BH_SPOOL_IN) {
        execution->in = bh_take_fd(fds++);
        good &= is_pipe(execution->in, O_WRONLY);
    }
    if (flags & BH_SPOOL_END) {
        execution->end.fd = bh_take_fd(fds);
        good &= is_pipe(execution->end.fd, O_RDONLY);
    }
    return good;
}

static int watch_all(struct bh_spool *spool, struct bh_spooled *execution)
{
    struct bh_watch *watches[] = { &execution->streams[0].watch, &execution->streams[1].watch,
                                   &execution->end };
    int r = 0;

    for (unsigned i = 0; i < BH_ARRAY_SIZE(watches) && r == 0; i++)
        if (watches[i]->fd >= 0)
            r = bh_watch_add(spool, watches[i], EPOLLIN);
    return r;
}

/* The descriptors are the caller's where they were not taken. False: the message is malformed. */
static bool take_message(struct bh_spool *spool, struct bh_feeder *feeder,
                         const struct bh_spool_message *message, int *fds, unsigned n_fds)
{
    struct bh_spooled *execution;

    if (!is_sound(message, n_fds))
        return false;
    if (is_back(spool, feeder, message))
        return true;
    if (bh_spool_find(spool, (int64_t)message->number))
        return false;
    execution = new_execution(feeder, message);
    if (execution && !give_pipes(execution, fds)) {
        bh_spooled_free(spool, execution);
        return false;
    }
    if (execution && watch_all(spool, execution) == 0 && bh_spool_add(spool, execution) == 0)
        return true;
    bh_log(BH_LOG_WARNING, "execution %llu is refused: there are %u, or no memory",
           (unsigned long long)message->number, spool->n);
    if (execution)
        bh_spooled_free(spool, execution);
    bh_feeder_tell(spool, (int)feeder->watch.which, message->number);
    return true;
}

bool bh_feeder_serve(struct bh_spool *spool, struct bh_feeder *feeder)
{
    int fds[BH_SPOOL_FDS_MAX] = { -1, -1, -1, -1 };
    struct bh_spool_message message;
    unsigned n_fds;
    int r;

    if (feeder->watch.fd < 0)
        return false;
    r = bh_fds_recv(feeder->watch.fd, &message, sizeof(message), fds, BH_SPOOL_FDS_MAX, &n_fds);
    if (r == -EAGAIN)
        return false;
    if (r > 0 && !take_message(spool, feeder, &message, fds, n_fds))
        r = -EPROTO;
    for (unsigned i = 0; i < BH_SPOOL_FDS_MAX; i++)
        bh_close_p(&fds[i]);
    if (r < 0)
        bh_told_violation(spool);
    if (r <= 0)
        drop(spool, feeder);
    return r > 0;
}

void bh_feeders_serve(struct bh_spool *spool)
{
    for (unsigned i = 0; i < BH_SPOOL_FEEDERS_MAX; i++)
        for (unsigned n = 0; n < BH_SPOOL_BEHIND_MAX && bh_feeder_serve(spool, &spool->feeders[i]); n++)
            ;
}
