/*
 * bulkhead-storage: file systems and disks of the guest.
 *
 * It lives in the guest's own mount namespace. A copy made when it started would tell of what is mounted no
 * more, would freeze and trim what nobody sees, and would keep busy what somebody wants to unmount. What
 * holds it instead: it may list folders and read what the kernel and udev tell of devices (Landlock), opens
 * for reading only and knows few ioctls (seccomp).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>

#include "policy/confine/profiles.h"
#include "policy/paths.h"
#include "protocol/codes.h"
#include "workers/lib/procfile.h"
#include "workers/lib/text.h"
#include "workers/storage/storage.h"

#define MOUNTINFO "/proc/self/mountinfo"
#define PATH_TOLD_MAX 4095u /* "path" of the schema */

static struct bh_storage storage;

static int open_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

static void prepare(struct bh_worker *worker)
{
    storage.mountinfo = open(MOUNTINFO, O_RDONLY | O_CLOEXEC);
    if (storage.mountinfo < 0)
        storage.mountinfo = -errno;
    storage.block.sys = open_folder("/sys");
    storage.block.udev = open_folder("/run/udev/data");
    worker->context = &storage;
}

/* Privilege follows the rules: a policy that grants freezing or trimming needs a process with the capability,
 * and one that takes it away one without. What it cannot be given in any case it does not leave for; nor
 * while anything is frozen, for whoever froze and ends has abandoned it. */
static bool would_leave(struct bh_worker *worker)
{
    bool has = worker->boot->caps >> CAP_SYS_ADMIN & 1;

    return bh_frozen_state(worker->frozen) == BH_THAWED && worker->boot->fences & BH_FENCE_CAPS &&
           has != bh_policy_needs_mounts(&worker->policy);
}

int bh_storage_mounts(struct bh_call *call, struct bh_filesystems *ret)
{
    int r = storage.mountinfo < 0 ? storage.mountinfo : bh_mounts_read(storage.mountinfo, call->arena, ret);

    if (r == -E2BIG)
        return bh_fail(call->error, BH_E_REPLY_TOO_LARGE,
                       "there are more than %u file systems on block devices, or more than %u mounts of them",
                       BH_FILESYSTEMS_MAX, BH_MOUNTS_MAX);
    return bh_procfile_done(call, MOUNTINFO, r);
}

bool bh_storage_path(struct bh_call *call, const struct bh_mount *mount, struct bh_str *ret)
{
    *ret = bh_text_of(call->arena, mount->path.ptr, mount->path.len);
    return ret->ptr && ret->len <= PATH_TOLD_MAX;
}

int main(void)
{
    static const struct bh_worker_main main_of = { .profile = &bh_profile_storage,
                                                   .filter = &bh_filter_storage,
                                                   .prepare = prepare,
                                                   .would_leave = would_leave };

    bh_worker_run(&main_of);
}
