/*
 * Interfaces and addresses as the kernel lists them -> one entry per name.
 *
 * Links come first, in the kernel's order, each an entry of its name. Then addresses: an IPv4 address with
 * a label belongs to the entry of that name, which is made if it is not there; each other one to its link's.
 * What the client may not see is not kept: a hidden link takes its addresses and labels with it, and a label
 * is judged by its own name too.
 *
 * Trust: in = PEER (messages of the kernel; names that a user may have chosen); out = CHECKED; called by =
 * info
 */
#pragma once

#include "protocol/types.h"
#include "workers/info/listing.h"
#include "workers/info/netlink.h"

struct bh_link;

struct bh_links {
    struct bh_arena *arena;
    bh_shown_fn shown;
    void *context;
    struct bh_link *first, **end;
    uint32_t n, most;        /* entries; how many may be told */
    uint32_t most_addresses; /* of one entry */
};

void bh_links_init(struct bh_links *links, struct bh_arena *arena, uint32_t most, uint32_t most_addresses,
                   bh_shown_fn shown, void *context);

/* A bh_netlink_fn: takes RTM_NEWLINK and RTM_NEWADDR. 0, -EBADMSG, -ENOMEM, -E2BIG (more than may be told).
 */
int bh_links_take(void *links, const struct bh_netlink_message *message);

/* The entries as the answer has them. 0 or -ENOMEM. */
int bh_links_tell(const struct bh_links *links, struct bh_guest_network_get_interfaces_ret *ret);
