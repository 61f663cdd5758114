/* bulkhead-freeze-report: the frozen page, as its guard has left it, in the protocol's words. */
#include <errno.h>
#include <string.h>

#include "protocol/handlers-storage.h"
#include "workers/lib/text.h"
#include "workers/storage/storage.h"

_Static_assert((int)BH_BULKHEAD_THAW_CAUSE_COUNT == (int)BH_THAW_CAUSE_END, "each cause has a word");

static int tell_mount(struct bh_call *call, const struct bh_frozen_mount *mount,
                      struct bh_bulkhead_freeze_mount *ret)
{
    const char *why = bh_frozen_why(mount);

    ret->mountpoint = bh_text_of(call->arena, mount->path, strnlen(mount->path, sizeof(mount->path)));
    ret->device = bh_arena_printf(call->arena, "%u:%u", mount->major, mount->minor);
    ret->frozen = mount->fate == BH_MOUNT_FROZEN || mount->fate == BH_MOUNT_THAWED;
    ret->has_why = why != NULL;
    ret->why = why ? bh_arena_printf(call->arena, "%s", why) : BH_STR("");
    ret->ms = mount->ms;
    return ret->mountpoint.ptr && ret->device.ptr && ret->why.ptr ? 0 : -ENOMEM;
}

static void tell_moment(uint64_t ns, bool *ret_has, int64_t *ret)
{
    *ret_has = ns != 0;
    *ret = (int64_t)(ns & INT64_MAX);
}

int bh_do_bulkhead_freeze_report(struct bh_call *call, struct bh_bulkhead_freeze_report *ret)
{
    const struct bh_frozen *page = call->worker->frozen;
    const uint32_t n = bh_frozen_mounts(page);
    int r = 0;

    ret->mounts = bh_arena_array(call->arena, n, sizeof(*ret->mounts));
    if (!ret->mounts)
        return -ENOMEM;
    tell_moment(page->began_ns, &ret->has_began, &ret->began);
    tell_moment(page->frozen_ns, &ret->has_complete, &ret->complete);
    tell_moment(page->thawed_ns, &ret->has_thawed, &ret->thawed);
    ret->has_channel = ret->has_began;
    ret->channel = bh_text_of(call->arena, page->channel, strnlen(page->channel, sizeof(page->channel)));
    ret->has_cause = ret->has_thawed;
    ret->cause = (uint8_t)(page->cause < BH_THAW_CAUSE_END ? page->cause : BH_THAW_ASKED);
    for (uint32_t i = 0; i < n && r == 0; i++)
        r = tell_mount(call, &page->mounts[i], &ret->mounts[i]);
    ret->n_mounts = n;
    return ret->channel.ptr ? r : -ENOMEM;
}
