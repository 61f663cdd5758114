/*
 * Allow rules of mounts that do not do what they say: they exclude all that they cover, or
 * denies strike it; they require what they do not cover; or another allow covers every mount
 * anyway, so that what was meant as a narrowing is none. Warnings only, and only what is
 * certain; rules of a profile are not spoken of.
 */
#include "policy/lang/model.h"
#include "policy/mounts.h"
#include "protocol/commands.h"

static const struct bh_pattern every_mount = { BH_PATH_BENEATH, "/", 1 };

static bool has_use(const struct bh_rule_line *line, enum bh_path_use use)
{
    const struct bh_path_line *path = line->paths;

    while (path && path->use != use)
        path = path->next;
    return path;
}

static bool some_covers(const struct bh_rule_line *line, enum bh_path_use use, struct bh_pattern pattern)
{
    for (const struct bh_path_line *path = line->paths; path; path = path->next)
        if (path->use == use && bh_pattern_covers(bh_line_pattern(path), pattern))
            return true;
    return false;
}

static bool some_meets(const struct bh_rule_line *line, enum bh_path_use use, struct bh_pattern pattern)
{
    for (const struct bh_path_line *path = line->paths; path; path = path->next)
        if (path->use == use && bh_patterns_meet(bh_line_pattern(path), pattern))
            return true;
    return false;
}

/* Of all commands of the allow that act on mounts. */
static bool holds_for_all_of(const struct bh_slot_rule *rule, const struct bh_slot_rule *allow)
{
    for (unsigned command = 0; command < BH_CMD_COUNT; command++)
        if (bh_acts_on_mounts(command) && bh_mask_has(allow->mask, command) &&
            !bh_mask_has(rule->mask, command))
            return false;
    return true;
}

/* Do denies strike all mounts of the allow that this pattern matches? */
static bool is_struck(const struct bh_plan *plan, const struct bh_slot_rule *allow, struct bh_pattern pattern)
{
    for (uint32_t i = 0; i < plan->n_rules; i++) {
        const struct bh_slot_rule *deny = &plan->rules[i];

        if (deny->line->effect == BH_EFFECT_DENY && holds_for_all_of(deny, allow) &&
            !bh_rule_spares(deny->line, allow->line) && some_covers(deny->line, BH_USE_COVERED, pattern))
            return true;
    }
    return false;
}

/* What is left of one pattern that the allow covers. */
enum left { LEFT_SOME, LEFT_STRUCK, LEFT_EXCLUDED };

static enum left left_of(const struct bh_plan *plan, const struct bh_slot_rule *allow,
                         struct bh_pattern pattern)
{
    if (some_covers(allow->line, BH_USE_EXCLUDED, pattern))
        return LEFT_EXCLUDED;
    return is_struck(plan, allow, pattern) ? LEFT_STRUCK : LEFT_SOME;
}

/* The least of all patterns that it covers. */
static enum left left_of_all(const struct bh_plan *plan, const struct bh_slot_rule *allow)
{
    enum left left = LEFT_EXCLUDED;

    if (!has_use(allow->line, BH_USE_COVERED))
        return left_of(plan, allow, every_mount);
    for (const struct bh_path_line *path = allow->line->paths; path; path = path->next) {
        enum left one = path->use == BH_USE_COVERED ? left_of(plan, allow, bh_line_pattern(path)) : left;

        left = one < left ? one : left;
    }
    return left;
}

static void report_left(struct bh_model *model, const struct bh_plan *plan, const struct bh_slot_rule *allow)
{
    enum left left = left_of_all(plan, allow);

    if (left != LEFT_SOME)
        bh_report(model->diags, BH_SEVERITY_WARNING, allow->line->pos,
                  "the rule '%s' covers no mount on channel '%s': %s", allow->line->name.ptr,
                  plan->channel->name.ptr,
                  left == LEFT_STRUCK ? "deny rules strike all of that" : "it excludes all that it covers");
}

/* Then what is struck here may be frozen by another rule, and still be required by this one. */
static bool spares_some(const struct bh_plan *plan)
{
    for (uint32_t i = 0; i < plan->n_rules; i++)
        if (plan->rules[i].line->effect == BH_EFFECT_DENY && plan->rules[i].line->excepts)
            return true;
    return false;
}

static void report_required(struct bh_model *model, const struct bh_plan *plan,
                            const struct bh_slot_rule *allow)
{
    const struct bh_rule_line *line = allow->line;

    for (const struct bh_path_line *path = line->paths; path; path = path->next) {
        struct bh_pattern pattern = bh_line_pattern(path);
        const char *why = NULL;

        if (path->use != BH_USE_REQUIRED)
            continue;
        if (has_use(line, BH_USE_COVERED) && !some_meets(line, BH_USE_COVERED, pattern))
            why = "its `mount` covers nothing of that";
        else if (left_of(plan, allow, pattern) == LEFT_EXCLUDED)
            why = "it excludes that";
        else if (left_of(plan, allow, pattern) == LEFT_STRUCK && !spares_some(plan))
            why = "deny rules strike that";
        if (why)
            bh_report(model->diags, BH_SEVERITY_WARNING, path->pos,
                      "the rule '%s' requires what it does not freeze: %s", line->name.ptr, why);
    }
}

/* The allow that covers every mount for all commands of this one, or NULL. */
static const struct bh_rule_line *wider(const struct bh_plan *plan, const struct bh_slot_rule *allow)
{
    for (uint32_t i = 0; i < plan->n_rules; i++) {
        const struct bh_slot_rule *other = &plan->rules[i];

        if (other->line->effect == BH_EFFECT_ALLOW && !has_use(other->line, BH_USE_COVERED) &&
            !has_use(other->line, BH_USE_EXCLUDED) && holds_for_all_of(other, allow))
            return other->line;
    }
    return NULL;
}

static void report_wider(struct bh_model *model, const struct bh_plan *plan, const struct bh_slot_rule *allow)
{
    const struct bh_rule_line *line = allow->line, *other = NULL;

    if (has_use(line, BH_USE_COVERED) || has_use(line, BH_USE_EXCLUDED))
        other = bh_plan_spares(plan, line) ? NULL : wider(plan, allow);
    if (other)
        bh_report(model->diags, BH_SEVERITY_WARNING, line->pos,
                  "the rule '%s' narrows nothing on channel '%s': the rule '%s' covers every mount already; "
                  "let a deny strike what is to be left alone",
                  line->name.ptr, plan->channel->name.ptr, other->name.ptr);
}

void bh_plan_report_mounts(struct bh_model *model, const struct bh_plan *plan)
{
    for (uint32_t i = 0; i < plan->n_rules; i++) {
        const struct bh_slot_rule *allow = &plan->rules[i];

        if (allow->line->effect != BH_EFFECT_ALLOW || allow->line->kind == BH_FILE_PROFILE ||
            !bh_mask_about_mounts(allow->mask, false))
            continue;
        report_left(model, plan, allow);
        if (bh_mask_freezes(allow->mask))
            report_required(model, plan, allow);
        report_wider(model, plan, allow);
    }
}
