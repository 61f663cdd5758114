/*
 * guest-get-disks: what /sys/class/block lists and has a size, partitions behind their disk, all of it
 * backwards, as qemu-ga tells it. A disk that vanishes meanwhile, or does not say what it is, is left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "protocol/handlers-storage.h"
#include "workers/lib/procfile.h"
#include "workers/lib/text.h"
#include "workers/storage/loops.h"
#include "workers/storage/smart.h"
#include "workers/storage/storage.h"

#define FOLDER "class/block"
#define DEVICES_MAX 65536u /* a machine with more of them is told that it has too many */
#define SIZE_ROOM 32
#define ALIAS_ROOM 1024 /* a name of the device mapper has at most 128 bytes */

struct telling {
    struct bh_call *call;
    const struct bh_block *block;
    struct bh_loops loops;
    struct bh_smart smart;
    struct bh_guest_disk_info *list;
    uint32_t n;
};

/* The next element of the list; NULL without room. -E2BIG is the caller's to find. */
static struct bh_guest_disk_info *add(struct telling *telling, const char *name)
{
    struct bh_arena *arena = telling->call->arena;
    struct bh_guest_disk_info *list = bh_arena_more(arena, telling->list, telling->n, sizeof(*list));
    struct bh_guest_disk_info *info;

    if (!list)
        return NULL;
    telling->list = list;
    info = &list[telling->n];
    *info = (struct bh_guest_disk_info){ .name = bh_device_node(arena, name), .has_dependencies = true };
    if (!info->name.ptr)
        return NULL;
    telling->n++;
    return info;
}

static int tell_dependencies(struct telling *telling, const struct bh_names *names,
                             struct bh_guest_disk_info *info)
{
    struct bh_arena *arena = telling->call->arena;

    info->dependencies = bh_arena_array(arena, names->n, sizeof(*info->dependencies));
    if (!info->dependencies)
        return -ENOMEM;
    for (uint32_t i = 0; i < names->n; i++) {
        info->dependencies[i] = bh_device_node(arena, names->name[i]);
        if (!info->dependencies[i].ptr)
            return -ENOMEM;
    }
    info->n_dependencies = names->n;
    return 0;
}

static int tell_alias(struct telling *telling, const struct bh_device *device,
                      struct bh_guest_disk_info *info)
{
    char text[ALIAS_ROOM];
    ssize_t n = strncmp(bh_device_name(device), "dm-", 3) == 0
                    ? bh_device_read(telling->block->sys, device, "dm/name", text, sizeof(text))
                    : 0;
    struct bh_str alias;

    if (n <= 0)
        return 0;
    alias = bh_text_of(telling->call->arena, text, (size_t)n);
    if (!alias.ptr)
        return -ENOMEM;
    info->has_alias = alias.len < ALIAS_ROOM;
    info->alias = alias;
    return 0;
}

static int tell_virtual(struct telling *telling, const struct bh_device *device,
                        struct bh_guest_disk_info *info)
{
    struct bh_names slaves = { 0 };
    int r = bh_device_slaves(telling->block->sys, device, telling->call->arena, &slaves);

    if (r == 0)
        r = tell_dependencies(telling, &slaves, info);
    return r == 0 ? tell_alias(telling, device, info) : r;
}

static int tell_address(struct telling *telling, const struct bh_device *device,
                        struct bh_guest_disk_info *info)
{
    uint32_t major, minor;
    int r = bh_device_number(telling->block->sys, device, &major, &minor);

    if (r == 0)
        r = bh_disk_tell(telling->block, device, major, minor, telling->call->arena, &info->address);
    info->has_address = r == 0;
    return r;
}

static int tell_part(struct telling *telling, const char *disk, const char *name)
{
    struct bh_guest_disk_info *info = add(telling, name);
    const struct bh_names parent = { &disk, 1 };

    if (!info)
        return -ENOMEM;
    info->partition = true;
    return tell_dependencies(telling, &parent, info);
}

static bool has_size(const struct telling *telling, const char *name)
{
    char path[BH_DEVICE_NAME_MAX + 32], size[SIZE_ROOM];

    (void)snprintf(path, sizeof(path), FOLDER "/%s/size", name);
    return bh_procfile_read(telling->block->sys, path, size, sizeof(size)) > 0 && strcmp(size, "0\n") != 0;
}

/* 1: it is told; 0: there is nothing in it, or it vanished; -ENOMEM. */
static int tell_disk(struct telling *telling, const char *name)
{
    struct bh_guest_disk_info *info;
    struct bh_device device, parent;
    int r;

    if (bh_loops_is_empty(&telling->loops, name) || !has_size(telling, name) ||
        bh_device_by_name(telling->block->sys, name, &device) < 0)
        return 0;
    parent = device;
    if (bh_device_to_disk(&parent))
        return tell_part(telling, bh_device_name(&parent), name);
    info = add(telling, name);
    if (!info)
        return -ENOMEM;
    r = bh_device_is_virtual(&device) ? tell_virtual(telling, &device, info)
                                      : tell_address(telling, &device, info);
    if (r == 0)
        info->has_smart = bh_smart_tell(&telling->smart, name, &info->smart);
    if (r == 0 || r == -ENOMEM)
        return r == 0 ? 1 : r;
    telling->n--;
    return 0;
}

/* The names are in order, so most partitions stand behind their disk; others are known by their path. */
static int tell_all(struct telling *telling, const struct bh_names *names, uint32_t max)
{
    const char *disk = NULL;
    int told = 0;

    for (uint32_t i = 0; i < names->n; i++) {
        const char *name = names->name[i];

        if (disk && bh_device_is_part(disk, name)) {
            int r = told ? tell_part(telling, disk, name) : 0;

            if (r < 0)
                return r;
        } else {
            disk = name;
            told = tell_disk(telling, name);
            if (told < 0)
                return told;
        }
        if (telling->n > max)
            return -E2BIG;
    }
    return 0;
}

static void turn(struct bh_guest_disk_info *list, uint32_t n)
{
    for (uint32_t i = 0; i < n / 2; i++) {
        struct bh_guest_disk_info kept = list[i];

        list[i] = list[n - 1 - i];
        list[n - 1 - i] = kept;
    }
}

int bh_do_guest_get_disks(struct bh_call *call, struct bh_guest_get_disks_ret *ret)
{
    const struct bh_storage *storage = bh_storage_of(call);
    bool smart = call->worker->policy.slice->settings[BH_SET_NVME_SMART];
    struct telling telling = { .call = call,
                               .block = &storage->block,
                               .smart = { .wanted = smart, .socket = -1 } };
    struct bh_names names = { 0 };
    int r = bh_names_list(storage->block.sys, FOLDER, DEVICES_MAX, call->arena, &names);

    if (r == 0)
        r = bh_loops_read(AT_FDCWD, "/proc/partitions", call->arena, &telling.loops);
    if (r == 0)
        r = tell_all(&telling, &names, bh_most_items(call));
    bh_smart_end(&telling.smart);
    if (r < 0)
        return bh_procfile_done(call, "/sys/" FOLDER, r);
    turn(telling.list, telling.n);
    *ret = (struct bh_guest_get_disks_ret){ telling.list, telling.n };
    return 0;
}
