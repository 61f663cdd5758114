/* Skeleton. */
#include "protocol/codes.h"
#include "protocol/handlers-exec.h"
#include "workers/lib/worker.h"

int bh_do_guest_exec(struct bh_call *call, const struct bh_guest_exec_args *args, struct bh_guest_exec *ret)
{
    (void)args;
    (void)ret;
    return bh_fail(call->error, BH_E_NOT_SUPPORTED, "not yet");
}

int bh_do_bulkhead_exec(struct bh_call *call, const struct bh_bulkhead_exec_args *args, struct bh_guest_exec *ret)
{
    (void)args;
    (void)ret;
    return bh_fail(call->error, BH_E_NOT_SUPPORTED, "not yet");
}

int bh_do_bulkhead_exec_signal(struct bh_call *call, const struct bh_bulkhead_exec_signal_args *args)
{
    (void)args;
    return bh_fail(call->error, BH_E_NOT_SUPPORTED, "not yet");
}
