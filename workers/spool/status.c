/*
 * guest-exec-status and bulkhead-exec-read: what an execution has written goes to the front straight from
 * where it was read to. It is taken out of the table first, so that rounds may go on while a front takes its
 * time.
 */
#include "workers/spool/ask.h"

#include <string.h>
#include <sys/wait.h>

#include "protocol/base/clock.h"
#include "protocol/handlers-spool.h"
#include "protocol/wire/frame.h"
#include "workers/lib/worker.h"

/* The end of one member goes with the reply, if nothing follows it. */
static void send_kept(struct bh_call *call, const struct bh_kept *kept, bool last)
{
    size_t with_reply = last ? kept->len % BH_FRAME_PAYLOAD_MAX : 0;

    bh_spool_stream(call->worker->context, call, kept->data, kept->len - with_reply);
    if (with_reply == 0)
        return;
    memcpy(call->room, kept->data + kept->len - with_reply,
           with_reply); /* `kept` ends before the reply is sent */
    if (call->room_used < with_reply)
        call->room_used = with_reply;
    bh_call_last(call, call->room, with_reply);
}

static void tell_end(const struct bh_spooled *execution, struct bh_guest_exec_status *ret)
{
    ret->has_exitcode = WIFEXITED(execution->status);
    ret->has_signal = !ret->has_exitcode;
    if (ret->has_exitcode)
        ret->exitcode = WEXITSTATUS(execution->status);
    else
        ret->signal = WTERMSIG(execution->status);
}

/* Gives what is kept, and the end if there is one: then the execution is forgotten. */
static void deliver(struct bh_call *call, struct bh_spooled *execution, struct bh_guest_exec_status *ret)
{
    struct bh_spool *spool = call->worker->context;
    struct bh_stream *out = &execution->streams[0], *err = &execution->streams[1];
    struct bh_kept kept[2] = { bh_stream_take(spool, out), bh_stream_take(spool, err) };

    ret->has_out_truncated = kept[0].len > 0;
    ret->out_truncated = out->cut > 0;
    ret->has_err_truncated = kept[1].len > 0;
    ret->err_truncated = err->cut > 0;
    ret->exited = execution->over;
    if (execution->over) {
        tell_end(execution, ret);
        bh_spool_forget(spool, execution);
    }
    send_kept(call, &kept[0], kept[1].len == 0);
    if (kept[1].len > 0) {
        bh_call_second(call);
        send_kept(call, &kept[1], true);
    }
    bh_kept_free(spool, &kept[0]);
    bh_kept_free(spool, &kept[1]);
}

int bh_do_guest_exec_status(struct bh_call *call, const struct bh_guest_exec_status_args *args,
                            struct bh_guest_exec_status *ret)
{
    struct bh_spooled *execution = bh_spool_ask(call, args->pid);

    if (!execution)
        return call->error->code;
    if (execution->over)
        deliver(call, execution, ret);
    return 0;
}

static bool has_news(const struct bh_spooled *execution)
{
    return execution->over || execution->streams[0].kept.len > 0 || execution->streams[1].kept.len > 0;
}

int bh_do_bulkhead_exec_read(struct bh_call *call, const struct bh_bulkhead_exec_read_args *args,
                             struct bh_guest_exec_status *ret)
{
    int64_t wait = args->has_wait ? args->wait : BH_BULKHEAD_EXEC_READ_ARGS_WAIT_DEFAULT;
    struct bh_spooled *execution = bh_spool_ask(call, args->pid);
    uint64_t now = bh_clock_ms(CLOCK_MONOTONIC), until = now + (uint64_t)wait;

    if (!execution)
        return call->error->code;
    while (!has_news(execution) && now < until) {
        bh_spool_pump(call->worker->context, (int)(until - now));
        now = bh_clock_ms(CLOCK_MONOTONIC);
    }
    deliver(call, execution, ret);
    return 0;
}
