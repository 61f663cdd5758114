/*
 * What children ask for, eight bytes at a time. What happens when they end: ends.c.
 *
 * A message that the sender's row of the roster does not allow, or that is malformed,
 * ends the sender: a peer that breaks the protocol is not argued with.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/audit/store.h"
#include "broker/supervisor/supervisor.h"
#include "policy/eval.h"
#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "protocol/wire/frozen.h"

#define TURN 16u       /* messages of one process in one round: a flood holds up nobody but its sender */
#define LEAVE_MS 1000u /* after LEAVE; what is not gone then is killed */

uint64_t bh_finished(const struct bh_supervisor *s, const struct bh_process *process)
{
    return process->state ? process->state->requests : s->audit_state->now.chain.steps;
}

static bool domain_granted(const struct bh_policy *policy, int worker)
{
    for (unsigned command = 0; command < BH_CMD_COUNT; command++)
        if (bh_commands[command].worker == worker && bh_commands[command].served &&
            bh_policy_grants(policy, command))
            return true;
    return false;
}

/* It has an older slice of the policy than its channel. */
static bool is_outdated(const struct bh_supervisor *s, const struct bh_process *process)
{
    return process->edition != s->channels[process->channel].edition;
}

/* Where every rule runs without a sandbox, nothing stands between a front and what runs it: a hop would
 * protect nothing. */
static bool spawn_serves_front(const struct bh_supervisor *s, int channel)
{
    return bh_policy_runs_bare_only(&s->channels[channel].policy);
}

/* The row that a peer number means for this sender, or NULL: it may not ask for it. */
static struct bh_process *peer_of(struct bh_supervisor *s, const struct bh_process *sender, uint32_t peer)
{
    const struct bh_role_row *row = &bh_roster[sender->role];
    int role;

    if (row->may_start_openers && is_outdated(s, sender))
        return NULL; /* it numbers users as its older policy does, and comes for the newer one */
    if (row->may_start_openers && peer >= BH_PEER_OPENER && peer < BH_PEER_END)
        return bh_table_find(s, BH_ROLE_OPENER, sender->channel, peer - BH_PEER_OPENER);
    if (row->may_start_smart && peer == BH_PEER_SMART &&
        s->channels[sender->channel].policy.slice->settings[BH_SET_NVME_SMART])
        return bh_table_find(s, BH_ROLE_SMART, sender->channel, BH_NO_USER);
    if (row->may_start_spawn && peer == BH_PEER_SPAWN &&
        bh_policy_has_sandbox(&s->channels[sender->channel].policy, BH_SANDBOX_NONE))
        return bh_table_find(s, BH_ROLE_SPAWN, sender->channel, BH_NO_USER);
    if (!row->may_start_workers || peer >= BH_WORKER_COUNT)
        return NULL;
    role = bh_roster_worker(peer);
    if (role < 0 || !domain_granted(&s->channels[sender->channel].policy, (int)peer))
        return NULL;
    if (role == BH_ROLE_EXEC && spawn_serves_front(s, sender->channel))
        role = BH_ROLE_SPAWN;
    return bh_table_find(s, (enum bh_role)role, sender->channel, BH_NO_USER);
}

/* A process that ends closes its socket a moment before it can be reaped. */
static bool has_closed(int peer)
{
    struct pollfd fd = { .fd = peer };

    return poll(&fd, 1, 0) > 0 && (fd.revents & (POLLHUP | POLLERR));
}

/* One that has ended by itself keeps its exit status. */
void bh_kill(struct bh_process *process)
{
    (void)kill(process->pid, SIGKILL);
    process->dying = true;
    process->leaving = false;
    process->give_up_ms = bh_clock_ms(CLOCK_BOOTTIME) + BH_GIVE_UP_MS;
}

void bh_retire(struct bh_process *process)
{
    if (!process->pid)
        return;
    process->planned = true;
    if (!process->dying)
        bh_kill(process);
}

/* Nothing more goes to it; what has gone already it serves or gives back, and ends. */
void bh_let_go(struct bh_process *process)
{
    (void)shutdown(process->peer, SHUT_WR);
    process->dying = process->leaving = process->planned = true;
    process->give_up_ms = bh_clock_ms(CLOCK_BOOTTIME) + LEAVE_MS;
}

