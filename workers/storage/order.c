/* How many file systems lie below each, by sysfs: loop files, and what a device is built upon (order.h). */
#include "workers/storage/order.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "workers/lib/procfile.h"
#include "workers/storage/device.h"

#define UNKNOWN 64u   /* deeper than anything that is known */
#define STACK_MAX 16u /* devices upon devices, and file systems upon file systems, that are followed */

struct search {
    const struct bh_filesystems *all;
    int sys;
    struct bh_arena *arena;
    unsigned levels; /* that may still be descended */
};

static unsigned depth_of_device(struct search *search, struct bh_device *device);

/* The file system in which this path lies, or NULL. */
static const struct bh_filesystem *holder(const struct search *search, const char *path)
{
    struct statx found;

    if (statx(AT_FDCWD, path, AT_NO_AUTOMOUNT, STATX_MNT_ID, &found) < 0)
        return NULL;
    for (uint32_t i = 0; i < search->all->n; i++) {
        const struct bh_filesystem *filesystem = &search->all->list[i];

        if (filesystem->major == found.stx_dev_major && filesystem->minor == found.stx_dev_minor)
            return filesystem;
        for (uint32_t j = 0; j < filesystem->n_mounts && (found.stx_mask & STATX_MNT_ID); j++)
            if (filesystem->mounts[j].id == found.stx_mnt_id)
                return filesystem;
    }
    return NULL;
}

static unsigned depth_of(struct search *search, const struct bh_filesystem *filesystem)
{
    struct bh_device device;

    if (bh_device_by_number(search->sys, filesystem->major, filesystem->minor, &device) < 0)
        return 0;
    (void)bh_device_to_disk(&device);
    return depth_of_device(search, &device);
}

/* The most of what it is built upon. */
static unsigned depth_of_slaves(struct search *search, const struct bh_device *device)
{
    struct bh_names slaves = { 0 };
    unsigned deepest = 0;

    if (bh_device_slaves(search->sys, device, search->arena, &slaves) < 0)
        return UNKNOWN;
    for (uint32_t i = 0; i < slaves.n; i++) {
        struct bh_device slave;
        unsigned depth;

        if (bh_device_by_name(search->sys, slaves.name[i], &slave) < 0)
            continue;
        (void)bh_device_to_disk(&slave);
        depth = depth_of_device(search, &slave);
        deepest = depth > deepest ? depth : deepest;
    }
    return deepest;
}

/* A loop device: one more than the file system in which its file lies. */
static unsigned depth_of_device(struct search *search, struct bh_device *device)
{
    char file[BH_LINE_MAX + 1];
    const struct bh_filesystem *below;
    unsigned depth;

    if (search->levels == 0 || !bh_device_is_virtual(device))
        return search->levels ? 0 : UNKNOWN;
    search->levels--;
    if (bh_device_read(search->sys, device, "loop/backing_file", file, sizeof(file)) > 0) {
        below = holder(search, file);
        depth = below ? 1 + depth_of(search, below) : UNKNOWN;
    } else {
        depth = depth_of_slaves(search, device);
    }
    search->levels++;
    return depth < UNKNOWN ? depth : UNKNOWN;
}

struct place {
    unsigned depth;
    uint32_t at;
};

static int by_turn(const void *a, const void *b)
{
    const struct place *x = a, *y = b;

    if (x->depth != y->depth)
        return x->depth < y->depth ? 1 : -1;
    return x->at < y->at ? 1 : -1; /* no two are at one place */
}

int bh_freeze_order(const struct bh_filesystems *filesystems, int sys, struct bh_arena *arena, uint32_t **ret)
{
    struct search search = { filesystems, sys, arena, STACK_MAX };
    struct place *places = bh_arena_array(arena, filesystems->n, sizeof(*places));
    uint32_t *order = bh_arena_array(arena, filesystems->n, sizeof(*order));

    if (!places || !order)
        return -ENOMEM;
    for (uint32_t i = 0; i < filesystems->n; i++)
        places[i] = (struct place){ depth_of(&search, &filesystems->list[i]), i };
    if (filesystems->n > 1)
        qsort(places, filesystems->n, sizeof(*places), by_turn);
    for (uint32_t i = 0; i < filesystems->n; i++)
        order[i] = places[i].at;
    *ret = order;
    return 0;
}
