/* Bytes of the page to the same place of the file (thaw_record.h). */
#include "workers/storage/thaw_record.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/log.h"

static void put(const struct bh_guard *guard, size_t at, const void *bytes, size_t len)
{
    static bool said;

    if (guard->record < 0 || bh_frozen_holds(guard->page, guard->record))
        return;
    if (pwrite(guard->record, bytes, len, (off_t)at) == (ssize_t)len || said)
        return;
    said = true;
    bh_log(BH_LOG_WARNING,
           "the record of what is frozen cannot be written: %s; if the agent is killed as a whole, "
           "its successor will not know what to thaw",
           strerror(errno));
}

void bh_thaw_record_head(const struct bh_guard *guard)
{
    put(guard, 0, guard->page, offsetof(struct bh_frozen, mounts));
}

void bh_thaw_record_mount(const struct bh_guard *guard, uint32_t at)
{
    put(guard, offsetof(struct bh_frozen, mounts) + at * sizeof(guard->page->mounts[0]),
        &guard->page->mounts[at], sizeof(guard->page->mounts[0]));
}

void bh_thaw_record_ahead(const struct bh_guard *guard, size_t at, uint32_t value)
{
    put(guard, at, &value, sizeof(value));
}

void bh_thaw_record_all(const struct bh_guard *guard)
{
    const size_t head = offsetof(struct bh_frozen, mounts), used = bh_frozen_used(guard->page);

    if (used > head)
        put(guard, head, guard->page->mounts, used - head);
    bh_thaw_record_head(guard);
}

bool bh_thaw_record_is_cut(const struct bh_guard *guard)
{
    return guard->record >= 0 && bh_frozen_holds(guard->page, guard->record);
}
