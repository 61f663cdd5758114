/* Asking bulkhead-hook, which the supervisor starts for one freeze (hooks.h). */
#include "workers/storage/hooks.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "protocol/codes.h"
#include "protocol/wire/control.h"
#include "workers/storage/hook_client.h"

#define START_MS 2000
#define ENDING_MS 500 /* for the process of the last freeze to end, which has answered already */
#define ENDING_LOOK_MS 5
#define RUN_MS 540000 /* of them all, a little less than the command's deadline */

/* 0, or the call's error, which `before` begins. */
static int run(struct bh_call *call, int socket, enum bh_hook_op which, const char *before)
{
    struct bh_hook_reply reply;
    char text[BH_ERROR_TEXT_MAX];
    int r = bh_hook_run(socket, which, RUN_MS, &reply);

    if (r < 0)
        return bh_fail_errno(call->error, BH_E_HOOK_FAILED, r, "%sthe hooks do not answer", before);
    if (reply.outcome == BH_HOOK_DONE)
        return 0;
    bh_hook_say(&reply, text, sizeof(text));
    return bh_fail(call->error, BH_E_HOOK_FAILED, "%s%s", before, text);
}

static int start(void)
{
    uint64_t until = bh_clock_ms(CLOCK_MONOTONIC) + ENDING_MS;
    int fd;

    do
        fd = bh_control_start(BH_FD_CONTROL, BH_PEER_HOOK, START_MS);
    while (fd == -EACCES && bh_clock_ms(CLOCK_MONOTONIC) < until && poll(NULL, 0, ENDING_LOOK_MS) == 0);
    return fd;
}

int bh_hooks_begin(struct bh_call *call, int *ret_socket)
{
    _cleanup_close_ int fd = -1;
    struct bh_hook_reply ignored;
    int r;

    *ret_socket = -1;
    if (!call->worker->frozen->hooks)
        return 0;
    fd = start();
    if (fd == -EACCES)
        return bh_fail(call->error, BH_E_FREEZE_BUSY, "the hooks of another freeze are running");
    if (fd < 0)
        return bh_fail_errno(call->error, BH_E_WORKER_UNAVAILABLE, fd,
                             "the process that runs hooks cannot be had");
    r = run(call, fd, BH_HOOK_FREEZE, "nothing is frozen: ");
    if (r == 0)
        *ret_socket = bh_take_fd(&fd);
    else
        (void)bh_hook_run(fd, BH_HOOK_THAW, RUN_MS, &ignored);
    return r;
}

int bh_hooks_end(struct bh_call *call, int socket)
{
    _cleanup_close_ int fd = socket;

    return fd < 0 ? 0 : run(call, fd, BH_HOOK_THAW, "the file systems are thawed, but ");
}
