/* Generated from protocol/schema.json: the commands of the back process. Do not edit. */

#include "protocol/commands.h"
#include "protocol/handlers-back.h"

static int run_guest_paint(struct bh_call *call, const void *args, void *ret)
{
    return bh_do_guest_paint(call, args, ret);
}

static int run_guest_leave(struct bh_call *call, const void *args, void *ret)
{
    (void)args;
    (void)ret;
    return bh_do_guest_leave(call);
}

const struct bh_op bh_ops[] = {
    { BH_CMD_GUEST_PAINT, run_guest_paint },
    { BH_CMD_GUEST_LEAVE, run_guest_leave },
};
const unsigned bh_n_ops = 2;
