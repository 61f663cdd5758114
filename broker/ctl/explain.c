/* bulkheadctl policy explain: every rule tried, why it matched or not, the verdict. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "broker/ctl/args.h"
#include "broker/ctl/judge.h"
#include "broker/ctl/log.h"
#include "broker/ctl/policysource.h"
#include "broker/ctl/statusfile.h"
#include "broker/ctl/telling.h"
#include "protocol/base/mem.h"
#include "protocol/base/sha256.h"
#include "protocol/commands.h"
#include "protocol/wire/record.h"

struct options {
    const char *channel, *policy, *record, *mode, *dir, *object;
    const char *digest; /* of the policy that decided, as the record holds it */
};

#define DIGEST_BYTES sizeof(((struct bh_record *)0)->policy)

static void print_verdict(const struct bh_policy *policy, struct bh_decision decision)
{
    const char *rule = ctl_rule_name(policy, decision.rule);

    switch (decision.verdict) {
    case BH_VERDICT_ALLOW:
        printf("allowed by rule %s\n", rule);
        break;
    case BH_VERDICT_DENIED:
        printf("refused: denied by rule %s (BH%04u)\n", rule, bh_verdict_code(decision.verdict));
        break;
    case BH_VERDICT_NO_RULE:
        printf("refused: the command is granted, but no rule covers this request (BH%04u)\n",
               bh_verdict_code(decision.verdict));
        break;
    default:
        printf("refused: no rule of this channel grants the command (BH%04u)\n",
               bh_verdict_code(decision.verdict));
        break;
    }
}

static void print_json(const struct bh_policy *policy, const struct ctl_question *question,
                       struct bh_decision decision, bool withheld, struct json_object *tried)
{
    struct json_object *all = json_object_new_object();
    char code[16];

    (void)snprintf(code, sizeof(code), "BH%04u", bh_verdict_code(decision.verdict));
    json_object_object_add(all, "channel", json_object_new_string(policy->slice->channel));
    json_object_object_add(all, "verdict", json_object_new_string(ctl_verdict_word(decision.verdict)));
    json_object_object_add(all, "rule", json_object_new_string(ctl_rule_name(policy, decision.rule)));
    if (decision.verdict != BH_VERDICT_ALLOW)
        json_object_object_add(all, "code", json_object_new_string(code));
    if (withheld)
        json_object_object_add(all, "withheld", json_object_new_boolean(true));
    if (question->about_mount)
        json_object_object_add(all, "required",
                               json_object_new_boolean(!withheld && ctl_question_required(policy, question)));
    json_object_object_add(all, "served", json_object_new_boolean(bh_commands[question->command].served));
    json_object_object_add(all, "tried", tried);
    puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(all);
}

static void print_decision(const struct bh_policy *policy, const struct ctl_question *question,
                           struct bh_decision decision, bool withheld)
{
    if (withheld)
        printf("refused: the agent's -a and -b (allow-rpcs, block-rpcs) leave the command out (BH%04u)\n",
               bh_verdict_code(decision.verdict));
    else
        print_verdict(policy, decision);
    if (question->about_file && decision.verdict == BH_VERDICT_ALLOW)
        puts("The worker judges again what it finds there: owner, kind and resolved path may still "
             "refuse it.");
    if (question->about_exec && decision.verdict == BH_VERDICT_ALLOW)
        puts("The worker judges again what it finds there: owner, mode, digest and resolved path of the "
             "program may "
             "still refuse it.");
    if (!withheld && ctl_question_required(policy, question))
        puts("It must be frozen: if it cannot be, the whole freeze fails.");
    if (!bh_commands[question->command].served)
        puts(
            "This version does not serve the command, whatever a policy says: a client is told that there is "
            "none of this name.");
}

/* `withheld`: the agent's lists keep the command back, whatever a rule says. */
static int judge(const struct ctl *ctl, const struct bh_policy *policy, const struct ctl_question *question,
                 bool withheld)
{
    struct ctl_telling telling = { .policy = policy, .tried = ctl->json ? json_object_new_array() : NULL };
    const struct bh_trace trace = { ctl_tell_rule, &telling };
    struct bh_decision decision;
    char verbs[64];

    ctl_verbs_words(question->verbs, verbs);
    if (!ctl->json)
        printf("%s on channel %s%s%s%s%s:\n", bh_commands[question->command].name, policy->slice->channel,
               question->about_file ? ", asking to " : "", verbs,
               !question->object       ? ""
               : question->about_mount ? ", on the mount "
               : question->about_exec  ? ", of a program that is "
                                       : ", to see ",
               question->object ? question->object : "");
    decision = ctl_judge(policy, question, &trace);
    if (withheld)
        decision = (struct bh_decision){ BH_VERDICT_NOT_GRANTED, BH_NO_RULE };
    if (ctl->json) {
        print_json(policy, question, decision, withheld, telling.tried);
    } else {
        if (telling.n == 0)
            puts("  no rule names this command");
        print_decision(policy, question, decision, withheld);
    }
    return decision.verdict == BH_VERDICT_ALLOW ? CTL_OK : CTL_FAILED;
}

