/*
 * bulkheadctl policy diff: what a change of policy grants and takes away, and in its exit
 * status whether anything became wider. Commands are asked of the evaluator, one by one;
 * rules that choose among files, names or mounts are compared in diffrules.c; what cannot be decided counts
 * as wider.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "broker/ctl/diff.h"
#include "policy/confine/confine.h"
#include "policy/eval.h"
#include "policy/lang/settings.h"
#include "protocol/commands.h"

#define RUNNING "--running"
#define TEXT_MAX 600

/* Exit statuses of this command. */
enum { DIFF_NOT_WIDER = 0, DIFF_WIDER = 1, DIFF_ERROR = 2 };

static const char *const words[] = { "same", "narrower", "wider", "changed" };

void ctl_diff_tell(const struct ctl_diff *diff, const char *channel, enum ctl_change change, const char *kind,
                   const char *format, ...)
{
    static const char marks[] = "=-+~";
    struct json_object *row;
    char text[TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (!diff->rows) {
        printf("%s%s%c ", channel, *channel ? ": " : "", marks[change]);
        ctl_print_clean(stdout, text);
        putchar('\n');
        return;
    }
    row = json_object_new_object();
    json_object_object_add(row, "channel", json_object_new_string(channel));
    json_object_object_add(row, "kind", json_object_new_string(kind));
    json_object_object_add(row, "change", json_object_new_string(words[change]));
    json_object_object_add(row, "text", json_object_new_string(text));
    json_object_array_add(diff->rows, row);
}

void ctl_diff_count(struct ctl_diff *diff, enum ctl_change change)
{
    diff->wider = diff->wider || change == CTL_WIDER || change == CTL_UNDECIDED;
    diff->narrower = diff->narrower || change == CTL_NARROWER;
}

/* Which rule grants the command; "" for guest-file-open, whose rules are told one by one. */
static const char *granted_by(const struct bh_policy *policy, unsigned command, char ret[280])
{
    struct bh_decision decision = bh_policy_command(policy, command, NULL);
    char text[256];

    ret[0] = '\0';
    if (decision.verdict == BH_VERDICT_ALLOW)
        (void)snprintf(ret, 280, ", by %s",
                       ctl_diff_rule_text((struct ctl_rule){ policy, &policy->rules[decision.rule] }, text));
    return ret;
}

static void compare_commands(struct ctl_diff *diff, const char *channel, const struct bh_policy *old,
                             const struct bh_policy *new)
{
    for (unsigned i = 0; i < BH_CMD_COUNT; i++) {
        bool before = bh_policy_grants(old, i), after = bh_policy_grants(new, i);
        char by[280];

        if (before == after)
            continue;
        ctl_diff_count(diff, after ? CTL_WIDER : CTL_NARROWER);
        if (after)
            ctl_diff_tell(diff, channel, CTL_WIDER, "command", "%s is granted now%s", bh_commands[i].name,
                          granted_by(new, i, by));
        else
            ctl_diff_tell(diff, channel, CTL_NARROWER, "command", "%s is not granted any more (it was%s)",
                          bh_commands[i].name, granted_by(old, i, by));
    }
}

/* How a channel is opened; `local` has no way, and neither has a `main` of the command line. */
static void way_of(const struct ctl_policy_source *source, const char *channel, char ret[160])
{
    const struct bh_bundle_row *row = &source->bundle->rows[ctl_policy_row(source, channel)];

    if (row->method[0])
        (void)snprintf(ret, 160, "%s:%s", row->method, row->path);
    else
        (void)snprintf(ret, 160, "%s",
                       strcmp(channel, "local") == 0 ? "the agent itself" : "the command line");
}

static int compare_channel(struct ctl_diff *diff, const char *channel)
{
    struct bh_policy old, new;
    char before[160], after[160];
    int status = ctl_policy_channel(&diff->old, channel, &old);

    if (status == CTL_OK)
        status = ctl_policy_channel(&diff->new, channel, &new);
    if (status != CTL_OK)
        return status;
    way_of(&diff->old, channel, before);
    way_of(&diff->new, channel, after);
    if (strcmp(before, after) != 0) {
        ctl_diff_count(diff, CTL_UNDECIDED);
        ctl_diff_tell(diff, channel, CTL_UNDECIDED, "channel",
                      "opened by %s, and not by %s any more; this counts as wider", after, before);
    }
    compare_commands(diff, channel, &old, &new);
    ctl_diff_names(diff, channel, &old, &new);
    return CTL_OK;
}

/* A channel that only one of the two has. */
static int tell_alone(struct ctl_diff *diff, struct ctl_policy_source *source, const char *channel,
                      enum ctl_change change)
{
    struct bh_policy policy;
    unsigned granted = 0;
    char way[160];
    int status = ctl_policy_channel(source, channel, &policy);

    if (status != CTL_OK)
        return status;
    for (unsigned i = 0; i < BH_CMD_COUNT; i++)
        granted += bh_policy_grants(&policy, i);
    way_of(source, channel, way);
    ctl_diff_count(diff, change);
    ctl_diff_tell(diff, channel, change, "channel", "the channel is %s: opened by %s, %u commands granted",
                  change == CTL_WIDER ? "new" : "gone", way, granted);
    return CTL_OK;
}

/* A channel that OLD or NEW names, in both. */
static int compare_name(struct ctl_diff *diff, const char *channel)
{
    bool before = ctl_policy_row(&diff->old, channel) >= 0, after = ctl_policy_row(&diff->new, channel) >= 0;

    if (before && after)
        return compare_channel(diff, channel);
    if (before || after)
        return tell_alone(diff, before ? &diff->old : &diff->new, channel, after ? CTL_WIDER : CTL_NARROWER);
    return CTL_OK;
}

static bool names_channel(const struct ctl_policy_source *source, const char *channel)
{
    int row = ctl_policy_row(source, channel);

    return row >= 0 && strcmp(source->bundle->rows[row].name, channel) == 0;
}

/* Where neither policy opens channels, `local` is main under another name, and is not told twice. */
static int compare_channels(struct ctl_diff *diff)
{
    const struct bh_bundle *old = diff->old.bundle, *new = diff->new.bundle;
    int status = CTL_OK;

    for (uint32_t i = 0; i < old->count && status == CTL_OK; i++)
        status = compare_name(diff, old->rows[i].name);
    for (uint32_t i = 0; i < new->count &&status == CTL_OK; i++)
        if (!names_channel(&diff->old, new->rows[i].name))
            status = compare_name(diff, new->rows[i].name);
    if (status == CTL_OK && bh_bundle_governs_local(old) != bh_bundle_governs_local(new) &&
        !names_channel(&diff->old, "local") && !names_channel(&diff->new, "local"))
        status = compare_name(diff, "local");
    return status;
}

/* Does the new value let more happen? A setting that is not known here is not guessed at. */
static enum ctl_change setting_change(const struct bh_setting_row *row, uint64_t old, uint64_t new)
{
    if (row->type == BH_TYPE_WORDS && (old & new) != old &&
        (old & new) != new) /* some words gone, some new */
        return CTL_UNDECIDED;
    switch (row->slot) {
    case BH_SET_HANDLE_IDLE_S:
    case BH_SET_EXEC_IDLE_S:
    case BH_SET_FREEZE_TIMEOUT_S: /* 0 is never */
        return new - 1 > old - 1 ? CTL_WIDER : CTL_NARROWER;
    case BH_SET_EXPLAIN_TO_CLIENT:
    case BH_SET_AUDIT_FAILURE:
    case BH_SET_VSOCK_PEERS:
    case BH_SET_FREEZE_ON_RESTART:
    case BH_SET_HOOK_TIMEOUT_S:
    case BH_SET_NVME_SMART:
    case BH_SET_ON_RESTART:
        return new > old ? CTL_WIDER : CTL_NARROWER;
    default:
        return CTL_UNDECIDED;
    }
}

static void compare_fences(struct ctl_diff *diff, const uint64_t *old, const uint64_t *new)
{
    static const char *const levels[] = { "off", "preferred", "required" };

    for (uint32_t bit = 1; bh_fence_name(bit); bit <<= 1) {
        unsigned before = old[BH_SET_FENCES_REQUIRED] & bit ? 2 : old[BH_SET_FENCES_OFF] & bit ? 0 : 1;
        unsigned after = new[BH_SET_FENCES_REQUIRED] & bit ? 2 : new[BH_SET_FENCES_OFF] & bit ? 0 : 1;

        if (before == after)
            continue;
        ctl_diff_count(diff, after < before ? CTL_WIDER : CTL_NARROWER);
        ctl_diff_tell(diff, "", after < before ? CTL_WIDER : CTL_NARROWER, "setting",
                      "fence-%s is %s; it was %s", bh_fence_name(bit), levels[after], levels[before]);
    }
}

static void value_text(const struct bh_setting_row *row, uint64_t value, char ret[64])
{
    size_t at = 0;

    if (row->type == BH_TYPE_WORD)
        (void)snprintf(ret, 64, "%.60s", row->words[value]);
    else if (row->type != BH_TYPE_WORDS)
        (void)snprintf(ret, 64, "%llu%s", (unsigned long long)value,
                       row->type == BH_TYPE_DURATION ? "s" : "");
    for (unsigned i = 0; row->type == BH_TYPE_WORDS && row->words[i] && at < 64; i++)
        if (value >> i & 1)
            at += (size_t)snprintf(ret + at, 64 - at, "%s%s", at ? " " : "", row->words[i]);
}

/* They are of the whole policy: any slice has them. */
static int compare_settings(struct ctl_diff *diff)
{
    struct bh_policy old, new;
    int status = ctl_policy_slice(&diff->old, 0, &old);

    if (status == CTL_OK)
        status = ctl_policy_slice(&diff->new, 0, &new);
    for (unsigned i = 0; status == CTL_OK && i < bh_n_settings; i++) {
        const struct bh_setting_row *row = &bh_settings[i];
        uint64_t before, after;
        char was[64], is[64];

        if (row->domain != BH_DOMAIN_SET || row->type == BH_TYPE_FENCE)
            continue;
        before = old.slice->settings[row->slot];
        after = new.slice->settings[row->slot];
        if (before == after)
            continue;
        value_text(row, before, was);
        value_text(row, after, is);
        ctl_diff_count(diff, setting_change(row, before, after));
        ctl_diff_tell(diff, "", setting_change(row, before, after), "setting", "%s is %s; it was %s",
                      row->name, is, was);
    }
    if (status == CTL_OK)
        compare_fences(diff, old.slice->settings, new.slice->settings);
    return status;
}

static int finish(struct ctl_diff *diff)
{
    const char *result = diff->wider ? "wider" : diff->narrower ? "narrower" : "same";
    struct json_object *all;

    if (diff->rows) {
        all = json_object_new_object();
        json_object_object_add(all, "changes", json_object_get(diff->rows));
        json_object_object_add(all, "result", json_object_new_string(result));
        puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(all);
    } else {
        puts(result);
    }
    return diff->wider ? DIFF_WIDER : DIFF_NOT_WIDER;
}

static int open_one(struct ctl_policy_source *source, const struct ctl *ctl, char *name)
{
    int status =
        strcmp(name, RUNNING) == 0 ? ctl_policy_open_running(source, ctl) : ctl_policy_open(source, 1, &name);

    if (status != CTL_OK)
        ctl_policy_findings(source, stderr);
    return status;
}

static int diff_names(const struct ctl *ctl, char **names)
{
    struct ctl_diff diff = { .rows = ctl->json ? json_object_new_array() : NULL };
    int status = open_one(&diff.old, ctl, names[0]);

    if (status == CTL_OK)
        status = open_one(&diff.new, ctl, names[1]);
    if (status == CTL_OK)
        status = compare_channels(&diff);
    if (status == CTL_OK)
        status = compare_settings(&diff);
    status = status == CTL_OK ? finish(&diff) : DIFF_ERROR;
    ctl_policy_close(&diff.old);
    ctl_policy_close(&diff.new);
    json_object_put(diff.rows);
    return status;
}

/* --running stands for a policy, so its place counts: it is kept from the options, which may stand anywhere.
 */
static int run(struct ctl *ctl, int argc, char **argv)
{
    char running[] = "-", in_force[] = RUNNING; /* the first is a word that no option is */
    int status;

    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], RUNNING) == 0)
            argv[i] = running;
    if (ctl_options(ctl, &ctl_policy_diff, &argc, argv, NULL, &status) < 0)
        return status;
    if (argc != 2)
        return ctl_usage(&ctl_policy_diff, "it takes two policies, OLD and NEW");
    for (int i = 0; i < argc; i++)
        if (argv[i] == running)
            argv[i] = in_force;
    return diff_names(ctl, argv);
}

const struct ctl_command ctl_policy_diff = {
    .name = "policy diff",
    .summary = "what a change of policy grants and takes away",
    .usage =
        "OLD NEW\n"
        "Each is a shipped profile, a policy file (with its drop-ins), or --running: what governs the agent "
        "of\n"
        "--state-dir now, its -a and -b left out. A line begins with + where more is granted, - where less,\n"
        "~ where it is only certain that it changed; the last line is wider, narrower or same.\n"
        "Exit status: 0 same or narrower; 1 wider, or not certainly narrower; 2 an error.",
    .run = run,
};
