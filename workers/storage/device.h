/*
 * Block devices as sysfs has them: each has one folder below /sys/devices, and its place there says what it
 * is a part of. All names are below `sys`, a descriptor of /sys, so that tests have trees of their own.
 *
 * Trust: in = CONFIG (the kernel's text; bounded and checked anyway); out = CHECKED; called by = storage
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "protocol/base/arena.h"

#define BH_DEVICE_PATH_MAX 1023u /* bytes of a device's path below sysfs */
#define BH_DEVICE_NAME_MAX 255u
#define BH_SLAVES_MAX 256u /* devices that one is built upon; as many as guest-get-disks may tell */

struct bh_device {
    char path[BH_DEVICE_PATH_MAX + 1]; /* "devices/pci0000:00/0000:00:05.0/virtio2/block/vda/vda1" */
    uint32_t name;                     /* where its last part begins */
};

/* Names that were found in a folder, in an order that does not change (disk2 before disk10). */
struct bh_names {
    const char **name;
    uint32_t n;
};

/* 0; -ENOENT: there is none; -EBADMSG: it leads to somewhere else than to a device; or the kernel's -errno.
 */
int bh_device_by_number(int sys, uint32_t major, uint32_t minor, struct bh_device *ret);
int bh_device_by_name(int sys, const char *name, struct bh_device *ret);

/* "vda1" */
static inline const char *bh_device_name(const struct bh_device *device)
{
    return device->path + device->name;
}

/* Made by the device mapper, md, loop, ...: what it is built upon, if anything, are its slaves. */
bool bh_device_is_virtual(const struct bh_device *device);

/* Is `name` what the kernel calls a partition of `disk`: "vda1", "nvme0n1p1"? */
bool bh_device_is_part(const char *disk, const char *name);

/* Turns a partition into its disk. False: it is a disk. */
bool bh_device_to_disk(struct bh_device *device);

/* Its numbers. 0, -EBADMSG or the kernel's -errno. */
int bh_device_number(int sys, const struct bh_device *device, uint32_t *ret_major, uint32_t *ret_minor);

/* A text file of its folder, without spaces and line feed at its end. As bh_procfile_read. */
ssize_t bh_device_read(int sys, const struct bh_device *device, const char *attribute, char *text,
                       size_t cap);

/* "/dev/vda1", as devtmpfs and udev name it; .ptr is NULL without room. */
struct bh_str bh_device_node(struct bh_arena *arena, const char *name);

/* The names in a folder of sysfs. 0, -E2BIG for more than `max`, -ENOMEM or the kernel's -errno. */
int bh_names_list(int sys, const char *folder, uint32_t max, struct bh_arena *arena, struct bh_names *ret);

/* The names of what it is built upon (a partition: its disk is); none where the kernel has no list of them.
 * 0, -E2BIG, -ENOMEM or the kernel's -errno. */
int bh_device_slaves(int sys, const struct bh_device *device, struct bh_arena *arena, struct bh_names *ret);
