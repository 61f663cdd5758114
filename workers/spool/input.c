/* bulkhead-exec-write: bytes for a program, as many as its pipe takes now. */
#include "workers/spool/ask.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "protocol/base/mem.h"
#include "protocol/codes.h"
#include "protocol/handlers-spool.h"
#include "workers/lib/worker.h"

/* How many were taken, or -errno if none and the pipe is not just full. */
static ssize_t put(int fd, const uint8_t *data, size_t len)
{
    size_t taken = 0;
    ssize_t n = 0;

    while (taken < len) {
        n = write(fd, data + taken, len - taken);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        taken += (size_t)n;
    }
    return n < 0 && errno != EAGAIN && taken == 0 ? -errno : (ssize_t)taken;
}

int bh_do_bulkhead_exec_write(struct bh_call *call, const struct bh_bulkhead_exec_write_args *args,
                              struct bh_bulkhead_exec_write *ret)
{
    struct bh_spooled *execution = bh_spool_ask(call, args->pid);
    ssize_t n;

    if (!execution)
        return call->error->code;
    if (execution->in < 0)
        return bh_fail(call->error, BH_E_NOT_SUPPORTED,
                       "PID %" PRId64 " takes no input: it was started without, or its input has ended",
                       args->pid);
    n = put(execution->in, call->stage.ptr, call->stage.len);
    if (n == -EPIPE) {
        bh_close_p(&execution->in);
        return bh_fail_errno(call->error, BH_E_KERNEL, EPIPE,
                             "PID %" PRId64 " does not read its input any more", args->pid);
    }
    if (n < 0)
        return bh_fail_errno(call->error, BH_E_KERNEL, (int)n, "failed to write to PID %" PRId64, args->pid);
    ret->count = n;
    if ((size_t)n == call->stage.len && args->has_eof && args->eof)
        bh_close_p(&execution->in);
    return 0;
}
