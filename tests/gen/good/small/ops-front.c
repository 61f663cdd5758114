/* Generated from protocol/schema.json: the commands of the front process. Do not edit. */

#include "protocol/commands.h"
#include "protocol/handlers-front.h"

static int run_guest_echo(struct bh_call *call, const void *args, void *ret)
{
    return bh_do_guest_echo(call, args, ret);
}

const struct bh_op bh_ops[] = {
    { BH_CMD_GUEST_ECHO, run_guest_echo },
};
const unsigned bh_n_ops = 1;
