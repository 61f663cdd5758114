/*
 * Verification of what rules say of executions: first each table by itself, from the matchers up, then each
 * rule against the part that it names.
 */
#include "policy/blobexec.h"

#include <string.h>

#include "policy/environ.h"

#define COUNT(policy, section) bh_blob_count(policy, BH_SECTION_##section)

static bool match_ok(const struct bh_policy *policy, const struct bh_exec_match *match)
{
    bool number = match->kind == BH_MATCH_INT, bare = number || match->kind == BH_MATCH_ANY;

    if (match->kind > BH_MATCH_ANY || match->zero || !bh_blob_text_ok(policy, match->text, match->len))
        return false;
    if ((bare && match->len) || (number ? match->least > match->most : match->least || match->most))
        return false;
    return match->kind != BH_MATCH_BENEATH ||
           bh_path_is_clean(bh_policy_string(policy, match->text), match->len);
}

static bool arg_ok(const struct bh_policy *policy, const struct bh_exec_arg *arg)
{
    return arg->dash_ok <= 1 && arg->n_matches >= 1 && arg->n_matches <= BH_EXEC_MATCHES_MAX &&
           bh_blob_range_ok(arg->first_match, arg->n_matches, COUNT(policy, MATCHES));
}

static bool paths_ok(const struct bh_policy *policy, uint32_t first, uint32_t n)
{
    if (n > BH_EXEC_WORDS_MAX || !bh_blob_range_ok(first, n, COUNT(policy, WORDS)))
        return false;
    for (uint32_t i = 0; i < n; i++)
        if (!bh_path_is_clean(bh_policy_string(policy, policy->words[first + i].text),
                              policy->words[first + i].len))
            return false;
    return true;
}

static bool env_ok(const struct bh_policy *policy, const struct bh_exec_rule *exec)
{
    if (exec->n_env > BH_EXEC_WORDS_MAX ||
        !bh_blob_range_ok(exec->first_env, exec->n_env, COUNT(policy, WORDS)))
        return false;
    for (uint32_t i = 0; i < exec->n_env; i++) {
        const struct bh_name *word = &policy->words[exec->first_env + i];
        const char *name = bh_policy_string(policy, word->text);

        if (!bh_env_name_ok(name, word->len) || bh_env_is_refused(name, word->len))
            return false;
    }
    return !(exec->flags & BH_EXEC_ANY_ENV) || exec->n_env == 0;
}

static bool lists_ok(const struct bh_policy *policy, const struct bh_exec_rule *exec)
{
    uint32_t rest = exec->flags & BH_EXEC_REST ? 1 : 0;

    return paths_ok(policy, exec->first_program, exec->n_programs) &&
           paths_ok(policy, exec->first_socket, exec->n_sockets) && env_ok(policy, exec) &&
           exec->n_args <= BH_EXEC_ARGS_MAX &&
           bh_blob_range_ok(exec->first_arg, exec->n_args + rest, COUNT(policy, ARGS)) &&
           exec->n_groups <= BH_GROUPS_MAX &&
           bh_blob_range_ok(exec->first_group, exec->n_groups, COUNT(policy, GROUPS));
}

static bool limits_ok(const struct bh_exec_rule *exec)
{
    if (exec->timeout_s > BH_EXEC_TIMEOUT_MAX_S || exec->output > BH_EXEC_OUTPUT_MAX ||
        exec->memory > INT64_MAX || exec->pids > BH_EXEC_PIDS_MAX || exec->cpu > BH_EXEC_CPU_MAX)
        return false;
    if (exec->rate > BH_EXEC_RATE_MAX || exec->rate_s > BH_EXEC_TIMEOUT_MAX_S || !exec->rate != !exec->rate_s)
        return false;
    return exec->concurrent <= BH_EXEC_CONCURRENT_MAX;
}

static bool strings_ok(const struct bh_policy *policy, const struct bh_exec_rule *exec)
{
    const char *cwd;

    if (!bh_blob_string_ok(policy, exec->argv0) || !bh_blob_string_ok(policy, exec->cwd))
        return false;
    cwd = bh_policy_string(policy, exec->cwd);
    return *cwd == '\0' || bh_path_is_clean(cwd, strlen(cwd));
}

