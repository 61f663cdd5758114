/* How a freeze ends: thawing, by whom and when it is called for, and what is still to be looked after
 * (thaw.h). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "workers/storage/thaw_parts.h"
#include "workers/storage/thaw_record.h"

void bh_guard_set_state(struct bh_guard *guard, enum bh_freeze_state state)
{
    __atomic_store_n(&guard->page->state, (uint32_t)state, __ATOMIC_SEQ_CST);
    bh_thaw_record_head(guard);
}

void bh_guard_set_fate(struct bh_guard *guard, uint32_t at, enum bh_mount_fate fate)
{
    __atomic_store_n(&guard->page->mounts[at].fate, (uint32_t)fate, __ATOMIC_SEQ_CST);
    bh_thaw_record_mount(guard, at);
}

/* --- thawing --------------------------------------------------------------- */

/* What was about to be frozen when its worker stopped talking may freeze later: it is kept in sight until the
 * worker has ended, or for a while where we would not hear of that. */
static void keep_in_sight(struct bh_guard *guard, int *mount)
{
    const uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);
    bool heard = guard->owner >= 0;

    if (heard && guard->clients[guard->owner] < 0) { /* it has ended */
        bh_close_p(mount);
        return;
    }
    bh_close_p(&guard->lingering);
    guard->lingering = bh_take_fd(mount);
    guard->lingerer = guard->owner;
    guard->linger_ms = now + BH_LINGER_MS;
    guard->linger_until_ms = heard ? UINT64_MAX : now + BH_LINGER_MAX_MS;
}

/* Thaws one; true if it was frozen by us. */
static bool thaw_one(struct bh_guard *guard, uint32_t at)
{
    struct bh_frozen_mount *mount = &guard->page->mounts[at];
    bool about = mount->fate == BH_MOUNT_ABOUT;
    int r;

    if (guard->mounts[at] < 0 || (!about && mount->fate != BH_MOUNT_FROZEN))
        return false;
    r = guard->thaw(guard->mounts[at]);
    if (r == 0 || !about)
        bh_close_p(&guard->mounts[at]);
    else
        keep_in_sight(guard, &guard->mounts[at]);
    if (r < 0)
        mount->error = -r;
    bh_guard_set_fate(guard, at, r == 0 || !about ? BH_MOUNT_THAWED : BH_MOUNT_SKIPPED);
    return r == 0;
}

/* The last that was frozen comes first: one that lies on another (a loop device) writes to that when it is
 * thawed. */
uint32_t bh_guard_thaw_all(struct bh_guard *guard)
{
    uint32_t count = 0;

    bh_guard_set_state(guard, BH_THAWING);
    for (uint32_t i = guard->page->n_mounts; i-- > 0;)
        count += guard->page->mounts[i].fate == BH_MOUNT_FROZEN && thaw_one(guard, i);
    for (uint32_t i = guard->page->n_mounts; i-- > 0;) /* these may make us wait: nobody waits behind them */
        count += thaw_one(guard, i);
    guard->page->thawed_ns = bh_clock_ns(CLOCK_REALTIME);
    guard->page->lease_end_ms = 0;
    guard->owner = -1;
    __atomic_store_n(&guard->page->state, BH_THAWED, __ATOMIC_SEQ_CST);
    bh_thaw_record_all(guard); /* it may have missed some */
    return count;
}

void bh_guard_say(struct bh_guard *guard, const char *text)
{
    const struct bh_record record = { .kind = BH_RECORD_EVENT,
                                      .command = BH_NO_COMMAND,
                                      .text = { text, (uint32_t)strlen(text) } };

    (void)bh_audit_send(guard->audit, &record, NULL);
    bh_log(BH_LOG_WARNING, "%s", text);
}

