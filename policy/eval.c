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

#include "policy/evalexec.h"
#include "policy/match.h"
#include "policy/mounts.h"
#include "protocol/codes.h"

#define SET_WORDS ((BH_RULES_MAX + 63) / 64)

struct rule_set {
    uint64_t words[SET_WORDS];
};

/* What is asked. Without `file`, conditions on the object cannot be evaluated; without `name` or `places` it
 * is asked whether anything may be listed, or acted on, at all. */
struct question {
    unsigned command;
    const struct bh_file_object *file;
    const struct bh_str *name;
    const struct bh_str *places; /* where one file system is mounted; NULL: no mount is asked about */
    uint32_t n_places;
    const struct bh_exec_object *exec; /* NULL: no execution is asked about */
    enum bh_exec_names names;          /* which names of its program count in an allow */
    bool one_sandbox;                  /* only allows with `sandbox` count */
    uint32_t sandbox;
    bool any_path; /* for grants: the path may be chosen to suit an allow and to escape a deny */
    bool clean;    /* the path of the file is absolute and clean */
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

static bool some_path_matches(const struct bh_policy *policy, const struct bh_rule *rule,
                              enum bh_path_use use, struct bh_str asked)
{
    for (uint32_t i = 0; i < rule->n_paths; i++) {
        const struct bh_path *path = &policy->paths[rule->first_path + i];

        if (path->use == use &&
            bh_path_match(path->kind, bh_policy_string(policy, path->text), path->len, asked.ptr, asked.len))
            return true;
    }
    return false;
}

static bool has_use(const struct bh_policy *policy, const struct bh_rule *rule, enum bh_path_use use)
{
    for (uint32_t i = 0; i < rule->n_paths; i++)
        if (policy->paths[rule->first_path + i].use == use)
            return true;
    return false;
}

static const char *place_fails(const struct bh_policy *policy, const struct bh_rule *rule,
                               struct bh_str place)
{
    if (!bh_path_is_clean(place.ptr, place.len))
        return rule->effect == BH_EFFECT_ALLOW ? "the mount point is not absolute and clean" : NULL;
    if (has_use(policy, rule, BH_USE_COVERED) && !some_path_matches(policy, rule, BH_USE_COVERED, place))
        return "no mount of it matches";
    return some_path_matches(policy, rule, BH_USE_EXCLUDED, place) ? "it excludes this mount" : NULL;
}

/* Mounts open no command and close none: they choose among what it acts on. One place is enough. */
static const char *mount_fails(const struct bh_policy *policy, const struct bh_rule *rule,
                               const struct question *q)
{
    const char *why = NULL;

    if (!has_use(policy, rule, BH_USE_COVERED) && !has_use(policy, rule, BH_USE_EXCLUDED))
        return NULL;
    if (!q->places)
        return rule->effect == BH_EFFECT_ALLOW ? NULL : "it strikes some mounts and refuses nothing";
    for (uint32_t i = 0; i < q->n_places; i++) {
        why = place_fails(policy, rule, q->places[i]);
        if (!why)
            break;
    }
    return why;
}

static bool some_name_matches(const struct bh_policy *policy, const struct bh_rule *rule, struct bh_str asked)
{
    for (uint32_t i = 0; i < rule->n_names; i++) {
        const struct bh_name *name = &policy->names[rule->first_name + i];

        if (bh_name_match(bh_policy_string(policy, name->text), name->len, asked.ptr, asked.len))
            return true;
    }
    return false;
}

/* Names open no command and close none: they choose among what it lists. */
static const char *name_fails(const struct bh_policy *policy, const struct bh_rule *rule,
                              const struct question *q)
{
    if (!q->name && rule->n_names > 0 && rule->effect == BH_EFFECT_DENY)
        return "it hides some names and refuses nothing";
    if (!q->name || rule->n_names == 0 || some_name_matches(policy, rule, *q->name))
        return NULL;
    return "no name of it matches";
}

/* NULL if this allow rule grants the open, else why it does not. */
static const char *allow_open_fails(const struct bh_policy *policy, const struct bh_rule *rule,
                                    const struct question *q)
{
    const struct bh_file_object *file = q->file;

    if (!rule->has_object)
        return NULL;
    if (!file)
        return "it has conditions on a file, and there is none";
    if (!file->verbs || file->verbs & ~(uint32_t)rule->verbs)
        return "it does not grant all the verbs that this mode needs";
    if (rule->user != BH_NO_USER && !policy->users[rule->user].found)
        return "its user does not exist";
    if (rule->n_paths > 0 && !q->any_path && !q->clean)
        return "the path is not absolute and clean";
    if (rule->n_paths > 0 && !q->any_path && !some_path_matches(policy, rule, BH_USE_COVERED, file->path))
        return "no path of it matches";
    if (!file->found)
        return NULL;
    if (rule->user != file->user)
        return "the file is opened as another user";
    return rule->types == BH_TYPES_REGULAR && !file->regular
               ? "the object is not a regular file with one name"
               : NULL;
}

/* NULL if this deny rule speaks of the open, else why it does not. */
static const char *deny_open_fails(const struct bh_policy *policy, const struct bh_rule *rule,
                                   const struct question *q)
{
    const struct bh_file_object *file = q->file;

    if (!rule->has_object || !file)
        return NULL;
    if (file->verbs && !(file->verbs & rule->verbs))
        return "it speaks of other verbs";
    if (rule->n_paths == 0)
        return NULL;
    if (q->any_path)
        return "it speaks of some paths only";
    return q->clean && !some_path_matches(policy, rule, BH_USE_COVERED, file->path) ? "no path of it matches"
                                                                                    : NULL;
}

static struct bh_exec_why exec_fails(const struct bh_policy *policy, const struct bh_rule *rule,
                                     const struct question *q)
{
    if (rule->effect == BH_EFFECT_DENY)
        return bh_exec_deny_fails(policy, rule, q->exec);
    if (q->one_sandbox && policy->execs[rule->exec].sandbox != q->sandbox)
        return (struct bh_exec_why){ .text = "it has another sandbox" };
    return bh_exec_allow_fails(policy, rule, q->exec, q->names);
}

/* Does the rule grant, or strike, what is asked? What cannot be evaluated is false in an allow and true in a
 * deny. */
static struct bh_exec_why fails(const struct bh_policy *policy, const struct bh_rule *rule,
                                const struct question *q)
{
    struct bh_exec_why why = { 0 };

    if (q->command == BH_CMD_GUEST_EXEC)
        return exec_fails(policy, rule, q);
    if (bh_acts_on_mounts(q->command))
        why.text = mount_fails(policy, rule, q);
    else if (q->command != BH_CMD_GUEST_FILE_OPEN)
        why.text = name_fails(policy, rule, q);
    else
        why.text = rule->effect == BH_EFFECT_ALLOW ? allow_open_fails(policy, rule, q)
                                                   : deny_open_fails(policy, rule, q);
    return why;
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
static bool collect_allows(const struct bh_policy *policy, const struct question *q,
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
        why = fails(policy, rule, q);
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
static uint32_t strike_denied(const struct bh_policy *policy, const struct question *q,
                              const struct bh_trace *trace, struct rule_set *candidates)
{
    const struct bh_command_rules *row = &policy->slice->commands[q->command];

    for (uint32_t i = 0; i < row->count; i++) {
        uint32_t number = policy->index[row->first + i];
        const struct bh_rule *rule = &policy->rules[number];
        struct bh_exec_why why;

        if (rule->effect != BH_EFFECT_DENY)
            continue;
        why = fails(policy, rule, q);
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

static struct bh_decision decide(const struct bh_policy *policy, const struct question *q,
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
        struct question q = { .command = BH_CMD_GUEST_FILE_OPEN, .file = &file, .any_path = true };

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
    struct question q = { .command = command };

    return decide(policy, &q, trace);
}

struct bh_decision bh_policy_name(const struct bh_policy *policy, unsigned command, struct bh_str name,
                                  const struct bh_trace *trace)
{
    struct question q = { .command = command, .name = &name };

    return decide(policy, &q, trace);
}

struct bh_decision bh_policy_mounts(const struct bh_policy *policy, unsigned command,
                                    const struct bh_str *places, uint32_t n_places,
                                    const struct bh_trace *trace)
{
    struct question q = { .command = command, .places = places, .n_places = n_places };

    return decide(policy, &q, trace);
}

static bool requires(const struct bh_policy *policy, const struct bh_rule *rule, const struct question *q)
{
    for (uint32_t i = 0; i < q->n_places; i++) {
        struct question one = { .command = q->command, .places = &q->places[i], .n_places = 1 };

        if (bh_path_is_clean(q->places[i].ptr, q->places[i].len) && !mount_fails(policy, rule, &one) &&
            some_path_matches(policy, rule, BH_USE_REQUIRED, q->places[i]))
            return true;
    }
    return false;
}

bool bh_policy_mounts_required(const struct bh_policy *policy, unsigned command, const struct bh_str *places,
                               uint32_t n_places)
{
    const struct question q = { .command = command, .places = places, .n_places = n_places };
    const struct bh_command_rules *rules = &policy->slice->commands[command];

    if (!bh_freezes_mounts(command) || decide(policy, &q, NULL).verdict != BH_VERDICT_ALLOW)
        return false;
    for (uint32_t i = 0; i < rules->count; i++) {
        const struct bh_rule *rule = &policy->rules[policy->index[rules->first + i]];

        if (rule->effect == BH_EFFECT_ALLOW && requires(policy, rule, &q))
            return true;
    }
    return false;
}

struct bh_decision bh_policy_file(const struct bh_policy *policy, const struct bh_file_object *file,
                                  const struct bh_trace *trace)
{
    struct question q = {
        .command = BH_CMD_GUEST_FILE_OPEN,
        .file = file,
        .clean = bh_path_is_clean(file->path.ptr, file->path.len),
    };

    return decide(policy, &q, trace);
}

struct bh_decision bh_policy_exec(const struct bh_policy *policy, const struct bh_exec_object *object,
                                  const struct bh_trace *trace)
{
    struct question q = { .command = BH_CMD_GUEST_EXEC, .exec = object, .names = BH_EXEC_BY_ANY };
    struct bh_decision decision = decide(policy, &q, trace), by_path;

    if (decision.verdict != BH_VERDICT_ALLOW)
        return decision;
    q.names = BH_EXEC_BY_PATH;
    by_path = decide(policy, &q, NULL);
    return by_path.verdict == BH_VERDICT_ALLOW ? by_path : decision;
}

bool bh_policy_has_sandbox(const struct bh_policy *policy, uint32_t sandbox)
{
    struct question q = { .command = BH_CMD_GUEST_EXEC, .one_sandbox = true, .sandbox = sandbox };

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
