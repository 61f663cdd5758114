/* The lists of links.h: entries in order of arrival, addresses hung to them. */
#include "workers/info/links.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>

#include "protocol/base/mem.h"
#include "workers/lib/text.h"

#define HARDWARE_LEN 6 /* bytes of an address that the answer can hold */

struct address {
    struct address *next;
    struct bh_guest_ip_address told;
};

struct bh_link {
    struct bh_link *next;
    int index; /* of the link; 0: a label, which has none */
    char name[IFNAMSIZ];
    struct address *first, **end;
    struct bh_guest_network_interface told;
};

void bh_links_init(struct bh_links *links, struct bh_arena *arena, uint32_t most, uint32_t most_addresses,
                   bh_shown_fn shown, void *context)
{
    *links = (struct bh_links){
        .arena = arena, .most = most, .most_addresses = most_addresses, .shown = shown, .context = context
    };
    links->end = &links->first;
}

/* A name with its NUL, which the kernel always sends. */
static bool take_name(const struct bh_netlink_attribute *from, char ret[IFNAMSIZ])
{
    size_t len = from->data ? strnlen((const char *)from->data, from->len) : 0;

    if (len == 0 || len >= IFNAMSIZ || len == from->len)
        return false;
    memset(ret, 0, IFNAMSIZ);
    memcpy(ret, from->data, len);
    return true;
}

static bool is_shown(const struct bh_links *links, const char *name)
{
    return links->shown(links->context, name, strlen(name));
}

/* A new entry at the end; *ret is it. 0, -ENOMEM or -E2BIG. */
static int add(struct bh_links *links, const char name[static IFNAMSIZ], int index, struct bh_link **ret)
{
    struct bh_link *link;

    if (links->n == links->most)
        return -E2BIG;
    link = bh_arena_alloc(links->arena, sizeof(*link));
    if (!link)
        return -ENOMEM;
    memcpy(link->name, name, IFNAMSIZ);
    link->index = index;
    link->end = &link->first;
    link->told.name = bh_text_of(links->arena, name, strlen(name));
    if (!link->told.name.ptr)
        return -ENOMEM;
    *links->end = link;
    links->end = &link->next;
    links->n++;
    *ret = link;
    return 0;
}

/* Counters as /proc/net/dev and its readers know them: packets that no buffer was free for were dropped. */
static void take_statistics(const struct bh_netlink_attribute *from, struct bh_guest_network_interface *told)
{
    struct rtnl_link_stats64 stats = { 0 };

    if (!from->data || from->len < offsetof(struct rtnl_link_stats64, multicast))
        return;
    memcpy(&stats, from->data, from->len < sizeof(stats) ? from->len : sizeof(stats));
    told->has_statistics = true;
    told->statistics = (struct bh_guest_network_interface_stat){
        .rx_bytes = stats.rx_bytes,
        .rx_packets = stats.rx_packets,
        .rx_errs = stats.rx_errors,
        .rx_dropped = stats.rx_dropped + stats.rx_missed_errors,
        .tx_bytes = stats.tx_bytes,
        .tx_packets = stats.tx_packets,
        .tx_errs = stats.tx_errors,
        .tx_dropped = stats.tx_dropped,
    };
}

/* An address of another length has no place in the answer and is left out, not cut. */
static int take_hardware(struct bh_links *links, const struct bh_netlink_attribute *from,
                         struct bh_guest_network_interface *told)
{
    const uint8_t *b = from->data;

    if (!b || from->len != HARDWARE_LEN)
        return 0;
    told->hardware_address =
        bh_arena_printf(links->arena, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
    told->has_hardware_address = true;
    return told->hardware_address.ptr ? 0 : -ENOMEM;
}

static int take_link(struct bh_links *links, const struct bh_netlink_message *message)
{
    struct bh_netlink_attribute attributes[IFLA_STATS64 + 1];
    struct ifinfomsg head;
    struct bh_link *link;
    char name[IFNAMSIZ];
    int r;

    if (message->len < sizeof(head))
        return -EBADMSG;
    memcpy(&head, message->body, sizeof(head));
    r = bh_netlink_attributes(message->body + sizeof(head), message->len - sizeof(head), attributes,
                              BH_ARRAY_SIZE(attributes));
    if (r < 0)
        return r;
    if (head.ifi_index <= 0 || !take_name(&attributes[IFLA_IFNAME], name))
        return -EBADMSG;
    if (!is_shown(links, name))
        return 0;
    r = add(links, name, head.ifi_index, &link);
    if (r < 0)
        return r;
    take_statistics(&attributes[IFLA_STATS64], &link->told);
    return take_hardware(links, &attributes[IFLA_ADDRESS], &link->told);
}

static struct bh_link *find_index(const struct bh_links *links, uint32_t index)
{
    struct bh_link *link = index > 0 ? links->first : NULL; /* labels have none */

