/*
 * Can two rules for guest-exec match one execution? Then they must settle it alike.
 *
 * They are taken to be apart if no program is in both (of two names of one file the one that the client says
 * decides: policy/eval.h), or if no list of arguments suits both. That is exact, but for ranges of numbers
 * against globs, where a range of more than a few numbers is taken to meet, and for globs that could meet
 * only behind a dash. Variables and input only narrow: an execution without them suits every rule.
 */
#include <stdio.h>
#include <string.h>

#include "policy/evalexec.h"
#include "policy/lang/model.h"

#define NUMBERS_TRIED 4096

struct side {
    const struct bh_match_line *match;
    bool dash_ok;
};

static bool matches(const struct side *side, struct bh_str text)
{
    const struct bh_exec_match match = { .kind = side->match->kind,
                                         .len = side->match->text.len,
                                         .least = side->match->least,
                                         .most = side->match->most };

    return bh_exec_match(&match, side->match->text.ptr, side->dash_ok, text);
}

static bool is_kind(const struct side *side, enum bh_exec_match_kind kind)
{
    return side->match->kind == kind;
}

/* Is a number of this range matched? Tried one by one; of too many numbers it is not known and taken for
 * true. */
static bool some_number(const struct side *range, const struct side *other)
{
    int64_t least = range->match->least, most = range->match->most;

    if (is_kind(other, BH_MATCH_INT))
        return least <= other->match->most && other->match->least <= most;
    if (is_kind(other, BH_MATCH_BENEATH))
        return false;
    if ((uint64_t)most - (uint64_t)least >= NUMBERS_TRIED)
        return true;
    for (;; least++) {
        char text[24];
        int len = snprintf(text, sizeof(text), "%lld", (long long)least);

        if (matches(other, (struct bh_str){ text, (uint32_t)len }))
            return true;
        if (least == most)
            return false;
    }
}

/* What is left: globs, folders and `any`. */
static bool patterns_meet(const struct side *a, const struct side *b)
{
    struct bh_pattern pa = { is_kind(a, BH_MATCH_GLOB) ? BH_PATH_GLOB : BH_PATH_BENEATH, a->match->text.ptr,
                             a->match->text.len };
    struct bh_pattern pb = { is_kind(b, BH_MATCH_GLOB) ? BH_PATH_GLOB : BH_PATH_BENEATH, b->match->text.ptr,
                             b->match->text.len };

    if ((is_kind(a, BH_MATCH_GLOB) && pa.text[0] == '-' && !b->dash_ok) ||
        (is_kind(b, BH_MATCH_GLOB) && pb.text[0] == '-' && !a->dash_ok))
        return false;
    return is_kind(a, BH_MATCH_ANY) || is_kind(b, BH_MATCH_ANY) || bh_texts_meet(pa, pb);
}

static bool sides_meet(const struct side *a, const struct side *b)
{
    if (is_kind(a, BH_MATCH_LITERAL))
        return matches(b, a->match->text);
    if (is_kind(b, BH_MATCH_LITERAL))
        return matches(a, b->match->text);
    if (is_kind(a, BH_MATCH_INT))
        return some_number(a, b);
    return is_kind(b, BH_MATCH_INT) ? some_number(b, a) : patterns_meet(a, b);
}

static bool positions_meet(const struct bh_arg_line *a, const struct bh_arg_line *b)
{
    for (const struct bh_match_line *ma = a->matches; ma; ma = ma->next)
        for (const struct bh_match_line *mb = b->matches; mb; mb = mb->next)
            if (sides_meet(&(struct side){ ma, a->dash_ok }, &(struct side){ mb, b->dash_ok }))
                return true;
    return false;
}

/* The shortest lists that suit both numbers of arguments: what `rest` says may be said of nothing. */
static bool arguments_meet(const struct bh_exec_line *a, const struct bh_exec_line *b)
{
    const struct bh_arg_line *pa = a->args, *pb = b->args;

    while (pa || pb) {
        const struct bh_arg_line *one = pa ? pa : a->rest, *other = pb ? pb : b->rest;

        if (!one || !other || !positions_meet(one, other))
            return false;
        pa = pa ? pa->next : NULL;
        pb = pb ? pb->next : NULL;
    }
    return true;
}

static bool has_text(const struct bh_texts *texts, struct bh_str text)
{
    for (const struct bh_name_line *line = texts->first; line; line = line->next)
        if (line->text.len == text.len && memcmp(line->text.ptr, text.ptr, text.len) == 0)
            return true;
    return false;
}

static bool programs_meet(const struct bh_texts *a, const struct bh_texts *b)
{
    if (a->any || b->any)
        return true;
    for (const struct bh_name_line *line = a->first; line; line = line->next)
        if (has_text(b, line->text))
            return true;
    return false;
}

static bool holds_all(const struct bh_texts *a, const struct bh_texts *b)
{
    for (const struct bh_name_line *line = b->first; line; line = line->next)
        if (!has_text(a, line->text))
            return false;
    return true;
}

static bool same_texts(const struct bh_texts *a, const struct bh_texts *b)
{
    return holds_all(a, b) && holds_all(b, a);
}

static bool same_text(struct bh_str a, struct bh_str b)
{
    return !a.ptr == !b.ptr && (!a.ptr || strcasecmp(a.ptr, b.ptr) == 0);
}

static bool says_otherwise(const struct bh_setting_row *row, const struct bh_rule_line *a,
                           const struct bh_rule_line *b)
{
    switch (row->slot) {
    case BH_SLOT_SHA256: /* of which small and large digits are the same */
        return !same_text(a->exec.sha256, b->exec.sha256);
    case BH_SLOT_ARGV0:
        return !a->exec.argv0.ptr != !b->exec.argv0.ptr ||
               (a->exec.argv0.ptr && strcmp(a->exec.argv0.ptr, b->exec.argv0.ptr) != 0);
    case BH_SLOT_CWD:
        return strcmp(a->exec.cwd.ptr ? a->exec.cwd.ptr : "/", b->exec.cwd.ptr ? b->exec.cwd.ptr : "/") != 0;
    case BH_SLOT_RUN_USER:
        return !bh_rules_same_user(a, b);
    case BH_SLOT_RUN_GROUPS:
        return (a->given ^ b->given) & 1ull << BH_SLOT_RUN_GROUPS ||
               !same_texts(&a->exec.groups, &b->exec.groups);
    case BH_SLOT_SOCKET:
        return !same_texts(&a->exec.sockets, &b->exec.sockets);
    default:
        return a->values[row->slot] != b->values[row->slot];
    }
}

/* Settings that hold for the whole execution; the others say which executions the rule speaks of. */
static bool settles(const struct bh_setting_row *row)
{
    return row->domain == BH_DOMAIN_EXEC && (row->merge == BH_MERGE_AGREE || row->slot == BH_SLOT_SOCKET) &&
           row->slot != BH_SLOT_REST;
}

const char *bh_execs_conflict(const struct bh_rule_line *a, const struct bh_rule_line *b)
{
    for (unsigned i = 0; i < bh_n_settings; i++)
        if (settles(&bh_settings[i]) && says_otherwise(&bh_settings[i], a, b))
            return programs_meet(&a->exec.programs, &b->exec.programs) && arguments_meet(&a->exec, &b->exec)
                       ? bh_settings[i].name
                       : NULL;
    return NULL;
}
