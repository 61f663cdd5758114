/*
 * From a device down to the disks, for disk.h: a list of names yet to look at, to which each virtual device
 * adds its slaves. A name is put there once, so that a ring (which no kernel makes) ends too.
 */
#include "workers/storage/disk.h"

#include <errno.h>
#include <string.h>

struct search {
    const struct bh_block *block;
    struct bh_arena *arena;
    struct bh_names names;
    struct bh_guest_disk_address *found;
    uint32_t n_found;
};

static bool is_noted(const struct search *search, const char *name)
{
    for (uint32_t i = 0; i < search->names.n; i++)
        if (strcmp(search->names.name[i], name) == 0)
            return true;
    return false;
}

static int note(struct search *search, const char *name)
{
    struct bh_names *names = &search->names;

    if (names->n == BH_STACK_DEVICES_MAX || is_noted(search, name))
        return 0;
    names->name = bh_arena_more(search->arena, names->name, names->n, sizeof(*names->name));
    if (!names->name)
        return -ENOMEM;
    names->name[names->n++] = name;
    return 0;
}

static int note_slaves(struct search *search, const struct bh_device *device)
{
    struct bh_names slaves = { 0 };
    int r = bh_device_slaves(search->block->sys, device, search->arena, &slaves);

    for (uint32_t i = 0; i < slaves.n && r == 0; i++)
        r = note(search, slaves.name[i]);
    return r;
}

static int tell(struct search *search, const struct bh_device *device, uint32_t major, uint32_t minor)
{
    struct bh_guest_disk_address *found;
    int r;

    if (search->n_found == BH_LEAVES_MAX)
        return 0;
    found = bh_arena_more(search->arena, search->found, search->n_found, sizeof(*found));
    if (!found)
        return -ENOMEM;
    search->found = found;
    r = bh_disk_tell(search->block, device, major, minor, search->arena, &found[search->n_found]);
    search->n_found += r == 0;
    return r;
}

static int look_at(struct search *search, const char *name)
{
    uint32_t major, minor;
    struct bh_device device;
    int r = bh_device_by_name(search->block->sys, name, &device);

    if (r == 0 && bh_device_is_virtual(&device))
        return note_slaves(search, &device);
    if (r == 0)
        r = bh_device_number(search->block->sys, &device, &major, &minor);
    return r == 0 ? tell(search, &device, major, minor) : r;
}

int bh_leaves_tell(const struct bh_block *block, const struct bh_device *device, uint32_t major,
                   uint32_t minor, struct bh_arena *arena, struct bh_guest_disk_address **ret,
                   uint32_t *ret_n)
{
    struct search search = { .block = block, .arena = arena };
    int r = bh_device_is_virtual(device) ? note(&search, bh_device_name(device))
                                         : tell(&search, device, major, minor);

    if (r == 0 && bh_device_is_virtual(device))
        r = note_slaves(&search, device);
    for (uint32_t i = 1; i < search.names.n && r != -ENOMEM; i++)
        r = look_at(&search, search.names.name[i]);
    if (r == -ENOMEM)
        return r;
    *ret = search.found;
    *ret_n = search.n_found;
    return 0;
}
