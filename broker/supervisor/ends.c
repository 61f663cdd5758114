/*
 * How children end: reaped, told of, counted against their budget, and started again if they are wanted. One
 * that cannot even be killed, since it hangs in the kernel, is given up.
 */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/supervisor/supervisor.h"
#include "protocol/base/clock.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

#define FAREWELL_MS 2500 /* for executions to be ended and recorded */

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

/* The row as it is when nothing of it runs; it changes hands now if it has to. */
static void clear(struct bh_supervisor *s, struct bh_process *process)
{
    if (process->evicted)
        bh_sources_report(s, process);
    process->pid = 0;
    process->dying = process->leaving = process->planned = process->evicted = false;
    process->asked = process->woken = process->renewed = false;
    process->retire_ms = 0;
    bh_close_p(&process->control);
    bh_close_p(&process->peer);
    if (process->next_label[0])
        bh_sources_hand_over(s, process);
    process->wanted = (bh_roster[process->role].keeps_running || bh_freeze_wants(s, process)) &&
                      !s->stopping && (process->channel < 0 || s->channels[process->channel].row);
}

/* It has done what it was started for: its list of disks is told, nothing of it runs any more. */
static bool is_done(const struct bh_process *process, int status)
{
    return (process->role == BH_ROLE_SMART || process->role == BH_ROLE_SPAWN) && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

static void ended(struct bh_supervisor *s, struct bh_process *process, int status)
{
    bool asked = process->asked, evicted = process->evicted,
         planned = bh_freeze_ended(s, process, status) || is_done(process, status) || process->planned;
    bool clean =
        process->role == BH_ROLE_FRONT && WIFEXITED(status) && WEXITSTATUS(status) == 0; /* so it says */
    bool failed = !planned && !(clean && (evicted || bh_channel_was_left(s, process)));

    if (failed && !s->stopping) {
        process->restarts++;
        bh_budget_died(&process->budget, bh_finished(s, process), bh_clock_ms(CLOCK_BOOTTIME));
        say_death(s, process, status);
    } else if (process->role == BH_ROLE_SMART) { /* its starts cost the same when it ends in order */
        bh_budget_died(&process->budget, bh_finished(s, process), bh_clock_ms(CLOCK_BOOTTIME));
    }
    clear(s, process);
    if (process->role == BH_ROLE_FRONT && !evicted)
        bh_channel_front_ended(s, process, clean);
    if (s->stopping)
        return;
    if (failed)
        bh_status_write(s);
    bh_sources_renew(s);
    if (asked && !evicted)
        bh_requests_answer_late(s, process);
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
    if (!process->pid || !process->dying || process->role == BH_ROLE_AUDIT)
        return 0; /* two audit processes would write one log: the old one is waited for */
    if (process->give_up_ms > now)
        return process->give_up_ms - now;
    if (process->leaving) {
        bh_kill(process);
        return BH_GIVE_UP_MS;
    }
    bh_log(BH_LOG_ERROR, "%s (process %d) hangs in the kernel and is given up", process->label,
           (int)process->pid);
    ended(s, process, SIGKILL);
    return 0;
}

/* An opener of an older policy, of which nobody took leave in time. Milliseconds until then, or 0. */
static uint64_t retire_late(struct bh_process *process, uint64_t now)
{
    if (!process->pid || process->dying || !process->retire_ms)
        return 0;
    if (process->retire_ms > now)
        return process->retire_ms - now;
    bh_retire(process);
    return BH_GIVE_UP_MS;
}

int bh_start_wanted(struct bh_supervisor *s)
{
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);
    int next = -1;

    for (unsigned i = 0; i < s->n_processes; i++) {
        struct bh_process *process = &s->processes[i];
        uint64_t wait = process->dying ? give_up(s, process, now) : retire_late(process, now);

        if (wait > 0 && (next < 0 || (uint64_t)next > wait))
            next = (int)wait;
        if (!process->wanted || process->pid)
            continue;
        wait = bh_budget_wait(&process->budget, now);
        if (wait == 0 && bh_launch(s, process) == 0) {
            if (process->role == BH_ROLE_FRONT)
                bh_channel_front_started(s, process);
            bh_freeze_started(process);
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

/* Its exit status, or -1: it did not end in time, or there was none. */
int bh_await(const struct bh_process *process, uint64_t until)
{
    int status = -1;

    while (process->pid && waitpid(process->pid, &status, WNOHANG) == 0 &&
           bh_clock_ms(CLOCK_BOOTTIME) < until)
        (void)poll(NULL, 0, 5);
    return status;
}

/* Those that run programs end them, and those that keep output say what became of it; what takes longer is
 * killed. */
static void say_farewell(struct bh_supervisor *s, unsigned turn)
{
    uint64_t until = bh_clock_ms(CLOCK_BOOTTIME) + FAREWELL_MS;

    for (unsigned i = 1; i < s->n_processes; i++)
        if (s->processes[i].pid && bh_roster[s->processes[i].role].farewell == turn)
            bh_let_go(&s->processes[i]);
    for (unsigned i = 1; i < s->n_processes; i++)
        if (s->processes[i].pid && bh_roster[s->processes[i].role].farewell == turn &&
            bh_await(&s->processes[i], until) >= 0)
            s->processes[i].pid = 0;
}

/* Nobody else is asked to go, for one that was taken over may have blocked every other signal, and nobody is
 * waited for without end. The guard and the hooks go by themselves: when nothing can freeze any more, when
 * nothing is owed. */
void bh_end_all(struct bh_supervisor *s, uint64_t until)
{
    for (unsigned i = 1; i < s->n_processes; i++)
        if (s->processes[i].pid && !bh_freeze_lasts(&s->processes[i]) &&
            !bh_roster[s->processes[i].role].farewell)
            (void)kill(s->processes[i].pid, SIGKILL);
    say_farewell(s, 1);
    say_farewell(s, 2);
    for (unsigned i = 1; i < s->n_processes; i++)
        if (s->processes[i].pid && !bh_freeze_lasts(&s->processes[i]))
            (void)kill(s->processes[i].pid, SIGKILL);
    for (unsigned i = 1; i < s->n_processes; i++)
        if (!bh_freeze_lasts(&s->processes[i]))
            (void)bh_await(&s->processes[i], until);
    bh_freeze_stop(s); /* what a worker began meanwhile */
    bh_freeze_leave(s);
}
