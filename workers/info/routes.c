/* The parser of routes.h: a line into words, each word by its column. */
#include "workers/info/routes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/mem.h"
#include "workers/lib/text.h"

#define WORDS_MAX 12

/* What a line says, small: the answer, with its texts, is made once and for all at the end. */
struct bh_route {
    struct bh_route *next;
    struct bh_str iface;
    uint8_t version;
    uint8_t destination_len, source_len; /* 6: bits of the prefixes */
    uint8_t destination[16], gateway[16],
        other[16]; /* 4: four bytes each, `other` is the mask; 6: the source */
    uint32_t metric, flags, refcnt, use;
    uint32_t mtu, window, irtt; /* 4 */
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

void bh_routes_init(struct bh_routes *routes, struct bh_arena *arena, uint32_t most, bh_shown_fn shown,
                    void *context)
{
    *routes = (struct bh_routes){ .arena = arena, .most = most, .shown = shown, .context = context };
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

static bool decimal(struct bh_str word, uint32_t *ret)
{
    return number(word, 10, ret);
}

static bool hex(struct bh_str word, uint32_t *ret)
{
    return number(word, 16, ret);
}

/* Four bytes, shown as a number of this machine's order. */
static bool address4(struct bh_str word, uint8_t ret[static 16])
{
    uint32_t bytes;

    if (!hex(word, &bytes))
        return false;
    memcpy(ret, &bytes, sizeof(bytes));
    return true;
}

/* Sixteen bytes in their order. */
static bool address6(struct bh_str word, uint8_t ret[static 16])
{
    if (word.len != 32)
        return false;
    for (size_t i = 0; i < 16; i++) {
        int high = digit(word.ptr[2 * i]), low = digit(word.ptr[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        ret[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

static bool prefix(struct bh_str word, uint8_t *ret)
{
    uint32_t bits;

    if (!hex(word, &bits) || bits > 128)
        return false;
    *ret = (uint8_t)bits;
    return true;
}

static bool parse4(const struct bh_str *words, struct bh_route *route)
{
    if (!address4(words[V4_DESTINATION], route->destination) ||
        !address4(words[V4_GATEWAY], route->gateway) || !address4(words[V4_MASK], route->other))
        return false;
    return hex(words[V4_FLAGS], &route->flags) && decimal(words[V4_REFCNT], &route->refcnt) &&
           decimal(words[V4_USE], &route->use) && decimal(words[V4_METRIC], &route->metric) &&
           decimal(words[V4_MTU], &route->mtu) && decimal(words[V4_WINDOW], &route->window) &&
           decimal(words[V4_IRTT], &route->irtt);
}

static bool parse6(const struct bh_str *words, struct bh_route *route)
{
    if (!address6(words[V6_DESTINATION], route->destination) || !address6(words[V6_SOURCE], route->other) ||
        !address6(words[V6_NEXTHOP], route->gateway))
        return false;
    return prefix(words[V6_DESTINATION_LEN], &route->destination_len) &&
           prefix(words[V6_SOURCE_LEN], &route->source_len) && hex(words[V6_METRIC], &route->metric) &&
           hex(words[V6_REFCNT], &route->refcnt) && hex(words[V6_USE], &route->use) &&
           hex(words[V6_FLAGS], &route->flags);
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
    if (routes->n == routes->most)
        return -E2BIG;
    route = bh_arena_alloc(routes->arena, sizeof(*route));
    if (!route)
        return -ENOMEM;
    route->version = (uint8_t)version;
    if (!(version == 4 ? parse4 : parse6)(words, route))
        return -EBADMSG;
    route->iface = bh_text_of(routes->arena, iface.ptr, iface.len);
    if (!route->iface.ptr)
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

/* True if there was room. */
static bool text_of(struct bh_arena *arena, int version, const uint8_t bytes[static 16], struct bh_str *ret)
{
    char text[INET6_ADDRSTRLEN];

    if (!inet_ntop(version == 4 ? AF_INET : AF_INET6, bytes, text, sizeof(text)))
        return false;
    *ret = bh_arena_str(arena, text, strlen(text));
    return ret->ptr;
}

static bool tell4(struct bh_arena *arena, const struct bh_route *route, struct bh_guest_network_route *told)
{
    told->has_gateway = told->has_mask = told->has_mtu = told->has_window = told->has_irtt = true;
    told->mtu = route->mtu;
    told->window = route->window;
    told->irtt = route->irtt;
    return text_of(arena, 4, route->gateway, &told->gateway) && text_of(arena, 4, route->other, &told->mask);
}

/* Clients expect the length of an IPv6 prefix as text. */
static bool tell6(struct bh_arena *arena, const struct bh_route *route, struct bh_guest_network_route *told)
{
    told->has_nexthop = told->has_source = told->has_desprefixlen = told->has_srcprefixlen = true;
    told->desprefixlen = bh_arena_printf(arena, "%u", route->destination_len);
    told->srcprefixlen = bh_arena_printf(arena, "%u", route->source_len);
    return text_of(arena, 6, route->gateway, &told->nexthop) &&
           text_of(arena, 6, route->other, &told->source) && told->desprefixlen.ptr && told->srcprefixlen.ptr;
}

static bool tell(struct bh_arena *arena, const struct bh_route *route, struct bh_guest_network_route *told)
{
    *told = (struct bh_guest_network_route){ .iface = route->iface,
                                             .version = route->version,
                                             .metric = route->metric,
                                             .has_flags = true,
                                             .flags = route->flags,
                                             .has_refcnt = true,
                                             .refcnt = route->refcnt,
                                             .has_use = true,
                                             .use = route->use };
    return text_of(arena, route->version, route->destination, &told->destination) &&
           (route->version == 4 ? tell4 : tell6)(arena, route, told);
}

int bh_routes_tell(const struct bh_routes *routes, struct bh_guest_network_get_route_ret *ret)
{
    ret->value = bh_arena_array(routes->arena, routes->n, sizeof(*ret->value));
    ret->n_value = 0;
    if (!ret->value)
        return -ENOMEM;
    for (const struct bh_route *route = routes->first; route; route = route->next)
        if (!tell(routes->arena, route, &ret->value[ret->n_value++]))
            return -ENOMEM;
    return 0;
}
