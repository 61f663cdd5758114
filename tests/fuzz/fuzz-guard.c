/*
 * The guard between storage workers of several channels, a clock that runs as it likes and a kernel that is
 * an array. The input is a script: one byte says what happens, the next ones to whom. Messages that are
 * nearly right are offered, so that the deeper states are reached.
 *
 * Workers may say what they like, but what they freeze they freeze as the protocol says: after the guard
 * holds it; and they report it truly. (One that was taken over can freeze without the guard; that is not the
 * guard's to prevent.) Then must hold, after each step: whatever is frozen, the guard has in hand; the page
 * is sound. And at the end, when all have gone: nothing is frozen, nothing is open.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "tests/unit/fds.h"
#include "tests/unit/guard-fixture.h"
#include "workers/storage/thaw_recover.h"

#define SLOTS 3u
#define NONE UINT32_MAX
#define TURNS_MAX 8u /* of the clock, until what lingers is over */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A worker's FIFREEZE: what it was granted, and how far it is. */
struct worker {
    uint32_t held; /* file system; NONE */
    bool asked;    /* FIFREEZE was called */
    int error;     /* what came of it */
};

struct script {
    const uint8_t *at, *end;
    struct worker workers[SLOTS];
    struct guard_scene scene;
};

static void require(bool truth)
{
    if (!truth)
        abort();
}

static uint8_t next(struct script *s)
{
    return s->at < s->end ? *s->at++ : 0;
}

/* --- what the guard has in hand --------------------------------------------------------- */

static uint32_t filesystem_of(const struct guard_scene *scene, int fd)
{
    struct stat st;

    require(fstat(fd, &st) == 0);
    for (uint32_t i = 0; i < GUARD_FILESYSTEMS; i++)
        if (scene->kernel->inodes[i] == st.st_ino)
            return i;
    return NONE;
}

static bool is_in_hand(const struct guard_scene *scene, uint32_t filesystem)
{
    const struct bh_guard *guard = &scene->guard;

    if (guard->lingering >= 0 && filesystem_of(scene, guard->lingering) == filesystem)
        return true;
    for (uint32_t i = 0; i < scene->page->n_mounts; i++) {
        uint32_t fate = scene->page->mounts[i].fate;

        if ((fate == BH_MOUNT_ABOUT || fate == BH_MOUNT_FROZEN) && guard->mounts[i] >= 0 &&
            filesystem_of(scene, guard->mounts[i]) == filesystem)
            return true;
    }
    return false;
}

static void check(const struct script *s)
{
    const struct guard_scene *scene = &s->scene;

    require(bh_frozen_check(scene->page, GUARD_BOOT));
    require(scene->page->state != BH_THAWING);
    require(scene->page->state == BH_FREEZING || scene->page->state == BH_FROZEN || scene->guard.owner < 0);
    require(scene->page->state != BH_THAWED || scene->guard.hooks < 0);
    for (uint32_t i = 0; i < GUARD_FILESYSTEMS; i++)
        require(!scene->kernel->frozen[i] || is_in_hand(scene, i));
}

/* --- workers ------------------------------------------------------------------------------ */

static void join(struct script *s)
{
    unsigned slot = next(s) % SLOTS;

    if (s->workers[slot].held == NONE || !s->workers[slot].asked) {
        guard_scene_join(&s->scene, slot);
        s->workers[slot].held = NONE;
    }
}

/* FIFREEZE comes back. What the guard has let go of (the worker is told so by its DONE, and thaws it) counts
 * as never frozen. */
static void come_back(struct script *s, struct worker *worker, bool frozen)
{
    struct kernel *kernel = s->scene.kernel;

    if (!kernel->slow[worker->held])
        return;
    kernel->slow[worker->held] = false;
    worker->error = EIO;
    if (frozen && is_in_hand(&s->scene, worker->held))
        worker->error = guard_scene_fifreeze(&s->scene, worker->held);
}

