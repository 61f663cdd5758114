/*
 * guest-network-get-interfaces: links, then addresses, of this process's network namespace, which is the
 * guest's. Asked once more if they change meanwhile; then what was told last is the answer.
 */
#include <errno.h>
#include <linux/rtnetlink.h>

#include "protocol/codes.h"
#include "protocol/handlers-info.h"
#include "workers/info/links.h"
#include "workers/lib/worker.h"

#define TRIES 2 /* the memory of one request holds no more for a guest with very many interfaces */

static int list(struct bh_call *call, struct bh_links *links)
{
    int r, again = 0;

    bh_links_init(links, call->arena, bh_listing_shown, call);
    r = bh_netlink_list(RTM_GETLINK, sizeof(struct ifinfomsg), bh_links_take, links);
    if (r >= 0) {
        again = r;
        r = bh_netlink_list(RTM_GETADDR, sizeof(struct ifaddrmsg), bh_links_take, links);
    }
    return r < 0 ? r : again || r;
}

int bh_do_guest_network_get_interfaces(struct bh_call *call, struct bh_guest_network_get_interfaces_ret *ret)
{
    struct bh_links links;
    int r = 1;

    for (int i = 0; i < TRIES && r == 1; i++)
        r = list(call, &links);
    if (r == -E2BIG)
        return bh_fail(
            call->error, BH_E_LIMIT,
            "there are more than %u interfaces, or more than %u addresses on one: let the policy hide "
            "some with `interfaces`",
            BH_LINKS_MAX, BH_LINK_ADDRESSES_MAX);
    return r < 0 ? r : bh_links_tell(&links, ret);
}
