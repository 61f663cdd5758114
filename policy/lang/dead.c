/*
 * Allow rules that are written and never match: the ceiling of a channel leaves nothing of
 * them, or the denies of the channel strike all of it. Warnings only, and only what is
 * certain: a deny with paths, mounts, names or programs is taken to strike nothing (of the latter two, see
 * mounts.c and names.c). Rules of a profile are not spoken of; whoever uses one narrows it on purpose.
 */
#include "policy/lang/model.h"
#include "protocol/commands.h"

static bool is_empty(const struct bh_slot_rule *rule)
{
    return !rule->mask[0] && !rule->mask[1];
}

void bh_rule_report_loss(struct bh_model *model, const struct bh_channel_line *channel,
                         const struct bh_slot_rule *before, const struct bh_slot_rule *after, const char *why)
{
    const struct bh_rule_line *line = before->line;
    const char *what = NULL;

    if (is_empty(after))
        what = "grants nothing";
    else if (before->verbs && !after->verbs)
        what = "lets no file be opened";
    if (what && line->effect == BH_EFFECT_ALLOW && line->kind != BH_FILE_PROFILE)
        bh_report(model->diags, BH_SEVERITY_WARNING, line->pos, "the rule '%s' %s on channel '%s': %s",
                  line->name.ptr, what, channel->name.ptr, why);
}

bool bh_rule_spares(const struct bh_rule_line *deny, const struct bh_rule_line *allow)
{
    for (const struct bh_ref *ref = deny->excepts; ref; ref = ref->next)
        if (ref->rule == allow)
            return true;
    return false;
}

bool bh_plan_spares(const struct bh_plan *plan, const struct bh_rule_line *allow)
{
    for (uint32_t i = 0; i < plan->n_rules; i++)
        if (plan->rules[i].line->effect == BH_EFFECT_DENY && bh_rule_spares(plan->rules[i].line, allow))
            return true;
    return false;
}

/* What the denies that look at no path leave of an allow. */
static struct bh_slot_rule left_of(const struct bh_plan *plan, const struct bh_slot_rule *allow)
{
    struct bh_slot_rule left = *allow;

    for (uint32_t i = 0; i < plan->n_rules; i++) {
        const struct bh_slot_rule *deny = &plan->rules[i];

        if (deny->line->effect != BH_EFFECT_DENY || deny->line->paths || deny->line->names ||
            deny->line->exec.programs.first || bh_rule_spares(deny->line, allow->line))
            continue;
        for (unsigned command = 0; command < BH_CMD_COUNT; command++)
            if (command != BH_CMD_GUEST_FILE_OPEN && bh_mask_has(deny->mask, command))
                left.mask[command / 64] &= ~(1ull << (command % 64));
        left.verbs &= (uint16_t)~deny->verbs;
    }
    if (!left.verbs)
        left.mask[BH_CMD_GUEST_FILE_OPEN / 64] &= ~(1ull << (BH_CMD_GUEST_FILE_OPEN % 64));
    return left;
}

void bh_plan_report_struck(struct bh_model *model, const struct bh_plan *plan)
{
    for (uint32_t i = 0; i < plan->n_rules; i++) {
        struct bh_slot_rule left;

        if (plan->rules[i].line->effect != BH_EFFECT_ALLOW)
            continue;
        left = left_of(plan, &plan->rules[i]);
        bh_rule_report_loss(model, plan->channel, &plan->rules[i], &left, "deny rules take all of that");
    }
}
