/*
 * The comparison of compare.h. Without exceptions, what a policy lets be done is the
 * union of its allows less the union of its denies; so it is contained in another's if each
 * of its allows is covered by one of the other's, and each deny of the other by one of its
 * own. A deny that spares rules ties both together; then rules have to be equal, and allows to have the same
 * name.
 */
#include "broker/ctl/compare.h"

#include <string.h>

#include "policy/lang/patterns.h"
#include "policy/listed.h"
#include "policy/match.h"
#include "policy/mounts.h"
#include "protocol/commands.h"

bool ctl_acts_on_names(unsigned command)
{
    return command == BH_CMD_GUEST_FILE_OPEN || command == BH_CMD_GUEST_EXEC ||
           bh_command_lists(command) != BH_LISTED_NOTHING || bh_acts_on_mounts(command);
}

bool ctl_rule_speaks(const struct bh_rule *rule, unsigned command)
{
    return (command != BH_CMD_GUEST_FILE_OPEN || rule->verbs) &&
           rule->commands[command / 64] >> (command % 64) & 1;
}

static struct bh_pattern pattern_of(struct ctl_rule rule, uint32_t i)
{
    const struct bh_path *path = &rule.policy->paths[rule.rule->first_path + i];

    return (struct bh_pattern){ path->kind, bh_policy_string(rule.policy, path->text), path->len };
}

static bool is_of(struct ctl_rule rule, uint32_t i, enum bh_path_use use)
{
    return rule.policy->paths[rule.rule->first_path + i].use == use;
}

static bool has_use(struct ctl_rule rule, enum bh_path_use use)
{
    uint32_t i = 0;

    while (i < rule.rule->n_paths && !is_of(rule, i, use))
        i++;
    return i < rule.rule->n_paths;
}

/* Does some path of this use match (all, some) of what the pattern matches? */
static bool some_covers(struct ctl_rule rule, enum bh_path_use use, struct bh_pattern pattern)
{
    for (uint32_t i = 0; i < rule.rule->n_paths; i++)
        if (is_of(rule, i, use) && bh_pattern_covers(pattern_of(rule, i), pattern))
            return true;
    return false;
}

static bool some_meets(struct ctl_rule rule, enum bh_path_use use, struct bh_pattern pattern)
{
    for (uint32_t i = 0; i < rule.rule->n_paths; i++)
        if (is_of(rule, i, use) && bh_patterns_meet(pattern_of(rule, i), pattern))
            return true;
    return false;
}

static bool paths_cover(struct ctl_rule a, struct ctl_rule b)
{
    if (!has_use(a, BH_USE_COVERED))
        return true;
    for (uint32_t i = 0; i < b.rule->n_paths; i++)
        if (is_of(b, i, BH_USE_COVERED) && !some_covers(a, BH_USE_COVERED, pattern_of(b, i)))
            return false;
    return has_use(b, BH_USE_COVERED);
}

static const char *user_of(struct ctl_rule rule)
{
    return rule.rule->user == BH_NO_USER
               ? ""
               : bh_policy_string(rule.policy, rule.policy->users[rule.rule->user].name);
}

static bool file_covers(struct ctl_rule a, struct ctl_rule b)
{
    if (b.rule->verbs & ~a.rule->verbs || !paths_cover(a, b))
        return false;
    if (a.rule->effect == BH_EFFECT_DENY)
        return true;
    return strcmp(user_of(a), user_of(b)) == 0 && ctl_limit_covers(a.rule->max_size, b.rule->max_size) &&
           !(b.rule->create_mode & ~a.rule->create_mode) && a.rule->types >= b.rule->types &&
           a.rule->symlinks >= b.rule->symlinks;
}

/* Is all that the pattern `name` stands for named by a pattern of `a`? Certain for equal ones and for
 * literals. */
static bool name_is_covered(struct ctl_rule a, const char *name, size_t len)
{
    bool literal = !strpbrk(name, "*?");

    for (uint32_t i = 0; i < a.rule->n_names; i++) {
        const struct bh_name *own = &a.policy->names[a.rule->first_name + i];
        const char *pattern = bh_policy_string(a.policy, own->text);

        if (strcmp(pattern, name) == 0 || strcmp(pattern, "*") == 0 ||
            (literal && bh_name_match(pattern, own->len, name, len)))
            return true;
    }
    return false;
}

