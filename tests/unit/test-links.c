/* workers/info/netlink.h and links.h: answers of the kernel, and what only looks like one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "workers/info/links.h"

#define SEQUENCE 7
#define LINKS_MAX 50
#define ADDRESSES_MAX 20

static struct bh_arena arena;
static struct bh_links links;
static struct bh_guest_network_get_interfaces_ret told;
static const char *hidden; /* a name that the policy hides */

static struct {
    uint8_t bytes[8192];
    size_t len;
    size_t head; /* of the message under way */
} wire;

static void put(const void *data, size_t len)
{
    memcpy(wire.bytes + wire.len, data, len);
    wire.len += len;
    while (wire.len % 4)
        wire.bytes[wire.len++] = 0;
}

static void begin(uint16_t type, const void *body, size_t len)
{
    const struct nlmsghdr head = { .nlmsg_type = type, .nlmsg_flags = NLM_F_MULTI, .nlmsg_seq = SEQUENCE };

    wire.head = wire.len;
    put(&head, sizeof(head));
    put(body, len);
}

static void attribute(uint16_t type, const void *data, size_t len)
{
    const struct rtattr head = { .rta_type = type, .rta_len = (unsigned short)(sizeof(head) + len) };

    put(&head, sizeof(head));
    put(data, len);
}

static void finish(void)
{
    uint32_t len = (uint32_t)(wire.len - wire.head);

    memcpy(wire.bytes + wire.head, &len, sizeof(len));
}

static void link_named(int index, const char *name, const void *hardware, size_t hardware_len)
{
    const struct ifinfomsg body = { .ifi_index = index };

    begin(RTM_NEWLINK, &body, sizeof(body));
    attribute(IFLA_IFNAME, name, strlen(name) + 1);
    if (hardware)
        attribute(IFLA_ADDRESS, hardware, hardware_len);
    finish();
}

static void address_on(unsigned index, const char *label, uint8_t prefix, const uint8_t bytes[4])
{
    const struct ifaddrmsg body = { .ifa_family = AF_INET, .ifa_prefixlen = prefix, .ifa_index = index };

    begin(RTM_NEWADDR, &body, sizeof(body));
    attribute(IFA_ADDRESS, bytes, 4);
    if (label)
        attribute(IFA_LABEL, label, strlen(label) + 1);
    finish();
}

static void done(int32_t error)
{
    begin(NLMSG_DONE, &error, sizeof(error));
    finish();
}

static bool is_shown(void *context, const char *name, size_t len)
{
    (void)context;
    return !hidden || strlen(hidden) != len || memcmp(name, hidden, len) != 0;
}

static void start(size_t memory)
{
    bh_arena_deinit(&arena);
    bh_arena_init(&arena, memory);
    wire.len = 0;
    hidden = NULL;
}

/* Walks what was put together; the answer of the walk. */
static int walk(void)
{
    struct bh_netlink_listing listing = { .sequence = SEQUENCE, .fn = bh_links_take, .context = &links };
    int r;

    bh_links_init(&links, &arena, LINKS_MAX, ADDRESSES_MAX, is_shown, NULL);
    r = bh_netlink_walk(&listing, wire.bytes, wire.len);
    assert_int_equal(bh_links_tell(&links, &told), 0);
    return r;
}

static const uint8_t hardware[20] = { 0x02, 0xab, 3, 4, 5, 0xff };
static const uint8_t ten[] = { 10, 0, 0, 1 };

static int setup(void **state)
{
    (void)state;
    start(1 << 20);
    return 0;
}

