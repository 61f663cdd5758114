/* What a rule says of executions, as text that compiles to the same. */
#include "policy/lang/dump.h"
#include "policy/lang/model.h"
#include "protocol/base/sha256.h"

static void write_texts(FILE *out, const struct bh_policy *policy, uint32_t first, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        (void)fputc(' ', out);
        bh_dump_string(out, bh_policy_string(policy, policy->words[first + i].text));
    }
}

static void write_matcher(FILE *out, const struct bh_policy *policy, const struct bh_exec_match *match)
{
    static const char *const words[] = { [BH_MATCH_BENEATH] = "beneath ", [BH_MATCH_GLOB] = "glob " };

    if (match->kind == BH_MATCH_INT) {
        (void)fprintf(out, "int %lld..%lld", (long long)match->least, (long long)match->most);
        return;
    }
    if (match->kind == BH_MATCH_ANY) {
        (void)fputs("any", out);
        return;
    }
    if (match->kind != BH_MATCH_LITERAL)
        (void)fputs(words[match->kind], out);
    bh_dump_string(out, bh_policy_string(policy, match->text));
}

static void write_position(FILE *out, const struct bh_policy *policy, const struct bh_exec_arg *arg)
{
    (void)fputs(arg->n_matches > 1 ? " { " : " ", out);
    for (uint32_t i = 0; i < arg->n_matches; i++) {
        (void)fputs(i > 0 ? ", " : "", out);
        write_matcher(out, policy, &policy->exec_matches[arg->first_match + i]);
    }
    (void)fputs(arg->n_matches > 1 ? " }" : "", out);
    (void)fputs(arg->dash_ok ? " dash-ok" : "", out);
}

static void write_groups(FILE *out, const struct bh_policy *policy, const struct bh_exec_rule *exec)
{
    (void)fputs(exec->n_groups == 0 ? " none" : "", out);
    for (uint32_t i = 0; i < exec->n_groups; i++)
        (void)fprintf(out, " %u", policy->groups[exec->first_group + i]);
}

static void write_digest(FILE *out, const struct bh_exec_rule *exec)
{
    char text[BH_SHA256_TEXT];

    bh_sha256_text(exec->sha256, text);
    (void)fprintf(out, " \"%s\"", text);
}

static uint64_t value_of(const struct bh_exec_rule *exec, uint8_t slot)
{
    switch (slot) {
    case BH_SLOT_STDIN:
        return !!(exec->flags & BH_EXEC_STDIN);
    case BH_SLOT_SEARCH:
        return !!(exec->flags & BH_EXEC_SEARCH);
    case BH_SLOT_SANDBOX:
        return exec->sandbox;
    case BH_SLOT_NET:
        return !!(exec->flags & BH_EXEC_NET);
    case BH_SLOT_TIMEOUT:
        return exec->timeout_s;
    case BH_SLOT_OUTPUT:
        return exec->output;
    case BH_SLOT_MEMORY:
        return exec->memory;
    case BH_SLOT_PIDS:
        return exec->pids;
    case BH_SLOT_CPU:
        return exec->cpu;
    case BH_SLOT_RATE:
        return (uint64_t)exec->rate << 32 | exec->rate_s;
    case BH_SLOT_CONCURRENT:
        return exec->concurrent;
    default:
        return !!(exec->flags & BH_EXEC_AUDIT_FULL);
    }
}

