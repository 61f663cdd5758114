/* The steps of a freeze as the guard sees them, and its ends (thaw.h). */
#include "workers/storage/thaw.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "workers/storage/thaw_record.h"

static int thaw_mount(int mount)
{
    return ioctl(mount, FITHAW, 0) < 0 ? -errno : 0;
}

void bh_guard_init(struct bh_guard *guard, struct bh_frozen *page, int record, struct bh_audit *audit)
{
    *guard = (struct bh_guard){ .page = page,
                                .record = record,
                                .audit = audit,
                                .thaw = thaw_mount,
                                .owner = -1,
                                .hooks = -1,
                                .lingering = -1,
                                .lingerer = -1 };
    for (size_t i = 0; i < BH_ARRAY_SIZE(guard->clients); i++)
        guard->clients[i] = -1;
    for (size_t i = 0; i < BH_ARRAY_SIZE(guard->mounts); i++)
        guard->mounts[i] = -1;
}

static void set_state(struct bh_guard *guard, enum bh_freeze_state state)
{
    __atomic_store_n(&guard->page->state, (uint32_t)state, __ATOMIC_SEQ_CST);
    bh_thaw_record_head(guard);
}

static void set_fate(struct bh_guard *guard, uint32_t at, enum bh_mount_fate fate)
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
    set_fate(guard, at, r == 0 || !about ? BH_MOUNT_THAWED : BH_MOUNT_SKIPPED);
    return r == 0;
}

/* The last that was frozen comes first: one that lies on another (a loop device) writes to that when it is
 * thawed. */
static uint32_t thaw_all(struct bh_guard *guard)
{
    uint32_t count = 0;

    set_state(guard, BH_THAWING);
    for (uint32_t i = guard->page->n_mounts; i-- > 0;)
        count += guard->page->mounts[i].fate == BH_MOUNT_FROZEN && thaw_one(guard, i);
    for (uint32_t i = guard->page->n_mounts; i-- > 0;) /* these may make us wait: nobody waits behind them */
        count += thaw_one(guard, i);
    guard->page->thawed_ns = bh_clock_ns(CLOCK_REALTIME);
    guard->page->lease_end_ms = 0;
    guard->owner = -1;
    set_state(guard, BH_THAWED);
    return count;
}

static void say(struct bh_guard *guard, const char *text)
{
    const struct bh_record record = { .kind = BH_RECORD_EVENT,
                                      .command = BH_NO_COMMAND,
                                      .text = { text, (uint32_t)strlen(text) } };

    (void)bh_audit_send(guard->audit, &record, NULL);
    bh_log(BH_LOG_WARNING, "%s", text);
}

/* Thaws although no client asked: it is said, and the next thaw of a client will be told. */
static void thaw_unasked(struct bh_guard *guard, enum bh_thaw_cause cause)
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
    count = thaw_all(guard);
    (void)snprintf(text, sizeof(text),
                   "the freeze of channel %.31s was undone, for %s: %u file systems thawed",
                   guard->page->channel, why[cause], count);
    say(guard, text);
    bh_close_p(&guard->hooks); /* the thaw hooks follow */
}

/* --- a freeze ---------------------------------------------------------------- */

static int begin(struct bh_guard *guard, unsigned slot, int *hooks)
{
    struct bh_frozen *page = guard->page;

    if (page->state != BH_THAWED || guard->lingerer >= 0)
        return -EBUSY;
    bh_close_p(&guard->lingering);
    page->n_mounts = 0;
    page->began_ns = bh_clock_ns(CLOCK_REALTIME);
    page->frozen_ns = page->thawed_ns = page->lease_end_ms = 0;
    page->cause = BH_THAW_ASKED;
    page->untold = 0;
    memcpy(page->channel, page->slots[slot], sizeof(page->channel));
    guard->hold = page->hold;
    guard->owner = (int)slot;
    guard->hooks = bh_take_fd(hooks);
    guard->progress_ms = bh_clock_ms(CLOCK_BOOTTIME);
    set_state(guard, BH_FREEZING);
    return 0;
}

