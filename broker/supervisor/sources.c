/*
 * Who is who in the audit log, when channels and users come and go.
 *
 * Who wrote a record is the queue it came through; the audit process knows the name of
 * each queue's owner from a list that it gets at its start. When a row changes hands, its
 * next owner gets a queue of its own, and the former owner's is kept, under the former
 * name, until it is empty; the audit process reads it before the new one. So a record is
 * told under the name of its writer, whatever the writer put into it or into its state
 * page. A new list needs a new audit process; what it must not forget is in the page that
 * the supervisor keeps (broker/audit/state.h), so its end and restart lose nothing.
 *
 * The page of a row goes on counting: no two owners number records alike.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "broker/audit/store.h"
#include "broker/supervisor/supervisor.h"
#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

#define SETTLE_MS 500u /* for records of former owners to be written */
#define SEQUENCE_MAX                                                                                         \
    (UINT64_C(1) << 48) /* no honest page counts so far: 8 million records a second for a year */

static void name(char ret[BH_AUDIT_NAME_MAX], const char *label)
{
    (void)snprintf(ret, BH_AUDIT_NAME_MAX, "%.*s", (int)BH_AUDIT_NAME_MAX - 1, label);
}

void bh_sources_name(const struct bh_supervisor *s, struct bh_audit_names *ret)
{
    *ret = (struct bh_audit_names){ 0 };
    name(ret->of[0], "supervisor");
    for (unsigned i = 1; i < s->n_processes; i++) {
        const struct bh_process *process = &s->processes[i];

        name(ret->of[process->source], process->label);
        name(ret->former[process->source], process->former_label);
    }
}

void bh_sources_renew(struct bh_supervisor *s)
{
    static struct bh_audit_names names;
    struct bh_process *audit = &s->processes[0];
    int r;

    if (!s->sources_changed || !s->store)
        return;
    bh_sources_name(s, &names);
    r = bh_log_store_rename(s->store, &names);
    if (r < 0) {
        bh_log(BH_LOG_ERROR, "the audit log cannot be told the new names of its sources: %s", strerror(-r));
        return; /* tried again before the next audit process starts, and when the next row changes */
    }
    s->sources_changed = false;
    if (audit->pid)
        bh_retire(audit);
}

static bool has_records(int queue)
{
    int bytes = 0;

    return ioctl(queue, FIONREAD, &bytes) == 0 && bytes > 0; /* poll tells the end of a queue like a record */
}

bool bh_sources_settled(struct bh_supervisor *s)
{
    bool settled = true;

    for (unsigned i = 0; i < s->n_processes; i++) {
        struct bh_process *process = &s->processes[i];

        if (process->former_out < 0)
            continue;
        if (has_records(process->former_out))
            settled = false;
        else
            (void)close(bh_take_fd(&process->former_out));
    }
    return settled;
}

int bh_sources_await(struct bh_supervisor *s)
{
    uint64_t until = bh_clock_ms(CLOCK_BOOTTIME) + SETTLE_MS;

    while (!bh_sources_settled(s)) {
        if (bh_clock_ms(CLOCK_BOOTTIME) >= until)
            return -EBUSY;
        bh_reap(s);
        (void)bh_start_wanted(s);
        (void)poll(NULL, 0, 5);
    }
    return 0;
}

void bh_sources_report(struct bh_supervisor *s, struct bh_process *process)
{
    struct bh_audit audit = { .fd = process->records_in, .source = process->source, .state = process->state };

    (void)bh_audit_summary(&audit);
    if (process->state->lost)
        bh_journal(s, "%s ended with %llu records that could not be queued", process->label,
                   (unsigned long long)process->state->lost);
    process->state->lost = 0;
}

/* A page that counts behind what was written, or beyond reason, is a liar's. */
static void clear_page(const struct bh_supervisor *s, const struct bh_process *process)
{
    const uint64_t written = s->audit_state->last[process->source], number = process->state->next_number;
    uint64_t sequence = process->state->sequence;

    if (sequence < written || sequence > SEQUENCE_MAX)
        sequence = written;
    *process->state = (struct bh_state){ .sequence = sequence, .next_number = number };
}

void bh_sources_hand_over(struct bh_supervisor *s, struct bh_process *process)
{
    int r;

    bh_sources_report(s, process);
    bh_close_p(&process->former_out);
    (void)close(bh_take_fd(&process->records_in));
    process->former_out = bh_take_fd(&process->records_out);
    memcpy(process->former_label, process->label, sizeof(process->former_label));
    memcpy(process->label, process->next_label, sizeof(process->label));
    process->next_label[0] = '\0';
    process->restarts = 0;
    process->budget = (struct bh_budget){ 0 };
    clear_page(s, process);
    s->sources_changed = true;
    r = bh_table_queue(process);
    if (r < 0)
        bh_log(BH_LOG_ERROR, "%s has no way to the audit log: %s", process->label, strerror(-r));
}
