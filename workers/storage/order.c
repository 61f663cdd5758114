/* How many file systems lie below each, by sysfs: loop files, slaves of stacked devices (order.h). */
#include "workers/storage/order.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "protocol/base/mem.h"
#include "workers/lib/entries.h"
#include "workers/lib/procfile.h"

#define UNKNOWN 64u /* deeper than anything that is known */
#define STACK_MAX 16u /* devices upon devices, and file systems upon file systems */

struct search {
    const struct bh_filesystems *all;
    int sysfs;
    unsigned levels; /* that may still be descended */
};

static unsigned depth_of_device(struct search *search, const char *device);

static unsigned deeper(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

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
    char device[64];

    (void)snprintf(device, sizeof(device), "dev/block/%u:%u", filesystem->major, filesystem->minor);
    return depth_of_device(search, device);
}

/* One more than that of the file system in which its file lies. */
static unsigned depth_of_file(struct search *search, char *path)
{
    const struct bh_filesystem *below;

    path[strcspn(path, "\n")] = '\0';
    below = holder(search, path);
    return below ? 1 + depth_of(search, below) : UNKNOWN;
}

struct slaves {
    struct search *search;
    const char *device;
    unsigned depth;
};

static int look_at_slave(void *context, const char *name)
{
    struct slaves *slaves = context;
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/slaves/%s", slaves->device, name);
    slaves->depth = deeper(slaves->depth, depth_of_device(slaves->search, path));
    return 0;
}

static unsigned depth_of_slaves(struct search *search, const char *device)
{
    struct slaves slaves = { search, device, 0 };
    _cleanup_close_ int dir = -1;
    char path[512];

    (void)snprintf(path, sizeof(path), "%s/slaves", device);
    dir = openat(search->sysfs, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir >= 0)
        (void)bh_entries_each(dir, look_at_slave, &slaves);
    return slaves.depth;
}

/* `device`: a folder of sysfs. A partition is what its disk is. */
static unsigned depth_of_device(struct search *search, const char *device)
{
    char path[512], file[BH_LINE_MAX + 1];
    unsigned depth;

    if (search->levels == 0)
        return UNKNOWN;
    search->levels--;
    (void)snprintf(path, sizeof(path), "%s/partition", device);
    if (faccessat(search->sysfs, path, F_OK, 0) == 0) {
        (void)snprintf(path, sizeof(path), "%s/..", device);
        depth = depth_of_device(search, path);
    } else {
        (void)snprintf(path, sizeof(path), "%s/loop/backing_file", device);
        depth = bh_procfile_read(search->sysfs, path, file, sizeof(file)) > 0 ? depth_of_file(search, file)
                                                                              : depth_of_slaves(search, device);
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

int bh_freeze_order(const struct bh_filesystems *filesystems, int sysfs, struct bh_arena *arena, uint32_t **ret)
{
    struct search search = { filesystems, sysfs, STACK_MAX };
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
