/*
 * The decision of eval.h, in two passes over the rules of one command.
 *
 * First the allow rules: those that grant the request become the candidates, as a set
 * of bits. Then the deny rules: each that speaks of the request leaves only those
 * candidates that it spares. What is left at the end grants. So the order of the rules
 * does not matter, and the work is one look at each rule and at each spared name.
 */
#include "policy/eval.h"

#include <stdio.h>
#include <string.h>

#include "policy/evalrule.h"
#include "policy/mounts.h"
#include "protocol/codes.h"

#define SET_WORDS ((BH_RULES_MAX + 63) / 64)

struct rule_set {
    uint64_t words[SET_WORDS];
};

static void set_add(struct rule_set *set, uint32_t rule)
{
    set->words[rule / 64] |= 1ull << (rule % 64);
}

static uint32_t set_first(const struct rule_set *set)
{
    for (uint32_t i = 0; i < SET_WORDS; i++)
        if (set->words[i])
            return i * 64 + (uint32_t)__builtin_ctzll(set->words[i]);
    return BH_NO_RULE;
}

static void tell(const struct bh_trace *trace, uint32_t rule, struct bh_exec_why why)
{
    char text[96];

    if (!trace || !trace->fn)
        return;
    if (why.counted)
        (void)snprintf(text, sizeof(text), "%s %u %s", why.counted, why.number, why.text);
    trace->fn(trace->context, rule, !why.text, why.counted ? text : why.text ? why.text : "it matches");
}

/* Pass one. True if any allow names the command at all. */
static bool collect_allows(const struct bh_policy *policy, const struct bh_question *q,
                           const struct bh_trace *trace, struct rule_set *candidates)
{
    const struct bh_command_rules *row = &policy->slice->commands[q->command];
    bool named = false;

    for (uint32_t i = 0; i < row->count; i++) {
        uint32_t number = policy->index[row->first + i];
        const struct bh_rule *rule = &policy->rules[number];
        struct bh_exec_why why;

        if (rule->effect != BH_EFFECT_ALLOW)
            continue;
        named = true;
        why = bh_rule_fails(policy, rule, q);
        tell(trace, number, why);
        if (!why.text)
            set_add(candidates, number);
    }
    return named;
}

static void keep_spared(const struct bh_policy *policy, const struct bh_rule *deny,
                        struct rule_set *candidates)
{
    struct rule_set spared = { 0 };

    for (uint32_t i = 0; i < deny->n_excepts; i++)
        set_add(&spared, policy->excepts[deny->first_except + i]);
    for (uint32_t i = 0; i < SET_WORDS; i++)
        candidates->words[i] &= spared.words[i];
}

/* Pass two. Returns the deny that took the last candidate away, or BH_NO_RULE. */
static uint32_t strike_denied(const struct bh_policy *policy, const struct bh_question *q,
                              const struct bh_trace *trace, struct rule_set *candidates)
{
    const struct bh_command_rules *row = &policy->slice->commands[q->command];

    for (uint32_t i = 0; i < row->count; i++) {
        uint32_t number = policy->index[row->first + i];
        const struct bh_rule *rule = &policy->rules[number];
        struct bh_exec_why why;

        if (rule->effect != BH_EFFECT_DENY)
            continue;
        why = bh_rule_fails(policy, rule, q);
        tell(trace, number, why);
        if (why.text)
            continue;
        keep_spared(policy, rule, candidates);
        if (set_first(candidates) == BH_NO_RULE)
            return number;
    }
    return BH_NO_RULE;
}

static bool is_withheld(const struct bh_policy *policy, unsigned command)
{
    return policy->slice->withheld[command / 64] & 1ull << (command % 64);
}

static struct bh_decision decide(const struct bh_policy *policy, const struct bh_question *q,
                                 const struct bh_trace *trace)
{
    struct rule_set candidates = { 0 };
    uint32_t rule;

    if (q->command >= BH_CMD_COUNT || is_withheld(policy, q->command) ||
        !collect_allows(policy, q, trace, &candidates))
        return (struct bh_decision){ BH_VERDICT_NOT_GRANTED, BH_NO_RULE };
    if (set_first(&candidates) == BH_NO_RULE)
        return (struct bh_decision){ BH_VERDICT_NO_RULE, BH_NO_RULE };
    rule = strike_denied(policy, q, trace, &candidates);
    if (rule != BH_NO_RULE)
        return (struct bh_decision){ BH_VERDICT_DENIED, rule };
    return (struct bh_decision){ BH_VERDICT_ALLOW, set_first(&candidates) };
}

