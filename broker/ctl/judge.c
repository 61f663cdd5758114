/* From a request to the evaluator's question, as judge.h says. */
#include "broker/ctl/judge.h"

#include <stdlib.h>
#include <string.h>

#include "broker/ctl/statusfile.h"
#include "policy/listed.h"
#include "policy/mounts.h"
#include "policy/paths.h"
#include "protocol/base/mem.h"
#include "protocol/commands.h"

/* Index of an enum value by its name or by another spelling of it; -1: there is none. */
static int find_value(const struct bh_enumeration *enumeration, const char *name)
{
    char literal[16];

    for (uint8_t i = 0; i < enumeration->n_values; i++)
        if (strcmp(enumeration->values[i], name) == 0)
            return i;
    (void)snprintf(literal, sizeof(literal), "\"%s\"", name);
    for (uint8_t i = 0; i < enumeration->n_aliases; i++)
        if (strcmp(enumeration->aliases[i].literal, literal) == 0)
            return enumeration->aliases[i].value;
    return -1;
}

static bool mode_verbs(const char *mode, uint32_t *ret)
{
    const struct bh_type *args = bh_commands[BH_CMD_GUEST_FILE_OPEN].args;

    for (uint32_t i = 0; i < args->n_fields; i++) {
        int value;

        if (strcmp(args->fields[i].name, "mode") != 0)
            continue;
        value = find_value(args->fields[i].of.enumeration, mode);
        if (value >= 0)
            *ret = bh_policy_mode_verbs((uint8_t)value);
        return value >= 0;
    }
    return false;
}

/* The strings of a member that is a list; the caller's. False if it is something else. */
static bool take_strings(struct json_object *arguments, const char *name, struct bh_str **ret,
                         uint32_t *ret_n)
{
    struct json_object *list;
    size_t n;

    if (!json_object_object_get_ex(arguments, name, &list))
        return true;
    n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    *ret = calloc(n + 1, sizeof(**ret));
    if (!*ret || !json_object_is_type(list, json_type_array))
        return false;
    for (size_t i = 0; i < n; i++) {
        struct json_object *item = json_object_array_get_idx(list, i);

        if (!json_object_is_type(item, json_type_string))
            return false;
        (*ret)[i] =
            (struct bh_str){ json_object_get_string(item), (uint32_t)json_object_get_string_len(item) };
    }
    *ret_n = (uint32_t)n;
    return true;
}

static bool asks_for_input(struct json_object *arguments)
{
    struct json_object *input;

    return json_object_object_get_ex(arguments, "input-data", NULL) ||
           (json_object_object_get_ex(arguments, "input", &input) && json_object_get_boolean(input));
}

static int make_exec(struct ctl_question *question, const char *path, struct json_object *arguments)
{
    struct bh_exec_object *exec = &question->exec;

    if (!take_strings(arguments, "arg", &question->args, &exec->n_args) ||
        !take_strings(arguments, "env", &question->env, &exec->n_env))
        return ctl_fail(CTL_USAGE, "`arg` and `env` are lists of strings");
    exec->path = bh_str_of(path);
    exec->args = question->args;
    exec->env = question->env;
    if (bh_path_is_clean(path, strlen(path)))
        exec->resolved = exec->path;
    exec->has_input = asks_for_input(arguments);
    return CTL_OK;
}

void ctl_question_free(struct ctl_question *question)
{
    free(question->args);
    free(question->env);
}

