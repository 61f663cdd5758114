/*
 * Asking the kernel's routing socket, and taking its answers apart.
 *
 * The kernel is trusted for what it says, not for the shape: every length is checked against
 * what is there, an answer that does not fit is an error, and nothing is read unaligned. Only the
 * kernel and the guest's root can send to such a socket; what has another sequence number is passed over.
 *
 * Trust: in = PEER (datagrams); out = CHECKED (lengths), the values are the caller's to check; called by =
 * info
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BH_NETLINK_DATAGRAM_MAX 32768u /* bytes; the kernel makes no larger ones for a listing */

struct bh_netlink_message {
    uint16_t type;
    const uint8_t *body; /* behind the header; not aligned */
    size_t len;
};

/* Takes one message of the answer. 0, or -errno, which ends the listing. */
typedef int (*bh_netlink_fn)(void *context, const struct bh_netlink_message *message);

struct bh_netlink_listing {
    uint32_t sequence;
    bh_netlink_fn fn;
    void *context;
    bool interrupted; /* things changed meanwhile: what was told may be incomplete */
};

/* One datagram of the answer. 0 = more will come, 1 = this was the end, -EBADMSG, or another -errno of the
 * kernel or of `fn`. */
int bh_netlink_walk(struct bh_netlink_listing *listing, const void *data, size_t len);

/*
 * Asks for everything that `type` (RTM_GET...) lists, with a request whose body is `body_len` zero bytes, and
 * hands the answers to `fn`. 0, 1 = it was interrupted and should be asked again, or -errno.
 */
int bh_netlink_list(uint16_t type, size_t body_len, bh_netlink_fn fn, void *context);

struct bh_netlink_attribute {
    const uint8_t *data; /* NULL: not there; not aligned */
    size_t len;
};

/* Puts each attribute with a type below `n` into its place (said twice, the last counts). 0 or -EBADMSG. */
int bh_netlink_attributes(const uint8_t *data, size_t len, struct bh_netlink_attribute *ret, size_t n);
