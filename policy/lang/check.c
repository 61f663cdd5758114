/*
 * What a policy says as a whole: channels and rules that are named exist, names are
 * unique, drop-ins stay within what the main file opens to them.
 */
#include <string.h>

#include "policy/lang/model.h"
#include "protocol/commands.h"

#define LINES_MAX (BH_RULES_MAX * BH_CHANNELS_MAX) /* more cannot be compiled in any case */

/* The channels of an `on`; without one all of them, if that cannot be a mistake. */
static uint32_t resolve_on(struct bh_model *model, const struct bh_ref *on, struct bh_pos pos,
                           bool all_is_safe)
{
    uint32_t found = 0;

    if (!on && model->n_channels > 1 && !all_is_safe)
        bh_error_at(model->diags, pos, "there are %u channels: say which one is meant with `on CHANNEL`",
                    model->n_channels);
    if (!on)
        return (1u << model->n_channels) - 1;
    for (; on; on = on->next) {
        uint32_t i = 0;

        while (i < model->n_channels && strcmp(model->channels[i].name.ptr, on->name.ptr) != 0)
            i++;
        if (i < model->n_channels)
            found |= 1u << i;
        else
            bh_error_at(model->diags, on->pos,
                        "there is no channel '%.64s': add a `channel` line, or mend the name", on->name.ptr);
    }
    return found;
}

void bh_model_resolve_channels(struct bh_model *model)
{
    if (model->n_channels == 0) {
        model->channels[0] =
            (struct bh_channel_line){ .name = BH_STR("main"), .method = BH_STR(""), .path = BH_STR("") };
        model->n_channels = 1;
    }
    for (struct bh_rule_line *rule = model->rules; rule; rule = rule->next)
        rule->channels = resolve_on(model, rule->on, rule->pos, rule->effect == BH_EFFECT_DENY);
    for (struct bh_use_line *use = model->uses; use; use = use->next)
        use->channels = resolve_on(model, use->on, use->pos, false);
}

static struct bh_rule_line *find_rule(struct bh_model *model, const char *name)
{
    for (struct bh_rule_line *rule = model->rules; rule; rule = rule->next)
        if (rule->name.ptr && strcmp(rule->name.ptr, name) == 0)
            return rule;
    return NULL;
}

static void check_names(struct bh_model *model)
{
    for (struct bh_rule_line *rule = model->rules; rule; rule = rule->next) {
        const struct bh_rule_line *first = rule->name.ptr ? find_rule(model, rule->name.ptr) : rule;

        if (first != rule)
            bh_error_at(model->diags, rule->pos,
                        "the name '%s' is taken by the rule at %s:%u: choose another", rule->name.ptr,
                        first->pos.file.ptr, first->pos.line);
    }
}

static void check_excepts(struct bh_model *model, struct bh_rule_line *deny)
{
    for (struct bh_ref *ref = deny->excepts; ref; ref = ref->next) {
        ref->rule = find_rule(model, ref->name.ptr);
        if (!ref->rule)
            bh_report(model->diags, BH_SEVERITY_WARNING, ref->pos,
                      "there is no rule '%.64s', so nothing is spared by this name", ref->name.ptr);
        else if (ref->rule->effect == BH_EFFECT_DENY)
            bh_error_at(model->diags, ref->pos, "'%.64s' is a deny, and only an allow can be spared",
                        ref->name.ptr);
    }
}

static void check_drop_in(struct bh_model *model, const struct bh_rule_line *rule)
{
    const struct bh_targets *may = &model->drop_ins;

    for (unsigned command = 0; command < BH_CMD_COUNT; command++) {
        if (!bh_mask_has(rule->targets.mask, command))
            continue;
        if (bh_mask_has(may->mask, command) &&
            (command != BH_CMD_GUEST_FILE_OPEN ||
             !(rule->values[BH_SLOT_VERBS] & ~(uint64_t)bh_targets_verbs(may))))
            continue;
        bh_error_at(
            model->diags, rule->pos,
            "a drop-in may not allow %s here: let the main file say `drop-ins may allow` with its class",
            bh_commands[command].name);
        return;
    }
}

/* Rules without a name are called after their place; done last, so that `except` finds given names only. */
static void name_rest(struct bh_model *model)
{
    for (struct bh_rule_line *rule = model->rules; rule; rule = rule->next) {
        if (!rule->name.ptr)
            rule->name = bh_arena_printf(model->arena, "%s:%u", rule->file.ptr, rule->line);
        if (!rule->name.ptr) {
            bh_error_at(model->diags, rule->pos,
                        "the policy takes more memory than a policy may: make it smaller");
            return;
        }
    }
}

static void check_commands(struct bh_model *model)
{
    struct bh_pos pos = model->commands_at;
    struct bh_str list = BH_STR("");

    if (!pos.line) {
        pos = (struct bh_pos){ model->input->n_files ? model->input->files[0].name : BH_STR("policy"), 1, 1 };
        bh_report(model->diags, BH_SEVERITY_WARNING, pos,
                  "no `commands` line: all %u commands of this build count as reviewed; add `commands %u`",
                  (unsigned)BH_CMD_COUNT, (unsigned)BH_CMD_COUNT);
        model->settings[BH_SET_COMMANDS] = BH_CMD_COUNT;
    }
    for (uint64_t i = model->settings[BH_SET_COMMANDS]; i < BH_CMD_COUNT && list.ptr; i++)
        list = bh_arena_printf(model->arena, "%s %s", list.ptr, bh_commands[i].name);
    if (list.ptr && list.len > 0)
        bh_report(model->diags, BH_SEVERITY_NOTE, pos, "commands that were not reviewed and are denied:%s",
                  list.ptr);
}

void bh_model_check(struct bh_model *model)
{
    uint32_t n = 0;

    for (const struct bh_rule_line *rule = model->rules; rule; rule = rule->next)
        if (++n > LINES_MAX) {
            bh_error_at(model->diags, rule->pos, "%u rules are the most: unite some", LINES_MAX);
            return;
        }
    check_commands(model);
    check_names(model);
    for (struct bh_rule_line *rule = model->rules; rule; rule = rule->next) {
        check_excepts(model, rule);
        if (rule->kind == BH_FILE_DROP_IN && rule->effect == BH_EFFECT_ALLOW)
            check_drop_in(model, rule);
    }
    name_rest(model);
}
