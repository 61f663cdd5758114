/*
 * Where a disk hangs: its controller, its bus and its place there, by the device's path in sysfs and the
 * drivers on its way. What is known of a bus depends on its driver; a bus that is not known here is
 * `unknown`, and a number that means nothing on a bus is 0 (of a PCI address: -1).
 *
 * Trust: in = CONFIG (the kernel's text; bounded and checked anyway); out = CHECKED; called by = storage
 */
#pragma once

#include <stdbool.h>

#include "protocol/base/arena.h"
#include "protocol/types.h"
#include "workers/storage/device.h"

#define BH_PORTS_MAX 256u /* of one controller */

/* Fills all of `ret` but serial and dev. 1: its bus is known; 0: nothing is; -ENOMEM. */
int bh_address_find(int sys, const struct bh_device *device, struct bh_arena *arena,
                    struct bh_guest_disk_address *ret);