/* Thaws although no client asked: it is said, and the next thaw of a client will be told. */
void bh_guard_thaw_unasked(struct bh_guard *guard, enum bh_thaw_cause cause)
{
    static const char *const why[BH_THAW_CAUSE_END] = {
        [BH_THAW_EXPIRED] = "its lease ran out",
        [BH_THAW_ABANDONED] = "the worker that froze ended",
        [BH_THAW_RECOVERED] = "the process that guarded it ended",
        [BH_THAW_STOPPED] = "the agent stops",
    };
    bool whole =
        guard->page->frozen_ns != 0; /* a freeze that was not answered with success misleads nobody */
    char text[256];
    uint32_t count;

    guard->page->cause = cause;
    __atomic_store_n(&guard->page->untold, whole, __ATOMIC_RELEASE);
    count = bh_guard_thaw_all(guard);
    (void)snprintf(text, sizeof(text),
                   "the freeze of channel %.31s was undone because %s: %u file systems thawed",
                   guard->page->channel, why[cause], count);
    bh_guard_say(guard, text);
    bh_close_p(&guard->hooks); /* the thaw hooks follow */
}

/* --- time ------------------------------------------------------------------------ */

/* CLOCK_BOOTTIME at which something is due; UINT64_MAX = never. */
static uint64_t next(const struct bh_guard *guard)
{
    const struct bh_frozen *page = guard->page;
    uint64_t at = UINT64_MAX;

    if (page->state == BH_FROZEN && page->lease_end_ms)
        at = page->lease_end_ms;
    if (page->state == BH_FREEZING)
        at = guard->progress_ms + BH_FREEZE_STALL_MS;
    if (guard->lingering >= 0 && guard->linger_ms < at)
        at = guard->linger_ms;
    return at;
}

int bh_guard_due(const struct bh_guard *guard)
{
    uint64_t at = next(guard), now = bh_clock_ms(CLOCK_BOOTTIME);

    if (at == UINT64_MAX)
        return -1;
    if (at <= now)
        return 0;
    return at - now < INT32_MAX ? (int)(at - now) : INT32_MAX;
}

void bh_guard_look_at_lingering(struct bh_guard *guard)
{
    const uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);
    bool frozen = guard->thaw(guard->lingering) == 0;

    if (!frozen && now < guard->linger_until_ms) {
        guard->linger_ms = now + BH_LINGER_MS;
        return;
    }
    if (frozen)
        bh_guard_say(guard, "a file system froze after its freeze had been undone, and was thawed");
    bh_close_p(&guard->lingering);
    guard->lingerer = -1;
}

void bh_guard_tick(struct bh_guard *guard)
{
    const uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);
    const struct bh_frozen *page = guard->page;

    if (guard->lingering >= 0 && guard->linger_ms <= now)
        bh_guard_look_at_lingering(guard);
    if (page->state == BH_FROZEN && page->lease_end_ms && page->lease_end_ms <= now)
        bh_guard_thaw_unasked(guard, BH_THAW_EXPIRED);
    if (page->state == BH_FREEZING && guard->progress_ms + BH_FREEZE_STALL_MS <= now) {
        bh_guard_say(guard,
                     "a file system took too long to freeze; exclude it, or see what its disk waits for");
        bh_guard_thaw_unasked(guard, BH_THAW_ABANDONED);
    }
}

/* --- the end --------------------------------------------------------------------- */

void bh_guard_end(struct bh_guard *guard, bool in_order)
{
    if (guard->page->state == BH_THAWED || (!in_order && guard->page->state == BH_FROZEN && guard->hold))
        return;
    bh_guard_thaw_unasked(guard, in_order ? BH_THAW_STOPPED : BH_THAW_RECOVERED);
}

bool bh_guard_lingers(struct bh_guard *guard)
{
    const uint64_t most = bh_clock_ms(CLOCK_BOOTTIME) + BH_LINGER_ALONE_MS;

    if (guard->lingerer < 0 && guard->linger_until_ms > most)
        guard->linger_until_ms = most;
    return guard->lingering >= 0;
}

void bh_guard_resume(struct bh_guard *guard)
{
    guard->hold = guard->page->hold;
    if (guard->page->state == BH_FROZEN && guard->hold)
        bh_guard_say(guard, "file systems are still frozen, and stay so, as the policy says hold");
    else
        bh_guard_thaw_unasked(guard, BH_THAW_RECOVERED);
}
