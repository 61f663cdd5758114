/* The conditions of a rule for evalrule.h: one function for each kind of what is asked; those of executions
 * are in evalexec.c. */
#include "policy/evalrule.h"

#include "policy/listed.h"
#include "policy/match.h"
#include "policy/mounts.h"

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
                               const struct bh_question *q)
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
                              const struct bh_question *q)
{
    if (!q->name && rule->n_names > 0 && rule->effect == BH_EFFECT_DENY)
        return "it hides some names and refuses nothing";
    if (!q->name || rule->n_names == 0 || some_name_matches(policy, rule, *q->name))
        return NULL;
    return "no name of it matches";
}

/* NULL if this allow rule grants the open, else why it does not. */
static const char *allow_open_fails(const struct bh_policy *policy, const struct bh_rule *rule,
                                    const struct bh_question *q)
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
                                   const struct bh_question *q)
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
                                     const struct bh_question *q)
{
    if (rule->effect == BH_EFFECT_DENY)
        return bh_exec_deny_fails(policy, rule, q->exec);
    if (q->one_sandbox && policy->execs[rule->exec].sandbox != q->sandbox)
        return (struct bh_exec_why){ .text = "it has another sandbox" };
    return bh_exec_allow_fails(policy, rule, q->exec, q->names);
}

/* Does the rule grant, or strike, what is asked? What cannot be evaluated is false in an allow and true in a
 * deny. */
struct bh_exec_why bh_rule_fails(const struct bh_policy *policy, const struct bh_rule *rule,
                                 const struct bh_question *q)
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

bool bh_rule_requires(const struct bh_policy *policy, const struct bh_rule *rule, const struct bh_question *q)
{
    for (uint32_t i = 0; i < q->n_places; i++) {
        struct bh_question one = { .command = q->command, .places = &q->places[i], .n_places = 1 };

        if (bh_path_is_clean(q->places[i].ptr, q->places[i].len) && !mount_fails(policy, rule, &one) &&
            some_path_matches(policy, rule, BH_USE_REQUIRED, q->places[i]))
            return true;
    }
    return false;
}
