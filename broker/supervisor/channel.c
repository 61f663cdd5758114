/*
 * The life of a channel, whatever its way to the host is (way.h): opened, offered to a
 * front, served, away, gone, closed.
 *
 * A listener's client gets the front that waits for it. The supervisor keeps a copy of the
 * connection, so that a front's death loses no client silently: the successor gets it and
 * ends what was owed, as the state page says. Only where the front died with bytes under
 * way, which nobody can count afterwards, the connection ends with it: a reply too many
 * would be worse than an end.
 *
 * A port's host gets a front for as long as it is there, and port.c looks out for the next
 * one. While nothing is away or absent there is no timer. No byte of a host is read here.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/supervisor/way.h"
#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

#define OFFER_PACE_MS                                                                                        \
    20 /* between two offers of a port: fronts that end at once cost that much and no more */

#define EVICTED_MS 500u /* for fronts that were killed to be gone */

static const struct bh_way *const ways[] = { &bh_way_unix, &bh_way_vsock, &bh_way_virtio, &bh_way_isa };

int bh_say(char *why, size_t size, int error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why, size, format, args);
    va_end(args);
    return error;
}

static struct bh_process *front_of(struct bh_supervisor *s, const struct bh_channel_row *channel)
{
    return bh_table_find(s, BH_ROLE_FRONT, (int)(channel - s->channels), BH_NO_USER);
}

static bool is_ready(const struct bh_process *front)
{
    return front->pid && front->control >= 0 && !front->dying;
}

/* --- opening and closing ------------------------------------------------------- */

static const struct bh_way *inherited_way(const struct bh_options *options)
{
    int family = 0;
    socklen_t len = sizeof(family);

    (void)getsockopt(options->inherited, SOL_SOCKET, SO_DOMAIN, &family, &len);
    return family == AF_VSOCK ? &bh_way_inherited_vsock : &bh_way_inherited_unix;
}

/* A line without a method means root's own channel if that is its name, else what the command line says. */
static const struct bh_way *find_way(const struct bh_options *options, const struct bh_bundle_row *row)
{
    if (!row->method[0] && !strcmp(row->name, BH_CHANNEL_LOCAL))
        return &bh_way_local;
    if (!row->method[0] && options->inherited >= 0)
        return inherited_way(options);
    for (size_t i = 0; i < BH_ARRAY_SIZE(ways); i++)
        if (row->method[0] ? !strcmp(ways[i]->word, row->method) : !strcmp(ways[i]->name, options->method))
            return ways[i];
    return NULL;
}

static int set_way(struct bh_supervisor *s, struct bh_channel_row *channel, char *why, size_t size)
{
    const struct bh_bundle_row *row = channel->row;
    const char *path = row->method[0] ? row->path : s->options.path;
    int n;

    channel->way = find_way(&s->options, row);
    if (!channel->way)
        return bh_say(why, size, -EINVAL,
                      "channel %s: there is no method %s; use virtio-serial, isa-serial, unix-listen or "
                      "vsock-listen",
                      row->name, row->method[0] ? row->method : s->options.method);
    if (channel->way == &bh_way_local)
        n = snprintf(channel->path, sizeof(channel->path), "%s/local.sock", s->home);
    else
        n = snprintf(channel->path, sizeof(channel->path), "%s", path ? path : "");
    if (n > BH_CHANNEL_PATH_MAX)
        return bh_say(why, size, -EINVAL, "channel %s: the path is longer than %d bytes", row->name,
                      BH_CHANNEL_PATH_MAX);
    return 0;
}

static int check_path(struct bh_supervisor *s, struct bh_channel_row *channel, char *why, size_t size)
{
    for (unsigned i = 0; i < s->n_channels; i++) {
        const struct bh_channel_row *other = &s->channels[i];

        if (other != channel && other->row && other->state != BH_CHANNEL_CLOSED &&
            !strcmp(other->path, channel->path))
            return bh_say(why, size, -EINVAL, "channels %s and %s have the same path %s: give each its own",
                          other->row->name, channel->row->name, channel->path);
    }
    return 0;
}

