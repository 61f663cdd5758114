/* Questions and obligations of hook_serve.h; a single run and its records are hook_one.c's. */
#include "workers/storage/hook_serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "workers/storage/hook_one.h"
#include "workers/storage/hook_text.h"

#define ORPHAN_MS 10000 /* for the guard of an agent that was killed to thaw */

#define NOT_ROOT                                                                                             \
    "freeze hooks run as root, and the agent was not started by root; start it as root, or without hooks"

static bool anything_frozen(const struct bh_hook_keeper *keeper)
{
    return bh_frozen_state(keeper->frozen) != BH_THAWED;
}

static bool is_orphan(const struct bh_hook_keeper *keeper)
{
    struct pollfd poller = { .fd = keeper->control };

    return keeper->control < 0 || poll(&poller, 1, 0) > 0;
}

/* Not given up while there is a supervisor: a lease ends every freeze. Without one, the guard thaws at once,
 * or holds, or was killed too; then nobody writes this page any more (false). */
static bool await_thaw(const struct bh_hook_keeper *keeper)
{
    for (int left = ORPHAN_MS; anything_frozen(keeper); (void)poll(NULL, 0, BH_HOOK_GATE_MS)) {
        if (!is_orphan(keeper))
            continue;
        if (keeper->frozen->hold || left <= 0)
            return false;
        left -= BH_HOOK_GATE_MS;
    }
    return true;
}

static void owe(struct bh_hook_keeper *keeper, uint32_t n)
{
    keeper->state->owed = n > 0;
    keeper->n_begun = n;
}

static void refuse(struct bh_hook_reply *reply, const char *why)
{
    reply->outcome = BH_HOOK_REFUSED;
    bh_hook_printf(reply->text, sizeof(reply->text), "%s", why);
}

/* Has the client gone, or does it ask for something else? Then nobody waits for this freeze. */
static bool is_called_off(const struct bh_hook_keeper *keeper)
{
    struct pollfd poller = { .fd = keeper->peer, .events = POLLIN };

    return poll(&poller, 1, 0) > 0;
}

/* Every hook is judged before the first is run: one that is refused has disturbed nobody. */
static bool are_fit(struct bh_hook_keeper *keeper, struct bh_hook_reply *reply)
{
    char why[BH_HOOK_WHY_MAX];
    int r = bh_hooks_gather(&keeper->hooks, keeper->config, why);

    if (r < 0) {
        bh_hook_one_refused(keeper, BH_HOOK_FREEZE, keeper->config->folder, r, why);
        refuse(reply, why);
    } else if (keeper->hooks.n > 0 && !keeper->privileged) {
        bh_hook_one_refused(keeper, BH_HOOK_FREEZE, keeper->hooks.paths[0], -EPERM, NOT_ROOT);
        refuse(reply, NOT_ROOT);
    }
    for (uint32_t i = 0; i < keeper->hooks.n && reply->outcome == BH_HOOK_DONE; i++)
        (void)bh_hook_one_check(keeper, BH_HOOK_FREEZE, i, reply);
    return reply->outcome == BH_HOOK_DONE;
}

static void freeze(struct bh_hook_keeper *keeper, struct bh_hook_reply *reply)
{
    if (keeper->n_begun > 0)
        refuse(reply, "the freeze hooks have been run already, and the thaw hooks have not");
    else if (anything_frozen(keeper))
        refuse(reply, "the freeze hooks cannot run while file systems are frozen");
    else if (are_fit(keeper, reply))
        for (uint32_t i = 0; i < keeper->hooks.n && reply->outcome == BH_HOOK_DONE; i++) {
            if (is_called_off(keeper) || anything_frozen(keeper)) {
                refuse(reply, "the freeze was called off before all freeze hooks had run");
            } else if (bh_hook_one_check(keeper, BH_HOOK_FREEZE, i, reply) &&
                       bh_hook_one_act(keeper, BH_HOOK_FREEZE, i, reply)) {
                owe(keeper, i + 1);
                bh_hook_one_run(keeper, BH_HOOK_FREEZE, i, reply);
            }
        }
}

/* All that are owed, the last first, whatever fails; `reply` tells of the first that did. False: not done. */
static bool thaw_all(struct bh_hook_keeper *keeper, struct bh_hook_reply *reply)
{
    static struct bh_hook_reply one;

    for (uint32_t i = keeper->n_begun; i-- > 0;) {
        memset(&one, 0, sizeof(one));
        if (!await_thaw(keeper))
            return false;
        if (bh_hook_one_check(keeper, BH_HOOK_THAW, i, &one) &&
            bh_hook_one_act(keeper, BH_HOOK_THAW, i, &one))
            bh_hook_one_run(keeper, BH_HOOK_THAW, i, &one);
        one.n_run += reply->n_run;
        if (reply->outcome == BH_HOOK_DONE)
            *reply = one;
        reply->n_run = one.n_run;
    }
    owe(keeper, 0);
    return true;
}

