/*
 * guest-get-fsinfo: the last mounted first, each file system once. Its sizes come from a mount that is seen,
 * by its path: nothing is opened, so a file system that is mounted where only a file was shows too, and none
 * is told the sizes of another that lies upon it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "protocol/handlers-storage.h"
#include "workers/lib/procfile.h"
#include "workers/lib/text.h"
#include "workers/storage/storage.h"

#define TYPE_TOLD_MAX 255u /* "file-name" of the schema */

static bool bytes(uint64_t blocks, uint64_t size, uint64_t *ret)
{
    return !__builtin_mul_overflow(blocks, size, ret);
}

static void tell_sizes(const char *path, struct bh_guest_filesystem_info *ret)
{
    struct statvfs st;
    uint64_t used;

    if (statvfs(path, &st) < 0 || st.f_bfree > st.f_blocks)
        return;
    used = st.f_blocks - st.f_bfree;
    if (!bytes(st.f_blocks, st.f_frsize, &ret->total_bytes_privileged) ||
        !bytes(used, st.f_frsize, &ret->used_bytes) ||
        !bytes(used + st.f_bavail, st.f_frsize, &ret->total_bytes))
        return;
    ret->has_used_bytes = ret->has_total_bytes = ret->has_total_bytes_privileged = true;
}

/* The mount that is told: the first that is seen, else the first, whose sizes nobody could look at. */
static int tell_mount(struct bh_call *call, const struct bh_filesystem *filesystem,
                      struct bh_guest_filesystem_info *ret)
{
    const struct bh_mount *mount = bh_mounts_seen(filesystem);

    if (mount)
        tell_sizes(mount->path.ptr, ret);
    if (bh_storage_path(call, mount ? mount : &filesystem->mounts[0], &ret->mountpoint))
        return 1;
    return ret->mountpoint.ptr ? 0 : -ENOMEM;
}

/* Its device's name, and the disks under it; a device that sysfs does not know has but its numbers. */
static int tell_device(struct bh_call *call, const struct bh_filesystem *filesystem,
                       struct bh_guest_filesystem_info *ret)
{
    const struct bh_storage *storage = bh_storage_of(call);
    struct bh_device device;
    int r = bh_device_by_number(storage->block.sys, filesystem->major, filesystem->minor, &device);

    if (r == 0) {
        ret->name = bh_text_of(call->arena, bh_device_name(&device), strlen(bh_device_name(&device)));
        r = bh_leaves_tell(&storage->block, &device, filesystem->major, filesystem->minor, call->arena,
                           &ret->disk, &ret->n_disk);
    } else {
        ret->name = bh_arena_printf(call->arena, "%u:%u", filesystem->major, filesystem->minor);
        r = 0;
    }
    return !ret->name.ptr ? -ENOMEM : r;
}

/* What comes behind a dot ("fuseblk.ntfs") is its program's to choose, and left out if it is longer than a
 * type. */
static int tell_type(struct bh_call *call, const char *type, size_t len, struct bh_guest_filesystem_info *ret)
{
    ret->type = bh_text_of(call->arena, type, len);
    if (ret->type.ptr && ret->type.len > TYPE_TOLD_MAX)
        ret->type = bh_text_of(call->arena, type, strcspn(type, "."));
    if (!ret->type.ptr)
        return -ENOMEM;
    return ret->type.len <= TYPE_TOLD_MAX;
}

/* 1: told; 0: it cannot be; -ENOMEM. */
static int tell(struct bh_call *call, const struct bh_filesystem *filesystem,
                struct bh_guest_filesystem_info *ret)
{
    int r = tell_mount(call, filesystem, ret);

    if (r <= 0)
        return r;
    r = tell_type(call, filesystem->type.ptr, filesystem->type.len, ret);
    if (r <= 0)
        return r;
    r = tell_device(call, filesystem, ret);
    return r < 0 ? r : 1;
}

int bh_do_guest_get_fsinfo(struct bh_call *call, struct bh_guest_get_fsinfo_ret *ret)
{
    struct bh_filesystems all = { 0 };
    int r = bh_storage_mounts(call, &all);

    if (r)
        return r;
    ret->value = bh_arena_array(call->arena, all.n, sizeof(*ret->value));
    if (!ret->value)
        return -ENOMEM;
    for (uint32_t i = all.n; i-- > 0 && r >= 0;) {
        r = tell(call, &all.list[i], &ret->value[ret->n_value]);
        if (r > 0)
            ret->n_value++;
        else if (r == 0)
            ret->value[ret->n_value] = (struct bh_guest_filesystem_info){ 0 };
    }
    return r < 0 ? bh_procfile_done(call, "the list of disks", r) : 0;
}
