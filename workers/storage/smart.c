/*
 * Asking bulkhead-smart, which is started for one list of disks and ends with it. Whatever goes wrong, the
 * list is told without.
 */
#include "workers/storage/smart.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "protocol/wire/control.h"

#define START_MS 2000
#define ANSWERS_MS 4000 /* of all disks: the client waits for the whole list */

static int ask(const struct bh_smart *smart, const char *name, struct bh_smart_reply *ret)
{
    struct bh_smart_request request = { .magic = BH_SMART_MAGIC };
    _cleanup_close_ int fd = -1;
    int r;

    memcpy(request.name, name, strlen(name) + 1);
    r = bh_fd_send(smart->socket, &request, sizeof(request), -1);
    if (r == 0)
        r = bh_fd_await(smart->socket, ret, sizeof(*ret), smart->until_ms, &fd);
    if (r < 0)
        return r;
    return fd >= 0 || ret->magic != BH_SMART_MAGIC || ret->error > 0 ? -EPROTO : 0;
}

bool bh_smart_tell(struct bh_smart *smart, const char *name, struct bh_guest_nvme_smart *ret)
{
    struct bh_smart_reply reply;

    if (!smart->wanted || !bh_smart_name_ok(name))
        return false;
    if (smart->socket < 0) {
        smart->socket = bh_control_start(BH_FD_CONTROL, BH_PEER_SMART, START_MS);
        smart->until_ms = bh_clock_ms(CLOCK_MONOTONIC) + ANSWERS_MS;
    }
    if (smart->socket < 0 || ask(smart, name, &reply) < 0) {
        bh_smart_end(smart);
        return false;
    }
    if (reply.error == 0)
        bh_smart_decode(reply.log, ret);
    return reply.error == 0;
}

void bh_smart_end(struct bh_smart *smart)
{
    smart->wanted = false;
    if (smart->socket >= 0)
        (void)close(bh_take_fd(&smart->socket));
    smart->socket = -1;
}