/* A process does not end within a system call. */
static void leave(struct script *s)
{
    uint8_t how = next(s);
    struct worker *worker = &s->workers[how % SLOTS];

    if (worker->held != NONE && worker->asked)
        come_back(s, worker, how & 64);
    worker->held = NONE;
    guard_scene_leave(&s->scene, how % SLOTS);
}

static void begin(struct script *s)
{
    struct bh_guard_request request = { .magic = BH_GUARD_MAGIC, .op = BH_GUARD_BEGIN };
    uint8_t how = next(s);

    (void)guard_scene_ask(&s->scene, how % SLOTS, &request, how & 64 ? s->scene.folders[0] : -1);
}

static void hold(struct script *s)
{
    unsigned slot = next(s) % SLOTS;
    uint32_t filesystem = next(s) % GUARD_FILESYSTEMS;
    struct worker *worker = &s->workers[slot];

    if (worker->held == NONE && !s->scene.kernel->slow[filesystem] &&
        guard_scene_op(&s->scene, slot, BH_GUARD_HOLD, filesystem, 0) == 0)
        *worker = (struct worker){ .held = filesystem };
}

static void fifreeze(struct script *s)
{
    uint8_t how = next(s);
    struct worker *worker = &s->workers[how % SLOTS];

    if (worker->held == NONE || !is_in_hand(&s->scene, worker->held))
        return;
    if (worker->asked) {
        come_back(s, worker, !(how & 64));
    } else if (how & 64 && !s->scene.kernel->frozen[worker->held]) {
        s->scene.kernel->slow[worker->held] = true;
        worker->asked = true;
    } else {
        worker->error = guard_scene_fifreeze(&s->scene, worker->held);
        worker->asked = true;
    }
}

/* What the guard does not hear of, the worker thaws itself. */
static void done(struct script *s)
{
    unsigned slot = next(s) % SLOTS;
    struct worker *worker = &s->workers[slot];
    int error = worker->asked ? worker->error : EIO;

    if (worker->held == NONE || s->scene.kernel->slow[worker->held])
        return;
    if (guard_scene_op(&s->scene, slot, BH_GUARD_DONE, 0, error) != 0 && error == 0)
        s->scene.kernel->frozen[worker->held] = false;
    worker->held = NONE;
}

/* COMMIT, UNDO, THAW, SKIP: at any time. A worker that has asked the kernel waits for it. */
static void ask(struct script *s)
{
    static const enum bh_guard_op ops[] = { BH_GUARD_COMMIT, BH_GUARD_UNDO, BH_GUARD_THAW, BH_GUARD_SKIP };
    uint8_t how = next(s);
    struct worker *worker = &s->workers[how % SLOTS];

    if (worker->held == NONE || !worker->asked)
        (void)guard_scene_op(&s->scene, how % SLOTS, ops[how >> 6], how >> 2 & 7, how & 32 ? EACCES : 0);
}

/* Any bytes, in the place of a message or over parts of one. */
static void babble(struct script *s)
{
    struct bh_guard_request request = { .magic = BH_GUARD_MAGIC };
    uint8_t how = next(s), offset = next(s), len = next(s) % 24;
    unsigned slot = how % SLOTS;

    if (s->workers[slot].held != NONE) /* it would have to report truly */
        return;
    request.op = how >> 2 & 7;
    request.path[0] = how & 32 ? '/' : '\0';
    if (how & 64)
        memset(request.path + 1, 'x', sizeof(request.path) - 1);
    for (uint8_t i = 0; i < len; i++)
        ((uint8_t *)&request)[(offset + i) % sizeof(request)] ^= next(s);
    (void)guard_scene_ask(&s->scene, slot, &request,
                          how & 128 ? s->scene.folders[offset % GUARD_FILESYSTEMS] : -1);
}

/* --- the rest of the world ------------------------------------------------------------------ */

static bool does_one_hang(const struct script *s)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (s->workers[i].held != NONE && s->workers[i].asked)
            return true;
    return false;
}