/* Without patterns an allow shows all there is; but a deny refuses the command, where patterns only hide. */
static bool names_cover(struct ctl_rule a, struct ctl_rule b)
{
    if (a.rule->n_names == 0)
        return true;
    for (uint32_t i = 0; i < b.rule->n_names; i++) {
        const struct bh_name *name = &b.policy->names[b.rule->first_name + i];

        if (!name_is_covered(a, bh_policy_string(b.policy, name->text), name->len))
            return false;
    }
    return b.rule->n_names > 0;
}

/* Can the rule speak of a mount that the pattern matches? False if it is certain that it does not. */
static bool may_reach(struct ctl_rule rule, struct bh_pattern pattern)
{
    return (!has_use(rule, BH_USE_COVERED) || some_meets(rule, BH_USE_COVERED, pattern)) &&
           !some_covers(rule, BH_USE_EXCLUDED, pattern);
}

/* Does it speak of all mounts that the pattern matches? */
static bool reaches_all(struct ctl_rule rule, struct bh_pattern pattern)
{
    return (!has_use(rule, BH_USE_COVERED) || some_covers(rule, BH_USE_COVERED, pattern)) &&
           !some_meets(rule, BH_USE_EXCLUDED, pattern);
}

/* Does `a` speak of all mounts of which `b` speaks? */
static bool mounts_cover(struct ctl_rule a, struct ctl_rule b)
{
    if (!paths_cover(a, b))
        return false;
    for (uint32_t i = 0; i < a.rule->n_paths; i++)
        if (is_of(a, i, BH_USE_EXCLUDED) && may_reach(b, pattern_of(a, i)))
            return false;
    return true;
}

/* Is all that `a` requires of its mounts required by `b`? */
static bool requires_no_more(struct ctl_rule a, struct ctl_rule b)
{
    for (uint32_t i = 0; i < a.rule->n_paths; i++)
        if (is_of(a, i, BH_USE_REQUIRED) && may_reach(a, pattern_of(a, i)) &&
            !some_covers(b, BH_USE_REQUIRED, pattern_of(a, i)))
            return false;
    return true;
}

/* ctl_rule_covers, without what is required: that is of all rules together (requirements_kept). */
static bool reaches(struct ctl_rule a, struct ctl_rule b, unsigned command)
{
    if (command == BH_CMD_GUEST_FILE_OPEN)
        return file_covers(a, b);
    if (command == BH_CMD_GUEST_EXEC)
        return ctl_exec_covers(a, b);
    return bh_acts_on_mounts(command) ? mounts_cover(a, b) : names_cover(a, b);
}

bool ctl_rule_covers(struct ctl_rule a, struct ctl_rule b, unsigned command)
{
    return reaches(a, b, command) && (!bh_freezes_mounts(command) || requires_no_more(a, b));
}

static bool spares(struct ctl_rule deny, const char *name)
{
    for (uint32_t i = 0; i < deny.rule->n_excepts; i++) {
        const struct bh_rule *rule = &deny.policy->rules[deny.policy->excepts[deny.rule->first_except + i]];

        if (strcmp(bh_policy_string(deny.policy, rule->name), name) == 0)
            return true;
    }
    return false;
}

static bool same_excepts(struct ctl_rule a, struct ctl_rule b)
{
    if (a.rule->n_excepts != b.rule->n_excepts)
        return false;
    for (uint32_t i = 0; i < a.rule->n_excepts; i++) {
        const struct bh_rule *rule = &a.policy->rules[a.policy->excepts[a.rule->first_except + i]];

        if (!spares(b, bh_policy_string(a.policy, rule->name)))
            return false;
    }
    return true;
}

bool ctl_rule_equal(struct ctl_rule a, struct ctl_rule b, unsigned command)
{
    return a.rule->effect == b.rule->effect && ctl_rule_covers(a, b, command) &&
           ctl_rule_covers(b, a, command) && same_excepts(a, b);
}

static bool has_excepts(const struct bh_policy *policy, unsigned command)
{
    for (uint32_t i = 0; i < policy->n_rules; i++)
        if (ctl_rule_speaks(&policy->rules[i], command) && policy->rules[i].n_excepts > 0)
            return true;
    return false;
}

