/*
 * The conditions of evalexec.h, one function each. An argument is looked at by one position of a rule, so the
 * work is one look at each argument, variable and name for each rule; and at each pair of variables that the
 * rule lets a client set, of which one that lists them has BH_EXEC_WORDS_MAX at most.
 */
#include "policy/evalexec.h"

#include <string.h>

#include "policy/environ.h"
#include "policy/match.h"

#define INT_DIGITS_MAX 19 /* of what is compared: more than the largest int64_t has are above it */

static const struct bh_exec_why matches;

static struct bh_exec_why because(const char *text)
{
    return (struct bh_exec_why){ .text = text };
}

static bool same(const struct bh_policy *policy, const struct bh_name *word, struct bh_str text)
{
    return word->len == text.len && memcmp(bh_policy_string(policy, word->text), text.ptr, text.len) == 0;
}

static bool is_among(const struct bh_policy *policy, uint32_t first, uint32_t n, struct bh_str text)
{
    for (uint32_t i = 0; i < n && text.len > 0; i++)
        if (same(policy, &policy->words[first + i], text))
            return true;
    return false;
}

static const struct bh_exec_rule *exec_of(const struct bh_policy *policy, const struct bh_rule *rule)
{
    return &policy->execs[rule->exec];
}

/* The name of the program, as the client has it or as it is. */
static const char *program_fails(const struct bh_policy *policy, const struct bh_exec_rule *exec,
                                 const struct bh_exec_object *object, enum bh_exec_names names)
{
    if (!(exec->flags & BH_EXEC_SEARCH) && object->path.len > 0 &&
        !memchr(object->path.ptr, '/', object->path.len))
        return "it does not look for a name without a slash";
    if (exec->flags & BH_EXEC_ANY_PROGRAM)
        return NULL;
    if (is_among(policy, exec->first_program, exec->n_programs, object->path))
        return NULL;
    if (names == BH_EXEC_BY_ANY && is_among(policy, exec->first_program, exec->n_programs, object->resolved))
        return NULL;
    return object->resolved.len == 0
               ? "no program of it has this name, and what the name leads to is not known"
               : "no program of it matches";
}

bool bh_exec_parse_int(struct bh_str text, int64_t *ret)
{
    bool minus = text.len > 0 && text.ptr[0] == '-';
    uint32_t at = minus;
    int64_t value = 0;

    if (text.len == at || text.len - at > INT_DIGITS_MAX ||
        (text.ptr[at] == '0' && (minus || text.len > at + 1)))
        return false;
    for (; at < text.len; at++) {
        if (text.ptr[at] < '0' || text.ptr[at] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, text.ptr[at] - '0', &value)) /* downwards: there is one more */
            return false;
    }
    if (!minus && __builtin_sub_overflow(0, value, &value))
        return false;
    *ret = value;
    return true;
}

bool bh_exec_match(const struct bh_exec_match *match, const char *text, bool dash_ok, struct bh_str argument)
{
    bool dash = argument.len > 0 && argument.ptr[0] == '-';
    int64_t number;

    switch ((enum bh_exec_match_kind)match->kind) {
    case BH_MATCH_LITERAL:
        return argument.len == match->len && (match->len == 0 || memcmp(argument.ptr, text, match->len) == 0);
    case BH_MATCH_INT:
        return bh_exec_parse_int(argument, &number) && number >= match->least && number <= match->most;
    case BH_MATCH_BENEATH:
        return bh_path_is_clean(argument.ptr, argument.len) &&
               bh_path_match(BH_PATH_BENEATH, text, match->len, argument.ptr, argument.len);
    case BH_MATCH_GLOB:
        return (dash_ok || !dash) && bh_glob_match(text, match->len, argument.ptr, argument.len);
    case BH_MATCH_ANY:
        return dash_ok || !dash;
    }
    return false;
}

static const char *argument_fails(const struct bh_policy *policy, const struct bh_exec_arg *position,
                                  struct bh_str argument)
{
    bool passed_dash = false;

    for (uint32_t i = 0; i < position->n_matches; i++) {
        const struct bh_exec_match *match = &policy->exec_matches[position->first_match + i];
        const char *text = bh_policy_string(policy, match->text);

        if (bh_exec_match(match, text, position->dash_ok, argument))
            return NULL;
        passed_dash = passed_dash || bh_exec_match(match, text, true, argument);
    }
    return passed_dash ? "begins with a dash" : "is not among those it allows";
}