/* A file can be opened if one verb of it can be had somewhere: more verbs only narrow. */
static bool grants_open(const struct bh_policy *policy)
{
    for (uint32_t verb = 1; verb < BH_VERB_ALL; verb <<= 1) {
        struct bh_file_object file = { .verbs = verb };
        struct bh_question q = { .command = BH_CMD_GUEST_FILE_OPEN, .file = &file, .any_path = true };

        if (decide(policy, &q, NULL).verdict == BH_VERDICT_ALLOW)
            return true;
    }
    return false;
}

bool bh_policy_grants(const struct bh_policy *policy, unsigned command)
{
    if (command == BH_CMD_GUEST_FILE_OPEN)
        return grants_open(policy);
    return bh_policy_command(policy, command, NULL).verdict == BH_VERDICT_ALLOW;
}

struct bh_decision bh_policy_command(const struct bh_policy *policy, unsigned command,
                                     const struct bh_trace *trace)
{
    struct bh_question q = { .command = command };

    return decide(policy, &q, trace);
}

struct bh_decision bh_policy_name(const struct bh_policy *policy, unsigned command, struct bh_str name,
                                  const struct bh_trace *trace)
{
    struct bh_question q = { .command = command, .name = &name };

    return decide(policy, &q, trace);
}

struct bh_decision bh_policy_mounts(const struct bh_policy *policy, unsigned command,
                                    const struct bh_str *places, uint32_t n_places,
                                    const struct bh_trace *trace)
{
    struct bh_question q = { .command = command, .places = places, .n_places = n_places };

    return decide(policy, &q, trace);
}

bool bh_policy_mounts_required(const struct bh_policy *policy, unsigned command, const struct bh_str *places,
                               uint32_t n_places)
{
    const struct bh_question q = { .command = command, .places = places, .n_places = n_places };
    const struct bh_command_rules *rules = &policy->slice->commands[command];

    if (!bh_freezes_mounts(command) || decide(policy, &q, NULL).verdict != BH_VERDICT_ALLOW)
        return false;
    for (uint32_t i = 0; i < rules->count; i++) {
        const struct bh_rule *rule = &policy->rules[policy->index[rules->first + i]];

        if (rule->effect == BH_EFFECT_ALLOW && bh_rule_requires(policy, rule, &q))
            return true;
    }
    return false;
}

struct bh_decision bh_policy_file(const struct bh_policy *policy, const struct bh_file_object *file,
                                  const struct bh_trace *trace)
{
    struct bh_question q = {
        .command = BH_CMD_GUEST_FILE_OPEN,
        .file = file,
        .clean = bh_path_is_clean(file->path.ptr, file->path.len),
    };

    return decide(policy, &q, trace);
}

struct bh_decision bh_policy_exec(const struct bh_policy *policy, const struct bh_exec_object *object,
                                  const struct bh_trace *trace)
{
    struct bh_question q = { .command = BH_CMD_GUEST_EXEC, .exec = object, .names = BH_EXEC_BY_ANY };
    struct bh_decision decision = decide(policy, &q, trace), by_path;

    if (decision.verdict != BH_VERDICT_ALLOW)
        return decision;
    q.names = BH_EXEC_BY_PATH;
    by_path = decide(policy, &q, NULL);
    return by_path.verdict == BH_VERDICT_ALLOW ? by_path : decision;
}

bool bh_policy_has_sandbox(const struct bh_policy *policy, uint32_t sandbox)
{
    struct bh_question q = { .command = BH_CMD_GUEST_EXEC, .one_sandbox = true, .sandbox = sandbox };

    return decide(policy, &q, NULL).verdict == BH_VERDICT_ALLOW;
}

uint16_t bh_verdict_code(enum bh_verdict verdict)
{
    switch (verdict) {
    case BH_VERDICT_NOT_GRANTED:
        return BH_E_NOT_GRANTED;
    case BH_VERDICT_NO_RULE:
        return BH_E_NO_RULE;
    default:
        return BH_E_DENIED;
    }
}