static void entries(void **state)
{
    const struct rtnl_link_stats64 stats = {
        .rx_bytes = UINT64_MAX, .rx_dropped = 3, .rx_missed_errors = 4, .tx_dropped = 5
    };
    const struct ifinfomsg body = { .ifi_index = 9 };

    (void)state;
    link_named(1, "lo", hardware, 6);
    begin(RTM_NEWLINK, &body, sizeof(body));
    attribute(IFLA_STATS64, &stats, sizeof(stats));
    attribute(IFLA_IFNAME, "eth0", 5);
    finish();
    address_on(9, "eth0", 24, ten);
    address_on(9, "eth0:1", 25, ten);
    address_on(9, NULL, 26, ten);
    address_on(5, "gone", 24, ten);
    address_on(0, NULL, 24, ten);
    done(0);
    assert_int_equal(walk(), 1);
    assert_int_equal(told.n_value, 3);
    assert_string_equal(told.value[0].name.ptr, "lo");
    assert_string_equal(told.value[0].hardware_address.ptr, "02:ab:03:04:05:ff");
    assert_false(told.value[0].has_ip_addresses || told.value[0].has_statistics);
    assert_string_equal(told.value[1].name.ptr, "eth0");
    assert_int_equal(told.value[1].n_ip_addresses, 2);
    assert_string_equal(told.value[1].ip_addresses[1].ip_address.ptr, "10.0.0.1");
    assert_int_equal(told.value[1].ip_addresses[1].prefix, 26);
    assert_true(told.value[1].has_statistics && told.value[1].statistics.rx_bytes == UINT64_MAX);
    assert_int_equal(told.value[1].statistics.rx_dropped, 7);
    assert_int_equal(told.value[1].statistics.tx_dropped, 5);
    assert_string_equal(told.value[2].name.ptr, "eth0:1");
    assert_int_equal(told.value[2].n_ip_addresses, 1);
    assert_false(told.value[2].has_statistics);
}

static void both_families(void **state)
{
    const struct ifaddrmsg body = { .ifa_family = AF_INET6, .ifa_prefixlen = 128, .ifa_index = 1 },
                           other = { .ifa_family = AF_PACKET, .ifa_prefixlen = 255, .ifa_index = 1 };
    const uint8_t here[16] = { 0x20, 1, 0xd, 0xb8, [15] = 1 }, there[16] = { 0xfe, 0x80 };

    (void)state;
    link_named(1, "x", NULL, 0);
    begin(RTM_NEWADDR, &body, sizeof(body));
    attribute(IFA_ADDRESS, there, sizeof(there));
    attribute(IFA_LOCAL, here, sizeof(here));
    finish();
    begin(RTM_NEWADDR, &other, sizeof(other));
    finish();
    assert_int_equal(walk(), 0);
    assert_int_equal(told.value[0].n_ip_addresses, 1);
    assert_string_equal(told.value[0].ip_addresses[0].ip_address.ptr, "2001:db8::1");
    assert_int_equal(told.value[0].ip_addresses[0].ip_address_type, BH_GUEST_IP_ADDRESS_TYPE_IPV6);
}

/* Six bytes have a place in the answer; others are not cut to fit. */
static void hardware_addresses(void **state)
{
    static const size_t lengths[] = { 0, 4, 5, 6, 7, 20 };

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        start(1 << 20);
        link_named(1, "x", hardware, lengths[i]);
        assert_int_equal(walk(), 0);
        assert_int_equal(told.value[0].has_hardware_address, lengths[i] == 6);
    }
}

static void what_is_hidden(void **state)
{
    (void)state;
    link_named(1, "a", NULL, 0);
    link_named(2, "b", NULL, 0);
    address_on(1, "a:1", 8, ten);
    address_on(1, NULL, 8, ten);
    address_on(2, NULL, 8, ten);
    hidden = "a";
    assert_int_equal(walk(), 0);
    assert_int_equal(told.n_value, 1);
    assert_string_equal(told.value[0].name.ptr, "b");
    hidden = "a:1";
    assert_int_equal(walk(), 0);
    assert_int_equal(told.n_value, 2);
    assert_int_equal(told.value[0].n_ip_addresses, 1);
}

static void names_that_are_no_text(void **state)
{
    (void)state;
    link_named(1, "a\xff\xc3z", NULL, 0);
    link_named(2, "caf\xc3\xa9", NULL, 0);
    assert_int_equal(walk(), 0);
    assert_string_equal(told.value[0].name.ptr, "a\xef\xbf\xbd\xef\xbf\xbdz");
    assert_string_equal(told.value[1].name.ptr, "caf\xc3\xa9");
}

static void names_by_length(void **state)
{
    (void)state;
    link_named(1, "123456789012345", NULL, 0);
    assert_int_equal(walk(), 0);
    start(1 << 20);
    link_named(1, "1234567890123456", NULL, 0);
    assert_int_equal(walk(), -EBADMSG);
    start(1 << 20);
    link_named(1, "", NULL, 0);
    assert_int_equal(walk(), -EBADMSG);
    start(1 << 20);
    link_named(0, "x", NULL, 0);
    assert_int_equal(walk(), -EBADMSG);
}

