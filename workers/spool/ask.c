/* The look-up of ask.h: a feeder may have told of the execution just now, so what feeders have said is taken
 * before it is said that there is none. */
#include "workers/spool/ask.h"

#include <inttypes.h>

#include "protocol/codes.h"
#include "workers/lib/worker.h"

struct bh_spooled *bh_spool_ask(struct bh_call *call, int64_t number)
{
    struct bh_spool *spool = call->worker->context;
    struct bh_spooled *execution = bh_spool_find(spool, number);

    if (!execution) {
        bh_spool_catch_up(spool);
        execution = bh_spool_find(spool, number);
    }
    if (!execution) {
        (void)bh_fail(call->error, BH_E_BAD_PID, "PID %" PRId64 " does not exist", number);
        return NULL;
    }
    if (execution->lost) {
        (void)bh_fail(call->error, BH_E_WORKER_DIED,
                      "what PID %" PRId64 " did is not known: the process that collected its output ended",
                      number);
        bh_spool_forget(spool, execution);
        return NULL;
    }
    bh_spool_touch(spool, execution);
    return execution;
}