static int open_way(struct bh_supervisor *s, struct bh_channel_row *channel, char *why, size_t size)
{
    int r = channel->way->open(s, channel, why, size);

    if (r < 0)
        return r;
    channel->state = channel->way->port ? BH_CHANNEL_AWAY : BH_CHANNEL_LISTENING;
    channel->due_ms = 0;
    return 0;
}

void bh_channel_try_later(struct bh_channel_row *channel)
{
    channel->state = BH_CHANNEL_ABSENT;
    channel->due_ms = bh_clock_ms(CLOCK_BOOTTIME) + BH_RETRY_MS;
}

int bh_channel_open(struct bh_supervisor *s, struct bh_channel_row *channel, char *why, size_t size)
{
    int r = set_way(s, channel, why, size);

    if (r == 0)
        r = check_path(s, channel, why, size);
    if (r == 0)
        r = open_way(s, channel, why, size);
    if (r == 0)
        return 0;
    if (channel->way && channel->way->lazy) { /* the host is served without root's own channel */
        bh_log(BH_LOG_WARNING, "channel %s is not there: %s", channel->row->name, why);
        return 0;
    }
    if (r == -EINVAL || !s->options.retry_path)
        return r;
    bh_log(BH_LOG_WARNING, "%s; tried again every %d s", why, BH_RETRY_MS / 1000);
    bh_channel_try_later(channel);
    return 0;
}

void bh_channel_shut(struct bh_channel_row *channel)
{
    if (channel->client >= 0)
        (void)close(bh_take_fd(&channel->client));
    channel->served = channel->armed = false;
    if (channel->fd < 0)
        return;
    (void)close(bh_take_fd(&channel->fd));
    if (channel->way->forget)
        channel->way->forget(channel);
}

void bh_channel_close(struct bh_supervisor *s, struct bh_channel_row *channel)
{
    (void)s;
    bh_channel_shut(channel);
    channel->state = BH_CHANNEL_CLOSED;
}

static bool one_is_evicted(const struct bh_supervisor *s)
{
    for (unsigned i = 1; i < s->n_processes; i++)
        if (s->processes[i].role == BH_ROLE_FRONT && s->processes[i].evicted)
            return true;
    return false;
}

void bh_channels_await_evicted(struct bh_supervisor *s)
{
    uint64_t until = bh_clock_ms(CLOCK_BOOTTIME) + EVICTED_MS;

    while (one_is_evicted(s) && bh_clock_ms(CLOCK_BOOTTIME) < until) {
        (void)poll(NULL, 0, 1);
        bh_reap(s);
    }
}

/* --- trying again, and signals --------------------------------------------------- */

static void try_again(struct bh_supervisor *s, struct bh_channel_row *channel, uint64_t now)
{
    char why[512];

    channel->due_ms = now + BH_RETRY_MS;
    if (open_way(s, channel, why, sizeof(why)) < 0)
        return;
    bh_log(BH_LOG_NOTICE, "channel %s: %s is there", channel->row->name, channel->path);
    bh_journal(s, "channel %s is open", channel->row->name);
}

void bh_channels_signalled(struct bh_supervisor *s)
{
    for (unsigned i = 0; i < s->n_channels; i++)
        if (s->channels[i].armed)
            s->channels[i].due_ms = 0;
}

/* --- listeners -------------------------------------------------------------------- */

static void give_up_client(struct bh_channel_row *channel)
{
    if (channel->client >= 0)
        (void)close(bh_take_fd(&channel->client));
    channel->state = BH_CHANNEL_LISTENING;
}

int bh_channel_watched(struct bh_supervisor *s, const struct bh_channel_row *channel)
{
    const struct bh_process *front = front_of(s, channel);

    if (!channel->row || !front || channel->state != BH_CHANNEL_LISTENING)
        return -1;
    return is_ready(front) || (channel->way->lazy && !front->pid && !front->wanted) ? channel->fd : -1;
}