/* One that serves calls gets a moment to tell the log what went through its open files. */
void bh_evict(struct bh_process *process)
{
    if (process->pid && !process->dying && bh_roster[process->role].may_leave)
        bh_let_go(process);
    else
        bh_retire(process);
    process->evicted = process->pid != 0;
    process->wanted = false;
    process->asked = false;
    if (process->control >= 0)
        (void)close(bh_take_fd(&process->control));
}

/* Sees that it runs, if it may. False: it is ending, and what is asked now is answered when it is gone. */
static bool provide(struct bh_supervisor *s, struct bh_process *process)
{
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);

    bh_reap(s); /* a dead one is not handed out as living */
    if (process->pid && !process->dying)
        bh_requests_serve(s, process); /* it may have said that it leaves */
    if (process->pid && !process->dying && process->role == BH_ROLE_OPENER && is_outdated(s, process))
        bh_retire(process);
    if (process->pid && !process->dying && process->role == BH_ROLE_SMART)
        bh_retire(process); /* whoever asks anew has done with it */
    if (process->pid && !process->dying && has_closed(process->peer))
        bh_kill(process);
    process->asked = process->dying;
    if (!process->pid && bh_budget_wait(&process->budget, now) == 0 && bh_launch(s, process) < 0)
        bh_budget_died(&process->budget, bh_finished(s, process), now);
    return !process->dying;
}

