/*
 * bulkhead-front: confines itself, waits for its one connection or a port's host, serves it,
 * ends. A front waits like this for as long as nobody is there. It ends with status 0 when its client has
 * left or the supervisor has gone.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/front/front.h"
#include "policy/confine/profiles.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/wire/control.h"
#include "protocol/wire/frozen.h"

/* The next connection, or a port (*ret_port); ends the process if there will be none. */
static int wait_for_client(bool *ret_port)
{
    struct pollfd control = { .fd = BH_FD_CONTROL, .events = POLLIN };
    struct bh_control message;
    int fd = -1;

    for (;;) {
        if (poll(&control, 1, -1) < 0)
            continue;
        if (bh_control_recv(BH_FD_CONTROL, &message, &fd) <= 0)
            exit(0);
        *ret_port = message.arg == BH_CLIENT_RETURNS;
        if (message.op == BH_CONTROL_CLIENT && fd >= 0)
            return fd;
        if (fd >= 0)
            (void)close(fd);
    }
}

int main(void)
{
    static struct bh_front front;
    const struct bh_boot *boot;
    const uint64_t *settings;
    bool port = false;
    int client;

    bh_log_init("bulkhead-front", BH_LOG_NOTICE);
    boot = bh_boot_map();
    front.audit = (struct bh_audit){ .fd = BH_FD_AUDIT, .source = boot->source, .state = bh_state_map() };
    bh_policy_map(&front.policy);
    front.frozen = bh_frozen_map();
    front.edition = boot->edition;
    settings = front.policy.slice->settings;
    memcpy(front.audit.policy, front.policy.slice->digest, sizeof(front.audit.policy));
    front.audit.state->fences =
        bh_confine_self(&bh_profile_front, &bh_filter_front, boot, NULL, 0,
                        (uint32_t)settings[BH_SET_FENCES_REQUIRED], (uint32_t)settings[BH_SET_FENCES_OFF]);
    client = wait_for_client(&port);
    if (bh_front_init(&front, BH_FD_CONTROL, client, boot->epoch) < 0)
        bh_die(1, "no memory to serve a connection");
    front.client.returns = port;
    while (bh_front_step(&front, bh_log_held() ? BH_LOG_LOOK_MS : -1))
        bh_log_flush();
    bh_log_flush();
    bh_front_deinit(&front);
    return 0;
}