static int add(struct bh_guard *guard, const struct bh_guard_request *request, int *mount)
{
    struct bh_frozen *page = guard->page;
    const uint32_t at = page->n_mounts;

    if (at == BH_FROZEN_MOUNTS_MAX)
        return -E2BIG;
    page->mounts[at] = (struct bh_frozen_mount){
        .major = request->major,
        .minor = request->minor,
        .error = request->error,
        .fate = request->op == BH_GUARD_HOLD ? BH_MOUNT_ABOUT : BH_MOUNT_SKIPPED,
    };
    memcpy(page->mounts[at].path, request->path, strlen(request->path));
    guard->mounts[at] = bh_take_fd(mount);
    guard->progress_ms = bh_clock_ms(CLOCK_BOOTTIME);
    bh_thaw_record_add(guard, at);
    return 0;
}

static int done(struct bh_guard *guard, const struct bh_guard_request *request)
{
    struct bh_frozen *page = guard->page;
    const uint32_t at = page->n_mounts - 1;

    if (page->n_mounts == 0 || page->mounts[at].fate != BH_MOUNT_ABOUT)
        return -EPROTO;
    page->mounts[at].ms = request->ms;
    page->mounts[at].error = request->error;
    if (request->error)
        bh_close_p(&guard->mounts[at]);
    guard->progress_ms = bh_clock_ms(CLOCK_BOOTTIME);
    set_fate(guard, at, request->error ? BH_MOUNT_SKIPPED : BH_MOUNT_FROZEN);
    return 0;
}

static int commit(struct bh_guard *guard)
{
    struct bh_frozen *page = guard->page;

    page->frozen_ns = bh_clock_ns(CLOCK_REALTIME);
    page->lease_end_ms = page->lease_s ? bh_clock_ms(CLOCK_BOOTTIME) + page->lease_s * UINT64_C(1000) : 0;
    set_state(guard, BH_FROZEN);
    return 0;
}

static void thaw(struct bh_guard *guard, struct bh_guard_reply *reply)
{
    struct bh_frozen *page = guard->page;

    if (page->state != BH_THAWED) {
        page->cause = BH_THAW_ASKED;
        reply->count = thaw_all(guard);
    } else if (page->untold) {
        reply->cause = page->cause;
        reply->thawed_ns = page->thawed_ns;
        page->untold = 0;
        bh_thaw_record_head(guard);
    }
}

/* --- questions ----------------------------------------------------------------- */

static bool is_sound(const struct bh_guard_request *request, int fd)
{
    bool names = request->op == BH_GUARD_SKIP || request->op == BH_GUARD_HOLD;
    struct stat st;

    if (request->magic != BH_GUARD_MAGIC || request->op < BH_GUARD_BEGIN || request->op >= BH_GUARD_OP_END ||
        request->error < 0 || strnlen(request->path, sizeof(request->path)) == sizeof(request->path) ||
        (request->path[0] == '/') != names)
        return false;
    if (request->op == BH_GUARD_HOLD)
        return fd >= 0 && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    return fd < 0 || request->op == BH_GUARD_BEGIN;
}

static int step(struct bh_guard *guard, unsigned slot, const struct bh_guard_request *request, int *fd,
                struct bh_guard_reply *reply)
{
    if (request->op == BH_GUARD_BEGIN)
        return begin(guard, slot, fd);
    if (request->op == BH_GUARD_THAW && guard->page->state == BH_FREEZING)
        return -EBUSY;
    if (request->op == BH_GUARD_THAW) {
        thaw(guard, reply);
        return 0;
    }
    if (guard->page->state != BH_FREEZING || guard->owner != (int)slot)
        return -ENOTCONN;
    switch (request->op) {
    case BH_GUARD_DONE:
        return done(guard, request);
    case BH_GUARD_COMMIT:
        return commit(guard);
    case BH_GUARD_UNDO:
        reply->count = thaw_all(guard);
        return 0;
    default:
        return add(guard, request, fd);
    }
}

