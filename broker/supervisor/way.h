/*
 * The ways to a channel's host, one const row each: listeners, which accept connections
 * (listen.c), and ports, devices that are opened once and have one host that comes and
 * goes (port.c). channel.c knows a way only by its row.
 *
 * Trust: in = CONFIG (paths and names; a device's and a socket's state as the kernel tells it; never a
 *        byte from the host); out = CHECKED; called by = supervisor
 */
#pragma once

#include "broker/supervisor/supervisor.h"

#define BH_RETRY_MS 5000 /* between two attempts to open what is not there */

struct bh_way {
    const char *name; /* as -m and the status file have it */
    const char *word; /* as a channel line of the policy has it; NULL: none can */
    bool port;        /* one device, kept open; else a listening socket */
    bool reopens;     /* port: a hang-up is for good, and the device is opened anew */
    bool lazy;        /* the front is started for the first client, and goes with it */
    /* Fills channel->fd from channel->path. 0, or -errno with a sentence; -EINVAL: trying again is no use. */
    int (*open)(struct bh_supervisor *s, struct bh_channel_row *channel, char *why, size_t size);
    /* Removes what open() made in the file system; may be NULL. */
    void (*forget)(struct bh_channel_row *channel);
    /* Listener: may this connection be served? Else who it is, in `who`. */
    bool (*admits)(const struct bh_channel_row *channel, int client, char *who, size_t size);
};

extern const struct bh_way bh_way_unix, bh_way_vsock, bh_way_local, bh_way_inherited_unix,
    bh_way_inherited_vsock, bh_way_virtio, bh_way_isa;

/* Writes the sentence and returns `error`. */
int bh_say(char *why, size_t size, int error, const char *format, ...) __attribute__((format(printf, 4, 5)));

/* --- channel.c ---------------------------------------------------------------- */

/* Gives up what is open, not the intention to have it open. */
void bh_channel_shut(struct bh_channel_row *channel);

/* --- listen.c ----------------------------------------------------------------- */

/* Takes the next client and gives it to the front, if it may be served. */
void bh_listener_accept(struct bh_channel_row *channel, struct bh_process *front);

/* --- port.c --------------------------------------------------------------------- */

/* Is this the open port of the channel, by whatever name? */
bool bh_port_is(const struct bh_channel_row *channel, const char *named);

/* Sees where the host of a port is that no front has: sets the channel's state, and when to look again. */
void bh_port_look(struct bh_supervisor *s, struct bh_channel_row *channel, const struct bh_process *front,
                  uint64_t now);
/* Looks again, for the host may have left since it was seen, and gives the port to the front. */
void bh_port_offer(struct bh_supervisor *s, struct bh_channel_row *channel, struct bh_process *front,
                   uint64_t now);