    while (link && (uint32_t)link->index != index)
        link = link->next;
    return link;
}

static struct bh_link *find_name(const struct bh_links *links, const char *name)
{
    struct bh_link *link = links->first;

    while (link && strcmp(link->name, name) != 0)
        link = link->next;
    return link;
}

/* The entry that an address of `link` under this label belongs to; *ret NULL: it is hidden. */
static int entry_for(struct bh_links *links, struct bh_link *link, const char label[static IFNAMSIZ],
                     struct bh_link **ret)
{
    int r;

    *ret = NULL;
    if (strcmp(label, link->name) == 0) {
        *ret = link;
        return 0;
    }
    if (!is_shown(links, label))
        return 0;
    *ret = find_name(links, label);
    if (*ret)
        return 0;
    r = add(links, label, 0, ret);
    if (r < 0)
        return r;
    (*ret)->told.has_hardware_address = link->told.has_hardware_address;
    (*ret)->told.hardware_address = link->told.hardware_address;
    return 0;
}

static int hang(struct bh_links *links, struct bh_link *entry, const struct ifaddrmsg *head,
                const uint8_t *bytes)
{
    struct address *address = bh_arena_alloc(links->arena, sizeof(*address));
    char text[INET6_ADDRSTRLEN];

    if (entry->told.n_ip_addresses == links->most_addresses)
        return -E2BIG;
    if (!address || !inet_ntop(head->ifa_family, bytes, text, sizeof(text)))
        return -ENOMEM;
    address->told.ip_address = bh_arena_str(links->arena, text, strlen(text));
    address->told.ip_address_type =
        head->ifa_family == AF_INET ? BH_GUEST_IP_ADDRESS_TYPE_IPV4 : BH_GUEST_IP_ADDRESS_TYPE_IPV6;
    address->told.prefix = head->ifa_prefixlen;
    *entry->end = address;
    entry->end = &address->next;
    entry->told.n_ip_addresses++;
    return address->told.ip_address.ptr ? 0 : -ENOMEM;
}

/* Checks what the message says of the address itself: the local one, where there are two ends. */
static const uint8_t *address_of(const struct ifaddrmsg *head, const struct bh_netlink_attribute *attributes)
{
    const struct bh_netlink_attribute *from =
        attributes[IFA_LOCAL].data ? &attributes[IFA_LOCAL] : &attributes[IFA_ADDRESS];
    size_t len = head->ifa_family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);

    return from->data && from->len == len && head->ifa_prefixlen <= 8 * len ? from->data : NULL;
}

static int take_address(struct bh_links *links, const struct bh_netlink_message *message)
{
    struct bh_netlink_attribute attributes[IFA_LABEL + 1];
    struct bh_link *link, *entry;
    struct ifaddrmsg head;
    char label[IFNAMSIZ];
    int r;

    if (message->len < sizeof(head))
        return -EBADMSG;
    memcpy(&head, message->body, sizeof(head));
    if (head.ifa_family != AF_INET && head.ifa_family != AF_INET6)
        return 0;
    r = bh_netlink_attributes(message->body + sizeof(head), message->len - sizeof(head), attributes,
                              BH_ARRAY_SIZE(attributes));
    if (r == 0 && !address_of(&head, attributes))
        r = -EBADMSG;
    link = find_index(links, head.ifa_index);
    if (r < 0 || !link)
        return r;
    memcpy(label, link->name, sizeof(label));
    if (attributes[IFA_LABEL].data && !take_name(&attributes[IFA_LABEL], label))
        return -EBADMSG;
    r = entry_for(links, link, label, &entry);
    return r < 0 || !entry ? r : hang(links, entry, &head, address_of(&head, attributes));
}

int bh_links_take(void *links, const struct bh_netlink_message *message)
{
    if (message->type == RTM_NEWLINK)
        return take_link(links, message);
    return message->type == RTM_NEWADDR ? take_address(links, message) : 0;
}

int bh_links_tell(const struct bh_links *links, struct bh_guest_network_get_interfaces_ret *ret)
{
    ret->value = bh_arena_array(links->arena, links->n, sizeof(*ret->value));
    ret->n_value = 0;
    if (!ret->value)
        return -ENOMEM;
    for (const struct bh_link *link = links->first; link; link = link->next) {
        struct bh_guest_network_interface *told = &ret->value[ret->n_value++];
        uint32_t n = 0;

        *told = link->told;
        told->has_ip_addresses = told->n_ip_addresses > 0;
        told->ip_addresses = bh_arena_array(links->arena, told->n_ip_addresses, sizeof(*told->ip_addresses));
        if (!told->ip_addresses)
            return -ENOMEM;
        for (const struct address *address = link->first; address; address = address->next)
            told->ip_addresses[n++] = address->told;
    }
    return 0;
}