static struct bh_exec_why arguments_fail(const struct bh_policy *policy, const struct bh_exec_rule *exec,
                                         const struct bh_exec_object *object)
{
    if (object->n_args < exec->n_args)
        return because("there are fewer arguments than it names");
    if (object->n_args > exec->n_args && !(exec->flags & BH_EXEC_REST))
        return because("there are more arguments than it allows");
    for (uint32_t i = 0; i < object->n_args; i++) {
        uint32_t position = i < exec->n_args ? i : exec->n_args;
        const char *why =
            argument_fails(policy, &policy->exec_args[exec->first_arg + position], object->args[i]);

        if (why)
            return (struct bh_exec_why){ why, "argument", i + 1 };
    }
    return matches;
}

/* As it is: nothing of it matters to who runs as root without a sandbox anyhow. */
static bool takes_any_environment(const struct bh_exec_rule *exec)
{
    return exec->flags & BH_EXEC_ANY_ENV && exec->sandbox == BH_SANDBOX_NONE;
}

static const char *variable_fails(const struct bh_policy *policy, const struct bh_exec_rule *exec,
                                  struct bh_str variable)
{
    const char *equals = variable.len ? memchr(variable.ptr, '=', variable.len) : NULL;
    struct bh_str name = { variable.ptr, equals ? (uint32_t)(equals - variable.ptr) : variable.len };

    if (takes_any_environment(exec))
        return NULL;
    if (!equals || name.len == 0)
        return "is not of the form NAME=value";
    if (bh_env_is_refused(name.ptr, name.len))
        return "may never be set";
    if (exec->flags & BH_EXEC_ANY_ENV || is_among(policy, exec->first_env, exec->n_env, name))
        return NULL;
    return "is not among those it allows";
}

/* Is the name of this variable that of one before it? Which of them a program believes is anybody's guess. */
static bool is_twice(const struct bh_exec_object *object, uint32_t at)
{
    struct bh_str variable = object->env[at];
    const char *equals = variable.len ? memchr(variable.ptr, '=', variable.len) : NULL;
    uint32_t len = equals ? (uint32_t)(equals - variable.ptr) + 1 : 0;

    for (uint32_t i = 0; i < at && len > 0; i++)
        if (object->env[i].len >= len && memcmp(object->env[i].ptr, variable.ptr, len) == 0)
            return true;
    return false;
}

static struct bh_exec_why environment_fails(const struct bh_policy *policy, const struct bh_exec_rule *exec,
                                            const struct bh_exec_object *object)
{
    for (uint32_t i = 0; i < object->n_env; i++) {
        const char *why = variable_fails(policy, exec, object->env[i]);

        if (!why && !takes_any_environment(exec) && is_twice(object, i))
            why = "is set a second time";
        if (why)
            return (struct bh_exec_why){ why, "variable", i + 1 };
    }
    return matches;
}

/* Are those whom it would run as there at all? */
static const char *identity_fails(const struct bh_policy *policy, const struct bh_rule *rule)
{
    const struct bh_exec_rule *exec = exec_of(policy, rule);

    if (rule->user != BH_NO_USER && !policy->users[rule->user].found)
        return "its user does not exist";
    for (uint32_t i = 0; i < exec->n_groups; i++)
        if (policy->groups[exec->first_group + i] == BH_NO_GROUP)
            return "a group of it does not exist";
    return NULL;
}

struct bh_exec_why bh_exec_allow_fails(const struct bh_policy *policy, const struct bh_rule *rule,
                                       const struct bh_exec_object *object, enum bh_exec_names names)
{
    const struct bh_exec_rule *exec = exec_of(policy, rule);
    const char *why = identity_fails(policy, rule);
    struct bh_exec_why fails;

    if (!why && object)
        why = program_fails(policy, exec, object, names);
    if (why || !object)
        return because(why);
    fails = arguments_fail(policy, exec, object);
    if (!fails.text)
        fails = environment_fails(policy, exec, object);
    if (!fails.text && object->has_input && !(exec->flags & BH_EXEC_STDIN))
        fails = because("it takes no input");
    return fails;
}

struct bh_exec_why bh_exec_deny_fails(const struct bh_policy *policy, const struct bh_rule *rule,
                                      const struct bh_exec_object *object)
{
    const struct bh_exec_rule *exec;

    if (rule->exec == BH_NO_EXEC)
        return matches;
    if (!object)
        return because("it strikes some programs and refuses nothing");
    exec = exec_of(policy, rule);
    if (object->resolved.len == 0 || is_among(policy, exec->first_program, exec->n_programs, object->path) ||
        is_among(policy, exec->first_program, exec->n_programs, object->resolved))
        return matches;
    return because("no program of it matches");
}
