/*
 * What only the front can know, for the audit log: malformed input, whole commands refused
 * here, workers lost, replies dropped. It is recorded as a claim: the word of a process that
 * reads hostile bytes, not evidence. Malformed input, and refusals beyond
 * BH_REFUSALS_PER_SECOND, are counted and told once a second, so that a client cannot
 * fill the log with them.
 */

#include "broker/front/front.h"
#include "protocol/base/clock.h"
#include "protocol/codes.h"
#include "protocol/commands.h"

#define FIRST_OF_COMMANDS 1101u /* codes below are about text that is no request */

static uint64_t send(struct bh_front *front, struct bh_record *record)
{
    uint64_t number = 0;

    record->kind = BH_RECORD_CLAIM;
    return bh_audit_send(&front->audit, record, &number) == 0 ? number : 0;
}

static void send_malformed(struct bh_front *front)
{
    struct bh_record record = { .command = BH_NO_COMMAND, .code = front->claim_code, .count = front->claims };

    (void)send(front, &record);
    front->claims = 0;
    front->claimed_ms = bh_clock_ms(CLOCK_BOOTTIME);
}

void bh_claim(struct bh_front *front, struct bh_error *error)
{
    bool under_way = front->way.worker != BH_NO_WORKER;
    struct bh_record record = { .command = under_way ? front->way.command : front->request.command,
                                .code = error->code,
                                .request = under_way ? front->way.id : 0,
                                .count = 1 };

    if (!under_way)
        record.rule = front->request.rule;
    if (error->code >= FIRST_OF_COMMANDS && bh_audit_refused(&front->audit) == 0) {
        error->record = send(front, &record);
        return;
    }
    front->claims++;
    front->claim_code = error->code;
    bh_claim_report(front, false);
}

void bh_claim_dropped(struct bh_front *front)
{
    struct bh_record record = { .command = front->request.command,
                                .count = 1,
                                .request = front->way.id,
                                .text = BH_STR("the client gave up the reply") };

    (void)send(front, &record);
}

static int malformed_due(const struct bh_front *front)
{
    uint64_t since;

    if (front->claims == 0)
        return -1;
    since = bh_clock_ms(CLOCK_BOOTTIME) - front->claimed_ms;
    return since < BH_CLAIM_MS ? (int)(BH_CLAIM_MS - since) : 0;
}

int bh_claim_due(const struct bh_front *front)
{
    int malformed = malformed_due(front), summary = bh_audit_summary_due(&front->audit);

    if (malformed < 0 || (summary >= 0 && summary < malformed))
        return summary;
    return malformed;
}

void bh_claim_report(struct bh_front *front, bool all)
{
    if (malformed_due(front) == 0 || (all && front->claims))
        send_malformed(front);
    if (bh_audit_summary_due(&front->audit) == 0)
        (void)bh_audit_summary(&front->audit);
}
