/*
 * Listeners: a unix socket, a virtio socket, the one that the service manager made, and
 * root's own. One client at a time is served; the next one waits in the kernel's queue.
 *
 * Who may connect: to a unix socket root and the user of the agent, to a virtio socket
 * the machines that the policy names with `set vsock-peers`.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#include "broker/supervisor/vsock.h"
#include "broker/supervisor/way.h"
#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

#define LISTEN_BACKLOG 16
#define REFUSAL_PACE_MS 1000 /* between two log lines about connections that were refused */

/* A socket that nobody serves any more is in the way and goes; anything else is somebody's and stays. */
static int clear_path(const char *path, const struct sockaddr_un *address, char *why, size_t size)
{
    _cleanup_close_ int probe = -1;
    struct stat st;

    if (lstat(path, &st) < 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return bh_say(why, size, -EEXIST, "%s exists and is not a socket: remove it or name another path",
                      path);
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe >= 0 &&
        (connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN))
        return bh_say(why, size, -EADDRINUSE, "%s is served by another process: end it or name another path",
                      path);
    (void)unlink(path);
    return 0;
}

static int listen_at(struct bh_channel_row *channel, int family, const struct sockaddr *address,
                     socklen_t len, char *why, size_t size)
{
    _cleanup_close_ int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t old;
    int r;

    if (fd < 0)
        return bh_say(why, size, -errno, "cannot make a socket for %s: %s%s", channel->path, strerror(errno),
                      family == AF_VSOCK ? "; this kernel has no virtio sockets" : "");
    old = umask(0177);
    r = bind(fd, address, len) < 0 ? -errno : 0;
    (void)umask(old);
    if (r == 0 && listen(fd, LISTEN_BACKLOG) < 0)
        r = -errno;
    if (r < 0)
        return bh_say(why, size, r, "cannot listen on %s: %s", channel->path, strerror(-r));
    channel->fd = bh_take_fd(&fd);
    return 0;
}

static int open_unix(struct bh_supervisor *s, struct bh_channel_row *channel, char *why, size_t size)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t len = strlen(channel->path);
    int r;

    (void)s;
    if (len > BH_SOCKET_PATH_MAX)
        return bh_say(why, size, -EINVAL, "channel %s: the path is longer than the %d bytes of a socket's",
                      channel->row->name, BH_SOCKET_PATH_MAX);
    memcpy(address.sun_path, channel->path, len);
    r = clear_path(channel->path, &address, why, size);
    if (r < 0)
        return r;
    return listen_at(channel, AF_UNIX, (struct sockaddr *)&address, sizeof(address), why, size);
}

static void forget_unix(struct bh_channel_row *channel)
{
    (void)unlink(channel->path);
}

static bool unix_admits(const struct bh_channel_row *channel, int client, char *who, size_t size)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    (void)channel;
    if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return false;
    (void)snprintf(who, size, "user %u", (unsigned)peer.uid);
    return peer.uid == 0 || peer.uid == geteuid();
}

static int open_vsock(struct bh_supervisor *s, struct bh_channel_row *channel, char *why, size_t size)
{
    struct sockaddr_vm address = { .svm_family = AF_VSOCK };

    (void)s;
    if (bh_vsock_parse(channel->path, &address.svm_cid, &address.svm_port) < 0)
        return bh_say(
            why, size, -EINVAL,
            "channel %s: '%s' is no address of a virtio socket; write CID:PORT, two decimal numbers "
            "(CID 4294967295: any of this machine)",
            channel->row->name, channel->path);
    return listen_at(channel, AF_VSOCK, (struct sockaddr *)&address, sizeof(address), why, size);
}

static bool vsock_admits(const struct bh_channel_row *channel, int client, char *who, size_t size)
{
    struct sockaddr_vm peer = { 0 };
    socklen_t len = sizeof(peer);

    if (getpeername(client, (struct sockaddr *)&peer, &len) < 0 || peer.svm_family != AF_VSOCK)
        return false;
    (void)snprintf(who, size, "CID %u", peer.svm_cid);
    return bh_vsock_admits(channel->policy.slice->settings[BH_SET_VSOCK_PEERS], peer.svm_cid);
}

/* The socket stays the options': the channel has a copy, so that it can be closed and opened again. */
static int open_inherited(struct bh_supervisor *s, struct bh_channel_row *channel, char *why, size_t size)
{
    union {
        struct sockaddr_un local;
        struct sockaddr_vm vm;
    } address = { 0 };
    socklen_t len = sizeof(address);
    int flags = fcntl(s->options.inherited, F_GETFL);
    int fd = fcntl(s->options.inherited, F_DUPFD_CLOEXEC, 0);

    if (fd < 0 || flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) < 0) {
        int error = -errno;

        if (fd >= 0)
            (void)close(fd);
        return bh_say(why, size, error, "cannot use the socket of the service manager: %s", strerror(-error));
    }
    if (channel->way == &bh_way_inherited_vsock)
        (void)snprintf(channel->path, sizeof(channel->path), "%u:%u", address.vm.svm_cid,
                       address.vm.svm_port);
    else
        (void)snprintf(channel->path, sizeof(channel->path), "%.*s", BH_SOCKET_PATH_MAX + 1,
                       address.local.sun_path);
    channel->fd = fd;
    return 0;
}

/* A front starts a connection with nothing owed. */
static void clear_debts(struct bh_state *state)
{
    state->owed = state->line_open = state->behind = state->unsettled = 0;
}

static bool admits(struct bh_channel_row *channel, int client)
{
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);
    char who[64] = "an unknown peer";

    if (channel->way->admits(channel, client, who, sizeof(who)))
        return true;
    if (!channel->refused_ms || now - channel->refused_ms >= REFUSAL_PACE_MS) {
        channel->refused_ms = now;
        bh_log(BH_LOG_WARNING, "%s: a connection of %s was refused", channel->path, who);
    }
    return false;
}

void bh_listener_accept(struct bh_channel_row *channel, struct bh_process *front)
{
    _cleanup_close_ int client = accept4(channel->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (client < 0 || !admits(channel, client))
        return;
    clear_debts(front->state);
    if (bh_control_send(front->control, BH_CONTROL_CLIENT, BH_CLIENT_LEAVES, client) < 0)
        return; /* the front is dying: the client sees the end of its connection and comes again */
    channel->client = bh_take_fd(&client);
    channel->state = BH_CHANNEL_PRESENT;
}

const struct bh_way bh_way_unix = { .name = "unix-listen",
                                    .word = "unix-listen",
                                    .open = open_unix,
                                    .forget = forget_unix,
                                    .admits = unix_admits };
const struct bh_way bh_way_vsock = {
    .name = "vsock-listen", .word = "vsock-listen", .open = open_vsock, .admits = vsock_admits
};
const struct bh_way bh_way_local = {
    .name = "local", .lazy = true, .open = open_unix, .forget = forget_unix, .admits = unix_admits
};
const struct bh_way bh_way_inherited_unix = { .name = "unix-listen",
                                              .open = open_inherited,
                                              .admits = unix_admits };
const struct bh_way bh_way_inherited_vsock = { .name = "vsock-listen",
                                               .open = open_inherited,
                                               .admits = vsock_admits };