/* `digest`: whole, or as a record holds it (its beginning), or NULL. */
static bool same_policy(const struct bh_policy *policy, const char *digest)
{
    char text[BH_SHA256_TEXT];

    bh_sha256_text(policy->slice->digest, text);
    return !digest || strncmp(text, digest, 2 * DIGEST_BYTES) == 0;
}

static int explain(const struct ctl *ctl, const struct options *options, const char *channel,
                   const struct ctl_question *question)
{
    _cleanup_free_ char *in_force = options->policy ? NULL : ctl_status_policy_source(ctl);
    _cleanup_free_ char *digest = in_force ? ctl_status_policy(ctl, "digest") : NULL;
    bool withheld = in_force && ctl_status_withholds(ctl, bh_commands[question->command].name);
    char *names[] = { options->policy ? (char *)(uintptr_t)options->policy : in_force };
    struct ctl_policy_source source;
    struct bh_policy policy;
    int status = ctl_policy_open(&source, names[0] ? 1 : 0, names);

    ctl_policy_findings(&source, stderr);
    if (status == CTL_OK)
        status = ctl_policy_channel(&source, options->channel ? options->channel : channel, &policy);
    if (status == CTL_OK && !same_policy(&policy, options->digest))
        fputs("Note: this is not the policy that decided then; it is judged by today's.\n", stderr);
    if (status == CTL_OK && !same_policy(&policy, digest))
        fputs("Note: the policy has changed since the agent read it; so it will be judged after a reload.\n",
              stderr);
    if (status == CTL_OK)
        status = judge(ctl, &policy, question, withheld);
    ctl_policy_close(&source);
    return status;
}

/* The record of this number, to be put by the caller. */
static struct json_object *find_record(const struct ctl_log *log, uint64_t number)
{
    for (size_t i = log->n; i-- > 0;) { /* newest first */
        _cleanup_fclose_ FILE *file = ctl_log_segment(log, log->segments[i]);
        _cleanup_free_ char *line = NULL;
        size_t cap = 0;

        while (file && getline(&line, &cap, file) > 0) {
            struct json_object *record = json_tokener_parse(line), *n;

            if (record && json_object_object_get_ex(record, "n", &n) && json_object_get_uint64(n) == number)
                return record;
            json_object_put(record);
        }
    }
    return NULL;
}

/* The arguments that the record of an execution tells, behind its own name; of a refused one they are not
 * known. */
static void add_arguments(struct json_object *arguments, struct json_object *record)
{
    const char *argv = strstr(ctl_json_text(record, "text", ""), "argv [");
    struct json_object *list = argv ? json_tokener_parse(argv + strlen("argv ")) : NULL;

    if (json_object_is_type(list, json_type_array) && json_object_array_length(list) > 0) {
        (void)json_object_array_del_idx(list, 0, 1);
        json_object_object_add(arguments, "arg", list);
        return;
    }
    json_object_put(list);
    fputs(
        "Note: the record does not hold the arguments of the program; it is judged as if there were none.\n",
        stderr);
}

static int explain_record(const struct ctl *ctl, struct options *options, struct json_object *record)
{
    const char *command = ctl_json_text(record, "cmd", NULL), *source = ctl_json_text(record, "src", "");
    _cleanup_free_ char *channel = strchr(source, '/') ? strndup(source, strcspn(source, "/")) : NULL;
    struct json_object *arguments;
    struct ctl_question question;
    int status;

    if (!ctl->json) {
        ctl_print_clean(stdout, json_object_to_json_string_ext(record, JSON_C_TO_STRING_SPACED |
                                                                           JSON_C_TO_STRING_NOSLASHESCAPE));
        puts("");
    }
    if (!command)
        return ctl_fail(CTL_FAILED, "this record is not about a command");
    arguments = json_object_new_object();
    json_object_object_add(arguments, "path", json_object_new_string(ctl_json_text(record, "obj", "")));
    json_object_object_add(arguments, "mode", json_object_new_string(options->mode));
    if (strcmp(command, "guest-exec") == 0 || strcmp(command, "bulkhead-exec") == 0)
        add_arguments(arguments, record);
    options->digest = ctl_json_text(record, "policy", NULL);
    status = ctl_question_make(&question, command, arguments);
    if (status == CTL_OK)
        ctl_question_of_record(&question, ctl_json_text(record, "obj", ""));
    if (status == CTL_OK)
        status = explain(ctl, options, channel, &question);
    ctl_question_free(&question);
    json_object_put(arguments);
    return status;
}

