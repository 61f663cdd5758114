/*
 * Patterns against patterns, for patterns.h: component by component, two globs by whether some
 * text matches both.
 */
#include "policy/lang/patterns.h"

#include <string.h>

#include "policy/match.h"

struct component {
    const char *text;
    size_t len;
    bool glob;
};

/* A path being walked: what is left of it. */
struct walk {
    const char *rest;
    enum bh_path_kind kind;
};

static bool next_component(struct walk *walk, struct component *ret)
{
    size_t len;

    if (walk->rest[0] == '\0' || walk->rest[1] == '\0')
        return false;
    len = strcspn(walk->rest + 1, "/");
    *ret = (struct component){ walk->rest + 1, len, walk->kind == BH_PATH_GLOB };
    walk->rest += 1 + len;
    return true;
}

static bool is_star(const struct component *c, size_t i)
{
    return c->glob && i < c->len && c->text[i] == '*';
}

static bool same_byte(const struct component *a, size_t i, const struct component *b, size_t k)
{
    if (i >= a->len || k >= b->len)
        return false;
    return a->text[i] == b->text[k] || (a->glob && a->text[i] == '?') || (b->glob && b->text[k] == '?');
}

/*
 * Does some text match both? row[k] says it of the ends of `a` from i on and of `b` from k on; the rows are
 * made from the last i to the first. A star takes nothing, or what the other side takes next.
 */
static bool meet(const struct component *a, const struct component *b)
{
    bool rows[2][BH_POLICY_PATH_MAX + 1];

    for (size_t i = a->len + 1; i-- > 0;) {
        bool *row = rows[i % 2];
        const bool *below = rows[(i + 1) % 2];

        for (size_t k = b->len + 1; k-- > 0;) {
            bool end = i == a->len && k == b->len;

            row[k] = end || (is_star(a, i) && (below[k] || (k < b->len && row[k + 1]))) ||
                     (is_star(b, k) && (row[k + 1] || (i < a->len && below[k]))) ||
                     (!is_star(a, i) && !is_star(b, k) && same_byte(a, i, b, k) && below[k + 1]);
        }
    }
    return rows[0][0];
}

bool bh_patterns_meet(struct bh_pattern a, struct bh_pattern b)
{
    struct walk wa = { a.text, a.kind }, wb = { b.text, b.kind };

    for (;;) {
        struct component ca, cb;
        bool more_a = next_component(&wa, &ca), more_b = next_component(&wb, &cb);

        if (!more_a || !more_b)
            return (more_a || more_b) == false || (!more_a && a.kind == BH_PATH_BENEATH) ||
                   (!more_b && b.kind == BH_PATH_BENEATH);
        if (!meet(&ca, &cb))
            return false;
    }
}

/* The first component, from `*at` on; false behind the last one. */
static bool next_piece(const struct bh_pattern *pattern, size_t *at, struct component *ret)
{
    if (*at > pattern->len)
        return false;
    *ret = (struct component){ pattern->text + *at, strcspn(pattern->text + *at, "/"),
                               pattern->kind == BH_PATH_GLOB };
    *at += ret->len + 1;
    return true;
}

bool bh_texts_meet(struct bh_pattern a, struct bh_pattern b)
{
    size_t at_a = 0, at_b = 0;

    a.len -=
        a.kind == BH_PATH_BENEATH && a.len == 1; /* "/": what is beneath begins with an empty component */
    b.len -= b.kind == BH_PATH_BENEATH && b.len == 1;
    for (;;) {
        struct component ca, cb;
        bool more_a = next_piece(&a, &at_a, &ca), more_b = next_piece(&b, &at_b, &cb);

        if (!more_a || !more_b)
            return (more_a || more_b) == false || (!more_a && a.kind == BH_PATH_BENEATH) ||
                   (!more_b && b.kind == BH_PATH_BENEATH);
        if (!meet(&ca, &cb))
            return false;
    }
}

/* Bytes of the directory before a glob's first wildcard; of "/" at least. */
static size_t fixed_part(const char *glob)
{
    size_t len = strcspn(glob, "*?");

    while (glob[len] && len > 1 && glob[len] != '/')
        len--;
    return len;
}

bool bh_pattern_covers(struct bh_pattern a, struct bh_pattern b)
{
    if (a.kind == b.kind && a.len == b.len && memcmp(a.text, b.text, a.len) == 0)
        return true;
    if (b.kind == BH_PATH_IS)
        return bh_path_match(a.kind, a.text, a.len, b.text, b.len);
    if (a.kind != BH_PATH_BENEATH)
        return false;
    return bh_path_match(BH_PATH_BENEATH, a.text, a.len, b.text,
                         b.kind == BH_PATH_GLOB ? fixed_part(b.text) : b.len);
}
