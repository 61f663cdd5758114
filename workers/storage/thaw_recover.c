/* Device by device (thaw_recover.h). */
#include "workers/storage/thaw_recover.h"

#include <string.h>
#include <unistd.h>

#include "protocol/base/arena.h"
#include "protocol/base/log.h"
#include "workers/storage/mounts.h"
#include "workers/storage/thaw_record.h"

#define ARENA_MAX (8u * 1024u * 1024u) /* bytes for the list of mounts */

static int open_device(const struct bh_filesystems *all, uint32_t major, uint32_t minor)
{
    const struct bh_mount *mount;

    for (uint32_t i = 0; i < all->n; i++)
        if (all->list[i].major == major && all->list[i].minor == minor)
            return bh_mounts_open(&all->list[i], &mount);
    return -1;
}

/* What was only about to be frozen is found as well: nobody knows what became of it. */
static void find_again(struct bh_guard *guard, const struct bh_filesystems *all)
{
    for (uint32_t i = 0; i < guard->page->n_mounts; i++) {
        const struct bh_frozen_mount *mount = &guard->page->mounts[i];

        if (mount->fate != BH_MOUNT_ABOUT && mount->fate != BH_MOUNT_FROZEN)
            continue;
        guard->mounts[i] = open_device(all, mount->major, mount->minor);
        if (guard->mounts[i] < 0)
            bh_log(BH_LOG_ERROR,
                   "%s (%u:%u) was frozen and is not found: if it is still frozen, thaw it with fsfreeze",
                   mount->path, mount->major, mount->minor);
    }
}

/* The record ends where its own file system was frozen. What came after that is not known, so all are
 * thawed: one that is not frozen only says so. */
static void thaw_unrecorded(struct bh_guard *guard, const struct bh_filesystems *all)
{
    for (uint32_t i = 0; i < all->n; i++) {
        const struct bh_mount *mount;
        int fd = bh_mounts_open(&all->list[i], &mount);

        if (fd < 0)
            continue;
        (void)guard->thaw(fd);
        (void)close(fd);
    }
}

void bh_guard_recover(struct bh_guard *guard, int mountinfo)
{
    struct bh_filesystems all = { 0 };
    struct bh_arena arena;
    bool cut = bh_thaw_record_is_cut(guard);
    int r;

    bh_arena_init(&arena, ARENA_MAX);
    r = bh_mounts_read(mountinfo, &arena, &all);
    if (r < 0)
        bh_log(BH_LOG_ERROR, "the mounts cannot be listed: %s; what is frozen cannot be found", strerror(-r));
    find_again(guard, &all);
    bh_guard_resume(guard);
    if (cut && bh_frozen_state(guard->page) == BH_THAWED)
        thaw_unrecorded(guard, &all);
    bh_arena_deinit(&arena);
}
