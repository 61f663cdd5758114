/* Skeleton. */
#include "protocol/codes.h"
#include "protocol/handlers-spool.h"
#include "workers/lib/worker.h"

#define NOT_YET bh_fail(call->error, BH_E_NOT_SUPPORTED, "not yet")

int bh_do_guest_exec_status(struct bh_call *call, const struct bh_guest_exec_status_args *args,
                            struct bh_guest_exec_status *ret)
{
    (void)args;
    (void)ret;
    return NOT_YET;
}

int bh_do_bulkhead_exec_read(struct bh_call *call, const struct bh_bulkhead_exec_read_args *args,
                             struct bh_guest_exec_status *ret)
{
    (void)args;
    (void)ret;
    return NOT_YET;
}

int bh_do_bulkhead_exec_write(struct bh_call *call, const struct bh_bulkhead_exec_write_args *args,
                              struct bh_bulkhead_exec_write *ret)
{
    (void)args;
    (void)ret;
    return NOT_YET;
}

int bh_do_bulkhead_exec_list(struct bh_call *call, struct bh_bulkhead_exec_list_ret *ret)
{
    (void)ret;
    return NOT_YET;
}
