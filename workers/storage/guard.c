/* Questions to the guard, one at a time, and its answers (guard.h). */
#include "workers/storage/guard.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "protocol/wire/control.h"
#include "workers/storage/mounts.h"

#define START_MS 2000
#define ANSWER_MS 30000 /* the guard may be thawing */

static int guard = -1;

static int connect_guard(void)
{
    if (guard < 0) {
        int fd = bh_control_start(BH_FD_CONTROL, BH_PEER_GUARD, START_MS);

        if (fd < 0)
            return fd;
        guard = fd;
    }
    return 0;
}

/* Whoever has gone with the question unread has gone: its next one can be asked. */
static int await(struct bh_guard_reply *ret, int *ret_fd)
{
    int r = bh_fd_await(guard, ret, sizeof(*ret), bh_clock_ms(CLOCK_MONOTONIC) + ANSWER_MS, ret_fd);

    if (r == 0 && (ret->magic != BH_GUARD_MAGIC || ret->error > 0 || ret->cause >= BH_THAW_CAUSE_END))
        return -EPROTO;
    return r;
}

/* Any error but the guard's own answer drops the socket: with it goes the freeze that was under way. */
static int ask(struct bh_guard_request *request, int fd, struct bh_guard_reply *ret, int *ret_fd)
{
    int r = connect_guard();

    request->magic = BH_GUARD_MAGIC;
    if (r == 0)
        r = bh_fd_send(guard, request, sizeof(*request), fd);
    if (r == 0)
        r = await(ret, ret_fd);
    if (r < 0 && guard >= 0)
        bh_close_p(&guard);
    return r < 0 ? r : ret->error;
}

static int tell(struct bh_guard_request *request, int fd)
{
    struct bh_guard_reply reply;
    _cleanup_close_ int got = -1;

    return ask(request, fd, &reply, &got);
}

static struct bh_guard_request about(enum bh_guard_op op, const struct bh_filesystem *filesystem,
                                     const char *path)
{
    struct bh_guard_request request = { .op = op, .major = filesystem->major, .minor = filesystem->minor };
    size_t len = strlen(path);

    memcpy(request.path, path, len < sizeof(request.path) ? len : sizeof(request.path) - 1);
    return request;
}

/* A socket that was left from before may be of a guard that has died since: then another is asked for. */
int bh_guard_begin(int hooks)
{
    struct bh_guard_request request = { .op = BH_GUARD_BEGIN };
    bool kept = guard >= 0;
    int r = tell(&request, hooks);

    return r == -EPIPE && kept ? tell(&request, hooks) : r;
}

int bh_guard_skip(const struct bh_filesystem *filesystem, const char *path, int error)
{
    struct bh_guard_request request = about(BH_GUARD_SKIP, filesystem, path);

    request.error = error;
    return tell(&request, -1);
}

int bh_guard_hold(const struct bh_filesystem *filesystem, const char *path, int mount)
{
    struct bh_guard_request request = about(BH_GUARD_HOLD, filesystem, path);

    return tell(&request, mount);
}

int bh_guard_done(int error, uint32_t ms)
{
    struct bh_guard_request request = { .op = BH_GUARD_DONE, .error = error, .ms = ms };

    return tell(&request, -1);
}

int bh_guard_commit(void)
{
    struct bh_guard_request request = { .op = BH_GUARD_COMMIT };

    return tell(&request, -1);
}

static int end(enum bh_guard_op op, struct bh_thawed *ret)
{
    struct bh_guard_request request = { .op = op };
    struct bh_guard_reply reply = { 0 };
    _cleanup_close_ int hooks = -1;
    int r = ask(&request, -1, &reply, &hooks);

    if (r < 0)
        return r;
    *ret = (struct bh_thawed){ reply.count, reply.cause, reply.thawed_ns, bh_take_fd(&hooks) };
    return 0;
}

/* With a socket that was dropped went the freeze. */
int bh_guard_undo(struct bh_thawed *ret)
{
    return guard < 0 ? -ENOTCONN : end(BH_GUARD_UNDO, ret);
}

int bh_guard_thaw(struct bh_thawed *ret)
{
    bool kept = guard >= 0;
    int r = end(BH_GUARD_THAW, ret);

    return r == -EPIPE && kept ? end(BH_GUARD_THAW, ret) : r;
}
