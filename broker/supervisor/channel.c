/*
 * Connections: a listening socket per channel, one client at a time, each served by a
 * front of its own.
 *
 * Invariants: the supervisor keeps a copy of the connection, so that a front's death
 * loses no client silently: the successor gets it and ends what was owed (the state
 * page says what). No byte of a connection is read here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/supervisor/supervisor.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

#define LISTEN_BACKLOG 16

static int say(char *why, size_t size, int error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why, size, format, args);
    va_end(args);
    return error;
}

static int set_path(struct bh_channel_row *channel, const struct bh_options *options, char *why, size_t size)
{
    const char *path = channel->row->method[0] ? channel->row->path : options->path;
    const char *method = channel->row->method[0] ? channel->row->method : options->method;

    if (strcmp(method, "unix-listen") || !path)
        return say(why, size, -EOPNOTSUPP, "channel %s: this build does not serve %s; use unix-listen",
                   channel->row->name, method);
    if (strlen(path) > BH_SOCKET_PATH_MAX)
        return say(why, size, -ENAMETOOLONG, "channel %s: the path is longer than a socket's may be",
                   channel->row->name);
    (void)snprintf(channel->path, sizeof(channel->path), "%s", path);
    return 0;
}

/* A socket that nobody serves any more is in the way and goes; anything else is somebody's and stays. */
static int clear_path(const char *path, const struct sockaddr_un *address, char *why, size_t size)
{
    _cleanup_close_ int probe = -1;
    struct stat st;

    if (lstat(path, &st) < 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return say(why, size, -EEXIST, "%s exists and is not a socket: remove it or name another path", path);
    probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe >= 0 &&
        (connect(probe, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN))
        return say(why, size, -EADDRINUSE, "%s is served by another process: end it or name another path",
                   path);
    (void)unlink(path);
    return 0;
}

static int listen_on(struct bh_channel_row *channel, char *why, size_t size)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    mode_t old;
    int r;

    memcpy(address.sun_path, channel->path, strlen(channel->path));
    r = clear_path(channel->path, &address, why, size);
    if (r < 0)
        return r;
    channel->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (channel->listener < 0)
        return say(why, size, -errno, "cannot make a socket: %s", strerror(errno));
    old = umask(0177);
    r = bind(channel->listener, (struct sockaddr *)&address, sizeof(address));
    (void)umask(old);
    if (r < 0 || listen(channel->listener, LISTEN_BACKLOG) < 0)
        return say(why, size, -errno, "cannot listen on %s: %s", channel->path, strerror(errno));
    return 0;
}

int bh_channel_open(struct bh_supervisor *s, struct bh_channel_row *channel, char *why, size_t size)
{
    int r = set_path(channel, &s->options, why, size);

    for (unsigned i = 0; i < s->n_channels && r == 0; i++)
        if (&s->channels[i] != channel && !strcmp(s->channels[i].path, channel->path))
            return say(why, size, -EADDRINUSE, "channels %s and %s have the same path %s",
                       s->channels[i].row->name, channel->row->name, channel->path);
    return r == 0 ? listen_on(channel, why, size) : r;
}

void bh_channel_close(struct bh_supervisor *s, struct bh_channel_row *channel)
{
    (void)s;
    if (channel->client >= 0)
        (void)close(bh_take_fd(&channel->client));
    if (channel->listener < 0)
        return;
    (void)close(bh_take_fd(&channel->listener));
    (void)unlink(channel->path);
}

static bool may_connect(int client)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return false;
    return peer.uid == 0 || peer.uid == geteuid();
}

/* A front starts a connection with nothing owed. */
static void clear_debts(struct bh_state *state)
{
    state->owed = 0;
    state->line_open = 0;
    state->behind = 0;
}

void bh_channel_accept(struct bh_supervisor *s, struct bh_channel_row *channel)
{
    struct bh_process *front = bh_table_find(s, BH_ROLE_FRONT, (int)(channel - s->channels), BH_NO_USER);
    _cleanup_close_ int client = accept4(channel->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (client < 0)
        return;
    if (!may_connect(client)) {
        bh_log(BH_LOG_WARNING, "%s: a connection of another user was refused", channel->path);
        return;
    }
    clear_debts(front->state);
    if (bh_control_send(front->control, BH_CONTROL_CLIENT, 0, client) < 0)
        return; /* the front is dying: the client sees the end of its connection and comes again */
    channel->client = bh_take_fd(&client);
}

void bh_channel_front_started(struct bh_supervisor *s, struct bh_process *front)
{
    struct bh_channel_row *channel = &s->channels[front->channel];

    if (channel->client >= 0)
        (void)bh_control_send(front->control, BH_CONTROL_CLIENT, 0, channel->client);
}

void bh_channel_front_ended(struct bh_supervisor *s, const struct bh_process *front, bool clean)
{
    struct bh_channel_row *channel = &s->channels[front->channel];

    if (clean && channel->client >= 0)
        (void)close(bh_take_fd(&channel->client));
}