/* What the walk says to one message of this kind and body. */
static int one(uint16_t type, const void *body, size_t len)
{
    start(1 << 20);
    begin(type, body, len);
    finish();
    return walk();
}

static void ends_and_errors(void **state)
{
    const int32_t none = 0, refused = -EPERM, odd = 5;

    (void)state;
    assert_int_equal(one(NLMSG_DONE, &none, 4), 1);
    assert_int_equal(one(NLMSG_DONE, &none, 0), 1);
    assert_int_equal(one(NLMSG_DONE, &refused, 4), -EPERM);
    assert_int_equal(one(NLMSG_DONE, &odd, 4), 1);
    assert_int_equal(one(NLMSG_ERROR, &refused, 4), -EPERM);
    assert_int_equal(one(NLMSG_ERROR, &none, 4), -EBADMSG);
    assert_int_equal(one(NLMSG_ERROR, &none, 0), -EBADMSG);
    assert_int_equal(one(NLMSG_OVERRUN, &none, 4), -ENOBUFS);
    assert_int_equal(one(NLMSG_NOOP, &none, 4), 0);
    assert_int_equal(one(RTM_NEWLINK, &none, 4), -EBADMSG);
    assert_int_equal(one(RTM_NEWADDR, &none, 4), -EBADMSG);
    assert_int_equal(one(RTM_NEWROUTE, &none, 4), 0);
}

static void another_sequence_is_passed_over(void **state)
{
    struct bh_netlink_listing listing = { .sequence = SEQUENCE + 1, .fn = bh_links_take, .context = &links };

    (void)state;
    done(-EPERM);
    bh_links_init(&links, &arena, LINKS_MAX, ADDRESSES_MAX, is_shown, NULL);
    assert_int_equal(bh_netlink_walk(&listing, wire.bytes, wire.len), 0);
}

static void an_interruption_is_seen(void **state)
{
    struct bh_netlink_listing listing = { .sequence = SEQUENCE, .fn = bh_links_take, .context = &links };
    uint16_t flags = NLM_F_MULTI | NLM_F_DUMP_INTR;

    (void)state;
    done(0);
    assert_int_equal(bh_netlink_walk(&listing, wire.bytes, wire.len), 1);
    assert_false(listing.interrupted);
    memcpy(wire.bytes + offsetof(struct nlmsghdr, nlmsg_flags), &flags, sizeof(flags));
    assert_int_equal(bh_netlink_walk(&listing, wire.bytes, wire.len), 1);
    assert_true(listing.interrupted);
}

static void addresses_that_lie(void **state)
{
    struct ifaddrmsg body = { .ifa_family = AF_INET, .ifa_prefixlen = 33, .ifa_index = 1 };

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        start(1 << 20);
        link_named(1, "x", NULL, 0);
        body.ifa_prefixlen = i == 0 ? 33 : 32;
        begin(RTM_NEWADDR, &body, sizeof(body));
        if (i != 1)
            attribute(IFA_LOCAL, ten, i == 2 ? 3 : 4);
        if (i == 3)
            attribute(IFA_LABEL, "no end", 6);
        finish();
        assert_int_equal(walk(), -EBADMSG);
    }
}

/* Every prefix of a good answer, and every byte of it changed: an error or an answer, never a look beyond. */
static void cut_and_changed(void **state)
{
    static uint8_t copy[sizeof(wire.bytes)];
    struct bh_netlink_listing listing = { .sequence = SEQUENCE, .fn = bh_links_take, .context = &links };
    unsigned refused = 0;
    size_t len;

    (void)state;
    link_named(1, "eth0", hardware, 6);
    address_on(1, "eth0:1", 24, ten);
    done(0);
    len = wire.len;
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = test_malloc(cut ? cut : 1);

        memcpy(exact, wire.bytes, cut);
        bh_links_init(&links, &arena, LINKS_MAX, ADDRESSES_MAX, is_shown, NULL);
        refused += bh_netlink_walk(&listing, exact, cut) < 0;
        test_free(exact);
    }
    assert_true(refused > len / 2);
    memcpy(copy, wire.bytes, len);
    for (size_t i = 0; i < len; i++)
        for (unsigned value = 0; value < 256; value++) {
            int r;

            bh_arena_reset(&arena);
            bh_links_init(&links, &arena, LINKS_MAX, ADDRESSES_MAX, is_shown, NULL);
            wire.bytes[i] = (uint8_t)value;
            r = bh_netlink_walk(&listing, wire.bytes, len);
            assert_true(r == 0 || r == 1 || r < 0);
            wire.bytes[i] = copy[i];
        }
}