/* Can a deny tell them apart? It names what it spares by a given name, and never another deny. */
static bool same_standing(struct ctl_rule a, struct ctl_rule b)
{
    const char *na = bh_policy_string(a.policy, a.rule->name), *nb = bh_policy_string(b.policy, b.rule->name);

    return a.rule->effect == BH_EFFECT_DENY || strcmp(na, nb) == 0 || (strchr(na, ':') && strchr(nb, ':'));
}

/* Does a rule of `policy` stand for this one? */
static bool has_counterpart(const struct bh_policy *policy, struct ctl_rule rule, unsigned command,
                            bool exactly)
{
    for (uint32_t i = 0; i < policy->n_rules; i++) {
        struct ctl_rule other = { policy, &policy->rules[i] };

        if (!ctl_rule_speaks(other.rule, command) || other.rule->effect != rule.rule->effect)
            continue;
        if (exactly ? ctl_rule_equal(other, rule, command) && same_standing(other, rule)
                    : reaches(other, rule, command))
            return true;
    }
    return false;
}

/*
 * Does `inner` require these mounts as well, where it freezes them? So it is if one allow that has all of
 * them requires them, or if each that can have one of them does.
 */
static bool is_required(const struct bh_policy *inner, struct bh_pattern mounts, unsigned command)
{
    bool each = true;

    for (uint32_t i = 0; i < inner->n_rules; i++) {
        struct ctl_rule rule = { inner, &inner->rules[i] };
        bool requires;

        if (!ctl_rule_speaks(rule.rule, command) || rule.rule->effect != BH_EFFECT_ALLOW ||
            !may_reach(rule, mounts))
            continue;
        requires = some_covers(rule, BH_USE_REQUIRED, mounts);
        if (requires && reaches_all(rule, mounts))
            return true;
        each = each && requires;
    }
    return each;
}

/* What `outer` requires, which lets a freeze fail, is required by `inner` too. */
static bool requirements_kept(const struct bh_policy *inner, const struct bh_policy *outer, unsigned command,
                              bool exactly)
{
    for (uint32_t i = 0; i < outer->n_rules; i++) {
        struct ctl_rule rule = { outer, &outer->rules[i] };

        if (!ctl_rule_speaks(rule.rule, command) || !has_use(rule, BH_USE_REQUIRED))
            continue;
        if (exactly && !has_counterpart(inner, rule, command, true))
            return false;
        for (uint32_t k = 0; k < rule.rule->n_paths && !exactly; k++)
            if (is_of(rule, k, BH_USE_REQUIRED) && may_reach(rule, pattern_of(rule, k)) &&
                !is_required(inner, pattern_of(rule, k), command))
                return false;
    }
    return true;
}

/* Is it certain that `inner` lets nothing be done that `outer` does not? */
static bool contained(const struct bh_policy *inner, const struct bh_policy *outer, unsigned command)
{
    bool exactly = has_excepts(inner, command) || has_excepts(outer, command);

    for (uint32_t i = 0; i < inner->n_rules; i++) {
        struct ctl_rule rule = { inner, &inner->rules[i] };

        if (ctl_rule_speaks(rule.rule, command) && rule.rule->effect == BH_EFFECT_ALLOW &&
            !has_counterpart(outer, rule, command, exactly))
            return false;
    }
    for (uint32_t i = 0; i < outer->n_rules; i++) {
        struct ctl_rule rule = { outer, &outer->rules[i] };

        if (ctl_rule_speaks(rule.rule, command) && rule.rule->effect == BH_EFFECT_DENY &&
            !has_counterpart(inner, rule, command, exactly))
            return false;
    }
    return !bh_freezes_mounts(command) || requirements_kept(inner, outer, command, exactly);
}

enum ctl_change ctl_names_compare(const struct bh_policy *old, const struct bh_policy *new, unsigned command)
{
    bool narrower = contained(new, old, command), wider = contained(old, new, command);

    if (narrower)
        return wider ? CTL_SAME : CTL_NARROWER;
    return wider ? CTL_WIDER : CTL_UNDECIDED;
}
