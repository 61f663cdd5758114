/*
 * Does one rule for guest-exec let all be run that another does, and with settings that are no tighter? For
 * compare.h. What takes more than a look to know is answered with no.
 */
#include <string.h>

#include "broker/ctl/compare.h"
#include "policy/evalexec.h"
#include "policy/match.h"

static const struct bh_exec_rule *exec_of(struct ctl_rule rule)
{
    return &rule.policy->execs[rule.rule->exec];
}

static const char *word_of(struct ctl_rule rule, uint32_t i)
{
    return bh_policy_string(rule.policy, rule.policy->words[i].text);
}

static bool has_word(struct ctl_rule rule, uint32_t first, uint32_t n, const char *word)
{
    for (uint32_t i = 0; i < n; i++)
        if (strcmp(word_of(rule, first + i), word) == 0)
            return true;
    return false;
}

/* Is each word of b's list in a's? */
static bool words_cover(struct ctl_rule a, uint32_t first_a, uint32_t n_a, struct ctl_rule b,
                        uint32_t first_b, uint32_t n_b)
{
    for (uint32_t i = 0; i < n_b; i++)
        if (!has_word(a, first_a, n_a, word_of(b, first_b + i)))
            return false;
    return true;
}

static bool programs_cover(struct ctl_rule a, struct ctl_rule b)
{
    const struct bh_exec_rule *ea = exec_of(a), *eb = exec_of(b);

    return ea->flags & BH_EXEC_ANY_PROGRAM ||
           (!(eb->flags & BH_EXEC_ANY_PROGRAM) &&
            words_cover(a, ea->first_program, ea->n_programs, b, eb->first_program, eb->n_programs));
}

/* Can what it matches begin with a dash? */
static bool may_begin_with_dash(const struct bh_exec_match *match, const char *text, bool dash_ok)
{
    switch ((enum bh_exec_match_kind)match->kind) {
    case BH_MATCH_LITERAL:
        return text[0] == '-';
    case BH_MATCH_INT:
        return match->least < 0;
    case BH_MATCH_BENEATH:
        return false;
    case BH_MATCH_GLOB:
        return dash_ok && strchr("-*?", text[0]);
    case BH_MATCH_ANY:
        break;
    }
    return dash_ok;
}

struct side {
    struct ctl_rule rule;
    const struct bh_exec_arg *arg;
    const struct bh_exec_match *match;
};

static bool match_covers(const struct side *a, const struct side *b)
{
    const char *ta = bh_policy_string(a->rule.policy, a->match->text);
    const char *tb = bh_policy_string(b->rule.policy, b->match->text);
    bool dash = a->arg->dash_ok || !may_begin_with_dash(b->match, tb, b->arg->dash_ok);

    if (b->match->kind == BH_MATCH_LITERAL || (b->match->kind == BH_MATCH_GLOB && !strpbrk(tb, "*?")))
        return bh_exec_match(a->match, ta, a->arg->dash_ok, (struct bh_str){ tb, b->match->len });
    switch ((enum bh_exec_match_kind)a->match->kind) {
    case BH_MATCH_ANY:
        return dash;
    case BH_MATCH_GLOB: /* any text without a slash, or the same pattern */
        return dash &&
               ((strcmp(ta, "*") == 0 &&
                 (b->match->kind == BH_MATCH_INT || b->match->kind == BH_MATCH_GLOB) && !strchr(tb, '/')) ||
                (b->match->kind == BH_MATCH_GLOB && strcmp(ta, tb) == 0));
    case BH_MATCH_INT:
        return b->match->kind == BH_MATCH_INT && a->match->least <= b->match->least &&
               a->match->most >= b->match->most;
    case BH_MATCH_BENEATH:
        return b->match->kind == BH_MATCH_BENEATH &&
               bh_path_match(BH_PATH_BENEATH, ta, a->match->len, tb, b->match->len);
    case BH_MATCH_LITERAL:
        break;
    }
    return false;
}

static bool some_match_covers(struct side *a, const struct side *b)
{
    for (uint32_t i = 0; i < a->arg->n_matches; i++) {
        a->match = &a->rule.policy->exec_matches[a->arg->first_match + i];
        if (match_covers(a, b))
            return true;
    }
    return false;
}

static bool position_covers(struct ctl_rule a, uint32_t at_a, struct ctl_rule b, uint32_t at_b)
{
    struct side sa = { .rule = a, .arg = &a.policy->exec_args[exec_of(a)->first_arg + at_a] };
    struct side sb = { .rule = b, .arg = &b.policy->exec_args[exec_of(b)->first_arg + at_b] };

    for (uint32_t i = 0; i < sb.arg->n_matches; i++) {
        sb.match = &b.policy->exec_matches[sb.arg->first_match + i];
        if (!some_match_covers(&sa, &sb))
            return false;
    }
    return true;
}

