/*
 * Ports: a virtio port or a serial line, opened once and kept, since the host sees every
 * open and close. A device serves one channel.
 *
 * A virtio port outlives its hosts: poll says HUP while the host's end is closed. A serial
 * line that was hung up is opened anew. Between hosts a port is looked at when the kernel says
 * that something changed (SIGIO), a hung-up line once a second; while it is served it is the
 * front's alone. No byte is read here.
 */
#include "broker/supervisor/portinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/supervisor/way.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

#define VIRTIO_LINKS "/dev/virtio-ports"
#define VIRTIO_CLASS "/sys/class/virtio-ports"
#define LOOK_MS                                                                                              \
    1000 /* between two looks at a port whose host is away, where the kernel does not tell of its return */

/* --- opening ------------------------------------------------------------------------ */

static const char *channel_with_device(const struct bh_supervisor *s, const struct bh_channel_row *channel,
                                       dev_t device)
{
    for (unsigned i = 0; i < s->n_channels; i++) {
        const struct bh_channel_row *other = &s->channels[i];

        if (other != channel && other->way && other->way->port && other->fd >= 0 && other->device == device)
            return other->row->name;
    }
    return NULL;
}

static int say_open_error(const char *device, int error, char *why, size_t size)
{
    if (error == -EBUSY)
        return bh_say(why, size, error,
                      "%s is held by another process, probably another guest agent: end that one", device);
    return bh_say(why, size, error, "cannot open %s: %s", device, strerror(-error));
}

