/*
 * Step 3 of a request (request.h). The order of the checks and their wordings are the
 * protocol's: envelope, unknown command, disabled command, arguments.
 */
#include "broker/front/request.h"

#include <string.h>

#include "policy/eval.h"
#include "protocol/codes.h"
#include "protocol/commands.h"
#include "protocol/json/convert.h"
#include "protocol/wire/record.h"

int bh_request_no_memory(struct bh_error *reterr)
{
    return bh_fail(reterr, BH_E_NO_MEMORY, "the request needs more memory than one request may use");
}

static bool is_no_object(const struct bh_text *text, struct bh_span span)
{
    return text->text[span.at] != '{';
}

static int check_envelope(const struct bh_text *text, struct bh_error *reterr)
{
    if (!text->is_object)
        return bh_fail(reterr, BH_E_ENVELOPE, "QMP input must be a JSON object");
    if (text->unknown.len)
        return bh_fail(reterr, BH_E_ENVELOPE, "QMP input member '%.*s' is unexpected", (int)text->unknown.len,
                       text->text + text->unknown.at);
    if (text->repeated)
        return bh_fail(reterr, BH_E_JSON_DUPLICATE, "a member of the request stands in it twice");
    if (!text->has_execute)
        return bh_fail(reterr, BH_E_ENVELOPE, "QMP input lacks member 'execute'");
    if (!text->execute_is_string)
        return bh_fail(reterr, BH_E_ENVELOPE, "QMP input member 'execute' must be a string");
    if (text->has_arguments && is_no_object(text, text->arguments))
        return bh_fail(reterr, BH_E_ENVELOPE, "QMP input member 'arguments' must be an object");
    return 0;
}

/* The whole command: what an object or an argument decides is its worker's to say. */
static int check_granted(const struct bh_policy *policy, const struct bh_frozen *frozen,
                         struct bh_request *ret, struct bh_error *reterr)
{
    enum bh_frozen_word word = bh_frozen_says(frozen, policy->slice->channel, ret->command);
    struct bh_decision decision;

    if (word == BH_FROZEN_REFUSES)
        return bh_fail(reterr, BH_E_FROZEN, "Command %s has been disabled: the agent is in frozen state",
                       ret->row->name);
    if (word == BH_FROZEN_GRANTS || bh_policy_grants(policy, ret->command))
        return 0;
    decision = bh_policy_command(policy, ret->command, NULL);
    if (decision.verdict == BH_VERDICT_DENIED) {
        const char *name = bh_policy_string(policy, policy->rules[decision.rule].name);

        ret->rule = bh_str_of(name);
    }
    return bh_fail(reterr, BH_E_NOT_GRANTED, "Command %s has been disabled: the command is not allowed",
                   ret->row->name);
}

static int find_command(const struct bh_text *text, const struct bh_policy *policy,
                        const struct bh_frozen *frozen, struct bh_request *ret, struct bh_error *reterr)
{
    const char *name = text->text + text->execute.at;
    int command = bh_command_find(name, text->execute.len);

    if (command < 0 || !bh_commands[command].served)
        return bh_fail(reterr, BH_E_COMMAND_UNKNOWN, "The command %.*s has not been found",
                       (int)text->execute.len, name);
    ret->command = (uint16_t)command;
    ret->row = &bh_commands[command];
    return check_granted(policy, frozen, ret, reterr);
}

static int read_arguments(const struct bh_text *text, struct bh_arena *arena, struct bh_request *ret,
                          struct bh_error *reterr)
{
    const struct bh_type *type = ret->row->args;
    int r;

    if (!type && text->arguments.len <= sizeof("{}") - 1)
        return 0;
    ret->args = type ? bh_arena_alloc(arena, type->size) : NULL;
    r = type && !ret->args
            ? -1
            : bh_json_to_struct(type, text->has_arguments ? text->text + text->arguments.at : NULL,
                                text->arguments.len, text->members, text->lifted, arena, ret->args, reterr);
    return r < 0 ? bh_request_no_memory(reterr) : r;
}

int bh_request_read(const struct bh_text *text, const struct bh_policy *policy,
                    const struct bh_frozen *frozen, struct bh_arena *arena, struct bh_request *ret,
                    struct bh_error *reterr)
{
    int r;

    *ret = (struct bh_request){ .command = BH_NO_COMMAND };
    if (text->is_object && text->has_id)
        ret->id = (struct bh_str){ text->text + text->id.at, text->id.len };
    r = check_envelope(text, reterr);
    if (r == 0)
        r = find_command(text, policy, frozen, ret, reterr);
    if (r == 0)
        r = read_arguments(text, arena, ret, reterr);
    return r;
}
