/* One disk in words, for disk.h. */
#include "workers/storage/disk.h"

#include <errno.h>
#include <string.h>

#include "workers/lib/text.h"
#include "workers/storage/address.h"
#include "workers/storage/udev.h"

#define SERIAL_ROOM 256

/*
 * The kernel has the number of an NVMe controller in memory. It has none of a virtio disk: that one's file
 * asks the disk each time, and a disk that answers no more would hold us for ever. 1, 0 or -ENOMEM.
 */
static int ask_kernel(int sys, const struct bh_device *device, struct bh_arena *arena, struct bh_str *ret)
{
    struct bh_device disk = *device;
    char text[SERIAL_ROOM];
    ssize_t n;

    if (strncmp(bh_device_name(device), "nvme", 4) != 0)
        return 0;
    (void)bh_device_to_disk(&disk);
    n = bh_device_read(sys, &disk, "device/serial", text, sizeof(text));
    if (n <= 0)
        return 0;
    *ret = bh_text_of(arena, text, (size_t)n);
    return ret->ptr ? 1 : -ENOMEM;
}

static int find_serial(const struct bh_block *block, const struct bh_device *device, uint32_t major,
                       uint32_t minor, struct bh_arena *arena, struct bh_str *ret)
{
    int r = bh_udev_serial(block->udev, major, minor, arena, ret);

    if (r == -ENOENT)
        r = ask_kernel(block->sys, device, arena, ret);
    return r == -ENOMEM ? r : r > 0; /* no number is better than no list */
}

int bh_disk_tell(const struct bh_block *block, const struct bh_device *device, uint32_t major, uint32_t minor,
                 struct bh_arena *arena, struct bh_guest_disk_address *ret)
{
    int r = bh_address_find(block->sys, device, arena, ret);

    if (r >= 0)
        r = find_serial(block, device, major, minor, arena, &ret->serial);
    if (r < 0)
        return r;
    ret->has_serial = r > 0;
    ret->dev = bh_device_node(arena, bh_device_name(device));
    ret->has_dev = true;
    return ret->dev.ptr ? 0 : -ENOMEM;
}
