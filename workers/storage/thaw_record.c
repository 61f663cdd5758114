/* Bytes of the page to the same place of the file (thaw_record.h). */
#include "workers/storage/thaw_record.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/log.h"

/* Nothing waits for a file system that is frozen, least of all who is to thaw it. */
static bool may_write(const struct bh_guard *guard)
{
    return guard->record >= 0 && !bh_frozen_holds(guard->page, guard->record);
}

static void put(const struct bh_guard *guard, size_t at, size_t len)
{
    static bool said;

    if (pwrite(guard->record, (const uint8_t *)guard->page + at, len, (off_t)at) == (ssize_t)len || said)
        return;
    said = true;
    bh_log(BH_LOG_WARNING,
           "the record of what is frozen cannot be written: %s; if the agent is killed as a whole, "
           "its successor will not know what to thaw",
           strerror(errno));
}

static void put_head(const struct bh_guard *guard)
{
    put(guard, 0, offsetof(struct bh_frozen, mounts));
}

static void put_mount(const struct bh_guard *guard, uint32_t at)
{
    put(guard, offsetof(struct bh_frozen, mounts) + at * sizeof(guard->page->mounts[0]),
        sizeof(guard->page->mounts[0]));
}

void bh_thaw_record_head(const struct bh_guard *guard)
{
    if (may_write(guard))
        put_head(guard);
}

void bh_thaw_record_mount(const struct bh_guard *guard, uint32_t at)
{
    if (may_write(guard))
        put_mount(guard, at);
}

void bh_thaw_record_add(const struct bh_guard *guard, uint32_t at)
{
    bool may = may_write(guard); /* afterwards it may be the record's own file system that counts */

    if (may)
        put_mount(guard, at);
    __atomic_store_n(&guard->page->n_mounts, at + 1, __ATOMIC_SEQ_CST);
    if (may)
        put_head(guard);
}

bool bh_thaw_record_is_cut(const struct bh_guard *guard)
{
    return guard->record >= 0 && bh_frozen_holds(guard->page, guard->record);
}