static void thaw(struct bh_hook_keeper *keeper, struct bh_hook_reply *reply)
{
    if (anything_frozen(keeper))
        refuse(reply,
               "the thaw hooks cannot run while file systems are frozen; they will when all are thawed");
    else
        (void)thaw_all(keeper, reply);
}

static void answer(struct bh_hook_keeper *keeper, const struct bh_hook_request *request)
{
    static struct bh_hook_reply reply;

    memset(&reply, 0, sizeof(reply));
    if (request->op == BH_HOOK_FREEZE)
        freeze(keeper, &reply);
    else
        thaw(keeper, &reply);
    reply.magic = BH_HOOK_MAGIC;
    reply.op = request->op;
    reply.id = request->id;
    keeper->state->requests++;
    (void)bh_fd_send(keeper->peer, &reply, sizeof(reply), -1); /* who is gone is seen at the next question */
}

static void take_question(struct bh_hook_keeper *keeper)
{
    struct bh_hook_request request;
    _cleanup_close_ int fd = -1;
    int r = bh_fd_recv(keeper->peer, &request, sizeof(request), &fd);

    if (r > 0 && fd < 0 && request.magic == BH_HOOK_MAGIC && request.op > 0 && request.op < BH_HOOK_OP_END) {
        answer(keeper, &request);
        return;
    }
    if (r > 0 || r == -EPROTO)
        bh_hook_event(keeper, "protocol violation by the storage worker: malformed question to the hooks");
    if (r != -EAGAIN)
        keeper->peer = -1;
}

static void listen_once(struct bh_hook_keeper *keeper)
{
    struct pollfd fds[] = { { .fd = keeper->peer, .events = POLLIN }, { .fd = keeper->control } };

    if (poll(fds, BH_ARRAY_SIZE(fds), -1) <= 0)
        return;
    if (fds[1].revents)
        keeper->control = -1;
    if (fds[0].revents)
        take_question(keeper);
}

static const char nobody_asks[] =
    "nobody asks for the thaw hooks any more: they run as soon as nothing is frozen";

/* The supervisor says so too, unless it is gone. */
static bool note_paid(struct bh_hook_keeper *keeper)
{
    const uint32_t owed = 0;

    if (keeper->record >= 0 && !bh_frozen_holds(keeper->frozen, keeper->record) &&
        pwrite(keeper->record, &owed, sizeof(owed), offsetof(struct bh_frozen, hook_owed)) < 0)
        bh_hook_event(keeper, "the record in the state folder cannot be written: thaw hooks may run again");
    return true;
}

/* That of an agent that was killed may be at it yet, and is waited for. True: it has done it. */
static bool was_paid(const struct bh_hook_keeper *keeper)
{
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    uint32_t owed;

    while (fcntl(keeper->record, F_OFD_SETLKW, &all) < 0 && errno == EINTR)
        ;
    return pread(keeper->record, &owed, sizeof(owed), offsetof(struct bh_frozen, hook_owed)) ==
               (ssize_t)sizeof(owed) &&
           owed == 0;
}

bool bh_hook_serve(struct bh_hook_keeper *keeper)
{
    struct bh_hook_reply reply = { 0 };

    while (keeper->peer >= 0 && (keeper->n_begun > 0 || keeper->control >= 0))
        listen_once(keeper);
    if (keeper->n_begun == 0)
        return note_paid(keeper);
    bh_hook_event(keeper, nobody_asks);
    return thaw_all(keeper, &reply) && note_paid(keeper);
}

bool bh_hook_serve_owed(struct bh_hook_keeper *keeper)
{
    struct bh_hook_reply reply = { 0 };
    char why[BH_HOOK_WHY_MAX];
    int r;

    if (was_paid(keeper))
        return true;
    bh_hook_event(keeper, nobody_asks);
    if (!await_thaw(keeper))
        return false;
    r = bh_hooks_gather(&keeper->hooks, keeper->config, why);
    if (r < 0)
        bh_hook_one_refused(keeper, BH_HOOK_THAW, keeper->config->folder, r, why);
    owe(keeper, keeper->hooks.n);
    return thaw_all(keeper, &reply) && note_paid(keeper);
}