static void attributes_are_bounded(void **state)
{
    static const uint8_t shorter[] = { 3, 0, 1, 0 }, longer[] = { 9, 0, 1, 0, 0, 0, 0, 0 },
                         rest[] = { 4, 0, 1, 0, 4 };
    struct bh_netlink_attribute got[4];

    (void)state;
    assert_int_equal(bh_netlink_attributes(shorter, 0, got, 4), 0);
    assert_int_equal(bh_netlink_attributes(shorter, sizeof(shorter), got, 4), -EBADMSG);
    assert_int_equal(bh_netlink_attributes(longer, sizeof(longer), got, 4), -EBADMSG);
    assert_int_equal(bh_netlink_attributes(rest, sizeof(rest), got, 4), -EBADMSG);
    assert_int_equal(bh_netlink_attributes(rest, 4, got, 4), 0);
    assert_non_null(got[1].data);
    assert_int_equal(got[1].len, 0);
    assert_int_equal(bh_netlink_attributes(rest, 4, got, 1), 0);
    assert_null(got[0].data);
}

static int links_of(unsigned n)
{
    int r = 0;

    start(16u << 20);
    bh_links_init(&links, &arena, LINKS_MAX, ADDRESSES_MAX, is_shown, NULL);
    for (unsigned i = 0; i < n && r == 0; i++) {
        struct bh_netlink_listing listing = { .sequence = SEQUENCE, .fn = bh_links_take, .context = &links };

        wire.len = 0;
        link_named((int)i + 1, "same", NULL, 0);
        r = bh_netlink_walk(&listing, wire.bytes, wire.len);
    }
    return r;
}

static int addresses_of(unsigned n)
{
    struct bh_netlink_listing listing = { .sequence = SEQUENCE, .fn = bh_links_take, .context = &links };
    int r = links_of(1);

    for (unsigned i = 0; i < n && r == 0; i++) {
        wire.len = 0;
        address_on(1, NULL, 8, ten);
        r = bh_netlink_walk(&listing, wire.bytes, wire.len);
    }
    return r;
}

static void limits(void **state)
{
    (void)state;
    assert_int_equal(links_of(LINKS_MAX - 1), 0);
    assert_int_equal(links_of(LINKS_MAX), 0);
    assert_int_equal(links_of(LINKS_MAX + 1), -E2BIG);
    assert_int_equal(addresses_of(ADDRESSES_MAX - 1), 0);
    assert_int_equal(addresses_of(ADDRESSES_MAX), 0);
    assert_int_equal(addresses_of(ADDRESSES_MAX + 1), -E2BIG);
    start(64);
    link_named(1, "x", NULL, 0);
    bh_links_init(&links, &arena, LINKS_MAX, ADDRESSES_MAX, is_shown, NULL);
    assert_int_equal(
        bh_links_take(&links, &(struct bh_netlink_message){ RTM_NEWLINK, wire.bytes + NLMSG_HDRLEN,
                                                            wire.len - NLMSG_HDRLEN }),
        -ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(entries, setup),
        cmocka_unit_test_setup(both_families, setup),
        cmocka_unit_test(hardware_addresses),
        cmocka_unit_test_setup(what_is_hidden, setup),
        cmocka_unit_test_setup(names_that_are_no_text, setup),
        cmocka_unit_test_setup(names_by_length, setup),
        cmocka_unit_test(ends_and_errors),
        cmocka_unit_test_setup(another_sequence_is_passed_over, setup),
        cmocka_unit_test_setup(an_interruption_is_seen, setup),
        cmocka_unit_test(addresses_that_lie),
        cmocka_unit_test_setup(cut_and_changed, setup),
        cmocka_unit_test(attributes_are_bounded),
        cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
