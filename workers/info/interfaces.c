/*
 * guest-network-get-interfaces: links, then addresses, of this process's network namespace, which is the
 * guest's. Asked once more if they change meanwhile; then what was told last is the answer.
 */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "protocol/codes.h"
#include "protocol/handlers-info.h"
#include "workers/info/links.h"
#include "workers/lib/procfile.h"
#include "workers/lib/worker.h"

#define TRIES 2 /* the memory of one request holds no more for a guest with very many interfaces */

static uint32_t most_addresses(const struct bh_call *call)
{
    const struct bh_type *entry = call->command->ret->fields[0].of.type;

    for (uint32_t i = 0; i < entry->n_fields; i++)
        if (strcmp(entry->fields[i].name, "ip-addresses") == 0)
            return entry->fields[i].items;
    return 0;
}

static int list(struct bh_call *call, struct bh_links *links)
{
    int r, again = 0;

    bh_links_init(links, call->arena, bh_most_items(call), most_addresses(call), bh_listing_shown, call);
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
            call->error, BH_E_REPLY_TOO_LARGE,
            "there are more than %u interfaces, or more than %u addresses on one: let the policy hide "
            "some with `interfaces`",
            bh_most_items(call), most_addresses(call));
    return r < 0 ? r : bh_links_tell(&links, ret);
}
