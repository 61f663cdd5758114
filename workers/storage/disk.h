/*
 * One disk as guest-get-fsinfo and guest-get-disks tell it, and the disks that something is built upon: of a
 * logical volume, an encrypted or a mirrored device those that really are there.
 *
 * Trust: in = CONFIG, PEER (names and numbers that disks have); out = CHECKED; called by = storage
 */
#pragma once

#include <stdint.h>

#include "protocol/base/arena.h"
#include "protocol/types.h"
#include "workers/storage/device.h"

#define BH_LEAVES_MAX 256u         /* disks under one file system; as many as guest-get-fsinfo may tell */
#define BH_STACK_DEVICES_MAX 1024u /* devices that are looked at on the way to them */

/* Where devices are told of. */
struct bh_block {
    int sys;  /* /sys */
    int udev; /* /run/udev/data, or -1 */
};

/*
 * Where it hangs, its node and its serial number: udev's; where udev does not know the device, that of an
 * NVMe disk only. 0, -ENOMEM or the kernel's -errno.
 */
int bh_disk_tell(const struct bh_block *block, const struct bh_device *device, uint32_t major, uint32_t minor,
                 struct bh_arena *arena, struct bh_guest_disk_address *ret);

/*
 * The disks (or partitions of them) that `device` is built upon, each once; itself, if it is one. A virtual
 * device without slaves (a loop device) has none. What vanishes meanwhile, and more than the bounds allow, is
 * left out. 0, -ENOMEM or the kernel's -errno.
 */
int bh_leaves_tell(const struct bh_block *block, const struct bh_device *device, uint32_t major,
                   uint32_t minor, struct bh_arena *arena, struct bh_guest_disk_address **ret,
                   uint32_t *ret_n);
