/* The steps of a freeze as the guard sees them: questions, and their answers (thaw.h). */
#include "workers/storage/thaw.h"

#include <errno.h>
#include <linux/fs.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "workers/storage/thaw_parts.h"
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

/* What the page is to say next is in the record before: where that lies on what is frozen then, it is its
 * last word. */
static void set_state_ahead(struct bh_guard *guard, enum bh_freeze_state state)
{
    bh_thaw_record_head(guard);
    bh_thaw_record_ahead(guard, offsetof(struct bh_frozen, state), (uint32_t)state);
    __atomic_store_n(&guard->page->state, (uint32_t)state, __ATOMIC_SEQ_CST);
}

/* --- a freeze ---------------------------------------------------------------- */

static int begin(struct bh_guard *guard, unsigned slot, int *hooks)
{
    struct bh_frozen *page = guard->page;

    if (page->state != BH_THAWED || guard->lingerer >= 0)
        return -EBUSY;
    if (guard->lingering >= 0)
        bh_guard_look_at_lingering(guard); /* a last time: soon it could be what this freeze has frozen */
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
    set_state_ahead(guard, BH_FREEZING);
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
    bh_thaw_record_mount(guard, at);
    bh_thaw_record_ahead(guard, offsetof(struct bh_frozen, n_mounts), at + 1);
    __atomic_store_n(&page->n_mounts, at + 1, __ATOMIC_SEQ_CST);
    return 0;
}

static int done(struct bh_guard *guard, const struct bh_guard_request *request)
{
    struct bh_frozen *page = guard->page;
    const uint32_t at = page->n_mounts - 1;

    page->mounts[at].ms = request->ms;
    page->mounts[at].error = request->error;
    if (request->error)
        bh_close_p(&guard->mounts[at]);
    guard->progress_ms = bh_clock_ms(CLOCK_BOOTTIME);
    bh_guard_set_fate(guard, at, request->error ? BH_MOUNT_SKIPPED : BH_MOUNT_FROZEN);
    return 0;
}

static int commit(struct bh_guard *guard)
{
    struct bh_frozen *page = guard->page;

    page->frozen_ns = bh_clock_ns(CLOCK_REALTIME);
    page->lease_end_ms = page->lease_s ? bh_clock_ms(CLOCK_BOOTTIME) + page->lease_s * UINT64_C(1000) : 0;
    bh_guard_set_state(guard, BH_FROZEN);
    return 0;
}

static void thaw(struct bh_guard *guard, struct bh_guard_reply *reply)
{
    struct bh_frozen *page = guard->page;

    if (page->state != BH_THAWED) {
        page->cause = BH_THAW_ASKED;
        reply->count = bh_guard_thaw_all(guard);
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

/* Is there one of which nobody has said yet what became of it? It is the last. */
static bool is_one_held(const struct bh_frozen *page)
{
    return page->n_mounts > 0 && page->mounts[page->n_mounts - 1].fate == BH_MOUNT_ABOUT;
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
    if (request->op != BH_GUARD_UNDO && (request->op == BH_GUARD_DONE) != is_one_held(guard->page))
        return -EPROTO; /* one at a time: only one can be kept in sight */
    switch (request->op) {
    case BH_GUARD_DONE:
        return done(guard, request);
    case BH_GUARD_COMMIT:
        return commit(guard);
    case BH_GUARD_UNDO:
        reply->count = bh_guard_thaw_all(guard);
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
        bh_guard_thaw_unasked(guard, BH_THAW_ABANDONED);
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
        bh_guard_say(guard, "a storage worker broke the protocol of the guard and is heard no more");
    if (r <= 0)
        leave(guard, slot);
    return r > 0;
}
