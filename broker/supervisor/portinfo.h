/*
 * What the kernel says of a port without a byte being read from it: is it there, is its
 * host. The device of a virtio port's name.
 *
 * Trust: in = CONFIG; out = CHECKED; called by = supervisor
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum bh_presence {
    BH_HOST_HERE, /* open at the other end, or bytes of it are still to be read */
    BH_HOST_AWAY,
    BH_PORT_GONE, /* unplugged: this descriptor is of no use any more */
};

enum bh_presence bh_port_presence(int fd);

/* Has the kernel send us SIGIO when something changes (virtio: the host comes, leaves, or the port is
 * unplugged), or no more. 0 or -errno. */
int bh_port_signal(int fd, bool on);

/* The device for what was named: a path, or a port's name, which is looked up in the folder `links` and then
 * in `class` (a link or folder per port with a file `name` in it). 0, -ENOENT or -ENAMETOOLONG. */
int bh_port_find(const char *named, const char *links, const char *class, char *ret, size_t size);

/* Makes a serial line carry bytes as they are. 0 or -errno (-ENOTTY: it is no serial line). */
int bh_port_set_raw(int fd);