static bool digest_ok(const struct bh_exec_rule *exec)
{
    static const uint8_t none[sizeof(exec->sha256)];

    if (exec->flags & BH_EXEC_SHA256)
        return !(exec->flags & BH_EXEC_ANY_PROGRAM);
    return memcmp(exec->sha256, none, sizeof(none)) == 0;
}

static bool exec_ok(const struct bh_policy *policy, const struct bh_exec_rule *exec)
{
    bool any = exec->flags & BH_EXEC_ANY_PROGRAM;

    return exec->zero == 0 && exec->flags <= BH_EXEC_FLAGS_ALL && exec->sandbox <= BH_SANDBOX_NONE &&
           any == (exec->n_programs == 0) && (exec->flags & BH_EXEC_GROUPS || exec->n_groups == 0) &&
           lists_ok(policy, exec) && limits_ok(exec) && strings_ok(policy, exec) && digest_ok(exec);
}

/* What a deny says: its programs. */
static bool deny_ok(const struct bh_exec_rule *exec)
{
    struct bh_exec_rule bare = { .first_program = exec->first_program, .n_programs = exec->n_programs };

    return exec->n_programs > 0 && memcmp(&bare, exec, sizeof(bare)) == 0;
}

static bool allow_ok(const struct bh_exec_rule *exec, uint32_t user)
{
    bool open = exec->sandbox == BH_SANDBOX_PLAIN || exec->sandbox == BH_SANDBOX_NONE;

    if (exec->output == 0 || (open && (user == BH_NO_USER || exec->n_sockets > 0)))
        return false;
    return exec->sandbox != BH_SANDBOX_NONE || exec->flags & BH_EXEC_NET;
}

bool bh_blob_execs_ok(const struct bh_policy *policy)
{
    uint32_t rates = 0;

    for (uint32_t i = 0; i < COUNT(policy, WORDS); i++)
        if (!bh_blob_text_ok(policy, policy->words[i].text, policy->words[i].len))
            return false;
    for (uint32_t i = 0; i < COUNT(policy, MATCHES); i++)
        if (!match_ok(policy, &policy->exec_matches[i]))
            return false;
    for (uint32_t i = 0; i < COUNT(policy, ARGS); i++)
        if (!arg_ok(policy, &policy->exec_args[i]))
            return false;
    for (uint32_t i = 0; i < COUNT(policy, EXECS); i++) {
        if (!exec_ok(policy, &policy->execs[i]))
            return false;
        rates += policy->execs[i].rate > 0;
    }
    return rates <= BH_EXEC_RATES_MAX;
}

/* guest-exec, and beside it at most the command that asks what became of it; a deny of programs has the first
 * alone. */
static bool commands_ok(const struct bh_rule *rule)
{
    uint64_t rest[2] = { rule->commands[0], rule->commands[1] };

    rest[BH_CMD_GUEST_EXEC / 64] ^= 1ull << (BH_CMD_GUEST_EXEC % 64);
    if (rule->effect == BH_EFFECT_ALLOW)
        rest[BH_CMD_GUEST_EXEC_STATUS / 64] &= ~(1ull << (BH_CMD_GUEST_EXEC_STATUS % 64));
    return !rest[0] && !rest[1];
}

bool bh_blob_rule_exec_ok(const struct bh_policy *policy, const struct bh_rule *rule)
{
    bool runs = rule->commands[BH_CMD_GUEST_EXEC / 64] >> (BH_CMD_GUEST_EXEC % 64) & 1;
    const struct bh_exec_rule *exec;

    if (rule->exec == BH_NO_EXEC)
        return !(runs && rule->effect == BH_EFFECT_ALLOW);
    if (!commands_ok(rule) || rule->has_object || rule->n_names > 0 || rule->n_paths > 0 ||
        rule->exec >= COUNT(policy, EXECS))
        return false;
    exec = &policy->execs[rule->exec];
    return rule->effect == BH_EFFECT_DENY ? deny_ok(exec) && rule->user == BH_NO_USER
                                          : allow_ok(exec, rule->user);
}