/* Named by its number too: two names of one device are found out before the device is touched. */
static int open_device(struct bh_supervisor *s, struct bh_channel_row *channel, const char *device, char *why,
                       size_t size)
{
    const char *other;
    struct stat st;
    int fd;

    if (stat(device, &st) < 0)
        return bh_say(why, size, -errno, "channel %s: there is no device %s", channel->row->name, device);
    if (!S_ISCHR(st.st_mode))
        return bh_say(why, size, -EINVAL, "channel %s: %s is not a character device; name a port of the host",
                      channel->row->name, device);
    other = channel_with_device(s, channel, st.st_rdev);
    if (other)
        return bh_say(why, size, -EINVAL, "channels %s and %s have the same device %s: give each its own",
                      other, channel->row->name, device);
    fd = open(device, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return say_open_error(device, -errno, why, size);
    channel->fd = fd;
    channel->device = st.st_rdev;
    return 0;
}

static int open_virtio(struct bh_supervisor *s, struct bh_channel_row *channel, char *why, size_t size)
{
    char device[BH_CHANNEL_PATH_MAX + sizeof(VIRTIO_LINKS) + 1];
    int r = bh_port_find(channel->path, VIRTIO_LINKS, VIRTIO_CLASS, device, sizeof(device));

    if (r < 0)
        return bh_say(why, size, r,
                      "channel %s: this machine has no virtio-serial port %s; add it to the virtual machine, "
                      "or say with -m and -p what it has",
                      channel->row->name, channel->path);
    return open_device(s, channel, device, why, size);
}

static int open_isa(struct bh_supervisor *s, struct bh_channel_row *channel, char *why, size_t size)
{
    int r = open_device(s, channel, channel->path, why, size);

    if (r < 0)
        return r;
    r = bh_port_set_raw(channel->fd);
    if (r == 0)
        return 0;
    (void)close(bh_take_fd(&channel->fd));
    return bh_say(why, size, r == -ENOTTY ? -EINVAL : r, "channel %s: %s cannot be used as a serial line: %s",
                  channel->row->name, channel->path, strerror(-r));
}

bool bh_port_is(const struct bh_channel_row *channel, const char *named)
{
    char device[BH_CHANNEL_PATH_MAX + sizeof(VIRTIO_LINKS) + 1];
    struct stat st;

    if (!channel->way->port || channel->fd < 0)
        return false;
    return bh_port_find(named, VIRTIO_LINKS, VIRTIO_CLASS, device, sizeof(device)) == 0 &&
           stat(device, &st) == 0 && st.st_rdev == channel->device;
}

/* --- hosts that come and go -------------------------------------------------------- */

/* What nobody waits for any more. A half-sent line stays open: the next host must not take its rest for a
 * reply. */
static void forget_debts(struct bh_state *state)
{
    state->line_open |= state->unsettled;
    state->owed = state->behind = state->unsettled = 0;
}

static bool other_is_open(const struct bh_supervisor *s, const struct bh_channel_row *channel)
{
    for (unsigned i = 0; i < s->n_channels; i++) {
        const struct bh_channel_row *other = &s->channels[i];

        if (other != channel && other->fd >= 0 && !other->way->lazy)
            return true;
    }
    return false;
}

/* The port was taken out of the machine. The last way to a host ends the agent, as it ends qemu-ga. */
static void lose(struct bh_supervisor *s, struct bh_channel_row *channel, uint64_t now)
{
    bool again = s->options.retry_path || other_is_open(s, channel);

    bh_channel_shut(channel);
    channel->state = BH_CHANNEL_ABSENT;
    channel->due_ms = now + BH_RETRY_MS;
    bh_log(BH_LOG_WARNING, "channel %s: the port %s is gone; %s", channel->row->name, channel->path,
           again ? "it is looked for every 5 s" : "there is no other way to a host, so the agent ends");
    bh_journal(s, "channel %s lost its port", channel->row->name);
    s->over |= !again;
}

/* A line that was hung up: its descriptor is dead, its name may be another device by now. */
static enum bh_presence reopen(struct bh_supervisor *s, struct bh_channel_row *channel,
                               const struct bh_process *front)
{
    char why[512];

    forget_debts(front->state);
    if (channel->fd >= 0)
        (void)close(bh_take_fd(&channel->fd));
    return channel->way->open(s, channel, why, sizeof(why)) < 0 ? BH_HOST_AWAY
                                                                : bh_port_presence(channel->fd);
}

static void arm(struct bh_channel_row *channel, bool on)
{
    if (channel->armed != on && bh_port_signal(channel->fd, on) == 0)
        channel->armed = on;
}

/* Armed before it is looked at, so that nothing happens in between unseen. */
static enum bh_presence presence(struct bh_supervisor *s, struct bh_channel_row *channel,
                                 const struct bh_process *front)
{
    enum bh_presence found = channel->fd < 0 ? BH_HOST_AWAY : bh_port_presence(channel->fd);

    if (found == BH_HOST_AWAY && channel->way->reopens)
        return reopen(s, channel, front);
    if (found == BH_HOST_AWAY && !channel->armed) {
        arm(channel, true);
        found = bh_port_presence(channel->fd);
    }
    if (found == BH_HOST_HERE)
        arm(channel, false);
    return found;
}

void bh_port_look(struct bh_supervisor *s, struct bh_channel_row *channel, const struct bh_process *front,
                  uint64_t now)
{
    switch (presence(s, channel, front)) {
    case BH_HOST_HERE:
        channel->state = BH_CHANNEL_PRESENT;
        break;
    case BH_HOST_AWAY:
        forget_debts(front->state);
        channel->state = BH_CHANNEL_AWAY;
        channel->due_ms = channel->armed ? BH_NEVER_MS : now + LOOK_MS;
        break;
    default:
        lose(s, channel, now);
        break;
    }
}

void bh_port_offer(struct bh_supervisor *s, struct bh_channel_row *channel, struct bh_process *front,
                   uint64_t now)
{
    bh_port_look(s, channel, front, now);
    if (channel->state != BH_CHANNEL_PRESENT)
        return;
    channel->offered_ms = now;
    channel->served =
        bh_control_send(front->control, BH_CONTROL_CLIENT,
                        channel->way->reopens ? BH_CLIENT_LEAVES : BH_CLIENT_RETURNS, channel->fd) == 0;
}

const struct bh_way bh_way_virtio = {
    .name = "virtio-serial", .word = "virtio", .port = true, .open = open_virtio
};
const struct bh_way bh_way_isa = {
    .name = "isa-serial", .word = "isa-serial", .port = true, .reopens = true, .open = open_isa
};
