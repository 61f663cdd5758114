/*
 * guest-network-get-route: the kernel's two texts, IPv4 first.
 *
 * They are opened before the process confines itself, and are read again from the start each time:
 * below /proc nothing else of the network need be visible. A kernel without one of the
 * protocols has no such text, and no routes of it.
 */
#include <errno.h>
#include <fcntl.h>

#include "protocol/codes.h"
#include "protocol/handlers-info.h"
#include "workers/lib/procfile.h"
#include "workers/info/routes.h"
#include "workers/lib/worker.h"

static struct {
    int version;
    const char *path;
    int fd; /* or -errno */
} texts[] = {
    { 4, "/proc/self/net/route", -ENOENT },
    { 6, "/proc/self/net/ipv6_route", -ENOENT },
};

#define N_TEXTS (sizeof(texts) / sizeof(texts[0]))

void bh_routes_prepare(void)
{
    for (size_t i = 0; i < N_TEXTS; i++) {
        int fd = open(texts[i].path, O_RDONLY | O_CLOEXEC);

        texts[i].fd = fd < 0 ? -errno : fd;
    }
}

int bh_do_guest_network_get_route(struct bh_call *call, struct bh_guest_network_get_route_ret *ret)
{
    struct bh_routes routes;
    int r = 0;

    bh_routes_init(&routes, call->arena, bh_most_items(call), bh_listing_shown, call);
    for (size_t i = 0; i < N_TEXTS && r == 0; i++) {
        if (texts[i].fd >= 0)
            r = bh_routes_file(&routes, texts[i].version, texts[i].fd);
        else if (texts[i].fd != -ENOENT)
            r = texts[i].fd;
    }
    if (r == -E2BIG)
        return bh_fail(call->error, BH_E_REPLY_TOO_LARGE,
                       "there are more than %u routes: let the policy hide some with `interfaces`",
                       bh_most_items(call));
    return r < 0 ? r : bh_routes_tell(&routes, ret);
}
