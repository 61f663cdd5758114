/* From the queues to the log: what audit.h calls a turn. */
#include "broker/audit/audit.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/wire/record.h"

#define EMPTY_PACKETS_MAX 4096u /* more than a socket buffer can hold */

bool bh_feeds_add(struct bh_audit_process *audit, uint32_t source, int fd)
{
    bool former = source >= BH_SOURCES_MAX;

    if (audit->n_feeds == BH_AUDIT_FEEDS_MAX || source >= 2 * BH_SOURCES_MAX)
        return false;
    audit->feeds[audit->n_feeds++] =
        (struct bh_feed){ .fd = fd, .source = source % BH_SOURCES_MAX, .former = former };
    audit->n_former += former;
    return true;
}

static void drop(struct bh_audit_process *audit, unsigned at)
{
    (void)close(audit->feeds[at].fd);
    audit->n_former -= audit->feeds[at].former;
    memmove(&audit->feeds[at], &audit->feeds[at + 1], (--audit->n_feeds - at) * sizeof(audit->feeds[0]));
}

/* A source's records are told in the order of their numbers: its former owner's come first. */
static bool waits_for_former(const struct bh_audit_process *audit, const struct bh_feed *feed)
{
    for (unsigned i = 0; i < audit->n_feeds && audit->n_former > 0 && !feed->former; i++)
        if (audit->feeds[i].former && audit->feeds[i].source == feed->source)
            return true;
    return false;
}

static const char *name_of(const struct bh_audit_process *audit, const struct bh_feed *feed)
{
    return feed->former ? audit->names->former[feed->source] : audit->names->of[feed->source];
}

static void consume(int fd)
{
    char byte;

    (void)recv(fd, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC);
}

static bool has_hung_up(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLHUP);
}

/*
 * Nobody holds the other end any more, and there are no bytes: empty packets, which a
 * sender may queue to look gone, or the end. -EPIPE: the end; 1: a packet with bytes comes next.
 */
static int skip_empty(int fd)
{
    char byte;

    for (unsigned i = 0; i < EMPTY_PACKETS_MAX; i++) {
        if (recv(fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) != 0)
            return 1;
        consume(fd);
    }
    return -EPIPE;
}

static int remark(struct bh_audit_process *audit, const char *text)
{
    const struct bh_append_of of = { .source = BH_SOURCES_MAX };
    struct bh_line line = bh_append_line(audit->state);

    bh_line_event(&line, bh_clock_ns(CLOCK_REALTIME), text);
    return bh_append_commit(audit->state, &audit->log, &line, &of);
}

/* Drops what is no record of ours; the first of each hundred is told. */
static int drop_malformed(struct bh_audit_process *audit, const struct bh_feed *feed)
{
    uint32_t *count = &audit->malformed[feed->source];
    char text[128];
    int r = 0;

    if (*count % BH_AUDIT_MALFORMED_EACH == 0) {
        (void)snprintf(text, sizeof(text), "malformed record from %s, %u so far", name_of(audit, feed),
                       *count + 1);
        r = remark(audit, text);
    }
    if (r < 0)
        return r;
    (*count)++;
    consume(feed->fd);
    return 1;
}

static int write_gap(struct bh_audit_process *audit, const struct bh_feed *feed, uint64_t next)
{
    const uint32_t source = feed->source;
    const struct bh_append_of of = { .source = source, .sequence = next - 1 };
    struct bh_line line = bh_append_line(audit->state);

    bh_line_gap(&line, name_of(audit, feed), bh_clock_ns(CLOCK_REALTIME),
                (audit->state->last[source] + 1) * BH_SOURCES_MAX + source,
                (next - 1) * BH_SOURCES_MAX + source);
    return bh_append_commit(audit->state, &audit->log, &line, &of);
}

static int write_record(struct bh_audit_process *audit, const struct bh_feed *feed,
                        const struct bh_record *record, const char *note)
{
    const uint32_t source = feed->source;
    const struct bh_append_of of = { .source = source,
                                     .sequence = record->number / BH_SOURCES_MAX,
                                     .stamp = record->boottime_ns,
                                     .queued = true };
    const struct bh_line_source from = {
        .name = name_of(audit, feed),
        .front = source != 0 && source % 16 == BH_WORKER_FRONT,
        .note = note,
    };
    struct bh_line line = bh_append_line(audit->state);

    bh_line_record(&line, &from, record);
    return bh_append_commit(audit->state, &audit->log, &line, &of);
}

/* A well-formed record at the head of its queue: written, unless a predecessor has; then taken out. */
static int take_record(struct bh_audit_process *audit, const struct bh_feed *feed,
                       const struct bh_record *record)
{
    struct bh_audit_state *state = audit->state;
    uint64_t sequence = record->number / BH_SOURCES_MAX, last = state->last[feed->source];
    bool written =
        state->held[feed->source] && sequence == last && record->boottime_ns == state->stamp[feed->source];
    const char *note = sequence > last ? NULL : "its number is not above the one before";
    int r = 0;

    if (!written && sequence > last + 1)
        r = write_gap(audit, feed, sequence);
    if (!written && r == 0)
        r = write_record(audit, feed, record, note);
    if (r == -E2BIG)
        return drop_malformed(audit, feed);
    if (r < 0)
        return r;
    consume(feed->fd);
    state->held[feed->source] = 0;
    return 1;
}

/* 1: one record is done with; 0: the queue is empty; -EPIPE: it has ended; else the log's error. */
static int take(struct bh_audit_process *audit, const struct bh_feed *feed)
{
    static _Alignas(8) uint8_t packet[BH_RECORD_MAX];
    struct bh_record_count counts[BH_RECORD_COUNTS_MAX];
    struct bh_record record;
    ssize_t n = recv(feed->fd, packet, sizeof(packet), MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
    if (n == 0 && has_hung_up(feed->fd))
        return skip_empty(feed->fd);
    if ((size_t)n > sizeof(packet) || bh_record_parse(packet, (size_t)n, &record, counts) < 0 ||
        record.number % BH_SOURCES_MAX != feed->source)
        return drop_malformed(audit, feed);
    return take_record(audit, feed, &record);
}

/* A queue's turn. Records taken; the log's error; -EPIPE as take. */
static int serve(struct bh_audit_process *audit, struct bh_feed *feed)
{
    int taken = 0, r = feed->empty ? 0 : 1;

    while (taken < (int)BH_AUDIT_TURN && r == 1) {
        r = take(audit, feed);
        taken += r == 1;
    }
    feed->empty = r == 0;
    return r < 0 ? r : taken;
}

void bh_feeds_look(struct bh_audit_process *audit)
{
    for (unsigned i = 0; i < audit->n_feeds; i++)
        audit->feeds[i].empty = false;
}

int bh_feeds_turn(struct bh_audit_process *audit)
{
    int taken = 0;

    for (unsigned i = 0; i < audit->n_feeds; i++) {
        unsigned at = (audit->first + i) % audit->n_feeds;
        struct bh_feed *feed = &audit->feeds[at];
        int r = waits_for_former(audit, feed) ? 0 : serve(audit, feed);

        if (r == -EPIPE || (feed->former && feed->empty)) {
            drop(audit, at);
            return 1; /* places have moved: the next turn goes on */
        }
        if (r < 0)
            return r;
        taken += r;
        if (taken > 0 && audit->state->now.size >= BH_AUDIT_SEGMENT_MAX)
            break; /* 0 says that all are empty, so nobody is left out before there was one */
    }
    if (audit->n_feeds > 0)
        audit->first = (audit->first + 1) % audit->n_feeds;
    return taken;
}
