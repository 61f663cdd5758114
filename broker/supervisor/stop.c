/*
 * The end in order: what is frozen is thawed, processes are ended, queued audit records are written, sockets
 * are removed. Then the process ends, or starts anew in place (restart.h).
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/supervisor/daemon.h"
#include "broker/supervisor/restart.h"
#include "broker/supervisor/supervisor.h"
#include "protocol/base/clock.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

#define STOP_GRACE_MS                                                                                        \
    1000 /* for the processes to go, and again for audit processes to write what is queued */

/* What is queued is written before the queues go with us, by a successor if the audit process has died or
 * dies now. */
static void write_out(struct bh_supervisor *s)
{
    uint64_t until = bh_clock_ms(CLOCK_BOOTTIME) + STOP_GRACE_MS;
    struct bh_process *audit = &s->processes[0];
    int status;

    do {
        if (!audit->pid && bh_launch(s, audit) < 0)
            return;
        if (audit->control >= 0)
            (void)close(bh_take_fd(&audit->control)); /* it writes what is queued, then ends */
        status = bh_await(audit, until);
        if (status < 0)
            (void)kill(audit->pid, SIGKILL);
        else
            audit->pid = 0;
    } while (status >= 0 && WIFSIGNALED(status) && bh_clock_ms(CLOCK_BOOTTIME) < until);
}

static void stop_all(struct bh_supervisor *s, const char *event)
{
    s->stopping = true;
    bh_journal(s, "%s", event);
    bh_freeze_stop(s);
    bh_end_all(s, bh_clock_ms(CLOCK_BOOTTIME) + STOP_GRACE_MS);
    write_out(s);
    for (unsigned i = 0; i < s->n_channels; i++)
        bh_channel_close(s, &s->channels[i]);
    bh_cgroups_sweep(&s->cgroups);
}

_Noreturn void bh_stop(struct bh_supervisor *s, int status)
{
    stop_all(s, "stopping");
    bh_daemon_end();
    exit(status);
}

void bh_restart(struct bh_supervisor *s)
{
    const char *program;
    int r = bh_restart_may(&program);

    if (r < 0) {
        bh_log(BH_LOG_ERROR, "cannot restart: %s cannot be executed: %s; the agent goes on as it is", program,
               strerror(-r));
        return;
    }
    stop_all(s, "restarting");
    r = bh_restart_execute(&s->options);
    bh_die(1, "cannot restart: %s cannot be executed: %s", program, strerror(-r));
}
