/* Step 4 of a request that needs no worker (local.h): the handlers of protocol/handlers-front.h. */
#include "broker/front/local.h"

#include <string.h>

#include "broker/front/request.h"
#include "policy/eval.h"
#include "protocol/codes.h"
#include "protocol/commands.h"
#include "protocol/handlers-front.h"

int bh_do_guest_sync_delimited(struct bh_call *call, const struct bh_guest_sync_delimited_args *args,
                               struct bh_guest_sync_delimited_ret *ret)
{
    (void)call;
    ret->value = args->id;
    return 0;
}

int bh_do_guest_sync(struct bh_call *call, const struct bh_guest_sync_args *args,
                     struct bh_guest_sync_ret *ret)
{
    (void)call;
    ret->value = args->id;
    return 0;
}

int bh_do_guest_ping(struct bh_call *call)
{
    (void)call;
    return 0;
}

/* What the guard says in the page, so it is answered at once whatever the guard waits for. */
int bh_do_guest_fsfreeze_status(struct bh_call *call, struct bh_guest_fsfreeze_status_ret *ret)
{
    ret->value = bh_frozen_state(call->frozen) == BH_THAWED ? BH_GUEST_FSFREEZE_STATUS_THAWED
                                                            : BH_GUEST_FSFREEZE_STATUS_FROZEN;
    return 0;
}

/* Is it served now? A freeze narrows what the policy grants, but who froze may thaw. */
static bool is_enabled(const struct bh_call *call, unsigned command)
{
    switch (bh_frozen_says(call->frozen, call->policy->slice->channel, command)) {
    case BH_FROZEN_REFUSES:
        return false;
    case BH_FROZEN_GRANTS:
        return true;
    default:
        return bh_policy_grants(call->policy, command);
    }
}

/* Clients compare whole entries: they have these three members and no more. */
int bh_do_guest_info(struct bh_call *call, struct bh_guest_agent_info *ret)
{
    struct bh_guest_agent_command_info *info = bh_arena_array(call->arena, BH_CMD_COUNT, sizeof(*info));

    if (!info)
        return bh_request_no_memory(call->error);
    ret->version = BH_STR(BH_PROTOCOL_LEVEL);
    ret->supported_commands = info;
    for (unsigned i = 0; i < BH_CMD_COUNT; i++) {
        const struct bh_command *command = &bh_commands[i];

        if (!command->served)
            continue;
        info->enabled = is_enabled(call, i);
        if (bh_command_is_extension(i) && !info->enabled)
            continue; /* what is listed is what qemu-ga lists, unless the policy says otherwise */
        info->name = bh_str_of(command->name);
        info->success_response = !(command->flags & BH_COMMAND_NO_REPLY);
        info++;
        ret->n_supported_commands++;
    }
    return 0;
}

int bh_local_run(struct bh_call *call, uint16_t command, const void *args, void *ret)
{
    int r;

    for (unsigned i = 0; i < bh_n_ops; i++) {
        if (bh_ops[i].command != command)
            continue;
        r = bh_ops[i].run(call, args, ret);
        return r < 0 ? bh_request_no_memory(call->error) : r;
    }
    return bh_fail(call->error, BH_E_INTERNAL, "%s has no handler", bh_commands[command].name);
}
