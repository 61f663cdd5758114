/*
 * Step 2b of a request: its bulk argument, lifted out of the text by the lexer, decoded and
 * sent to its worker while the request is still being read, so that it is held nowhere.
 *
 * Whether the request will turn out well is not known yet; the worker keeps what is staged
 * until the call comes, or ABANDON. An argument that no granted command takes is decoded by
 * nobody and starts no worker: the command's own refusal follows.
 */
#include <string.h>

#include "broker/front/front.h"
#include "policy/eval.h"
#include "protocol/codes.h"
#include "protocol/commands.h"
#include "protocol/json/lexer.h"

static const struct bh_field *find_field(const struct bh_command *command, const char *name)
{
    for (uint32_t i = 0; command->args && i < command->args->n_fields; i++) {
        const struct bh_field *field = &command->args->fields[i];

        if ((field->flags & (BH_FIELD_BULK | BH_FIELD_SECRET)) && strcmp(field->name, name) == 0)
            return field;
    }
    return NULL;
}

/* The command of this channel that takes the argument, or BH_NO_COMMAND. */
static uint16_t find_taker(const struct bh_policy *policy, const char *name)
{
    for (uint16_t i = 0; i < BH_CMD_COUNT; i++)
        if (bh_commands[i].served && find_field(&bh_commands[i], name) && bh_policy_grants(policy, i))
            return i;
    return BH_NO_COMMAND;
}

static void begin(struct bh_front *front, unsigned which)
{
    struct bh_lift *lift = &front->lift;
    bool again = lift->begun;

    lift->begun = true;
    lift->secret |= bh_lifted[which].secret;
    lift->active = false;
    if (again)
        return; /* a second one: the arguments are refused for it */
    lift->command = find_taker(&front->policy, bh_lifted[which].name);
    if (lift->command == BH_NO_COMMAND)
        return;
    lift->active = true;
    lift->limit = find_field(&bh_commands[lift->command], bh_lifted[which].name)->limit;
    bh_front_fire(front, BH_ON_LIFT);
}

static void spoil(struct bh_front *front, uint16_t code, const char *text)
{
    (void)bh_fail(&front->error, code, "%s", text);
    bh_front_fire(front, BH_ON_SPOILED);
}

static uint8_t *room(struct bh_lift *lift, size_t need)
{
    if (lift->at > 0) {
        memmove(lift->bytes, lift->bytes + lift->at, lift->len - lift->at);
        lift->len -= lift->at;
        lift->at = 0;
    }
    return sizeof(lift->bytes) - lift->len < need ? NULL : lift->bytes + lift->len;
}

bool bh_front_lift(void *context, unsigned which, const char *data, size_t len)
{
    struct bh_front *front = context;
    struct bh_lift *lift = &front->lift;
    uint8_t *to;
    long n;

    if (len == 0)
        begin(front, which);
    if (len == 0 || !lift->active)
        return true;
    to = room(lift, BH_BASE64_DECODED_MAX(len));
    n = to ? bh_base64_decode(&lift->base64, data, len, to) : 0;
    if (n < 0) {
        spoil(front, BH_E_BASE64, "Base64 data contains invalid characters");
        return true;
    }
    lift->len += (size_t)n;
    if (lift->len > front->lift_high)
        front->lift_high = lift->len;
    lift->total += (size_t)n;
    if (!to || lift->total > lift->limit)
        spoil(front, BH_E_ARG_RANGE, "the data is longer than the command takes");
    return true;
}

int bh_front_lift_end(struct bh_front *front, struct bh_error *reterr)
{
    if (front->spoil.code) {
        *reterr = front->spoil;
        return front->spoil.code;
    }
    if (front->lift.active && bh_base64_decode_end(&front->lift.base64) < 0)
        return bh_fail(reterr, BH_E_BASE64, "Base64 data contains invalid characters");
    return 0;
}

void bh_front_lift_reset(struct bh_front *front)
{
    struct bh_lift *lift = &front->lift;

    front->spoil.code = 0;
    if (!lift->begun)
        return;
    if (lift->secret)
        explicit_bzero(lift->bytes, sizeof(lift->bytes));
    memset(lift, 0, offsetof(struct bh_lift, bytes));
}
