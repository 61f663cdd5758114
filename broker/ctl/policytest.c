/*
 * bulkheadctl policy test: a table of requests and what the policy must say to each, as
 * each shipped profile has one (policy/lang/cases.h says how a line looks).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "broker/ctl/judge.h"
#include "broker/ctl/policysource.h"
#include "policy/lang/cases.h"
#include "protocol/base/arena.h"
#include "protocol/base/mem.h"

#define CASES_MAX (1024u * 1024u)     /* bytes of a table */
#define CASES_MEMORY (4u * CASES_MAX) /* of its strings */

struct table {
    const struct ctl *ctl;
    const char *name, *channel;
    struct ctl_policy_source *source;
    unsigned passed, failed;
    struct json_object *failures; /* --json: collected; else NULL: printed */
};

static void __attribute__((format(printf, 3, 4)))
fail(struct table *table, uint32_t line, const char *format, ...)
{
    _cleanup_free_ char *text = NULL;
    va_list args;
    int n;

    va_start(args, format);
    n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0)
        text = NULL;
    table->failed++;
    if (table->failures) {
        struct json_object *row = json_object_new_object();

        json_object_object_add(row, "line", json_object_new_int64(line));
        json_object_object_add(row, "text", json_object_new_string(text ? text : "out of memory"));
        json_object_array_add(table->failures, row);
    } else {
        printf("%s:%u: %s\n", table->name, line, text ? text : "out of memory");
    }
}

static void compare(struct table *table, const struct bh_case *expected, const struct bh_policy *policy,
                    struct bh_decision decision)
{
    const char *word = ctl_verdict_word(decision.verdict), *rule = ctl_rule_name(policy, decision.rule);

    if (expected->allow != (decision.verdict == BH_VERDICT_ALLOW))
        fail(table, expected->line, "expected %s, but the policy says %s%s%s",
             expected->allow ? "allow" : "deny", word, *rule ? " by rule " : "", rule);
    else if (expected->rule.len && strcmp(expected->rule.ptr, rule) != 0)
        fail(table, expected->line, "%s as expected, but by rule %s and not %s", word,
             *rule ? rule : "(none)", expected->rule.ptr);
    else
        table->passed++;
}

static void try_case(struct table *table, const struct bh_case *expected)
{
    const char *channel = expected->channel.len ? expected->channel.ptr : table->channel;
    struct json_object *arguments = expected->json.len ? json_tokener_parse(expected->json.ptr) : NULL;
    struct ctl_question question = { 0 };
    struct bh_policy policy;

    if (expected->json.len && !arguments)
        fail(table, expected->line, "the arguments are not JSON");
    else if (ctl_question_make(&question, expected->command.ptr, arguments) != CTL_OK ||
             (expected->object.len && ctl_question_about(&question, expected->object.ptr) != CTL_OK) ||
             ctl_policy_channel(table->source, channel, &policy) != CTL_OK)
        fail(table, expected->line, "this case cannot be judged");
    else
        compare(table, expected, &policy, ctl_judge(&policy, &question, NULL));
    ctl_question_free(&question);
    json_object_put(arguments);
}

static int try_all(struct table *table, const char *text, size_t len)
{
    struct bh_cases cases;
    struct bh_arena arena;
    struct bh_case next;
    const char *why;
    int r;

    bh_arena_init(&arena, CASES_MEMORY);
    bh_cases_begin(&cases, text, len);
    while ((r = bh_cases_next(&cases, &arena, &next, &why)) == 1 || r == -EBADMSG) {
        if (r == 1)
            try_case(table, &next);
        else
            fail(table, next.line, "%s", why);
        bh_arena_reset(&arena);
    }
    bh_arena_deinit(&arena);
    return r == 0 ? CTL_OK : ctl_fail(CTL_FAILED, "out of memory");
}

static void print_counts(const struct table *table)
{
    struct json_object *all;

    if (!table->failures) {
        printf("%u %s passed, %u failed\n", table->passed, table->passed == 1 ? "case" : "cases",
               table->failed);
        return;
    }
    all = json_object_new_object();
    json_object_object_add(all, "passed", json_object_new_int64(table->passed));
    json_object_object_add(all, "failed", json_object_new_int64(table->failed));
    json_object_object_add(all, "failures", json_object_get(table->failures));
    puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(all);
}

static int test(struct table *table)
{
    size_t len;
    _cleanup_free_ char *text = ctl_read_file(table->name, CASES_MAX, &len);
    int status;

    if (!text)
        return ctl_fail(CTL_USAGE, "the cases in %s cannot be read: %s", table->name, strerror(errno));
    status = try_all(table, text, len);
    print_counts(table);
    if (table->passed + table->failed == 0)
        return ctl_fail(CTL_FAILED, "%s holds no case", table->name);
    return table->failed > 0 ? CTL_FAILED : status;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    const char *policy = NULL, *channel = NULL;
    const struct ctl_option options[] = { { "--policy", NULL, &policy, NULL },
                                          { "--channel", NULL, &channel, NULL },
                                          { 0 } };
    struct ctl_policy_source source;
    struct table table = { .ctl = ctl, .source = &source };
    char *names[1];
    int status;

    if (ctl_options(ctl, &ctl_policy_test, &argc, argv, options, &status) < 0)
        return status;
    if (argc != 1)
        return ctl_usage(&ctl_policy_test, "it takes one file of CASES");
    table.name = argv[0];
    table.channel = channel;
    names[0] = (char *)(uintptr_t)policy;
    status = ctl_policy_open(&source, policy ? 1 : 0, names);
    ctl_policy_findings(&source, stderr);
    table.failures = ctl->json ? json_object_new_array() : NULL;
    if (status == CTL_OK)
        status = test(&table);
    json_object_put(table.failures);
    ctl_policy_close(&source);
    return status;
}

const struct ctl_command ctl_policy_test = {
    .name = "policy test",
    .summary = "compare a policy with a table of expected verdicts",
    .usage = "[--policy FILE|NAME] [--channel C] CASES\n"
             "A line of CASES: allow or deny, COMMAND, its arguments as JSON, object NAME, on CHANNEL, rule "
             "NAME:\n"
             "  deny guest-file-open {\"path\": \"/etc/shadow\"} rule no-secrets\n"
             "Exit status: 0 all are as expected, 1 some are not.",
    .run = run,
};