static int explain_command(const struct ctl *ctl, const struct options *options, const char *command,
                           struct json_object *arguments)
{
    struct ctl_question question;
    int status = ctl_question_make(&question, command, arguments);

    if (status == CTL_OK && options->object)
        status = ctl_question_about(&question, options->object);
    if (status == CTL_OK)
        status = explain(ctl, options, NULL, &question);
    ctl_question_free(&question);
    return status;
}

/* COMMAND KEY=VALUE ..., as call takes it. */
static int explain_words(const struct ctl *ctl, const struct options *options, int n, char **words)
{
    int index = bh_command_find(words[0], strlen(words[0]));
    struct json_object *arguments = NULL;
    int status;

    if (index < 0)
        return ctl_fail(CTL_USAGE, "there is no command %s", words[0]);
    status = ctl_args(&bh_commands[index], n - 1, words + 1, &arguments);
    if (status == CTL_OK)
        status = explain_command(ctl, options, words[0], arguments);
    json_object_put(arguments);
    return status;
}

/* `{"execute": ..., "arguments": ...}`, as a client sends it. */
static int explain_request(const struct ctl *ctl, const struct options *options, const char *text)
{
    enum json_tokener_error error;
    struct json_object *request = json_tokener_parse_verbose(text, &error), *arguments = NULL;
    const char *command = ctl_json_text(request, "execute", NULL);
    int status;

    (void)json_object_object_get_ex(request, "arguments", &arguments);
    if (!request)
        status = ctl_fail(CTL_USAGE, "the request is not JSON: %s", json_tokener_error_desc(error));
    else if (!command)
        status =
            ctl_fail(CTL_USAGE, "the request names no command; it looks like {\"execute\": \"guest-ping\"}");
    else
        status = explain_command(ctl, options, command, arguments);
    json_object_put(request);
    return status;
}

static int explain_number(const struct ctl *ctl, struct options *options)
{
    struct json_object *record;
    struct ctl_log log;
    uint64_t number;
    int status;

    if (!ctl_number(options->record, UINT64_MAX, &number))
        return ctl_usage(&ctl_policy_explain, "--record takes the number of a record");
    status = ctl_log_open(&log, ctl, options->dir);
    if (status == CTL_OK) {
        record = find_record(&log, number);
        status = record ? explain_record(ctl, options, record)
                        : ctl_fail(CTL_FAILED, "there is no record %" PRIu64 " in %s", number, log.path);
        json_object_put(record);
    }
    ctl_log_close(&log);
    return status;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    struct options options = { .mode = "r" };
    const struct ctl_option table[] = {
        { "--channel", NULL, &options.channel, NULL },
        { "--policy", NULL, &options.policy, NULL },
        { "--record", NULL, &options.record, NULL },
        { "--mode", NULL, &options.mode, NULL },
        { "--dir", NULL, &options.dir, NULL },
        { "--object", NULL, &options.object, NULL },
        { 0 },
    };
    int status;

    if (ctl_options(ctl, &ctl_policy_explain, &argc, argv, table, &status) < 0)
        return status;
    if (options.record && argc == 0)
        return explain_number(ctl, &options);
    if (options.record || argc < 1 || (argc > 1 && argv[0][0] == '{') || (options.object && !*options.object))
        return ctl_usage(&ctl_policy_explain, "it takes one REQUEST, or --record N");
    if (argv[0][0] >= 'a' && argv[0][0] <= 'z')
        return explain_words(ctl, &options, argc, argv);
    return explain_request(ctl, &options, argv[0]);
}

const struct ctl_command ctl_policy_explain = {
    .name = "policy explain",
    .summary = "why a request is allowed or refused",
    .usage =
        "[--channel C] [--policy FILE|NAME] [--object NAME] REQUEST\n"
        "       bulkheadctl policy explain --record N [--mode M] [--dir DIR] [--policy FILE|NAME]\n"
        "REQUEST is a command as call takes it, or what a client sends:\n"
        "  guest-file-open path=/etc/motd\n"
        "  '{\"execute\": \"guest-file-open\", \"arguments\": {\"path\": \"/etc/motd\"}}'\n"
        "  --channel C           on this channel (default: the only one, or main)\n"
        "  --policy FILE|NAME    by this policy (default: the one in force)\n"
        "  --object NAME         may it see the interface or user of this name, where it lists them; freeze\n"
        "                        or trim what is mounted there; run a program whose name leads there?\n"
        "  --record N            the request of this audit record; a record does not hold the mode of an\n"
        "                        open: --mode names it (default r)\n"
        "Exit status: 0 allowed, 1 refused or an error.",
    .run = run,
};
