/* bulkheadctl policy: its commands, of which check and show are here. */
#include <string.h>

#include "broker/ctl/policysource.h"
#include "policy/lang/lang.h"
#include "protocol/base/arena.h"

#define DUMP_MAX (16u * 1024u * 1024u) /* bytes of memory for one channel's text */

static int run_check(struct ctl *ctl, int argc, char **argv)
{
    struct ctl_policy_source source;
    int status;

    if (ctl_options(ctl, &ctl_policy_check, &argc, argv, NULL, &status) < 0)
        return status;
    status = ctl_policy_open(&source, argc, argv);
    ctl_policy_findings(&source, stdout);
    if (status == CTL_OK)
        printf("%s: good, %u %s\n", source.name, source.bundle->count,
               source.bundle->count == 1 ? "channel" : "channels");
    ctl_policy_close(&source);
    return status;
}

/* One channel as policy text. */
static int show(const struct ctl_policy_source *source, uint32_t index)
{
    struct bh_policy policy;
    struct bh_arena arena;
    struct bh_str text;
    int status = ctl_policy_slice(source, index, &policy);

    if (status != CTL_OK)
        return status;
    bh_arena_init(&arena, DUMP_MAX);
    if (bh_policy_dump(&policy, &source->bundle->rows[index], &arena, &text) == 0)
        (void)fwrite(text.ptr, 1, text.len, stdout);
    else
        status = ctl_fail(CTL_FAILED, "out of memory");
    bh_arena_deinit(&arena);
    return status;
}

static int run_show(struct ctl *ctl, int argc, char **argv)
{
    const char *channel = NULL;
    const struct ctl_option options[] = { { "--channel", NULL, &channel, NULL }, { 0 } };
    struct ctl_policy_source source;
    bool found = false;
    int status;

    if (ctl_options(ctl, &ctl_policy_show, &argc, argv, options, &status) < 0)
        return status;
    status = ctl_policy_open(&source, argc, argv);
    ctl_policy_findings(&source, stderr);
    for (uint32_t i = 0; status == CTL_OK && i < source.bundle->count; i++) {
        if (channel && strcmp(source.bundle->rows[i].name, channel) != 0)
            continue;
        found = true;
        status = show(&source, i);
    }
    if (status == CTL_OK && !found)
        status = ctl_fail(CTL_USAGE, "%s opens no channel %s", source.name, channel ? channel : "at all");
    ctl_policy_close(&source);
    return status;
}

const struct ctl_command ctl_policy_check = {
    .name = "policy check",
    .summary = "what is wrong with a policy",
    .usage = "[FILE ...]\n"
             "The first FILE is the main file (its drop-ins lie in FILE.d), further ones count as drop-ins.\n"
             "Without one: what the agent would load. Exit status: 0 good, 1 errors.",
    .run = run_check,
};

const struct ctl_command ctl_policy_show = {
    .name = "policy show",
    .summary = "a policy as it was understood, everything spelt out",
    .usage = "[--channel C] [FILE|NAME]\n"
             "NAME is a shipped profile. Without one: what the agent would load.",
    .run = run_show,
};

static int run(struct ctl *ctl, int argc, char **argv)
{
    static const struct ctl_command *const commands[] = {
        &ctl_policy_check, &ctl_policy_explain, &ctl_policy_test, &ctl_policy_show, NULL,
    };

    return ctl_dispatch(ctl, "policy", commands, argc, argv);
}

const struct ctl_command ctl_policy = {
    .name = "policy",
    .summary = "check, explain, test and show policies",
    .run = run,
};
