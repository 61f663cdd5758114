/*
 * The change of the policy between two calls.
 *
 * The supervisor writes the number of the newest slice into the state page; a worker compares it before each
 * call, which costs no system call, and fetches the slice when it differs. So a call ends under the policy it
 * began with, and the next one is under the new one.
 *
 * What a worker can see was built for the policy it started with. One that would serve better anew asks to
 * leave as soon as it holds nothing: the supervisor then closes the way to it, and calls that were sent
 * before that are given back unbegun (BH_FRAME_AGAIN).
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "protocol/wire/control.h"
#include "workers/lib/loop.h"

#define FETCH_MS 10000 /* longer than the supervisor may take to compile yet another policy */

bool bh_is_outdated(const struct bh_worker *worker)
{
    return __atomic_load_n(&worker->state->edition, __ATOMIC_ACQUIRE) != worker->edition;
}

static int fetch(struct bh_policy *ret, bh_control_client_fn client)
{
    uint32_t size;
    _cleanup_close_ int fd = bh_control_policy(BH_FD_CONTROL, FETCH_MS, client, &size);

    return fd < 0 ? fd : bh_policy_take(ret, fd, size);
}

int bh_renew(struct bh_worker *worker, const struct bh_worker_main *main)
{
    uint32_t edition = __atomic_load_n(&worker->state->edition, __ATOMIC_ACQUIRE);
    struct bh_policy next;
    int r;

    if (edition == worker->edition)
        return 0;
    r = fetch(&next, main->client);
    if (r < 0) {
        bh_log(BH_LOG_ERROR, "the new policy cannot be had: %s", strerror(-r));
        return -EPIPE;
    }
    bh_policy_drop(&worker->policy);
    worker->policy = next;
    worker->edition = edition; /* what came may be newer still: then it is fetched once more */
    memcpy(worker->audit.policy, next.slice->digest, sizeof(worker->audit.policy));
    if (main->renewed)
        main->renewed(worker);
    bh_consider_leaving(worker, main);
    return 0;
}

void bh_consider_leaving(struct bh_worker *worker, const struct bh_worker_main *main)
{
    if (worker->leaving || !main->would_leave || !main->would_leave(worker))
        return;
    worker->leaving = bh_control_send(BH_FD_CONTROL, BH_CONTROL_LEAVE, 0, -1) == 0;
}
