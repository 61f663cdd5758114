/*
 * The supervisor's part of a freeze: it introduces storage workers to the guard, starts what runs the hooks,
 * keeps the page's copy in the state folder, and sees to it that what is frozen, or owed to hooks, when a
 * process dies or the agent starts or stops is not forgotten. What is frozen, and when it is thawed, is the
 * guard's to decide.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/places.h"
#include "broker/supervisor/supervisor.h"
#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "protocol/wire/hook.h"

_Static_assert(BH_FROZEN_CHANNELS_MAX == BH_CHANNELS_MAX, "each channel may freeze");

#define LAST_GUARD_MS 5000u /* for the guard of the last agent to end */
#define STOP_THAW_MS 30000u /* for the guard to thaw before the agent ends; it goes on alone after that */

static struct bh_process *hooks_of(struct bh_supervisor *s);
static int make_hook_config(struct bh_supervisor *s, const char *channel);

/* --- the copy in the state folder ------------------------------------------------- */

static void warn_unwritten(const struct bh_supervisor *s)
{
    bh_log(BH_LOG_WARNING, "%s/frozen cannot be written: %s", s->home, strerror(errno));
}

/* What an agent of this boot has left, if it is sound; what it says of the policy is not ours. What is not is
 * replaced at once: thaw hooks may be owed before there is anything for the guard to write. */
static void take_over(struct bh_supervisor *s, int fd)
{
    _cleanup_free_ struct bh_frozen *left = calloc(1, sizeof(*left));

    if (!left)
        return;
    if (pread(fd, left, sizeof(*left), 0) <= 0 || !bh_frozen_check(left, s->frozen->boot_id)) {
        if (pwrite(fd, s->frozen, offsetof(struct bh_frozen, mounts), 0) < 0)
            warn_unwritten(s);
        return;
    }
    memcpy(s->frozen, left, bh_frozen_used(left)); /* not a byte more: the page is a megabyte */
    if (s->frozen_forestalled && s->frozen->state != BH_THAWED) { /* nothing is held, and a client is told */
        s->frozen->state = BH_THAWING;
        s->frozen->frozen_ns = s->frozen->frozen_ns ? s->frozen->frozen_ns : s->frozen->began_ns;
    }
    if (left->state != BH_THAWED)
        bh_log(BH_LOG_WARNING,
               "the last agent left file systems frozen for channel %.31s; the guard sees to them",
               left->channel);
}

/* The guard of an agent that was killed may be thawing yet. It holds the lock, with the descriptor that it
 * has from its supervisor: while it writes the record, nobody else does. */
void bh_freeze_await_guard(int fd)
{
    uint64_t until = bh_clock_ms(CLOCK_BOOTTIME) + LAST_GUARD_MS;

    while (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK) {
        if (bh_clock_ms(CLOCK_BOOTTIME) >= until) {
            bh_log(BH_LOG_WARNING,
                   "the guard of the last agent has not ended; what it thaws may be frozen anew");
            return;
        }
        (void)poll(NULL, 0, 2);
    }
}

/* One bulkhead-hook at a time runs hooks, whichever agent's: that of one that was killed may be at it yet,
 * and then ours waits for the lock, not we. */
static int open_hook_record(struct bh_supervisor *s, const char *path)
{
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    s->hook_record = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (s->hook_record < 0)
        return -errno;
    (void)fcntl(s->hook_record, F_OFD_SETLK, &all);
    return 0;
}

int bh_freeze_load(struct bh_supervisor *s)
{
    char path[600];
    int r;

    (void)snprintf(path, sizeof(path), "%s/frozen", s->home);
    s->frozen_record = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (s->frozen_record < 0)
        return -errno;
    bh_freeze_await_guard(s->frozen_record);
    r = open_hook_record(s, path);
    if (r < 0)
        return r;
    take_over(s, s->frozen_record);
    bh_freeze_settle(s);
    s->hook_config = -1;
    hooks_of(s)->user = BH_HOOK_OWED;
    return s->hooks ? make_hook_config(s, s->frozen->channel) : 0;
}

