/*
 * Asking an opener. Its socket is kept while it works; whatever goes wrong drops it, and the next request
 * asks the supervisor anew. An answer to an earlier question (of an fs worker that died) is passed over.
 */
#include "workers/fs/opener_client.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "protocol/codes.h"
#include "protocol/wire/control.h"
#include "workers/fs/opener_wire.h"

#define START_MS 1000
#define ANSWER_MS 5000

static int sockets[BH_PEER_OPENER_MAX]; /* + 1; 0 = none */

static int socket_of(uint32_t user)
{
    int fd = user < BH_PEER_OPENER_MAX ? sockets[user] - 1 : -EINVAL;

    if (fd != -1)
        return fd;
    fd = bh_control_start(BH_FD_CONTROL, BH_PEER_OPENER + user, START_MS);
    if (fd >= 0)
        sockets[user] = fd + 1;
    return fd;
}

static void drop(uint32_t user)
{
    (void)close(sockets[user] - 1);
    sockets[user] = 0;
}

void bh_opener_forget(void)
{
    for (uint32_t user = 0; user < BH_PEER_OPENER_MAX; user++)
        if (sockets[user])
            drop(user);
}

static bool is_sound(const struct bh_open *open, const struct bh_opener_result *result, bool with_fd)
{
    const struct bh_policy *policy = open->policy;

    if (result->magic != BH_OPENER_MAGIC || result->regular > 1 || with_fd != (result->code == 0) ||
        result->text_len >= sizeof(result->text) ||
        strnlen(result->text, sizeof(result->text)) != result->text_len)
        return false;
    if (result->code == 0)
        return result->rule < policy->n_rules && policy->rules[result->rule].user == open->user;
    return bh_code_find(result->code) && result->text_len < BH_ERROR_TEXT_MAX;
}

/* Waits for the answer to this question. 0, or -errno: the opener is of no use any more. */
static int await(const struct bh_open *open, int fd, struct bh_opener_result *result, int *ret_fd)
{
    uint64_t until = bh_clock_ms(CLOCK_MONOTONIC) + ANSWER_MS;

    for (;;) {
        _cleanup_close_ int got = -1;
        int r = bh_fd_await(fd, result, sizeof(*result), until, &got);

        if (r < 0)
            return r;
        if (!is_sound(open, result, got >= 0))
            return -EPROTO;
        if (result->id != open->id)
            continue;
        *ret_fd = bh_take_fd(&got);
        return 0;
    }
}

static int ask(const struct bh_open *open, int fd, struct bh_opener_result *result, int *ret_fd)
{
    struct bh_opener_request request = {
        .magic = BH_OPENER_MAGIC, .mode = open->mode, .id = open->id, .path_len = open->path.len
    };
    int r;

    if (open->path.len >= sizeof(request.path))
        return -ENAMETOOLONG;
    memcpy(request.path, open->path.ptr, open->path.len);
    r = bh_fd_send(fd, &request, sizeof(request), -1);
    if (r == -EAGAIN) /* it has not taken many earlier questions */
        return -ETIMEDOUT;
    return r < 0 ? r : await(open, fd, result, ret_fd);
}

int bh_opener_ask(struct bh_open *open, struct bh_opened *ret)
{
    struct bh_opener_result result;
    int fd = socket_of(open->user), opened = -1, r;

    if (fd < 0)
        return bh_fail_errno(open->error, BH_E_WORKER_UNAVAILABLE, fd,
                             "the process that opens files is not available");
    r = ask(open, fd, &result, &opened);
    if (r == -ETIMEDOUT)
        (void)bh_control_send(BH_FD_CONTROL, BH_CONTROL_KILL, BH_PEER_OPENER + open->user, -1);
    if (r < 0) {
        drop(open->user);
        return bh_fail_errno(open->error, r == -ETIMEDOUT ? BH_E_DEADLINE : BH_E_WORKER_DIED, r,
                             "the process that opens files did not answer");
    }
    if (result.code) {
        (void)bh_fail(open->error, result.code, "%s", result.text);
        open->error->record = result.error_record;
        return result.code;
    }
    ret->fd = opened;
    ret->rule = result.rule;
    ret->record = result.record;
    ret->regular = result.regular;
    strcpy(ret->name, result.text);
    return 0;
}