static bool arguments_cover(struct ctl_rule a, struct ctl_rule b)
{
    const struct bh_exec_rule *ea = exec_of(a), *eb = exec_of(b);
    bool rest_a = ea->flags & BH_EXEC_REST, rest_b = eb->flags & BH_EXEC_REST;

    if (ea->n_args > eb->n_args || (ea->n_args < eb->n_args && !rest_a) || (rest_b && !rest_a))
        return false;
    for (uint32_t i = 0; i < eb->n_args + rest_b; i++)
        if (!position_covers(a, i < ea->n_args ? i : ea->n_args, b, i))
            return false;
    return true;
}

static bool variables_cover(struct ctl_rule a, struct ctl_rule b)
{
    const struct bh_exec_rule *ea = exec_of(a), *eb = exec_of(b);

    if (eb->flags & BH_EXEC_ANY_ENV)
        return ea->flags & BH_EXEC_ANY_ENV &&
               (ea->sandbox == BH_SANDBOX_NONE || eb->sandbox != BH_SANDBOX_NONE);
    return ea->flags & BH_EXEC_ANY_ENV ||
           words_cover(a, ea->first_env, ea->n_env, b, eb->first_env, eb->n_env);
}

/* A rule without a user runs as one that may do nothing. */
static bool user_covers(struct ctl_rule a, struct ctl_rule b)
{
    if (b.rule->user == BH_NO_USER || a.rule->user == BH_NO_USER)
        return b.rule->user == BH_NO_USER;
    return strcmp(bh_policy_string(a.policy, a.policy->users[a.rule->user].name),
                  bh_policy_string(b.policy, b.policy->users[b.rule->user].name)) == 0;
}

/* Which groups let more be done is not known: they are the same, or it is not certain. */
static bool same_groups(struct ctl_rule a, struct ctl_rule b)
{
    const struct bh_exec_rule *ea = exec_of(a), *eb = exec_of(b);

    return (ea->flags & BH_EXEC_GROUPS) == (eb->flags & BH_EXEC_GROUPS) && ea->n_groups == eb->n_groups &&
           memcmp(a.policy->groups + ea->first_group, b.policy->groups + eb->first_group,
                  ea->n_groups * sizeof(uint32_t)) == 0;
}

static const char *cwd_of(struct ctl_rule rule)
{
    const char *cwd = bh_policy_string(rule.policy, exec_of(rule)->cwd);

    return *cwd ? cwd : "/";
}

static bool sandbox_covers(struct ctl_rule a, struct ctl_rule b)
{
    const struct bh_exec_rule *ea = exec_of(a), *eb = exec_of(b);

    if (ea->sandbox < eb->sandbox ||
        (eb->flags & ~ea->flags & (BH_EXEC_NET | BH_EXEC_STDIN | BH_EXEC_SEARCH)))
        return false;
    return ea->sandbox >= BH_SANDBOX_PLAIN ||
           words_cover(a, ea->first_socket, ea->n_sockets, b, eb->first_socket, eb->n_sockets);
}

static bool limits_cover(const struct bh_exec_rule *a, const struct bh_exec_rule *b)
{
    if (a->rate && (!b->rate || a->rate < b->rate || a->rate_s > b->rate_s))
        return false;
    return ctl_limit_covers(a->timeout_s, b->timeout_s) && a->output >= b->output &&
           ctl_limit_covers(a->memory, b->memory) && ctl_limit_covers(a->pids, b->pids) &&
           ctl_limit_covers(a->cpu, b->cpu) && ctl_limit_covers(a->concurrent, b->concurrent);
}

/* What is pinned, or recorded in full, is tighter. */
static bool proofs_cover(const struct bh_exec_rule *a, const struct bh_exec_rule *b)
{
    if (a->flags & ~b->flags & BH_EXEC_AUDIT_FULL)
        return false;
    return !(a->flags & BH_EXEC_SHA256) ||
           (b->flags & BH_EXEC_SHA256 && memcmp(a->sha256, b->sha256, sizeof(a->sha256)) == 0);
}

static bool allow_covers(struct ctl_rule a, struct ctl_rule b)
{
    return programs_cover(a, b) && arguments_cover(a, b) && variables_cover(a, b) && user_covers(a, b) &&
           same_groups(a, b) && strcmp(cwd_of(a), cwd_of(b)) == 0 &&
           strcmp(bh_policy_string(a.policy, exec_of(a)->argv0),
                  bh_policy_string(b.policy, exec_of(b)->argv0)) == 0 &&
           sandbox_covers(a, b) && limits_cover(exec_of(a), exec_of(b)) &&
           proofs_cover(exec_of(a), exec_of(b));
}

bool ctl_exec_covers(struct ctl_rule a, struct ctl_rule b)
{
    if (a.rule->exec == BH_NO_EXEC || b.rule->exec == BH_NO_EXEC) /* a deny of every program */
        return a.rule->exec == BH_NO_EXEC;
    return a.rule->effect == BH_EFFECT_DENY ? programs_cover(a, b) : allow_covers(a, b);
}
