/*
 * What children ask for, eight bytes at a time, and what happens when they end.
 *
 * A message that the sender's row of the roster does not allow, or that is malformed,
 * ends the sender: a peer that breaks the protocol is not argued with.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/audit/store.h"
#include "broker/supervisor/supervisor.h"
#include "policy/eval.h"
#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

#define TURN 16u        /* messages of one process in one round: a flood holds up nobody but its sender */
#define GIVE_UP_MS 500u /* after SIGKILL; what is not gone then hangs in the kernel and runs no more */

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

/* The row that a peer number means for this sender, or NULL: it may not ask for it. */
static struct bh_process *peer_of(struct bh_supervisor *s, const struct bh_process *sender, uint32_t peer)
{
    const struct bh_role_row *row = &bh_roster[sender->role];
    int role;

    if (row->may_start_openers && peer >= BH_PEER_OPENER && peer < BH_PEER_END)
        return bh_table_find(s, BH_ROLE_OPENER, sender->channel, peer - BH_PEER_OPENER);
    if (!row->may_start_workers || peer >= BH_WORKER_COUNT)
        return NULL;
    role = bh_roster_worker(peer);
    if (role < 0 || !domain_granted(&s->channels[sender->channel].policy, (int)peer))
        return NULL;
    return bh_table_find(s, (enum bh_role)role, sender->channel, BH_NO_USER);
}

/* A process that ends closes its socket a moment before it can be reaped. */
static bool has_closed(int peer)
{
    struct pollfd fd = { .fd = peer };

    return poll(&fd, 1, 0) > 0 && (fd.revents & (POLLHUP | POLLERR));
}

/* One that has ended by itself keeps its exit status. */
static void end(struct bh_process *process)
{
    (void)kill(process->pid, SIGKILL);
    process->dying = true;
    process->give_up_ms = bh_clock_ms(CLOCK_BOOTTIME) + GIVE_UP_MS;
}

/* Sees that it runs, if it may. False: it is ending, and what is asked now is answered when it is gone. */
static bool provide(struct bh_supervisor *s, struct bh_process *process)
{
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);

    bh_reap(s); /* a dead one is not handed out as living */
    if (process->pid && !process->dying && has_closed(process->peer))
        end(process);
    process->asked = process->dying;
    if (!process->pid && bh_budget_wait(&process->budget, now) == 0 && bh_launch(s, process) < 0)
        bh_budget_died(&process->budget, bh_finished(s, process), now);
    return !process->dying;
}

static void answer_start(struct bh_supervisor *s, struct bh_process *sender, uint32_t peer)
{
    struct bh_process *process = peer_of(s, sender, peer);

    if (process && !provide(s, process))
        return;
    if (process && process->pid)
        (void)bh_control_send(sender->control, BH_CONTROL_PEER, peer, process->peer);
    else if (sender->control >= 0)
        (void)bh_control_send(sender->control, BH_CONTROL_REFUSED, peer, -1);
}

static void answer_kill(struct bh_supervisor *s, struct bh_process *sender, uint32_t peer)
{
    struct bh_process *process = peer_of(s, sender, peer);

    if (!process || !process->pid || process->dying)
        return;
    bh_log(BH_LOG_WARNING, "%s did not answer in time and is ended", process->label);
    bh_journal(s, "%s did not answer in time and is ended", process->label);
    end(process);
}

/* The one process that may ask for this one. */
static struct bh_process *client_of(struct bh_supervisor *s, const struct bh_process *process)
{
    enum bh_role role = process->role == BH_ROLE_OPENER ? BH_ROLE_FS : BH_ROLE_FRONT;

    return bh_table_find(s, role, process->channel, BH_NO_USER);
}

static uint32_t peer_number(const struct bh_process *process)
{
    return process->role == BH_ROLE_OPENER ? BH_PEER_OPENER + process->user
                                           : (uint32_t)bh_roster[process->role].worker;
}

