/*
 * Allow rules with names that choose nothing: denies hide every name of them, or another
 * allow shows all names anyway, so that what was meant as a narrowing is none. Warnings
 * only, and only what is certain; rules of a profile are not spoken of.
 */
#include <string.h>

#include "policy/lang/model.h"
#include "policy/match.h"

static bool is_any(const struct bh_name_line *name)
{
    return strspn(name->text.ptr, "*") == name->text.len;
}

/* Does `wide` match whatever `narrow` (NULL: any name) matches? False where it takes more than a look to
 * know. */
static bool covers(const struct bh_name_line *wide, const struct bh_name_line *narrow)
{
    if (is_any(wide))
        return true;
    if (!narrow)
        return false;
    if (strpbrk(narrow->text.ptr, "*?"))
        return strcmp(wide->text.ptr, narrow->text.ptr) == 0;
    return bh_name_match(wide->text.ptr, wide->text.len, narrow->text.ptr, narrow->text.len);
}

static bool holds_for_all_of(const struct bh_slot_rule *rule, const struct bh_slot_rule *allow)
{
    return !(allow->mask[0] & ~rule->mask[0]) && !(allow->mask[1] & ~rule->mask[1]);
}

/* Do denies hide all that this pattern of the allow (NULL: any name) matches? */
static bool is_hidden(const struct bh_plan *plan, const struct bh_slot_rule *allow,
                      const struct bh_name_line *name)
{
    for (uint32_t i = 0; i < plan->n_rules; i++) {
        const struct bh_slot_rule *deny = &plan->rules[i];

        if (deny->line->effect != BH_EFFECT_DENY || !holds_for_all_of(deny, allow) ||
            bh_rule_spares(deny->line, allow->line))
            continue;
        for (const struct bh_name_line *hides = deny->line->names; hides; hides = hides->next)
            if (covers(hides, name))
                return true;
    }
    return false;
}

static bool all_hidden(const struct bh_plan *plan, const struct bh_slot_rule *allow)
{
    const struct bh_name_line *name = allow->line->names;

    if (!name)
        return is_hidden(plan, allow, NULL);
    while (name && is_hidden(plan, allow, name))
        name = name->next;
    return !name;
}

/* The allow that shows every name of all that this one lists, or NULL. */
static const struct bh_slot_rule *wider(const struct bh_plan *plan, const struct bh_slot_rule *allow)
{
    for (uint32_t i = 0; i < plan->n_rules; i++) {
        const struct bh_slot_rule *other = &plan->rules[i];

        if (other->line->effect == BH_EFFECT_ALLOW && !other->line->names && holds_for_all_of(other, allow))
            return other;
    }
    return NULL;
}

void bh_plan_report_names(struct bh_model *model, const struct bh_plan *plan)
{
    for (uint32_t i = 0; i < plan->n_rules; i++) {
        const struct bh_slot_rule *allow = &plan->rules[i], *other;
        const struct bh_rule_line *line = allow->line;

        if (line->effect != BH_EFFECT_ALLOW || line->kind == BH_FILE_PROFILE ||
            bh_mask_lists(allow->mask) == BH_LISTED_NOTHING)
            continue;
        if (all_hidden(plan, allow))
            bh_report(model->diags, BH_SEVERITY_WARNING, line->pos,
                      "the rule '%s' shows nothing on channel '%s': deny rules hide all of that",
                      line->name.ptr, plan->channel->name.ptr);
        other = line->names && !bh_plan_spares(plan, allow->line) ? wider(plan, allow) : NULL;
        if (other)
            bh_report(model->diags, BH_SEVERITY_WARNING, line->pos,
                      "the rule '%s' narrows nothing on channel '%s': the rule '%s' shows all of that "
                      "already; let a deny hide what is not to be seen",
                      line->name.ptr, plan->channel->name.ptr, other->line->name.ptr);
    }
}
