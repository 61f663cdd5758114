/*
 * Asking bulkhead-hook. An answer to an earlier question, which nobody waited for any more, is passed over.
 */
#include "workers/storage/hook_client.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "protocol/wire/utf8.h"
#include "workers/storage/hook_text.h"

static bool is_text(const char *text, size_t size)
{
    size_t len = strnlen(text, size);

    return len < size && bh_utf8_valid(text, len);
}

static bool is_sound(const struct bh_hook_reply *reply)
{
    if (reply->magic != BH_HOOK_MAGIC || reply->outcome >= BH_HOOK_OUTCOME_END)
        return false;
    return is_text(reply->hook, sizeof(reply->hook)) && is_text(reply->text, sizeof(reply->text));
}

/* It is gone, whether with a question unread or not. */
static int gone(int error)
{
    return error == -ECONNRESET ? -EPIPE : error;
}

static int await(int socket, const struct bh_hook_request *request, int timeout_ms, struct bh_hook_reply *ret)
{
    uint64_t until = bh_clock_ms(CLOCK_MONOTONIC) + (uint64_t)timeout_ms;

    for (;;) {
        _cleanup_close_ int fd = -1;
        int r = bh_fd_await(socket, ret, sizeof(*ret), until, &fd);

        if (r < 0)
            return r;
        if (fd >= 0 || !is_sound(ret))
            return -EPROTO;
        if (ret->id == request->id)
            return ret->op == request->op ? 0 : -EPROTO;
    }
}

int bh_hook_run(int socket, enum bh_hook_op which, int timeout_ms, struct bh_hook_reply *ret)
{
    static uint32_t last_id;
    struct bh_hook_request request = { .magic = BH_HOOK_MAGIC, .op = (uint16_t)which, .id = ++last_id };
    int r = bh_fd_send(socket, &request, sizeof(request), -1);

    if (r == -EAGAIN) /* it has not taken many earlier questions */
        return -ETIMEDOUT;
    return r < 0 ? gone(r) : await(socket, &request, timeout_ms, ret);
}

void bh_hook_say(const struct bh_hook_reply *reply, char *ret, size_t size)
{
    const char *which = reply->op == BH_HOOK_THAW ? "thaw" : "freeze";
    const char *colon = reply->text[0] ? ": " : "";

    switch (reply->outcome) {
    case BH_HOOK_EXITED:
        bh_hook_printf(ret, size, "the %s hook %s ended with status %d%s%s", which, reply->hook,
                       reply->status, colon, reply->text);
        break;
    case BH_HOOK_KILLED:
        bh_hook_printf(ret, size, "the %s hook %s was killed by signal %d%s%s", which, reply->hook,
                       reply->status, colon, reply->text);
        break;
    case BH_HOOK_TIMED_OUT:
        bh_hook_printf(ret, size, "the %s hook %s did not end within %d ms and was killed%s%s", which,
                       reply->hook, reply->status, colon, reply->text);
        break;
    case BH_HOOK_LEFT:
        bh_hook_printf(ret, size, "the %s hook %s left a process that cannot be killed%s%s", which,
                       reply->hook, colon, reply->text);
        break;
    default:
        bh_hook_printf(ret, size, "%s", reply->text);
    }
}