void bh_freeze_settle(struct bh_supervisor *s)
{
    const uint64_t *settings = bh_any_policy(s)->slice->settings;

    s->frozen->lease_s = (uint32_t)settings[BH_SET_FREEZE_TIMEOUT_S];
    s->frozen->hold = (uint32_t)settings[BH_SET_FREEZE_ON_RESTART];
    s->frozen->hooks = s->hooks;
    for (unsigned i = 0; i < BH_FROZEN_CHANNELS_MAX; i++) {
        const struct bh_channel_row *channel = &s->channels[i];

        memset(s->frozen->slots[i], 0, sizeof(s->frozen->slots[i]));
        if (channel->row)
            memcpy(s->frozen->slots[i], channel->policy.slice->channel, sizeof(s->frozen->slots[i]));
    }
}

bool bh_is_frozen(const struct bh_supervisor *s)
{
    return bh_frozen_state(s->frozen) != BH_THAWED;
}

bool bh_may_write(const struct bh_supervisor *s, const char *folder)
{
    _cleanup_close_ int fd = -1;

    if (!bh_is_frozen(s))
        return true;
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && !bh_frozen_holds(s->frozen, fd);
}

/* --- the guard ---------------------------------------------------------------------- */

static struct bh_process *guard_of(struct bh_supervisor *s)
{
    return bh_table_find(s, BH_ROLE_THAW, -1, BH_NO_USER);
}

/* A guard that runs, or NULL. */
static struct bh_process *provide_guard(struct bh_supervisor *s)
{
    struct bh_process *guard = guard_of(s);
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);

    if (!guard->pid && bh_budget_wait(&guard->budget, now) == 0 && bh_launch(s, guard) < 0)
        bh_budget_died(&guard->budget, bh_finished(s, guard), now);
    return guard->pid && !guard->dying ? guard : NULL;
}

/* Each asks for a socket of its own: whose it is, the guard hears from us. */
static int introduce(struct bh_supervisor *s, const struct bh_process *worker)
{
    struct bh_process *guard = provide_guard(s);
    int pair[2], r;

    if (!guard)
        return -EACCES;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    r = bh_control_send(guard->control, BH_CONTROL_CLIENT, (uint32_t)worker->channel, pair[0]);
    if (r == 0)
        r = bh_control_send(worker->control, BH_CONTROL_PEER, BH_PEER_GUARD, pair[1]);
    (void)close(pair[0]);
    (void)close(pair[1]);
    return r;
}

/* --- the hooks -------------------------------------------------------------------------- */

static struct bh_process *hooks_of(struct bh_supervisor *s)
{
    for (unsigned i = 0; i < s->n_processes; i++)
        if (s->processes[i].role == BH_ROLE_HOOK)
            return &s->processes[i];
    return NULL;
}

/* In the page and its copy: whoever finds it has thaw hooks to run. */
static void owe_hooks(struct bh_supervisor *s, bool owed)
{
    s->frozen->hook_owed = owed;
    if (!bh_frozen_holds(s->frozen, s->frozen_record) &&
        pwrite(s->frozen_record, &s->frozen->hook_owed, sizeof(s->frozen->hook_owed),
               offsetof(struct bh_frozen, hook_owed)) < 0)
        warn_unwritten(s);
}

static int make_hook_config(struct bh_supervisor *s, const char *channel)
{
    const uint64_t *settings = bh_any_policy(s)->slice->settings;
    static struct bh_hook_config config;
    int r;

    config = (struct bh_hook_config){ .magic = BH_HOOK_CONFIG_MAGIC,
                                      .timeout_ms = (uint32_t)settings[BH_SET_HOOK_TIMEOUT_S] * 1000,
                                      .unrecorded = (uint32_t)settings[BH_SET_AUDIT_FAILURE],
                                      .folder = BH_HOOK_DIR_DEFAULT };
    (void)snprintf(config.channel, sizeof(config.channel), "%s", channel);
    (void)snprintf(config.file, sizeof(config.file), "%s", s->options.hook ? s->options.hook : "");
    bh_close_p(&s->hook_config);
    s->hook_config = bh_memfd_new("bulkhead-hooks", &config, sizeof(config));
    r = s->hook_config < 0 ? s->hook_config : bh_memfd_seal(s->hook_config);
    return r;
}