void bh_channel_readable(struct bh_supervisor *s, struct bh_channel_row *channel)
{
    struct bh_process *front = front_of(s, channel);

    if (bh_channel_watched(s, channel) < 0)
        return; /* not any more */
    if (is_ready(front))
        bh_listener_accept(channel, front);
    else
        front->wanted = true;
}

/* --- fronts ------------------------------------------------------------------------ */

/* One waits wherever a host may come; root's own channel has one while it has a client. */
static bool wants_front(const struct bh_channel_row *channel)
{
    return channel->state != BH_CHANNEL_CLOSED && (!channel->way->lazy || channel->client >= 0);
}

void bh_channels_step(struct bh_supervisor *s)
{
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);

    for (unsigned i = 0; i < s->n_channels; i++) {
        struct bh_channel_row *channel = &s->channels[i];
        struct bh_process *front = front_of(s, channel);

        if (!channel->row || !front)
            continue; /* a slot that no channel has */
        if (channel->state == BH_CHANNEL_ABSENT && channel->due_ms <= now)
            try_again(s, channel, now);
        if (channel->state == BH_CHANNEL_AWAY && channel->due_ms <= now)
            bh_port_look(s, channel, front, now);
        if (channel->state == BH_CHANNEL_PRESENT && channel->way->port && !channel->served && is_ready(front))
            bh_port_offer(s, channel, front, now);
        front->wanted |= !front->pid && wants_front(channel);
    }
}

int bh_channels_due(const struct bh_supervisor *s)
{
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);
    int next = -1;

    for (unsigned i = 0; i < s->n_channels; i++) {
        const struct bh_channel_row *channel = &s->channels[i];
        int wait = channel->due_ms > now ? (int)(channel->due_ms - now) : 0;

        if (channel->state != BH_CHANNEL_ABSENT && channel->state != BH_CHANNEL_AWAY)
            continue;
        if (channel->due_ms == BH_NEVER_MS)
            continue;
        if (next < 0 || next > wait)
            next = wait;
    }
    return next;
}

void bh_channel_front_started(struct bh_supervisor *s, struct bh_process *front)
{
    struct bh_channel_row *channel = &s->channels[front->channel];

    if (channel->client >= 0)
        (void)bh_control_send(front->control, BH_CONTROL_CLIENT, BH_CLIENT_LEAVES, channel->client);
    else if (channel->state == BH_CHANNEL_PRESENT)
        bh_port_offer(s, channel, front, bh_clock_ms(CLOCK_BOOTTIME));
}

bool bh_channel_was_left(const struct bh_supervisor *s, const struct bh_process *front)
{
    const struct bh_channel_row *channel = &s->channels[front->channel];
    struct pollfd client = { .fd = channel->client, .events = POLLRDHUP };

    return channel->served || (channel->client >= 0 && poll(&client, 1, 0) > 0);
}

void bh_channel_front_ended(struct bh_supervisor *s, const struct bh_process *front, bool clean)
{
    struct bh_channel_row *channel = &s->channels[front->channel];

    if (channel->client >= 0 && !clean && front->state->unsettled)
        bh_log(BH_LOG_WARNING, "%s ended with bytes under way: its connection is closed", front->label);
    if (channel->client >= 0 && (clean || front->state->unsettled))
        give_up_client(channel);
    if (channel->state != BH_CHANNEL_PRESENT || !channel->way->port)
        return;
    channel->served = false;
    channel->state = BH_CHANNEL_AWAY;
    channel->due_ms = channel->offered_ms + OFFER_PACE_MS;
}

const char *bh_channel_host(const struct bh_channel_row *channel)
{
    static const char *const words[] = { [BH_CHANNEL_CLOSED] = "absent",
                                         [BH_CHANNEL_ABSENT] = "absent",
                                         [BH_CHANNEL_LISTENING] = "listening",
                                         [BH_CHANNEL_AWAY] = "away",
                                         [BH_CHANNEL_PRESENT] = "present" };

    return words[channel->state];
}