/* Is it said, or does it hold in any case? */
static bool is_said(const struct bh_policy *policy, const struct bh_rule *rule,
                    const struct bh_setting_row *row)
{
    const struct bh_exec_rule *exec = &policy->execs[rule->exec];

    if (rule->effect == BH_EFFECT_DENY)
        return row->slot == BH_SLOT_PROGRAM;
    switch (row->slot) {
    case BH_SLOT_PROGRAM:
        return true;
    case BH_SLOT_SHA256:
        return exec->flags & BH_EXEC_SHA256;
    case BH_SLOT_ARGV0:
        return *bh_policy_string(policy, exec->argv0);
    case BH_SLOT_ARGS:
        return exec->n_args > 0;
    case BH_SLOT_REST:
        return exec->flags & BH_EXEC_REST;
    case BH_SLOT_ENV:
        return exec->flags & BH_EXEC_ANY_ENV || exec->n_env > 0;
    case BH_SLOT_RUN_USER:
        return rule->user != BH_NO_USER;
    case BH_SLOT_RUN_GROUPS:
        return exec->flags & BH_EXEC_GROUPS;
    case BH_SLOT_CWD:
        return *bh_policy_string(policy, exec->cwd);
    case BH_SLOT_SOCKET:
        return exec->n_sockets > 0;
    default:
        return value_of(exec, row->slot) != bh_setting_initial(row, (enum bh_sandbox)exec->sandbox);
    }
}

static void write_value(FILE *out, const struct bh_setting_row *row, uint64_t value)
{
    if (row->type == BH_TYPE_WORD)
        (void)fprintf(out, " %s", row->words[value]);
    else if (row->type == BH_TYPE_RATE)
        (void)fprintf(out, " %u/%us", (unsigned)(value >> 32), (unsigned)value);
    else
        (void)fprintf(out, " %llu%s", (unsigned long long)value,
                      row->type == BH_TYPE_DURATION ? "s"
                      : row->type == BH_TYPE_CPU    ? "%"
                                                    : "");
}

static void write_list(FILE *out, const struct bh_policy *policy, const struct bh_exec_rule *exec,
                       uint8_t slot)
{
    switch (slot) {
    case BH_SLOT_PROGRAM:
        write_texts(out, policy, exec->first_program, exec->n_programs);
        (void)fputs(exec->flags & BH_EXEC_ANY_PROGRAM ? " any" : "", out);
        break;
    case BH_SLOT_ENV:
        write_texts(out, policy, exec->first_env, exec->n_env);
        (void)fputs(exec->flags & BH_EXEC_ANY_ENV ? " any" : "", out);
        break;
    case BH_SLOT_SOCKET:
        write_texts(out, policy, exec->first_socket, exec->n_sockets);
        break;
    case BH_SLOT_REST:
        write_position(out, policy, &policy->exec_args[exec->first_arg + exec->n_args]);
        break;
    default:
        for (uint32_t i = 0; i < exec->n_args; i++)
            write_position(out, policy, &policy->exec_args[exec->first_arg + i]);
    }
}

void bh_dump_exec_setting(FILE *out, const struct bh_policy *policy, const struct bh_rule *rule,
                          const struct bh_setting_row *row)
{
    const struct bh_exec_rule *exec;

    if (rule->exec == BH_NO_EXEC || !is_said(policy, rule, row))
        return;
    exec = &policy->execs[rule->exec];
    (void)fprintf(out, "    %s", row->name);
    switch ((enum bh_setting_type)row->type) {
    case BH_TYPE_TEXT:
        (void)fputs(row->slot == BH_SLOT_SHA256 ? "" : " ", out);
        if (row->slot == BH_SLOT_SHA256)
            write_digest(out, exec);
        else
            bh_dump_string(out, bh_policy_string(policy, row->slot == BH_SLOT_CWD ? exec->cwd : exec->argv0));
        break;
    case BH_TYPE_TEXTS:
    case BH_TYPE_ARGS:
    case BH_TYPE_REST:
        write_list(out, policy, exec, row->slot);
        break;
    case BH_TYPE_GROUPS:
        write_groups(out, policy, exec);
        break;
    case BH_TYPE_USER:
        (void)fprintf(out, " %s", bh_policy_string(policy, policy->users[rule->user].name));
        break;
    default:
        write_value(out, row, value_of(exec, row->slot));
    }
    (void)fputc('\n', out);
}
