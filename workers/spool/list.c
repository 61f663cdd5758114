/* bulkhead-exec-list. What a former spool took along is not listed: nothing is known of it but its number. */
#include "workers/spool/ask.h"

#include "protocol/base/clock.h"
#include "protocol/codes.h"
#include "protocol/handlers-spool.h"
#include "workers/lib/worker.h"

static struct bh_bulkhead_execution describe(const struct bh_spooled *execution, uint64_t now)
{
    uint64_t until = execution->ended_ms ? execution->ended_ms : now;

    return (struct bh_bulkhead_execution){ .pid = (int64_t)execution->number,
                                           .program = execution->program,
                                           .rule = execution->rule,
                                           .user = execution->user,
                                           .running_ms = until - execution->started_ms,
                                           .exited = execution->over,
                                           .out_bytes = execution->streams[0].total,
                                           .err_bytes = execution->streams[1].total };
}

int bh_do_bulkhead_exec_list(struct bh_call *call, struct bh_bulkhead_exec_list_ret *ret)
{
    struct bh_spool *spool = call->worker->context;
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);

    bh_spool_catch_up(spool);
    ret->value = bh_arena_array(call->arena, spool->n, sizeof(*ret->value));
    if (!ret->value)
        return bh_fail(call->error, BH_E_NO_MEMORY, "there is no memory for a list of %u executions",
                       spool->n);
    for (uint32_t i = 0; i < spool->n; i++)
        if (!spool->executions[i]->lost)
            ret->value[ret->n_value++] = describe(spool->executions[i], now);
    return 0;
}
