/*
 * bulkhead-thaw, the guard: one poll loop over the supervisor, the storage workers, and the clock.
 *
 * It has no parent-death signal: when the supervisor dies it first thaws (or leaves frozen what a policy says
 * to hold), and ends when nothing can freeze any more: a worker that is killed within FIFREEZE still freezes.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/confine/profiles.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "protocol/wire/control.h"
#include "workers/storage/thaw_recover.h"

#define LOOK_MS                                                                                              \
    1000 /* while something is pending: a wait stands still when the guest is suspended, a lease does not */
#define CLIENTS 1 /* behind the supervisor, in what is polled */

static struct bh_frozen *map_page(void)
{
    struct bh_frozen *page = MAP_FAILED;
    struct stat st;

    if (fstat(BH_FD_FROZEN, &st) == 0 && st.st_size == (off_t)sizeof(*page))
        page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, BH_FD_FROZEN, 0);
    if (page == MAP_FAILED)
        bh_die(1, "the page of what is frozen is not what the supervisor of this build makes");
    if (!bh_frozen_check(page, page->boot_id))
        bh_die(1, "the page of what is frozen is damaged");
    return page;
}

/* A guard that has something to recover sees the guest's mounts, and is needed more than a fence is. */
static void confine(const struct bh_boot *boot, struct bh_state *state, bool recovers)
{
    static const struct bh_view_path all[] = { { "/", BH_ACCESS_LIST } };
    uint32_t required = recovers ? boot->required & ~(uint32_t)BH_FENCE_VIEW : boot->required;

    state->fences =
        bh_confine_self(&bh_profile_thaw, &bh_filter_thaw, boot, all, recovers ? 1 : 0, required, boot->off);
}

/* False: the supervisor has gone. */
static bool serve_control(struct bh_guard *guard)
{
    _cleanup_close_ int fd = -1;
    struct bh_control message;
    int r = bh_control_recv(BH_FD_CONTROL, &message, &fd);

    if (r == -EAGAIN)
        return true;
    if (r <= 0)
        return false;
    if (message.op == BH_CONTROL_CLIENT && fd >= 0 && message.arg < BH_FROZEN_CHANNELS_MAX)
        bh_guard_add(guard, message.arg, bh_take_fd(&fd));
    else if (message.op == BH_CONTROL_THAW && fd < 0)
        bh_guard_end(guard, true);
    else
        bh_die(1, "the supervisor sent a control message (%u) that has no place here", message.op);
    return true;
}

static int timeout(const struct bh_guard *guard)
{
    int due = bh_guard_due(guard);

    return due < LOOK_MS ? due : LOOK_MS;
}

/* One round; `control` -1: without the supervisor. False: it has gone. */
static bool serve(struct bh_guard *guard, int control)
{
    struct pollfd fds[CLIENTS + BH_FROZEN_CHANNELS_MAX] = { { .fd = control, .events = POLLIN } };
    bool there = true;

    for (unsigned i = 0; i < BH_FROZEN_CHANNELS_MAX; i++)
        fds[CLIENTS + i] = (struct pollfd){ .fd = guard->clients[i], .events = POLLIN };
    if (poll(fds, BH_ARRAY_SIZE(fds), timeout(guard)) < 0)
        return true; /* EINTR */
    for (unsigned i = 0; i < BH_FROZEN_CHANNELS_MAX; i++)
        if (fds[CLIENTS + i].revents)
            (void)bh_guard_serve(guard, i);
    if (fds[0].revents)
        there = serve_control(guard);
    bh_guard_tick(guard);
    return there;
}

int main(void)
{
    static struct bh_guard guard;
    const struct bh_boot *boot;
    struct bh_frozen *page;
    struct bh_state *state;
    struct bh_audit audit;
    bool recovers;
    int mountinfo = -1;

    bh_log_init("bulkhead-thaw", BH_LOG_NOTICE);
    boot = bh_boot_map();
    state = bh_state_map();
    page = map_page();
    audit = (struct bh_audit){ .fd = BH_FD_AUDIT, .source = boot->source, .state = state };
    bh_guard_init(&guard, page, BH_FD_PEER, &audit);
    recovers = bh_frozen_state(page) != BH_THAWED;
    if (recovers)
        mountinfo = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    confine(boot, state, recovers);
    if (recovers)
        bh_guard_recover(&guard, mountinfo);
    bh_close_p(&mountinfo);
    while (serve(&guard, BH_FD_CONTROL))
        ;
    bh_guard_end(&guard, false);
    while (bh_guard_lingers(&guard))
        (void)serve(&guard, -1);
    _exit(EXIT_SUCCESS);
}
