/* The requests and the parser of netlink.h. */
#include "workers/info/netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/base/mem.h"

#define BODY_MAX 32u /* bytes of a request's body */

/* The error in the body of NLMSG_ERROR and NLMSG_DONE: 0 or negative. */
static int error_of(const struct bh_netlink_message *message)
{
    int32_t error = 0;

    if (message->len >= sizeof(error))
        memcpy(&error, message->body, sizeof(error));
    return error < 0 ? error : 0;
}

/* 0 = go on, 1 = the end, -errno. */
static int take(struct bh_netlink_listing *listing, const struct nlmsghdr *head, const uint8_t *body)
{
    const struct bh_netlink_message message = { head->nlmsg_type, body, head->nlmsg_len - NLMSG_HDRLEN };
    int error;

    if (head->nlmsg_seq != listing->sequence || head->nlmsg_type == NLMSG_NOOP)
        return 0;
    listing->interrupted = listing->interrupted || head->nlmsg_flags & NLM_F_DUMP_INTR;
    switch (head->nlmsg_type) {
    case NLMSG_DONE:
        error = error_of(&message);
        return error ? error : 1;
    case NLMSG_ERROR:
        error = error_of(&message);
        return error ? error : -EBADMSG; /* nobody asked for an acknowledgement */
    case NLMSG_OVERRUN:
        return -ENOBUFS;
    default:
        return listing->fn(listing->context, &message);
    }
}

int bh_netlink_walk(struct bh_netlink_listing *listing, const void *data, size_t len)
{
    const uint8_t *p = data;

    while (len > 0) {
        struct nlmsghdr head;
        size_t step;
        int r;

        if (len < sizeof(head))
            return -EBADMSG;
        memcpy(&head, p, sizeof(head));
        if (head.nlmsg_len < NLMSG_HDRLEN || head.nlmsg_len > len)
            return -EBADMSG;
        r = take(listing, &head, p + NLMSG_HDRLEN);
        if (r)
            return r;
        step = NLMSG_ALIGN((size_t)head.nlmsg_len);
        if (step >= len)
            break;
        p += step;
        len -= step;
    }
    return 0;
}

/* Unconnected and unbound: the kernel is what an unaddressed request reaches, and it chooses our address. */
static int ask(int socket, uint16_t type, size_t body_len, uint32_t sequence)
{
    uint8_t request[NLMSG_HDRLEN + BODY_MAX] = { 0 };
    const struct nlmsghdr head = { .nlmsg_len = (uint32_t)(NLMSG_HDRLEN + body_len),
                                   .nlmsg_type = type,
                                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
                                   .nlmsg_seq = sequence };

    if (body_len > BODY_MAX)
        return -EINVAL;
    memcpy(request, &head, sizeof(head));
    return send(socket, request, head.nlmsg_len, 0) < 0 ? -errno : 0;
}

/* One datagram. A full buffer may have lost the rest of it. */
static ssize_t receive(int socket, uint8_t buffer[static BH_NETLINK_DATAGRAM_MAX])
{
    ssize_t n;

    do
        n = read(socket, buffer, BH_NETLINK_DATAGRAM_MAX);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    if (n == 0)
        return -EBADMSG;
    return n == BH_NETLINK_DATAGRAM_MAX ? -EMSGSIZE : n;
}

int bh_netlink_list(uint16_t type, size_t body_len, bh_netlink_fn fn, void *context)
{
    static uint32_t sequence;
    struct bh_netlink_listing listing = { .sequence = sequence + 1, .fn = fn, .context = context };
    _cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    uint8_t buffer[BH_NETLINK_DATAGRAM_MAX];
    int r = fd < 0 ? -errno : ask(fd, type, body_len, listing.sequence);

    sequence = listing.sequence;
    while (r == 0) {
        ssize_t n = receive(fd, buffer);

        r = n < 0 ? (int)n : bh_netlink_walk(&listing, buffer, (size_t)n);
    }
    return r < 0 ? r : listing.interrupted;
}

int bh_netlink_attributes(const uint8_t *data, size_t len, struct bh_netlink_attribute *ret, size_t n)
{
    memset(ret, 0, n * sizeof(*ret));
    while (len > 0) {
        struct rtattr head;
        size_t step, type;

        if (len < sizeof(head))
            return -EBADMSG;
        memcpy(&head, data, sizeof(head));
        if (head.rta_len < sizeof(head) || head.rta_len > len)
            return -EBADMSG;
        type = head.rta_type & NLA_TYPE_MASK;
        if (type < n)
            ret[type] = (struct bh_netlink_attribute){ data + RTA_LENGTH(0), head.rta_len - RTA_LENGTH(0) };
        step = RTA_ALIGN((size_t)head.rta_len);
        if (step >= len)
            break;
        data += step;
        len -= step;
    }
    return 0;
}
