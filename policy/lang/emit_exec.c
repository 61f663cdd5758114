/* What rules say of executions, written into the tables of emit.h: the lists one after the other, then the
 * rule. */
#include <string.h>

#include "policy/lang/emit.h"

static void count_texts(const struct bh_texts *texts, uint32_t *n, size_t *bytes)
{
    for (const struct bh_name_line *line = texts->first; line; line = line->next) {
        *bytes += line->text.len + 1;
        ++*n;
    }
}

static void count_args(const struct bh_arg_line *arg, uint32_t count[BH_SECTION_COUNT], size_t *bytes)
{
    for (; arg; arg = arg->next) {
        count[BH_SECTION_ARGS]++;
        count[BH_SECTION_MATCHES] += arg->n_matches;
        for (const struct bh_match_line *match = arg->matches; match; match = match->next)
            *bytes += match->text.len + 1;
    }
}

void bh_exec_count(const struct bh_rule_line *line, uint32_t count[BH_SECTION_COUNT], size_t *bytes)
{
    const struct bh_exec_line *exec = &line->exec;

    count[BH_SECTION_EXECS]++;
    count[BH_SECTION_GROUPS] += exec->groups.n;
    count_texts(&exec->programs, &count[BH_SECTION_WORDS], bytes);
    count_texts(&exec->env, &count[BH_SECTION_WORDS], bytes);
    count_texts(&exec->sockets, &count[BH_SECTION_WORDS], bytes);
    count_args(exec->args, count, bytes);
    count_args(exec->rest, count, bytes);
    *bytes += (size_t)exec->argv0.len + exec->cwd.len + 2;
}

static uint32_t add_texts(const struct bh_texts *texts, struct bh_tables *t, uint32_t *ret_n)
{
    uint32_t *n = &t->count[BH_SECTION_WORDS], first = *n;

    for (const struct bh_name_line *line = texts->first; line; line = line->next)
        t->words[(*n)++] =
            (struct bh_name){ .text = bh_strings_add(&t->strings, line->text), .len = line->text.len };
    *ret_n = *n - first;
    return first;
}

static void add_args(const struct bh_arg_line *arg, struct bh_tables *t)
{
    uint32_t *n = &t->count[BH_SECTION_MATCHES];

    for (; arg; arg = arg->next) {
        t->args[t->count[BH_SECTION_ARGS]++] =
            (struct bh_exec_arg){ .first_match = *n, .n_matches = arg->n_matches, .dash_ok = arg->dash_ok };
        for (const struct bh_match_line *match = arg->matches; match; match = match->next)
            t->matches[(*n)++] = (struct bh_exec_match){ .kind = match->kind,
                                                         .text = bh_strings_add(&t->strings, match->text),
                                                         .len = match->text.len,
                                                         .least = match->least,
                                                         .most = match->most };
    }
}

static uint32_t add_groups(struct bh_model *model, const struct bh_texts *groups, struct bh_tables *t)
{
    uint32_t *n = &t->count[BH_SECTION_GROUPS], first = *n;

    for (const struct bh_name_line *line = groups->first; line; line = line->next) {
        uint32_t *gid = &t->groups[(*n)++];

        if (bh_group_find(model->input->group, line->text.ptr, gid))
            continue;
        *gid = BH_NO_GROUP;
        bh_report(model->diags, BH_SEVERITY_WARNING, line->pos,
                  "there is no group '%s' here: the rule grants nothing until there is, and the policy is "
                  "read again",
                  line->text.ptr);
    }
    return first;
}

static uint32_t flags_of(const struct bh_rule_line *line)
{
    const struct bh_exec_line *exec = &line->exec;
    const uint64_t *value = line->values;

    return (exec->programs.any ? BH_EXEC_ANY_PROGRAM : 0) | (exec->rest ? BH_EXEC_REST : 0) |
           (exec->env.any ? BH_EXEC_ANY_ENV : 0) | (exec->sha256.ptr ? BH_EXEC_SHA256 : 0) |
           (value[BH_SLOT_STDIN] ? BH_EXEC_STDIN : 0) | (value[BH_SLOT_NET] ? BH_EXEC_NET : 0) |
           (value[BH_SLOT_SEARCH] ? BH_EXEC_SEARCH : 0) |
           (value[BH_SLOT_AUDIT_OUTPUT] ? BH_EXEC_AUDIT_FULL : 0) |
           (line->given & 1ull << BH_SLOT_RUN_GROUPS ? BH_EXEC_GROUPS : 0);
}

static uint8_t hex_digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

static void add_digest(struct bh_str hex, uint8_t ret[32])
{
    for (uint32_t i = 0; i + 1 < hex.len; i += 2)
        ret[i / 2] = (uint8_t)(hex_digit(hex.ptr[i]) << 4 | hex_digit(hex.ptr[i + 1]));
}

static uint32_t add_string(struct bh_tables *t, struct bh_str text)
{
    return text.ptr ? bh_strings_add(&t->strings, text) : 0;
}

static void add_values(const uint64_t *value, struct bh_exec_rule *exec)
{
    exec->sandbox = (uint32_t)value[BH_SLOT_SANDBOX];
    exec->memory = value[BH_SLOT_MEMORY];
    exec->timeout_s = (uint32_t)value[BH_SLOT_TIMEOUT];
    exec->output = (uint32_t)value[BH_SLOT_OUTPUT];
    exec->pids = (uint32_t)value[BH_SLOT_PIDS];
    exec->cpu = (uint32_t)value[BH_SLOT_CPU];
    exec->rate = (uint32_t)(value[BH_SLOT_RATE] >> 32);
    exec->rate_s = (uint32_t)value[BH_SLOT_RATE];
    exec->concurrent = (uint32_t)value[BH_SLOT_CONCURRENT];
}

uint32_t bh_exec_add(struct bh_model *model, const struct bh_rule_line *line, struct bh_tables *t)
{
    uint32_t number = t->count[BH_SECTION_EXECS];
    struct bh_exec_rule *exec = &t->execs[number];

    if (!bh_rule_runs(line))
        return BH_NO_EXEC;
    t->count[BH_SECTION_EXECS]++;
    exec->first_program = add_texts(&line->exec.programs, t, &exec->n_programs);
    if (line->effect == BH_EFFECT_DENY)
        return number;
    exec->flags = flags_of(line);
    exec->first_env = add_texts(&line->exec.env, t, &exec->n_env);
    exec->first_socket = add_texts(&line->exec.sockets, t, &exec->n_sockets);
    exec->first_arg = t->count[BH_SECTION_ARGS];
    exec->n_args = line->exec.n_args;
    add_args(line->exec.args, t);
    add_args(line->exec.rest, t);
    exec->first_group = add_groups(model, &line->exec.groups, t);
    exec->n_groups = line->exec.groups.n;
    exec->argv0 = add_string(t, line->exec.argv0);
    exec->cwd = add_string(t, line->exec.cwd);
    add_values(line->values, exec);
    if (line->exec.sha256.ptr)
        add_digest(line->exec.sha256, exec->sha256);
    return number;
}
