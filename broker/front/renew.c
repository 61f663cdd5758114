/*
 * The change of the policy between two requests.
 *
 * The supervisor writes the number of the newest slice into the state page; it is compared before a request
 * is read, which costs no system call. What comes on the control socket while the slice is waited for is
 * served as at any other time.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "broker/front/front.h"
#include "protocol/base/log.h"
#include "protocol/wire/control.h"

static uint32_t newest(const struct bh_front *front)
{
    return __atomic_load_n(&front->audit.state->edition, __ATOMIC_ACQUIRE);
}

void bh_front_adopt(struct bh_front *front, int fd, uint32_t size)
{
    struct bh_policy next;
    int r = bh_policy_take(&next, fd, size);

    if (r < 0)
        bh_die(1, "the new policy is not one that this build compiled: %s", strerror(-r));
    bh_policy_drop(&front->policy);
    front->policy = next;
    memcpy(front->audit.policy, next.slice->digest, sizeof(front->audit.policy));
    front->renewing = false;
}

bool bh_front_renew(struct bh_front *front)
{
    uint32_t edition = newest(front);
    struct pollfd control = { .fd = front->control, .events = POLLIN };

    if (edition == front->edition)
        return true;
    front->renewing = true;
    if (bh_control_send(front->control, BH_CONTROL_POLICY, 0, -1) < 0)
        return false;
    while (front->renewing)
        if (poll(&control, 1, -1) > 0 && !bh_receive_control(front))
            return false;
    front->edition = edition; /* what came may be newer still: then it is fetched once more */
    return true;
}
