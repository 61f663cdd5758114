/* The supervisor's own audit records: source 0, events of the agent. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker/supervisor/supervisor.h"

/*
 * The supervisor's row is the audit process's row: it has a queue of its own there, and
 * a state page in private memory that counts its records.
 */
void bh_journal(struct bh_supervisor *s, const char *format, ...)
{
    static struct bh_state state;
    struct bh_audit audit = { .fd = s->processes[0].records_in, .source = 0, .state = &state };
    struct bh_record record = { .kind = BH_RECORD_EVENT, .command = BH_NO_COMMAND };
    char text[512];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n < 0)
        return;
    record.text = bh_str_of(text);
    memcpy(audit.policy, bh_any_policy(s)->slice->digest, sizeof(audit.policy));
    /* A full queue: counted as lost, and reported with the next one. */
    (void)bh_audit_send(&audit, &record, NULL);
}
