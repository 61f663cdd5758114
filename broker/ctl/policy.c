/* bulkheadctl policy: its commands, of which check and show are here. */
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "broker/ctl/lint.h"
#include "broker/ctl/policysource.h"
#include "policy/lang/lang.h"
#include "protocol/base/arena.h"
#include "protocol/base/mem.h"

#define DUMP_MAX (16u * 1024u * 1024u) /* bytes of memory for one channel's text */

/* What check says beyond the compiler, of one channel or of all. */
static int lint(struct ctl_policy_source *source, const char *channel, FILE *out)
{
    struct bh_policy policy;
    int status = CTL_OK;

    if (channel) {
        status = ctl_policy_channel(source, channel, &policy);
        if (status == CTL_OK)
            ctl_lint(&policy, out);
        return status;
    }
    for (uint32_t i = 0; status == CTL_OK && i < source->bundle->count; i++) {
        status = ctl_policy_slice(source, i, &policy);
        if (status == CTL_OK)
            ctl_lint(&policy, out);
    }
    return status;
}

static void print_json(struct json_object *object)
{
    puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(object);
}

/* "warning FILE:LINE: text" in its three parts; of a line that has them not, all is text. */
static struct json_object *finding(const char *line, size_t len)
{
    struct json_object *row = json_object_new_object();
    _cleanup_free_ char *copy = strndup(line, len);
    char *at = copy ? strchr(copy, ' ') : NULL, *text = at ? strstr(at, ": ") : NULL;

    if (text) {
        *at++ = '\0';
        *text = '\0';
        json_object_object_add(row, "level", json_object_new_string(copy));
        json_object_object_add(row, "at", json_object_new_string(at));
    }
    json_object_object_add(row, "text", json_object_new_string(text ? text + 2 : copy ? copy : ""));
    return row;
}

static struct json_object *findings(const char *lines)
{
    struct json_object *rows = json_object_new_array();

    while (*lines) {
        size_t len = strcspn(lines, "\n");

        json_object_array_add(rows, finding(lines, len));
        lines += len + (lines[len] == '\n');
    }
    return rows;
}

static void print_check(const struct ctl_policy_source *source, int status, const char *lines)
{
    struct json_object *all = json_object_new_object();

    json_object_object_add(all, "policy", json_object_new_string(source->name));
    json_object_object_add(all, "good", json_object_new_boolean(status == CTL_OK));
    json_object_object_add(all, "channels",
                           json_object_new_int64(source->bundle ? source->bundle->count : 0));
    json_object_object_add(all, "findings", findings(lines));
    print_json(all);
}

/* With --json what is found is collected, to be told in one piece. */
static int check(const struct ctl *ctl, struct ctl_policy_source *source, int status, const char *channel)
{
    _cleanup_free_ char *lines = NULL;
    size_t size;
    FILE *out = ctl->json ? open_memstream(&lines, &size) : stdout;

    if (!out)
        return ctl_fail(CTL_FAILED, "out of memory");
    ctl_policy_findings(source, out);
    if (status == CTL_OK)
        status = lint(source, channel, out);
    if (ctl->json && fclose(out) != 0)
        return ctl_fail(CTL_FAILED, "out of memory");
    if (ctl->json)
        print_check(source, status, lines);
    else if (status == CTL_OK)
        printf("%s: good, %u %s\n", source->name, source->bundle->count,
               source->bundle->count == 1 ? "channel" : "channels");
    return status;
}

static int run_check(struct ctl *ctl, int argc, char **argv)
{
    const char *channel = NULL;
    const struct ctl_option options[] = { { "--channel", NULL, &channel, NULL }, { 0 } };
    struct ctl_policy_source source;
    int status;

    if (ctl_options(ctl, &ctl_policy_check, &argc, argv, options, &status) < 0)
        return status;
    status = ctl_policy_open(&source, argc, argv);
    status = check(ctl, &source, status, channel);
    ctl_policy_close(&source);
    return status;
}