static void time_passes(struct script *s)
{
    struct bh_guard *guard = &s->scene.guard;
    uint8_t what = next(s);

    if (what & 1 && s->scene.page->lease_end_ms)
        s->scene.page->lease_end_ms = 1;
    if (what & 2 && guard->progress_ms > BH_FREEZE_STALL_MS)
        guard->progress_ms -= BH_FREEZE_STALL_MS;
    if (what & 4)
        guard->linger_ms = 1;
    if (what & 8 && guard->linger_until_ms != UINT64_MAX && !does_one_hang(s))
        guard->linger_until_ms = 1;
    require(bh_guard_due(guard) >= -1);
    bh_guard_tick(guard);
}

static void policy_changes(struct script *s)
{
    uint8_t what = next(s);

    s->scene.page->hold = what & 1;
    s->scene.page->lease_s = what >> 1;
}

/* The guard is killed, and its successor goes by the page. Workers see their sockets close. */
static void guard_dies(struct script *s)
{
    _cleanup_close_ int mountinfo = guard_scene_mountinfo(&s->scene);
    struct bh_guard *guard = &s->scene.guard;
    int (*thaw)(int) = guard->thaw;

    for (unsigned i = 0; i < SLOTS; i++)
        bh_close_p(&guard->clients[i]);
    for (uint32_t i = 0; i < BH_FROZEN_MOUNTS_MAX; i++)
        bh_close_p(&guard->mounts[i]);
    bh_close_p(&guard->hooks);
    if (guard->lingering >= 0) { /* nobody else knows of it: see does_one_hang */
        uint32_t lost = filesystem_of(&s->scene, guard->lingering);

        bh_close_p(&guard->lingering);
        s->scene.kernel->frozen[lost] = s->scene.kernel->frozen[lost] && is_in_hand(&s->scene, lost);
    }
    bh_guard_init(guard, s->scene.page, s->scene.record, &s->scene.audit);
    guard->thaw = thaw;
    if (s->scene.page->state != BH_THAWED)
        bh_guard_recover(guard, mountinfo);
}

static void act(struct script *s)
{
    static void (*const acts[])(struct script *) = {
        join, leave, begin, hold,   hold,  hold, fifreeze,    fifreeze,       fifreeze,  done,
        done, ask,   ask,   babble, begin, ask,  time_passes, policy_changes, guard_dies
    };

    acts[next(s) % BH_ARRAY_SIZE(acts)](s);
    check(s);
}

/* All workers end, the agent ends, and what lingered has had its time. */
static void wind_up(struct script *s)
{
    static const uint8_t slots[SLOTS] = { 0, 65, 2 };
    struct bh_guard *guard = &s->scene.guard;

    s->scene.page->hold = 0;
    for (unsigned i = 0; i < SLOTS; i++) {
        s->at = &slots[i];
        s->end = s->at + 1;
        leave(s);
    }
    guard->hold = false;
    bh_guard_end(guard, false);
    for (unsigned i = 0; i < TURNS_MAX && guard->lingering >= 0; i++) {
        guard->linger_ms = guard->linger_until_ms = 1;
        bh_guard_tick(guard);
    }
    require(s->scene.page->state == BH_THAWED && guard_scene_frozen(&s->scene) == 0);
    require(guard->lingering < 0 && guard->hooks < 0 && guard->owner < 0 && bh_guard_due(guard) == -1);
    for (uint32_t i = 0; i < BH_FROZEN_MOUNTS_MAX; i++)
        require(guard->mounts[i] < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool opened;
    struct script s = { .at = data, .end = data + size };
    int fds;

    bh_log_init("fuzz-guard", BH_LOG_ERROR);
    if (!opened) { /* once */
        guard_scene_begin(&s.scene, -1);
        guard_scene_end(&s.scene);
        opened = true;
    }
    fds = count_fds();
    guard_scene_begin(&s.scene, -1);
    for (unsigned i = 0; i < SLOTS; i++)
        s.workers[i].held = NONE;
    while (s.at < s.end)
        act(&s);
    wind_up(&s);
    guard_scene_end(&s.scene);
    require(count_fds() == fds);
    return 0;
}
