/*
 * Can two file rules match one request? Exact for paths: patterns are compared component
 * by component, two globs by whether some text matches both.
 */
#include <string.h>

#include "policy/lang/model.h"

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

static bool paths_meet(const struct bh_path_line *a, const struct bh_path_line *b)
{
    struct walk wa = { a->text.ptr, a->kind }, wb = { b->text.ptr, b->kind };

    for (;;) {
        struct component ca, cb;
        bool more_a = next_component(&wa, &ca), more_b = next_component(&wb, &cb);

        if (!more_a || !more_b)
            return (more_a || more_b) == false || (!more_a && a->kind == BH_PATH_BENEATH) ||
                   (!more_b && b->kind == BH_PATH_BENEATH);
        if (!meet(&ca, &cb))
            return false;
    }
}

static bool some_paths_meet(const struct bh_rule_line *a, const struct bh_rule_line *b)
{
    if (!a->paths || !b->paths)
        return true;
    for (const struct bh_path_line *pa = a->paths; pa; pa = pa->next)
        for (const struct bh_path_line *pb = b->paths; pb; pb = pb->next)
            if (paths_meet(pa, pb))
                return true;
    return false;
}

static bool says_otherwise(const struct bh_setting_row *row, const struct bh_rule_line *a,
                           const struct bh_rule_line *b)
{
    if (row->type != BH_TYPE_USER)
        return a->values[row->slot] != b->values[row->slot];
    return !a->user.ptr != !b->user.ptr || (a->user.ptr && strcmp(a->user.ptr, b->user.ptr) != 0);
}

const char *bh_rules_conflict(const struct bh_rule_line *a, uint16_t a_verbs, const struct bh_rule_line *b,
                              uint16_t b_verbs)
{
    uint16_t both = a_verbs & b_verbs;

    for (unsigned i = 0; both && i < bh_n_settings; i++) {
        const struct bh_setting_row *row = &bh_settings[i];

        if (row->domain != BH_DOMAIN_FILE || row->merge != BH_MERGE_AGREE ||
            (row->verbs && !(row->verbs & both)))
            continue;
        if (says_otherwise(row, a, b))
            return some_paths_meet(a, b) ? row->name : NULL;
    }
    return NULL;
}
