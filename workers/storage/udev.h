/*
 * What udev noted of a device, read from its files without its library: one per device, named by its numbers.
 *
 * Trust: in = PEER (root's udev writes the files, but disks and their makers choose the text in them);
 *        out = CHECKED; called by = storage
 */
#pragma once

#include <stdint.h>

#include "protocol/base/arena.h"

#define BH_SERIAL_MAX 1023u /* bytes; a longer one is none that could be told */

/*
 * The serial number, as text. `data` is a descriptor of /run/udev/data, or -1 where there is no udev. 1; 0:
 * it knows the device, but no number; -ENOENT: it does not know the device; -ENOMEM or the kernel's -errno.
 */
int bh_udev_serial(int data, uint32_t major, uint32_t minor, struct bh_arena *arena, struct bh_str *ret);
