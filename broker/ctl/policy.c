/* bulkheadctl policy: its commands, of which check and show are here. */
#include <string.h>

#include "broker/ctl/lint.h"
#include "broker/ctl/policysource.h"
#include "policy/lang/lang.h"
#include "protocol/base/arena.h"

#define DUMP_MAX (16u * 1024u * 1024u) /* bytes of memory for one channel's text */

/* What check says beyond the compiler, of one channel or of all. */
static int lint(struct ctl_policy_source *source, const char *channel)
{
    struct bh_policy policy;
    int status = CTL_OK;

    if (channel) {
        status = ctl_policy_channel(source, channel, &policy);
        if (status == CTL_OK)
            ctl_lint(&policy, stdout);
        return status;
    }
    for (uint32_t i = 0; status == CTL_OK && i < source->bundle->count; i++) {
        status = ctl_policy_slice(source, i, &policy);
        if (status == CTL_OK)
            ctl_lint(&policy, stdout);
    }
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
    ctl_policy_findings(&source, stdout);
    if (status == CTL_OK)
        status = lint(&source, channel);
    if (status == CTL_OK)
        printf("%s: good, %u %s\n", source.name, source.bundle->count,
               source.bundle->count == 1 ? "channel" : "channels");
    ctl_policy_close(&source);
    return status;
}

/* One channel as policy text; `row` as its `channel` line is to read. */
static int show(const struct bh_policy *policy, const struct bh_bundle_row *row)
{
    struct bh_arena arena;
    struct bh_str text;
    int status = CTL_OK;

    bh_arena_init(&arena, DUMP_MAX);
    if (bh_policy_dump(policy, row, &arena, &text) == 0)
        (void)fwrite(text.ptr, 1, text.len, stdout);
    else
        status = ctl_fail(CTL_FAILED, "out of memory");
    bh_arena_deinit(&arena);
    return status;
}

static int show_channel(struct ctl_policy_source *source, const char *channel)
{
    struct bh_bundle_row row;
    struct bh_policy policy;
    int status = ctl_policy_channel(source, channel, &policy);

    if (status != CTL_OK)
        return status;
    row = source->bundle->rows[ctl_policy_row(source, channel)];
    memcpy(row.name, policy.slice->channel, sizeof(row.name));
    return show(&policy, &row);
}

static int run_show(struct ctl *ctl, int argc, char **argv)
{
    const char *channel = NULL;
    const struct ctl_option options[] = { { "--channel", NULL, &channel, NULL }, { 0 } };
    struct ctl_policy_source source;
    int status;

    if (ctl_options(ctl, &ctl_policy_show, &argc, argv, options, &status) < 0)
        return status;
    status = ctl_policy_open(&source, argc, argv);
    ctl_policy_findings(&source, stderr);
    if (status == CTL_OK && channel)
        status = show_channel(&source, channel);
    for (uint32_t i = 0; status == CTL_OK && !channel && i < source.bundle->count; i++)
        status = show_channel(&source, source.bundle->rows[i].name);
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