/* Each feeder of a spool gets a socket of its own to it. */
static void introduce_to_spool(struct bh_supervisor *s, struct bh_process *feeder)
{
    struct bh_process *spool = bh_table_find(s, BH_ROLE_SPOOL, feeder->channel, BH_NO_USER);
    int pair[2] = { -1, -1 }, r = spool && provide(s, spool) && spool->pid ? 0 : -EACCES;

    if (r == 0 && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        r = -errno;
    if (r == 0)
        r = bh_control_send(spool->control, BH_CONTROL_CLIENT, 0, pair[0]);
    if (r == 0)
        (void)bh_control_send(feeder->control, BH_CONTROL_PEER, BH_PEER_SPOOL, pair[1]);
    else if (feeder->control >= 0)
        (void)bh_control_send(feeder->control, BH_CONTROL_REFUSED, BH_PEER_SPOOL, -1);
    bh_close_p(&pair[0]);
    bh_close_p(&pair[1]);
}

static void answer_start(struct bh_supervisor *s, struct bh_process *sender, uint32_t peer)
{
    struct bh_process *process = peer_of(s, sender, peer);

    if (bh_roster[sender->role].may_feed_spool && peer == BH_PEER_SPOOL) {
        introduce_to_spool(s, sender);
        return;
    }
    if (bh_roster[sender->role].may_start_guard && peer != BH_PEER_SMART) {
        bh_freeze_asked(s, sender, peer);
        return;
    }
    if (process && !provide(s, process)) {
        process->asked_peer = peer;
        return;
    }
    if (process && process->pid)
        (void)bh_control_send(sender->control, BH_CONTROL_PEER, peer, process->peer);
    else if (sender->control >= 0)
        (void)bh_control_send(sender->control, BH_CONTROL_REFUSED, peer, -1);
    if (process && process->role == BH_ROLE_SMART)
        bh_close_p(&process->peer); /* it ends when the asker's end is closed */
}

static void answer_kill(struct bh_supervisor *s, struct bh_process *sender, uint32_t peer)
{
    struct bh_process *process = peer_of(s, sender, peer);

    if (!process || !process->pid || process->dying)
        return;
    bh_log(BH_LOG_WARNING, "%s did not answer in time and is ended", process->label);
    bh_journal(s, "%s did not answer in time and is ended", process->label);
    bh_kill(process);
}

/* The one process that may ask for this one. */
static struct bh_process *client_of(struct bh_supervisor *s, const struct bh_process *process)
{
    enum bh_role role = process->role == BH_ROLE_OPENER  ? BH_ROLE_FS
                        : process->role == BH_ROLE_SMART ? BH_ROLE_STORAGE
                        : process->role == BH_ROLE_SPAWN && !spawn_serves_front(s, process->channel)
                            ? BH_ROLE_EXEC
                            : BH_ROLE_FRONT;

    return bh_table_find(s, role, process->channel, BH_NO_USER);
}

/* The fs worker is between two requests: nothing is under way at an opener of the older policy. */
static void retire_openers(struct bh_supervisor *s, int channel)
{
    for (unsigned i = 1; i < s->n_processes; i++)
        if (s->processes[i].role == BH_ROLE_OPENER && s->processes[i].channel == channel &&
            is_outdated(s, &s->processes[i]))
            bh_retire(&s->processes[i]);
}

static void answer_policy(struct bh_supervisor *s, struct bh_process *sender)
{
    const struct bh_channel_row *channel = &s->channels[sender->channel];

    if (bh_control_send(sender->control, BH_CONTROL_POLICY, channel->policy.slice->size, channel->slice_fd) <
        0) {
        bh_kill(sender); /* it asks and does not take the answers */
        return;
    }
    sender->renewed |= sender->edition != channel->edition;
    sender->edition = channel->edition;
    sender->woken = false;
    if (sender->role == BH_ROLE_FS)
        retire_openers(s, sender->channel);
}

static void answer_leave(struct bh_process *sender)
{
    if (!sender->dying)
        bh_let_go(sender);
}

static void answer_segment(struct bh_supervisor *s, struct bh_process *audit)
{
    char why[256] = "no audit segment is begun while file systems are frozen; it is asked for again";
    int fd = bh_frozen_state(s->frozen) == BH_THAWED ? bh_log_store_next(s->store, why, sizeof(why)) : -EBUSY;

    if (fd >= 0) {
        (void)bh_control_send(audit->control, BH_CONTROL_SEGMENT, 0, fd);
        return;
    }
    bh_log(BH_LOG_ERROR, "%s", why);
    (void)bh_control_send(audit->control, BH_CONTROL_REFUSED, 0, -1);
}

/* False: the sender broke the protocol. */
static bool serve(struct bh_supervisor *s, struct bh_process *sender, const struct bh_control *message)
{
    const struct bh_role_row *row = &bh_roster[sender->role];

    switch (message->op) {
    case BH_CONTROL_START:
        if (!row->may_start_workers && !row->may_start_openers && !row->may_start_guard &&
            !row->may_feed_spool)
            return false;
        answer_start(s, sender, message->arg);
        return true;
    case BH_CONTROL_KILL:
        if (!row->may_start_workers && !row->may_start_openers)
            return false;
        answer_kill(s, sender, message->arg);
        return true;
    case BH_CONTROL_SEGMENT:
        if (!row->may_ask_segment)
            return false;
        answer_segment(s, sender);
        return true;
    case BH_CONTROL_POLICY:
        if (!row->may_ask_policy)
            return false;
        answer_policy(s, sender);
        return true;
    case BH_CONTROL_QUIET:
        if (!row->may_start_guard)
            return false;
        (void)bh_frozen_await_quiet(s);
        (void)bh_control_send(sender->control, BH_CONTROL_QUIET, 0, -1);
        return true;
    case BH_CONTROL_LEAVE:
        if (!row->may_leave || !sender->renewed)
            return false; /* it has what it started with: nobody would serve better, and each start costs */
        answer_leave(sender);
        return true;
    default:
        return false;
    }
}

void bh_requests_answer_late(struct bh_supervisor *s, const struct bh_process *process)
{
    answer_start(s, client_of(s, process), process->asked_peer);
}

void bh_requests_serve(struct bh_supervisor *s, struct bh_process *process)
{
    for (unsigned i = 0; i < TURN && process->control >= 0; i++) {
        _cleanup_close_ int fd = -1;
        struct bh_control message;
        int r = bh_control_recv(process->control, &message, &fd);

        if (r == -EAGAIN)
            return;
        /* It is ending, and its exit status stands; one that only looks so is of no use either. */
        if (r == 0) {
            bh_kill(process);
            (void)close(bh_take_fd(&process->control));
            return;
        }
        if (r < 0 || fd >= 0 || !serve(s, process, &message)) {
            bh_log(BH_LOG_ERROR, "%s sent what it may not send and is ended", process->label);
            bh_journal(s, "%s broke the control protocol and is ended", process->label);
            bh_kill(process);
            (void)close(bh_take_fd(&process->control));
            return;
        }
    }
}