int ctl_question_make(struct ctl_question *question, const char *command, struct json_object *arguments)
{
    const char *path = ctl_json_text(arguments, "path", NULL), *mode = ctl_json_text(arguments, "mode", "r");

    *question = (struct ctl_question){ .command = bh_command_find(command, strlen(command)) };
    if (question->command < 0)
        return ctl_fail(CTL_USAGE, "there is no command %s", command);
    question->about_file = question->command == BH_CMD_GUEST_FILE_OPEN;
    question->about_exec =
        path && (question->command == BH_CMD_GUEST_EXEC || question->command == BH_CMD_BULKHEAD_EXEC);
    if (question->about_exec)
        return make_exec(question, path, arguments);
    if (!question->about_file)
        return CTL_OK;
    if (!path)
        return ctl_fail(CTL_USAGE, "guest-file-open needs a path");
    if (!mode_verbs(mode, &question->verbs))
        return ctl_fail(CTL_USAGE, "there is no mode %s: r, w, a, r+, w+, a+", mode);
    question->path = bh_str_of(path);
    return CTL_OK;
}

static struct bh_str object_of(const struct ctl_question *question)
{
    return bh_str_of(question->object);
}

/* An extension is granted by itself, and what it runs by the rules for guest-exec. */
static struct bh_decision judge_exec(const struct bh_policy *policy, const struct ctl_question *question,
                                     const struct bh_trace *trace)
{
    struct bh_decision decision = { BH_VERDICT_ALLOW, BH_NO_RULE };

    if (question->command != BH_CMD_GUEST_EXEC)
        decision = bh_policy_command(policy, (unsigned)question->command, trace);
    return decision.verdict == BH_VERDICT_ALLOW ? bh_policy_exec(policy, &question->exec, trace) : decision;
}

struct bh_decision ctl_judge(const struct bh_policy *policy, const struct ctl_question *question,
                             const struct bh_trace *trace)
{
    const struct bh_file_object file = { .path = question->path,
                                         .verbs = question->verbs,
                                         .user = BH_NO_USER };

    if (question->about_file)
        return bh_policy_file(policy, &file, trace);
    if (question->about_exec)
        return judge_exec(policy, question, trace);
    if (question->about_mount)
        return bh_policy_mount(policy, (unsigned)question->command, object_of(question), trace);
    if (question->object)
        return bh_policy_name(policy, (unsigned)question->command, object_of(question), trace);
    return bh_policy_command(policy, (unsigned)question->command, trace);
}

bool ctl_question_required(const struct bh_policy *policy, const struct ctl_question *question)
{
    return question->about_mount &&
           bh_policy_mount_required(policy, (unsigned)question->command, object_of(question));
}

void ctl_question_of_record(struct ctl_question *question, const char *object)
{
    if (bh_acts_on_mounts((unsigned)question->command) && bh_path_is_clean(object, strlen(object)))
        (void)ctl_question_about(question, object);
}

int ctl_question_about(struct ctl_question *question, const char *object)
{
    if (question->about_exec) {
        question->exec.resolved = bh_str_of(object);
        question->object = object;
        return CTL_OK;
    }
    question->about_mount = bh_acts_on_mounts((unsigned)question->command);
    if (question->about_mount && !bh_path_is_clean(object, strlen(object)))
        return ctl_fail(CTL_USAGE, "%s is no mount point: it begins with '/', and has no '/' at its end",
                        object);
    if (!question->about_mount && bh_command_lists((unsigned)question->command) == BH_LISTED_NOTHING)
        return ctl_fail(CTL_USAGE, "%s lists nothing, and acts on nothing, that a rule could name",
                        bh_commands[question->command].name);
    question->object = object;
    return CTL_OK;
}

const char *ctl_verdict_word(enum bh_verdict verdict)
{
    return verdict == BH_VERDICT_ALLOW ? "allow" : "deny";
}

const char *ctl_rule_name(const struct bh_policy *policy, uint32_t rule)
{
    return rule == BH_NO_RULE ? "" : bh_policy_string(policy, policy->rules[rule].name);
}

void ctl_verbs_words(uint32_t verbs, char ret[64])
{
    static const char *const names[] = { "read", "write", "create", "truncate", "append" };
    size_t at = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < BH_ARRAY_SIZE(names); i++)
        if (verbs & (1u << i))
            at += (size_t)snprintf(ret + at, 64 - at, "%s%s", at ? ", " : "", names[i]);
}
