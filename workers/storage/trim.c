/*
 * guest-fstrim: each file system once, the last mounted first. What went wrong with one is told beside its
 * path, and the others are trimmed all the same.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "protocol/base/mem.h"
#include "protocol/handlers-storage.h"
#include "workers/storage/cover.h"
#include "workers/storage/storage.h"

/* Why a mount was not trimmed, in the words that clients know. */
static int tell_error(struct bh_call *call, const char *what, int error,
                      struct bh_guest_filesystem_trim_result *ret)
{
    ret->has_error = true;
    ret->error = error == ENOTTY || error == EOPNOTSUPP
                     ? bh_arena_printf(call->arena, "trim not supported")
                     : bh_arena_printf(call->arena, "%s: %s", what, strerror(error));
    return ret->error.ptr ? 0 : -ENOMEM;
}

/* A minimum below 0 is a very large one to the kernel: it refuses it, or finds nothing so large. */
static int trim(struct bh_call *call, const struct bh_filesystem *filesystem, int64_t minimum,
                const struct bh_mount **ret_mount, struct bh_guest_filesystem_trim_result *ret)
{
    struct fstrim_range range = { .start = 0, .len = UINT64_MAX, .minlen = (uint64_t)minimum };
    _cleanup_close_ int fd = bh_mounts_open(filesystem, ret_mount);

    if (fd < 0)
        return tell_error(call, "failed to open", -fd, ret);
    if (ioctl(fd, FITRIM, &range) < 0)
        return tell_error(call, "failed to trim", errno, ret);
    ret->has_trimmed = ret->has_minimum = true;
    ret->trimmed = (int64_t)range.len;
    ret->minimum = (int64_t)range.minlen;
    return 0;
}

/* One that the policy does not cover is told as one that failed. */
static int trim_covered(struct bh_call *call, const struct bh_filesystem *filesystem, int64_t minimum,
                        const struct bh_mount **ret_mount, struct bh_guest_filesystem_trim_result *ret)
{
    struct bh_cover cover;
    int r = bh_cover(call, filesystem, NULL, &cover);

    if (r || cover.granted)
        return r ? r : trim(call, filesystem, minimum, ret_mount, ret);
    ret->has_error = true;
    ret->error = BH_STR("denied by policy");
    return 0;
}

int bh_do_guest_fstrim(struct bh_call *call, const struct bh_guest_fstrim_args *args,
                       struct bh_guest_filesystem_trim_response *ret)
{
    struct bh_filesystems all = { 0 };
    int r = bh_storage_mounts(call, &all);

    if (r)
        return r;
    ret->paths = bh_arena_array(call->arena, all.n, sizeof(*ret->paths));
    if (!ret->paths)
        return -ENOMEM;
    for (uint32_t i = all.n; i-- > 0;) {
        const struct bh_filesystem *filesystem = &all.list[i];
        const struct bh_mount *mount = &filesystem->mounts[0];
        struct bh_guest_filesystem_trim_result *result = &ret->paths[ret->n_paths];

        r = trim_covered(call, filesystem,
                         args->has_minimum ? args->minimum : BH_GUEST_FSTRIM_ARGS_MINIMUM_DEFAULT, &mount,
                         result);
        if (r < 0)
            return r;
        if (bh_storage_path(call, mount, &result->path))
            ret->n_paths++;
        else
            *result = (struct bh_guest_filesystem_trim_result){ 0 };
    }
    return 0;
}