static struct json_object *shown(const char *channel, struct bh_str text)
{
    struct json_object *object = json_object_new_object();

    json_object_object_add(object, "channel", json_object_new_string(channel));
    json_object_object_add(object, "text", json_object_new_string_len(text.ptr, (int)text.len));
    return object;
}

/* One channel as policy text, printed or added to `rows`; `row` as its `channel` line is to read. */
static int show(const struct bh_policy *policy, const struct bh_bundle_row *row, struct json_object *rows)
{
    struct bh_arena arena;
    struct bh_str text;
    int status = CTL_OK;

    bh_arena_init(&arena, DUMP_MAX);
    if (bh_policy_dump(policy, row, &arena, &text) < 0)
        status = ctl_fail(CTL_FAILED, "out of memory");
    else if (rows)
        json_object_array_add(rows, shown(row->name, text));
    else
        (void)fwrite(text.ptr, 1, text.len, stdout);
    bh_arena_deinit(&arena);
    return status;
}

static int show_channel(struct ctl_policy_source *source, const char *channel, struct json_object *rows)
{
    struct bh_bundle_row row;
    struct bh_policy policy;
    int status = ctl_policy_channel(source, channel, &policy);

    if (status != CTL_OK)
        return status;
    row = source->bundle->rows[ctl_policy_row(source, channel)];
    memcpy(row.name, policy.slice->channel, sizeof(row.name));
    return show(&policy, &row, rows);
}

static int run_show(struct ctl *ctl, int argc, char **argv)
{
    const char *channel = NULL;
    const struct ctl_option options[] = { { "--channel", NULL, &channel, NULL }, { 0 } };
    struct ctl_policy_source source;
    struct json_object *rows;
    int status;

    if (ctl_options(ctl, &ctl_policy_show, &argc, argv, options, &status) < 0)
        return status;
    rows = ctl->json ? json_object_new_array() : NULL;
    status = ctl_policy_open(&source, argc, argv);
    ctl_policy_findings(&source, stderr);
    if (status == CTL_OK && channel)
        status = show_channel(&source, channel, rows);
    for (uint32_t i = 0; status == CTL_OK && !channel && i < source.bundle->count; i++)
        status = show_channel(&source, source.bundle->rows[i].name, rows);
    if (status == CTL_OK && rows)
        print_json(json_object_get(rows));
    json_object_put(rows);
    ctl_policy_close(&source);
    return status;
}

const struct ctl_command ctl_policy_check = {
    .name = "policy check",
    .summary = "what is wrong with a policy",
    .usage = "[--channel C] [FILE ...|NAME]\n"
             "The first FILE is the main file (its drop-ins lie in FILE.d), further ones count as drop-ins.\n"
             "NAME is a shipped profile. Without one: what the agent would load.\n"
             "  --channel C       warn of what this channel's host may do only\n"
             "Exit status: 0 good (there may be warnings), 1 errors.",
    .run = run_check,
};

const struct ctl_command ctl_policy_show = {
    .name = "policy show",
    .summary = "a policy as it was understood, everything spelt out",
    .usage = "[--channel C] [FILE|NAME]\n"
             "NAME is a shipped profile. Without one: what the agent would load.\n"
             "`local` is shown as main where the policy opens no other channel.",
    .run = run_show,
};

static int run(struct ctl *ctl, int argc, char **argv)
{
    static const struct ctl_command *const commands[] = {
        &ctl_policy_check,
        &ctl_policy_explain,
        &ctl_policy_test,
        &ctl_policy_show,
        &ctl_policy_diff,
        &ctl_policy_migrate,
        NULL,
    };

    return ctl_dispatch(ctl, "policy", commands, argc, argv);
}

const struct ctl_command ctl_policy = {
    .name = "policy",
    .summary = "check, explain, test, show, compare and migrate policies",
    .run = run,
};
