/* The parser of routes.h: a line into words, each word by its column. */
#include "workers/info/routes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/mem.h"

#define WORDS_MAX 12

struct bh_route {
    struct bh_route *next;
    struct bh_guest_network_route told;
};

/* Columns, from the left. */
enum v4 {
    V4_IFACE,
    V4_DESTINATION,
    V4_GATEWAY,
    V4_FLAGS,
    V4_REFCNT,
    V4_USE,
    V4_METRIC,
    V4_MASK,
    V4_MTU,
    V4_WINDOW,
    V4_IRTT,
    V4_COUNT
};
enum v6 {
    V6_DESTINATION,
    V6_DESTINATION_LEN,
    V6_SOURCE,
    V6_SOURCE_LEN,
    V6_NEXTHOP,
    V6_METRIC,
    V6_REFCNT,
    V6_USE,
    V6_FLAGS,
    V6_IFACE,
    V6_COUNT
};

void bh_routes_init(struct bh_routes *routes, struct bh_arena *arena, bh_shown_fn shown, void *context)
{
    *routes = (struct bh_routes){ .arena = arena, .shown = shown, .context = context };
    routes->end = &routes->first;
}

/* Words between blanks; how many there are, at most WORDS_MAX. */
static unsigned split(const char *line, size_t len, struct bh_str ret[static WORDS_MAX])
{
    unsigned n = 0;

    for (size_t i = 0; i < len && n < WORDS_MAX;) {
        size_t start = i;

        while (i < len && line[i] != ' ' && line[i] != '\t')
            i++;
        if (i > start)
            ret[n++] = (struct bh_str){ line + start, (uint32_t)(i - start) };
        else
            i++;
    }
    return n;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* A number of 32 bits; a sign is the kernel's way to print a large one. */
static bool number(struct bh_str word, unsigned base, uint32_t *ret)
{
    bool negative = base == 10 && word.len > 1 && word.ptr[0] == '-';
    uint64_t value = 0;

    if (word.len - negative == 0 || word.len - negative > 10)
        return false;
    for (uint32_t i = negative; i < word.len; i++) {
        int d = digit(word.ptr[i]);

        if (d < 0 || (unsigned)d >= base)
            return false;
        value = value * base + (unsigned)d;
    }
    *ret = negative ? (uint32_t)-value : (uint32_t)value;
    return value <= UINT32_MAX;
}

static bool decimal(struct bh_str word, int64_t *ret)
{
    uint32_t value;

    if (!number(word, 10, &value))
        return false;
    *ret = value;
    return true;
}

static bool hex(struct bh_str word, uint32_t *ret)
{
    return number(word, 16, ret);
}

/* The four bytes as a number of this machine's order. */
static bool address4(struct bh_arena *arena, struct bh_str word, struct bh_str *ret)
{
    char text[INET_ADDRSTRLEN];
    uint32_t bytes;

    if (!hex(word, &bytes) || !inet_ntop(AF_INET, &bytes, text, sizeof(text)))
        return false;
    *ret = bh_arena_str(arena, text, strlen(text));
    return true;
}

/* The sixteen bytes in their order. */
static bool address6(struct bh_arena *arena, struct bh_str word, struct bh_str *ret)
{
    struct in6_addr bytes;
    char text[INET6_ADDRSTRLEN];

    if (word.len != 2 * sizeof(bytes))
        return false;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        int high = digit(word.ptr[2 * i]), low = digit(word.ptr[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        bytes.s6_addr[i] = (uint8_t)(high * 16 + low);
    }
    if (!inet_ntop(AF_INET6, &bytes, text, sizeof(text)))
        return false;
    *ret = bh_arena_str(arena, text, strlen(text));
    return true;
}

/* Clients expect the length of an IPv6 prefix as text. */
static bool prefix(struct bh_arena *arena, struct bh_str word, struct bh_str *ret)
{
    uint32_t bits;

    if (!hex(word, &bits) || bits > 128)
        return false;
    *ret = bh_arena_printf(arena, "%u", bits);
    return true;
}

static bool parse4(struct bh_arena *arena, const struct bh_str *words, struct bh_guest_network_route *told)
{
    uint32_t flags;

    if (!address4(arena, words[V4_DESTINATION], &told->destination) ||
        !address4(arena, words[V4_GATEWAY], &told->gateway) || !address4(arena, words[V4_MASK], &told->mask))
        return false;
    if (!hex(words[V4_FLAGS], &flags) || !decimal(words[V4_REFCNT], &told->refcnt) ||
        !decimal(words[V4_USE], &told->use) || !decimal(words[V4_METRIC], &told->metric))
        return false;
    if (!decimal(words[V4_MTU], &told->mtu) || !decimal(words[V4_WINDOW], &told->window) ||
        !decimal(words[V4_IRTT], &told->irtt))
        return false;
    told->flags = flags;
    told->version = 4;
    told->has_gateway = told->has_mask = told->has_mtu = told->has_window = told->has_irtt = true;
    return true;
}

static bool parse6(struct bh_arena *arena, const struct bh_str *words, struct bh_guest_network_route *told)
{
    uint32_t metric, refcnt, use, flags;

    if (!address6(arena, words[V6_DESTINATION], &told->destination) ||
        !address6(arena, words[V6_SOURCE], &told->source) ||
        !address6(arena, words[V6_NEXTHOP], &told->nexthop))
        return false;
    if (!prefix(arena, words[V6_DESTINATION_LEN], &told->desprefixlen) ||
        !prefix(arena, words[V6_SOURCE_LEN], &told->srcprefixlen))
        return false;
    if (!hex(words[V6_METRIC], &metric) || !hex(words[V6_REFCNT], &refcnt) || !hex(words[V6_USE], &use) ||
        !hex(words[V6_FLAGS], &flags))
        return false;
    told->metric = metric;
    told->refcnt = refcnt;
    told->use = use;
    told->flags = flags;
    told->version = 6;
    told->has_source = told->has_nexthop = told->has_desprefixlen = told->has_srcprefixlen = true;
    return true;
}

/* Text that had no room has no pointer. */
static bool has_room(const struct bh_guest_network_route *told)
{
    if (!told->iface.ptr || !told->destination.ptr)
        return false;
    return told->version == 4
               ? told->gateway.ptr && told->mask.ptr
               : told->source.ptr && told->nexthop.ptr && told->desprefixlen.ptr && told->srcprefixlen.ptr;
}

int bh_routes_line(struct bh_routes *routes, int version, const char *line, size_t len)
{
    struct bh_str words[WORDS_MAX], iface;
    unsigned n = split(line, len, words);
    struct bh_route *route;

    if (n < (version == 4 ? (unsigned)V4_COUNT : (unsigned)V6_COUNT))
        return -EBADMSG;
    iface = words[version == 4 ? (unsigned)V4_IFACE : (unsigned)V6_IFACE];
    if (!routes->shown(routes->context, iface.ptr, iface.len))
        return 0;
    if (routes->n == BH_ROUTES_MAX)
        return -E2BIG;
    route = bh_arena_alloc(routes->arena, sizeof(*route));
    if (!route)
        return -ENOMEM;
    route->told.iface = bh_listing_text(routes->arena, iface.ptr, iface.len);
    route->told.has_flags = route->told.has_refcnt = route->told.has_use = true;
    if (!(version == 4 ? parse4 : parse6)(routes->arena, words, &route->told))
        return -EBADMSG;
    if (!has_room(&route->told))
        return -ENOMEM;
    *routes->end = route;
    routes->end = &route->next;
    routes->n++;
    return 0;
}

/* Takes the whole lines at the beginning of `text`; bytes taken, or -errno. `*header`: the next is no route.
 */
static ssize_t take_lines(struct bh_routes *routes, int version, const char *text, size_t len, bool *header)
{
    const char *end;
    size_t taken = 0;

    while ((end = memchr(text + taken, '\n', len - taken))) {
        int r = *header ? 0 : bh_routes_line(routes, version, text + taken, (size_t)(end - text) - taken);

        if (r < 0)
            return r;
        *header = false;
        taken = (size_t)(end - text) + 1;
    }
    return (ssize_t)taken;
}

int bh_routes_file(struct bh_routes *routes, int version, int fd)
{
    char text[8 * BH_ROUTE_LINE_MAX];
    bool header = version == 4;
    size_t kept = 0;
    off_t at = 0;

    while (fd >= 0) {
        ssize_t n = pread(fd, text + kept, sizeof(text) - kept, at), taken;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return kept > 0 ? -EBADMSG : 0;
        at += n;
        kept += (size_t)n;
        taken = take_lines(routes, version, text, kept, &header);
        if (taken < 0)
            return (int)taken;
        kept -= (size_t)taken;
        if (kept >= BH_ROUTE_LINE_MAX)
            return -EBADMSG;
        memmove(text, text + taken, kept);
    }
    return 0;
}

int bh_routes_tell(const struct bh_routes *routes, struct bh_guest_network_get_route_ret *ret)
{
    ret->value = bh_arena_array(routes->arena, routes->n, sizeof(*ret->value));
    ret->n_value = 0;
    if (!ret->value)
        return -ENOMEM;
    for (const struct bh_route *route = routes->first; route; route = route->next)
        ret->value[ret->n_value++] = route->told;
    return 0;
}
