/*
 * The warnings of lint.h. A rule counts if it is the one that decides: what a deny takes
 * away is not warned of. Only an allow of guest-file-open can be limited to objects; the
 * other commands of the table are granted for every account and every program.
 */
#include "broker/ctl/lint.h"

#include <string.h>

#include "policy/eval.h"
#include "protocol/base/mem.h"
#include "protocol/commands.h"

static const struct {
    unsigned command;
    const char *act;
} equal_to_root[] = {
    { BH_CMD_GUEST_SET_USER_PASSWORD, "sets the password of every account" },
    { BH_CMD_GUEST_SSH_ADD_AUTHORIZED_KEYS, "adds SSH keys to every account" },
};

/* Every file can be written, as root: no path limits it, and no deny strikes all of it. */
static bool writes_all(const struct bh_policy *policy, const struct bh_rule *rule)
{
    return rule->effect == BH_EFFECT_ALLOW && rule->verbs & ~BH_VERB_READ && rule->n_paths == 0 &&
           rule->user != BH_NO_USER && policy->users[rule->user].found &&
           policy->users[rule->user].uid == 0 && bh_policy_grants(policy, BH_CMD_GUEST_FILE_OPEN);
}

static void say(const struct bh_policy *policy, uint32_t number, const char *act, const char **before,
                FILE *out)
{
    const struct bh_rule *rule = &policy->rules[number];

    if (!**before)
        (void)fprintf(out,
                      "warning %s:%u: the rule '%s' makes whoever holds channel '%s' equal to root, without "
                      "limit: it ",
                      bh_policy_string(policy, rule->file), rule->line, bh_policy_string(policy, rule->name),
                      policy->slice->channel);
    (void)fprintf(out, "%s%s", *before, act);
    *before = ", ";
}

void ctl_lint(const struct bh_policy *policy, FILE *out)
{
    bool runs = bh_policy_grants(policy, BH_CMD_GUEST_EXEC);

    if (strcmp(policy->slice->channel, "local") == 0)
        return;
    for (uint32_t i = 0; i < policy->n_rules; i++) {
        const char *before = "";

        for (size_t k = 0; k < BH_ARRAY_SIZE(equal_to_root); k++) {
            struct bh_decision decision = bh_policy_command(policy, equal_to_root[k].command, NULL);

            if (decision.verdict == BH_VERDICT_ALLOW && decision.rule == i)
                say(policy, i, equal_to_root[k].act, &before, out);
        }
        if (writes_all(policy, &policy->rules[i]))
            say(policy, i, "writes every file", &before, out);
        if (*before)
            (void)fputc('\n', out);
        if (runs && policy->rules[i].effect == BH_EFFECT_ALLOW && policy->rules[i].exec != BH_NO_EXEC)
            ctl_lint_exec(policy, &policy->rules[i], out);
    }
}
