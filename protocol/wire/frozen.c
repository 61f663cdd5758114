/* Reading frozen.h's page; the guard writes it field by field (workers/storage/thaw.c). */
#include "protocol/wire/frozen.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "protocol/base/fd.h"
#include "protocol/base/log.h"

uint32_t bh_frozen_mounts(const struct bh_frozen *frozen)
{
    uint32_t n = __atomic_load_n(&frozen->n_mounts, __ATOMIC_ACQUIRE);

    return n < BH_FROZEN_MOUNTS_MAX ? n : BH_FROZEN_MOUNTS_MAX;
}

size_t bh_frozen_used(const struct bh_frozen *frozen)
{
    return offsetof(struct bh_frozen, mounts) + bh_frozen_mounts(frozen) * sizeof(frozen->mounts[0]);
}

const char *bh_frozen_why(const struct bh_frozen_mount *mount)
{
    if (mount->error)
        return strerror(mount->error);
    return mount->fate == BH_MOUNT_SKIPPED ? "not covered by the policy" : NULL;
}

static bool same_boot(const struct bh_frozen *frozen, const char *boot_id)
{
    size_t len = strcspn(boot_id, "\n");

    return len < sizeof(frozen->boot_id) && strncmp(frozen->boot_id, boot_id, len) == 0 &&
           frozen->boot_id[len] == '\0';
}

void bh_frozen_init(struct bh_frozen *frozen, const char *boot_id)
{
    size_t len = strcspn(boot_id, "\n");

    frozen->magic = BH_FROZEN_MAGIC;
    memcpy(frozen->boot_id, boot_id, len < sizeof(frozen->boot_id) ? len : sizeof(frozen->boot_id) - 1);
}

static bool ends(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

bool bh_frozen_check(const struct bh_frozen *frozen, const char *boot_id)
{
    if (frozen->magic != BH_FROZEN_MAGIC || frozen->state >= BH_FREEZE_STATE_END ||
        frozen->cause >= BH_THAW_CAUSE_END || frozen->n_mounts > BH_FROZEN_MOUNTS_MAX ||
        !same_boot(frozen, boot_id) || !ends(frozen->channel, sizeof(frozen->channel)))
        return false;
    for (uint32_t i = 0; i < frozen->n_mounts; i++)
        if (frozen->mounts[i].fate == 0 || frozen->mounts[i].fate >= BH_MOUNT_FATE_END ||
            !ends(frozen->mounts[i].path, sizeof(frozen->mounts[i].path)))
            return false;
    return true;
}

const struct bh_frozen *bh_frozen_map(void)
{
    const struct bh_frozen *page;
    struct stat st;

    if (fstat(BH_FD_FROZEN, &st) < 0 || st.st_size != (off_t)sizeof(*page))
        bh_die(1, "the page of what is frozen is not what the supervisor of this build makes");
    page = mmap(NULL, sizeof(*page), PROT_READ, MAP_SHARED, BH_FD_FROZEN, 0);
    if (page == MAP_FAILED)
        bh_die(1, "the page of what is frozen cannot be mapped: %s", strerror(errno));
    bh_log_hold(&page->state);
    return page;
}

uint32_t bh_frozen_state(const struct bh_frozen *frozen)
{
    return __atomic_load_n(&frozen->state, __ATOMIC_ACQUIRE);
}

enum bh_frozen_word bh_frozen_says(const struct bh_frozen *frozen, const char *channel, unsigned command)
{
    if (bh_frozen_state(frozen) == BH_THAWED)
        return BH_FROZEN_NOTHING;
    if (!(bh_commands[command].flags & BH_COMMAND_FROZEN_OK))
        return BH_FROZEN_REFUSES;
    if ((command == BH_CMD_GUEST_FSFREEZE_STATUS || command == BH_CMD_GUEST_FSFREEZE_THAW) &&
        strncmp(frozen->channel, channel, sizeof(frozen->channel)) == 0)
        return BH_FROZEN_GRANTS;
    return BH_FROZEN_NOTHING;
}

static bool lists(const struct bh_frozen *frozen, dev_t device)
{
    const uint32_t n = bh_frozen_mounts(frozen);

    for (uint32_t i = 0; i < n; i++) {
        const struct bh_frozen_mount *mount = &frozen->mounts[i];

        if ((mount->fate == BH_MOUNT_ABOUT || mount->fate == BH_MOUNT_FROZEN) &&
            makedev(mount->major, mount->minor) == device)
            return true;
    }
    return false;
}

bool bh_frozen_holds(const struct bh_frozen *frozen, int fd)
{
    struct statfs fs;
    struct stat st;

    if (bh_frozen_state(frozen) == BH_THAWED)
        return false;
    if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
        return true;
    if (major(st.st_dev) != 0)
        return lists(frozen, st.st_dev);
    return fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC;
}
