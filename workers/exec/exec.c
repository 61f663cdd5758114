/* The handlers: a request of either form is judged, and started here or by bulkhead-spawn. */
#include <errno.h>
#include <signal.h>

#include "protocol/codes.h"
#include "protocol/handlers-exec.h"
#include "workers/exec/engine.h"

/* `args` are the command's own, should they go on to bulkhead-spawn. */
static int run(const struct bh_request_to_run *request, const void *args, struct bh_guest_exec *ret)
{
    struct bh_engine *engine = request->call->worker->context;
    struct bh_judged judged;
    int r = bh_judge(request, &judged);

    if (r)
        return r;
    if (judged.exec->sandbox == BH_SANDBOX_NONE && !engine->spawns)
        r = bh_relay(engine, request->call, args, ret);
    else if (judged.exec->sandbox != BH_SANDBOX_NONE && engine->spawns)
        r = bh_fail(request->call->error, BH_E_WORKER_UNAVAILABLE,
                    "executions of an earlier policy run where no sandbox can be made; try again when they "
                    "have ended");
    else
        r = bh_engine_start(engine, request, &judged, &ret->pid);
    bh_program_close(&judged.program);
    return r;
}

int bh_do_guest_exec(struct bh_call *call, const struct bh_guest_exec_args *args, struct bh_guest_exec *ret)
{
    const struct bh_request_to_run request = {
        .call = call,
        .path = args->path,
        .args = args->arg,
        .n_args = args->n_arg,
        .env = args->env,
        .n_env = args->n_env,
        .has_env = args->has_env,
        .has_input = call->stage.len > 0, /* bulk has no other trace: an empty one is as none */
        .capture =
            args->has_capture_output ? args->capture_output : BH_GUEST_EXEC_ARGS_CAPTURE_OUTPUT_DEFAULT,
    };

    return run(&request, args, ret);
}

int bh_do_bulkhead_exec(struct bh_call *call, const struct bh_bulkhead_exec_args *args,
                        struct bh_guest_exec *ret)
{
    const struct bh_request_to_run request = {
        .call = call,
        .path = args->path,
        .args = args->arg,
        .n_args = args->n_arg,
        .env = args->env,
        .n_env = args->n_env,
        .has_env = args->has_env,
        .pipe = args->has_input && args->input,
        .waits = true,
        .capture = args->has_output ? args->output : BH_BULKHEAD_EXEC_ARGS_OUTPUT_DEFAULT,
    };

    return run(&request, args, ret);
}

static int send_signal(struct bh_call *call, struct bh_execution *execution, uint8_t which)
{
    static const int numbers[BH_BULKHEAD_SIGNAL_COUNT] = {
        [BH_BULKHEAD_SIGNAL_TERM] = SIGTERM, [BH_BULKHEAD_SIGNAL_INT] = SIGINT,
        [BH_BULKHEAD_SIGNAL_HUP] = SIGHUP,   [BH_BULKHEAD_SIGNAL_QUIT] = SIGQUIT,
        [BH_BULKHEAD_SIGNAL_USR1] = SIGUSR1, [BH_BULKHEAD_SIGNAL_USR2] = SIGUSR2,
        [BH_BULKHEAD_SIGNAL_KILL] = SIGKILL,
    };
    union sigval value = { .sival_int = numbers[which] };
    int r;

    if (which == BH_BULKHEAD_SIGNAL_KILL) {
        execution->cancelled = true;
        r = kill(execution->keeper, SIGTERM);
    } else {
        r = sigqueue(execution->keeper, BH_KEEPER_SIGNAL, value);
    }
    return r < 0 ? bh_fail_errno(call->error, BH_E_KERNEL, errno, "the signal cannot be sent") : 0;
}

int bh_do_bulkhead_exec_signal(struct bh_call *call, const struct bh_bulkhead_exec_signal_args *args)
{
    struct bh_engine *engine = call->worker->context;
    uint8_t which = args->has_signal ? args->signal : BH_BULKHEAD_EXEC_SIGNAL_ARGS_SIGNAL_DEFAULT;
    bool odd = args->pid > 0 && args->pid & 1; /* of bulkhead-spawn, which may have been there before us */
    struct bh_execution *execution;

    if (odd && !engine->spawns &&
        (engine->spawn >= 0 || bh_policy_has_sandbox(&call->worker->policy, BH_SANDBOX_NONE)))
        return bh_relay(engine, call, args, NULL);
    execution = bh_engine_find(engine, args->pid);
    if (!execution || !execution->keeper)
        return bh_fail(call->error, BH_E_BAD_PID, "no execution %lld runs", (long long)args->pid);
    return send_signal(call, execution, which);
}