/* Whoever ends a freeze gets the hooks' socket back: it runs the thaw hooks, and hears what came of them. */
static int answer(struct bh_guard *guard, unsigned slot, const struct bh_guard_request *request, int *fd)
{
    struct bh_guard_reply reply = { .magic = BH_GUARD_MAGIC };
    bool ends = request->op == BH_GUARD_THAW || request->op == BH_GUARD_UNDO;
    int r;

    guard->audit->state->requests++;
    reply.error = step(guard, slot, request, fd, &reply);
    ends = ends && reply.error == 0;
    r = bh_fd_send(guard->clients[slot], &reply, sizeof(reply), ends ? guard->hooks : -1);
    if (ends)
        bh_close_p(&guard->hooks);
    return r == -EAGAIN ? -EPROTO : r; /* it asks and does not take the answers */
}

static void leave(struct bh_guard *guard, unsigned slot)
{
    bh_close_p(&guard->clients[slot]);
    if (guard->lingerer == (int)slot) {
        guard->lingerer = -1; /* its FIFREEZE has come back: one attempt more, and it is over */
        guard->linger_ms = guard->linger_until_ms = bh_clock_ms(CLOCK_BOOTTIME);
    }
    if (guard->owner != (int)slot)
        return;
    if (guard->page->state == BH_FREEZING || !guard->hold)
        thaw_unasked(guard, BH_THAW_ABANDONED);
    guard->owner = -1;
}

void bh_guard_add(struct bh_guard *guard, unsigned slot, int fd)
{
    if (guard->clients[slot] >= 0)
        leave(guard, slot);
    guard->clients[slot] = fd;
}

bool bh_guard_serve(struct bh_guard *guard, unsigned slot)
{
    struct bh_guard_request request;
    _cleanup_close_ int fd = -1;
    int r = bh_fd_recv(guard->clients[slot], &request, sizeof(request), &fd);

    if (r == -EAGAIN)
        return true;
    if (r > 0 && !is_sound(&request, fd))
        r = -EPROTO;
    if (r > 0)
        r = answer(guard, slot, &request, &fd) < 0 ? -EPIPE : 1;
    if (r == -EPROTO)
        say(guard, "a storage worker broke the protocol of the guard and is heard no more");
    if (r <= 0)
        leave(guard, slot);
    return r > 0;
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

static void look_at_lingering(struct bh_guard *guard)
{
    const uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);
    bool frozen = guard->thaw(guard->lingering) == 0;

    if (!frozen && now < guard->linger_until_ms) {
        guard->linger_ms = now + BH_LINGER_MS;
        return;
    }
    if (frozen)
        say(guard, "a file system froze after its freeze had been undone, and was thawed");
    bh_close_p(&guard->lingering);
    guard->lingerer = -1;
}

void bh_guard_tick(struct bh_guard *guard)
{
    const uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);
    const struct bh_frozen *page = guard->page;

    if (guard->lingering >= 0 && guard->linger_ms <= now)
        look_at_lingering(guard);
    if (page->state == BH_FROZEN && page->lease_end_ms && page->lease_end_ms <= now)
        thaw_unasked(guard, BH_THAW_EXPIRED);
    if (page->state == BH_FREEZING && guard->progress_ms + BH_FREEZE_STALL_MS <= now) {
        say(guard, "a file system took too long to freeze; exclude it, or see what its disk waits for");
        thaw_unasked(guard, BH_THAW_ABANDONED);
    }
}

/* --- the end --------------------------------------------------------------------- */

void bh_guard_end(struct bh_guard *guard, bool in_order)
{
    if (guard->page->state == BH_THAWED || (!in_order && guard->page->state == BH_FROZEN && guard->hold))
        return;
    thaw_unasked(guard, in_order ? BH_THAW_STOPPED : BH_THAW_RECOVERED);
}

void bh_guard_resume(struct bh_guard *guard)
{
    guard->hold = guard->page->hold;
    if (guard->page->state == BH_FROZEN && guard->hold)
        say(guard, "file systems are still frozen, and stay so, as the policy says hold");
    else
        thaw_unasked(guard, BH_THAW_RECOVERED);
}