/* Only the asker, and whom it passes the socket to, hold its other end: if that is lost, the hooks are
 * undone. */
static int start_hooks(struct bh_supervisor *s, const struct bh_process *worker)
{
    struct bh_process *hooks = hooks_of(s);
    int r;

    if (!s->hooks || hooks->pid || s->frozen->hook_owed)
        return -EBUSY;
    hooks->user = BH_NO_USER;
    r = make_hook_config(s, s->channels[worker->channel].policy.slice->channel);
    if (r == 0)
        r = bh_launch(s, hooks);
    if (r < 0)
        return r;
    owe_hooks(s, true);
    r = bh_control_send(worker->control, BH_CONTROL_PEER, BH_PEER_HOOK, hooks->peer);
    (void)close(bh_take_fd(&hooks->peer));
    return r;
}

bool bh_freeze_ended(struct bh_supervisor *s, struct bh_process *process, int status)
{
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;

    if (process->role != BH_ROLE_HOOK)
        return false;
    if (clean)
        owe_hooks(s, false);
    process->user = BH_HOOK_OWED; /* if another is started, it is for what this one has left */
    return clean;
}

void bh_freeze_asked(struct bh_supervisor *s, struct bh_process *worker, uint32_t peer)
{
    bh_reap(s); /* a dead one is not handed out as living */
    if (peer == BH_PEER_GUARD && introduce(s, worker) == 0)
        return;
    if (peer == BH_PEER_HOOK && start_hooks(s, worker) == 0)
        return;
    if (worker->control >= 0)
        (void)bh_control_send(worker->control, BH_CONTROL_REFUSED, peer, -1);
}

bool bh_freeze_wants(const struct bh_supervisor *s, const struct bh_process *process)
{
    return (process->role == BH_ROLE_THAW && bh_is_frozen(s)) ||
           (process->role == BH_ROLE_HOOK && s->frozen->hook_owed && s->hooks);
}

bool bh_freeze_lasts(const struct bh_process *process)
{
    return process->role == BH_ROLE_HOOK || process->role == BH_ROLE_THAW;
}

void bh_freeze_started(struct bh_process *process)
{
    if (process->role == BH_ROLE_HOOK)
        (void)close(bh_take_fd(&process->peer)); /* nobody asks it: it does what is owed */
}

/* --- the end -------------------------------------------------------------------------- */

/* Asks the guard that runs; one that has replaced a killed one is asked anew. The one that was asked. */
static pid_t ask_to_thaw(struct bh_supervisor *s, pid_t asked)
{
    struct bh_process *guard = bh_is_frozen(s) ? provide_guard(s) : NULL;

    if (!guard || guard->pid == asked)
        return asked;
    (void)bh_control_send(guard->control, BH_CONTROL_THAW, 0, -1);
    return guard->pid;
}

/* The guard thaws, then the thaw hooks run; what takes longer ends without us. */
void bh_freeze_stop(struct bh_supervisor *s)
{
    uint64_t until = bh_clock_ms(CLOCK_BOOTTIME) + STOP_THAW_MS;
    pid_t asked = 0;

    if (bh_is_frozen(s))
        bh_log(BH_LOG_NOTICE, "file systems are frozen: they are thawed before the agent ends");
    while ((bh_is_frozen(s) || hooks_of(s)->pid) && bh_clock_ms(CLOCK_BOOTTIME) < until) {
        bh_reap(s); /* it may die yet */
        asked = ask_to_thaw(s, asked);
        (void)poll(NULL, 0, 2);
    }
}

void bh_freeze_leave(struct bh_supervisor *s)
{
    bh_close_p(&guard_of(s)->control);
}
