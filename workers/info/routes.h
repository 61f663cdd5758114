/*
 * Lines of /proc/net/route and /proc/net/ipv6_route. The text says what the routing socket does not: the
 * flags as they have always been shown, and how often a route is in use.
 *
 * Trust: in = PEER (the kernel's text; names that a user may have chosen); out = CHECKED; called by = info
 */
#pragma once

#include "protocol/types.h"
#include "workers/info/listing.h"

#define BH_ROUTE_LINE_MAX 512u /* bytes of a line with its line feed; the kernel's have less than 200 */

struct bh_route;

struct bh_routes {
    struct bh_arena *arena;
    bh_shown_fn shown;
    void *context;
    struct bh_route *first, **end;
    uint32_t n, most; /* routes; how many may be told */
};

void bh_routes_init(struct bh_routes *routes, struct bh_arena *arena, uint32_t most, bh_shown_fn shown,
                    void *context);

/* Takes a line without its line feed; `version` is 4 or 6. 0, -EBADMSG, -ENOMEM, -E2BIG (more than may be
 * told).
 */
int bh_routes_line(struct bh_routes *routes, int version, const char *line, size_t len);

/* Takes the text behind `fd` (nothing if it is negative), read from its start. 0 or -errno, as above or of
 * the read. */
int bh_routes_file(struct bh_routes *routes, int version, int fd);

/* The routes as the answer has them. 0 or -ENOMEM. */
int bh_routes_tell(const struct bh_routes *routes, struct bh_guest_network_get_route_ret *ret);

/* Opens both texts, before the process confines itself: afterwards it could not. */
void bh_routes_prepare(void);