static void answer_segment(struct bh_supervisor *s, struct bh_process *audit)
{
    char why[256];
    int fd = bh_log_store_next(s->store, why, sizeof(why));

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
        if (!row->may_start_workers && !row->may_start_openers)
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
    default:
        return false;
    }
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
            end(process);
            (void)close(bh_take_fd(&process->control));
            return;
        }
        if (r < 0 || fd >= 0 || !serve(s, process, &message)) {
            bh_log(BH_LOG_ERROR, "%s sent what it may not send and is ended", process->label);
            bh_journal(s, "%s broke the control protocol and is ended", process->label);
            end(process);
            (void)close(bh_take_fd(&process->control));
            return;
        }
    }
}

static void say_death(struct bh_supervisor *s, const struct bh_process *process, int status)
{
    if (WIFSIGNALED(status)) {
        bh_log(BH_LOG_WARNING, "%s was ended by signal %d (%s)", process->label, WTERMSIG(status),
               strsignal(WTERMSIG(status)));
        bh_journal(s, "%s was ended by signal %d", process->label, WTERMSIG(status));
    } else {
        bh_log(BH_LOG_WARNING, "%s ended with status %d", process->label, WEXITSTATUS(status));
        bh_journal(s, "%s ended with status %d", process->label, WEXITSTATUS(status));
    }
}

static void ended(struct bh_supervisor *s, struct bh_process *process, int status)
{
    bool asked = process->asked;
    bool clean =
        process->role == BH_ROLE_FRONT && WIFEXITED(status) && WEXITSTATUS(status) == 0; /* its client left */

    process->pid = 0;
    process->dying = false;
    process->asked = false;
    if (process->control >= 0)
        (void)close(bh_take_fd(&process->control));
    if (process->peer >= 0)
        (void)close(bh_take_fd(&process->peer));
    process->wanted = bh_roster[process->role].keeps_running && !s->stopping;
    if (process->role == BH_ROLE_FRONT)
        bh_channel_front_ended(s, process, clean);
    if (s->stopping)
        return;
    if (!clean) {
        process->restarts++;
        bh_budget_died(&process->budget, bh_finished(s, process), bh_clock_ms(CLOCK_BOOTTIME));
        say_death(s, process, status);
        bh_status_write(s);
    }
    if (asked)
        answer_start(s, client_of(s, process), peer_number(process));
}

void bh_reap(struct bh_supervisor *s)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct bh_process *process = bh_table_by_pid(s, pid);

        if (process)
            ended(s, process, status);
    }
}

/*
 * A process can hang in the kernel (a file system of a user who does not answer): it runs no instruction of
 * its own any more, so its row is free for a successor. Returns milliseconds until that is so, or 0.
 */
static uint64_t give_up(struct bh_supervisor *s, struct bh_process *process, uint64_t now)
{
    if (!process->pid || !process->dying)
        return 0;
    if (process->give_up_ms > now)
        return process->give_up_ms - now;
    bh_log(BH_LOG_ERROR, "%s (process %d) hangs in the kernel and is given up", process->label,
           (int)process->pid);
    ended(s, process, SIGKILL);
    return 0;
}

int bh_start_wanted(struct bh_supervisor *s)
{
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);
    int next = -1;

    for (unsigned i = 0; i < s->n_processes; i++) {
        struct bh_process *process = &s->processes[i];
        uint64_t wait = give_up(s, process, now);

        if (wait > 0 && (next < 0 || (uint64_t)next > wait))
            next = (int)wait;
        if (!process->wanted || process->pid)
            continue;
        wait = bh_budget_wait(&process->budget, now);
        if (wait == 0 && bh_launch(s, process) == 0) {
            if (process->role == BH_ROLE_FRONT)
                bh_channel_front_started(s, process);
            continue;
        }
        if (wait == 0) { /* it could not even be started */
            bh_budget_died(&process->budget, bh_finished(s, process), now);
            wait = BH_RESTART_DELAY_FIRST_MS;
        }
        if (next < 0 || (uint64_t)next > wait)
            next = (int)wait;
    }
    return next;
}
