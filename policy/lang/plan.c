/*
 * From lines to the rules of one channel: the ceiling of the channel and of the reviewed
 * commands is applied to the allow rules, what is left of nothing is dropped with a
 * warning, and rules that would settle one request in two ways are reported. A deny is
 * never narrowed.
 */
#include <errno.h>
#include <string.h>

#include "policy/lang/model.h"
#include "protocol/commands.h"

struct ceiling {
    uint64_t mask[2];
    uint16_t verbs; /* of guest-file-open */
};

static struct ceiling ceiling_of(const struct bh_model *model, const struct bh_channel_line *channel)
{
    struct ceiling ceiling = { .verbs = BH_VERB_ALL };

    for (unsigned i = 0; i < model->settings[BH_SET_COMMANDS]; i++)
        if (!channel->has_only || bh_mask_has(channel->only.mask, i))
            bh_mask_add(ceiling.mask, i);
    if (channel->has_only)
        ceiling.verbs = bh_targets_verbs(&channel->only);
    return ceiling;
}

static struct bh_slot_rule under(struct bh_rule_line *line, const struct ceiling *ceiling)
{
    const uint64_t open_bit = 1ull << (BH_CMD_GUEST_FILE_OPEN % 64);
    struct bh_slot_rule rule = { .line = line };

    for (unsigned word = 0; word < 2; word++)
        rule.mask[word] = line->targets.mask[word] & ceiling->mask[word];
    if (bh_mask_has(rule.mask, BH_CMD_GUEST_FILE_OPEN))
        rule.verbs = (uint16_t)(line->values[BH_SLOT_VERBS] & ceiling->verbs);
    if (!rule.verbs)
        rule.mask[BH_CMD_GUEST_FILE_OPEN / 64] &= ~open_bit;
    return rule;
}

/* The rule under the ceiling, if it is an allow; false if nothing is left. */
static bool narrow(struct bh_model *model, const struct bh_channel_line *channel, struct bh_rule_line *line,
                   const struct ceiling *ceiling, struct bh_slot_rule *ret)
{
    static const struct ceiling none = { { UINT64_MAX, UINT64_MAX }, BH_VERB_ALL };
    struct bh_slot_rule whole = under(line, &none);
    struct ceiling own = *ceiling;

    for (unsigned i = line->reviewed; i < BH_CMD_COUNT; i++)
        own.mask[i / 64] &= ~(1ull << (i % 64));
    *ret = line->effect == BH_EFFECT_ALLOW ? under(line, &own) : whole;
    bh_rule_report_loss(model, channel, &whole, ret, "`only` or `commands` leaves none of that");
    return ret->mask[0] || ret->mask[1];
}

static void report_conflict(struct bh_model *model, const struct bh_slot_rule *a,
                            const struct bh_slot_rule *b)
{
    const char *setting = bh_rules_conflict(a->line, a->verbs, b->line, b->verbs);

    if (setting)
        bh_error_at(
            model->diags, b->line->pos,
            "the rules '%s' and '%s' can both match one file and differ in `%s`: let them say the same, or "
            "keep their paths or verbs apart",
            a->line->name.ptr, b->line->name.ptr, setting);
    if (!bh_mask_has(a->mask, BH_CMD_GUEST_EXEC) || !bh_mask_has(b->mask, BH_CMD_GUEST_EXEC))
        return;
    setting = bh_execs_conflict(a->line, b->line);
    if (setting)
        bh_error_at(
            model->diags, b->line->pos,
            "the rules '%s' and '%s' can both match one execution and differ in `%s`: let them say the same, "
            "or keep their programs or arguments apart",
            a->line->name.ptr, b->line->name.ptr, setting);
}

static bool has_settings(const struct bh_slot_rule *rule)
{
    return rule->line->effect == BH_EFFECT_ALLOW &&
           (rule->verbs || bh_mask_has(rule->mask, BH_CMD_GUEST_EXEC));
}

static void report_conflicts(struct bh_model *model, const struct bh_plan *plan)
{
    for (uint32_t i = 0; i < plan->n_rules; i++)
        for (uint32_t k = i + 1; k < plan->n_rules && has_settings(&plan->rules[i]); k++)
            if (has_settings(&plan->rules[k]))
                report_conflict(model, &plan->rules[i], &plan->rules[k]);
}

static void report_rates(struct bh_model *model, const struct bh_plan *plan)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < plan->n_rules; i++) {
        const struct bh_slot_rule *rule = &plan->rules[i];

        if (bh_mask_has(rule->mask, BH_CMD_GUEST_EXEC) && rule->line->given & 1ull << BH_SLOT_RATE &&
            n++ == BH_EXEC_RATES_MAX)
            bh_error_at(model->diags, rule->line->pos,
                        "channel '%s' has more than %u rules with a `rate`: unite some",
                        plan->channel->name.ptr, BH_EXEC_RATES_MAX);
    }
}

int bh_model_plan(struct bh_model *model, uint32_t channel, struct bh_plan *ret)
{
    struct bh_plan plan = { .channel = &model->channels[channel] };
    struct ceiling ceiling = ceiling_of(model, plan.channel);

    memcpy(plan.only, ceiling.mask, sizeof(plan.only));
    plan.rules = bh_arena_array(model->arena, BH_RULES_MAX, sizeof(*plan.rules));
    if (!plan.rules)
        return -ENOMEM;
    for (struct bh_rule_line *line = model->rules; line; line = line->next) {
        struct bh_slot_rule rule;

        line->number = BH_NO_RULE;
        if (!(line->channels >> channel & 1) || !narrow(model, plan.channel, line, &ceiling, &rule))
            continue;
        if (plan.n_rules == BH_RULES_MAX) {
            bh_error_at(model->diags, line->pos, "channel '%s' has more than %u rules: unite some",
                        plan.channel->name.ptr, BH_RULES_MAX);
            break;
        }
        line->number = plan.n_rules;
        plan.rules[plan.n_rules++] = rule;
    }
    report_conflicts(model, &plan);
    report_rates(model, &plan);
    bh_plan_report_struck(model, &plan);
    bh_plan_report_names(model, &plan);
    bh_plan_report_mounts(model, &plan);
    *ret = plan;
    return 0;
}
