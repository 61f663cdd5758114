/*
 * Rules that choose among files, interfaces, users or mounts, in policy diff: which are new, gone or
 * changed, and what that comes to, command by command.
 */
#include <stdlib.h>
#include <string.h>

#include "broker/ctl/diff.h"
#include "policy/eval.h"
#include "policy/lang/dump.h"
#include "protocol/base/mem.h"
#include "protocol/commands.h"

const char *ctl_diff_rule_text(struct ctl_rule rule, char ret[256])
{
    const char *name = bh_policy_string(rule.policy, rule.rule->name);

    if (strchr(name, ':'))
        (void)snprintf(ret, 256, "rule %.200s", name);
    else
        (void)snprintf(ret, 256, "rule %.31s (%.190s:%u)", name,
                       bh_policy_string(rule.policy, rule.rule->file), rule.rule->line);
    return ret;
}

/* The rule of this given name that speaks of the command, or NULL. */
static const struct bh_rule *find_named(const struct bh_policy *policy, const char *name, unsigned command)
{
    for (uint32_t i = 0; i < policy->n_rules && !strchr(name, ':'); i++)
        if (ctl_rule_speaks(&policy->rules[i], command) &&
            strcmp(bh_policy_string(policy, policy->rules[i].name), name) == 0)
            return &policy->rules[i];
    return NULL;
}

static bool has_equal(const struct bh_policy *policy, struct ctl_rule rule, unsigned command)
{
    for (uint32_t i = 0; i < policy->n_rules; i++) {
        struct ctl_rule other = { policy, &policy->rules[i] };

        if (ctl_rule_speaks(other.rule, command) && ctl_rule_equal(other, rule, command))
            return true;
    }
    return false;
}

/* What a rule's change comes to by itself, beside the other rules. */
static enum ctl_change rule_change(struct ctl_rule old, struct ctl_rule new, unsigned command)
{
    bool more = ctl_rule_covers(new, old, command), less = ctl_rule_covers(old, new, command);

    if (old.rule->effect != new.rule->effect || more == less)
        return CTL_UNDECIDED;
    return more == (old.rule->effect == BH_EFFECT_ALLOW) ? CTL_WIDER : CTL_NARROWER;
}

/* One setting of a rule as policy text, on one line; "" where nothing is said. The caller's; NULL: no memory.
 */
static char *setting_text(struct ctl_rule rule, const struct bh_setting_row *row)
{
    char *text = NULL, *at = NULL, *out;
    size_t len = 0;
    FILE *stream = open_memstream(&text, &len);

    if (!stream)
        return NULL;
    bh_policy_dump_setting(stream, rule.policy, rule.rule, row);
    if (fclose(stream) != 0 || !text) {
        free(text);
        return NULL;
    }
    for (at = out = text; *at; at++)
        if (*at != '\n' && (*at != ' ' || (out > text && out[-1] != ' ')))
            *out++ = *at;
        else if (*at == '\n' && at[1])
            *out++ = ',';
    *out = '\0';
    return text;
}

/* A rule that both have, under one name: the settings that differ. */
static void tell_changed(const struct ctl_diff *diff, const char *channel, unsigned command,
                         struct ctl_rule old, struct ctl_rule new)
{
    enum ctl_change change = rule_change(old, new, command);
    bool told = false;
    char name[256];

    ctl_diff_rule_text(new, name);
    for (unsigned i = 0; i < bh_n_settings; i++) {
        _cleanup_free_ char *before = NULL, *after = NULL;

        if (bh_settings[i].domain == BH_DOMAIN_SET)
            continue;
        before = setting_text(old, &bh_settings[i]);
        after = setting_text(new, &bh_settings[i]);
        if (!before || !after || strcmp(before, after) == 0)
            continue;
        told = true;
        ctl_diff_tell(diff, channel, change, "rule", "%s: %s; it was: %s", name,
                      *after ? after : "the default", *before ? before : "the default");
    }
    if (!told)
        ctl_diff_tell(diff, channel, change, "rule", "%s: %s, or what it spares, is not as it was", name,
                      old.rule->effect == new.rule->effect ? "another order of its settings"
                                                           : "allow or deny");
}

static const char *effect_word(const struct bh_rule *rule)
{
    return rule->effect == BH_EFFECT_ALLOW ? "allows" : "denies";
}

/* Rules of one policy for which the other has no equal: changed, gone or new. */
static void tell_rules(const struct ctl_diff *diff, const char *channel, unsigned command,
                       const struct bh_policy *old, const struct bh_policy *new)
{
    char name[256];

    for (uint32_t i = 0; i < old->n_rules; i++) {
        struct ctl_rule rule = { old, &old->rules[i] };
        const struct bh_rule *now = find_named(new, bh_policy_string(old, rule.rule->name), command);

        if (!ctl_rule_speaks(rule.rule, command) || has_equal(new, rule, command))
            continue;
        if (now)
            tell_changed(diff, channel, command, rule, (struct ctl_rule){ new, now });
        else
            ctl_diff_tell(diff, channel, rule.rule->effect == BH_EFFECT_ALLOW ? CTL_NARROWER : CTL_WIDER,
                          "rule", "%s, which %s %s, is gone", ctl_diff_rule_text(rule, name),
                          effect_word(rule.rule), bh_commands[command].name);
    }
    for (uint32_t i = 0; i < new->n_rules; i++) {
        struct ctl_rule rule = { new, &new->rules[i] };

        if (!ctl_rule_speaks(rule.rule, command) || has_equal(old, rule, command) ||
            find_named(old, bh_policy_string(new, rule.rule->name), command))
            continue;
        ctl_diff_tell(diff, channel, rule.rule->effect == BH_EFFECT_ALLOW ? CTL_WIDER : CTL_NARROWER, "rule",
                      "%s, which %s %s, is new", ctl_diff_rule_text(rule, name), effect_word(rule.rule),
                      bh_commands[command].name);
    }
}

static void compare(struct ctl_diff *diff, const char *channel, unsigned command, const struct bh_policy *old,
                    const struct bh_policy *new)
{
    static const char *const sentences[] = {
        [CTL_NARROWER] = "all in all, it does less",
        [CTL_WIDER] = "all in all, it does more",
        [CTL_UNDECIDED] = "all in all, its rules differ; this counts as wider",
    };
    enum ctl_change change = ctl_names_compare(old, new, command);

    tell_rules(diff, channel, command, old, new);
    ctl_diff_count(diff, change);
    if (change != CTL_SAME)
        ctl_diff_tell(diff, channel, change, "rules", "%s: %s", bh_commands[command].name, sentences[change]);
}

void ctl_diff_names(struct ctl_diff *diff, const char *channel, const struct bh_policy *old,
                    const struct bh_policy *new)
{
    for (unsigned i = 0; i < BH_CMD_COUNT; i++)
        if (ctl_acts_on_names(i) && bh_policy_grants(old, i) && bh_policy_grants(new, i))
            compare(diff, channel, i, old, new);
}
