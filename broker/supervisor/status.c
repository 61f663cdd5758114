/*
 * status.json: who runs, with which fences, and what each channel did. Written at the
 * start, after a death, and on SIGUSR1 (which `bulkheadctl status` sends): a new file
 * beside the old one, then a rename, so that a reader never sees half of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/audit/store.h"
#include "broker/supervisor/json.h"
#include "broker/supervisor/narrow.h"
#include "broker/supervisor/restart.h"
#include "broker/supervisor/way.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "protocol/base/sha256.h"

static void fences(FILE *out, const char *name, uint32_t mask)
{
    const char *comma = "";

    fprintf(out, "\"%s\": [", name);
    for (uint32_t bit = 1; bit; bit <<= 1) {
        const char *word = mask & bit ? bh_fence_name(bit) : NULL;

        if (!word)
            continue;
        fprintf(out, "%s\"%s\"", comma, word);
        comma = ", ";
    }
    fputc(']', out);
}

uint32_t bh_fences(const struct bh_supervisor *s, const struct bh_process *process)
{
    return process->state ? process->state->fences : s->audit_state->fences;
}

static void process_row(FILE *out, const struct bh_supervisor *s, const struct bh_process *process)
{
    const struct bh_profile *profile = bh_roster[process->role].profile;
    const struct bh_policy *policy =
        process->channel < 0 ? bh_any_policy(s) : &s->channels[process->channel].policy;
    uint32_t meant = bh_profile_fences(profile) & ~(uint32_t)policy->slice->settings[BH_SET_FENCES_OFF];

    fputs("    {", out);
    bh_json_member(out, "name", profile->program);
    bh_json_member(out, "role", bh_roster[process->role].name);
    bh_json_member(out, "label", process->label);
    bh_json_member(out, "channel", process->channel < 0 ? "" : policy->slice->channel);
    fprintf(out, "\"pid\": %d, \"restarts\": %u, ", (int)process->pid, process->restarts);
    fences(out, "fences", bh_fences(s, process));
    fputs(", ", out);
    fences(out, "missing", meant & ~bh_fences(s, process));
    fputc('}', out);
}

static void processes(FILE *out, const struct bh_supervisor *s)
{
    const char *comma = "";

    fputs("  \"processes\": [", out);
    for (unsigned i = 0; i < s->n_processes; i++) {
        if (!s->processes[i].pid || s->processes[i].evicted)
            continue;
        fprintf(out, "%s\n", comma);
        process_row(out, s, &s->processes[i]);
        comma = ",";
    }
    fputs("\n  ]\n", out);
}

/* What clients were told, as the front counts it (what was decided stands in the audit log), and what workers
 * hold for them. */
struct channel_counts {
    uint64_t requests, denials, failures, handles, executions, results;
};

/* What a worker held is gone with it. */
static void count_held(const struct bh_process *process, struct channel_counts *counts)
{
    if (!process->pid)
        return;
    counts->handles += process->state->open_handles;
    if (process->role == BH_ROLE_SPOOL)
        counts->results += process->state->executions;
    else
        counts->executions += process->state->executions;
}

static struct channel_counts count(const struct bh_supervisor *s, int index)
{
    struct channel_counts counts = { 0 };

    for (unsigned i = 0; i < s->n_processes; i++) {
        const struct bh_process *process = &s->processes[i];

        if (process->channel != index)
            continue;
        count_held(process, &counts);
        if (process->role != BH_ROLE_FRONT)
            continue;
        counts.requests = process->state->requests;
        counts.denials = process->state->denials;
        counts.failures = process->state->failures;
    }
    return counts;
}

static void number(FILE *out, const char *name, uint64_t value, const char *after)
{
    fprintf(out, "\"%s\": %llu%s", name, (unsigned long long)value, after);
}

static void channel_row(FILE *out, const struct bh_supervisor *s, int index)
{
    const struct bh_channel_row *channel = &s->channels[index];
    const struct channel_counts counts = count(s, index);

    fputs("    {", out);
    bh_json_member(out, "name", channel->policy.slice->channel);
    bh_json_member(out, "method", channel->way->name);
    bh_json_member(out, "path", channel->path);
    bh_json_member(out, "host", bh_channel_host(channel));
    number(out, "requests", counts.requests, ", ");
    number(out, "denials", counts.denials, ", ");
    number(out, "failures", counts.failures, ", ");
    number(out, "handles", counts.handles, ", ");
    number(out, "executions", counts.executions, ", ");
    number(out, "results", counts.results, "}");
}

static void channels(FILE *out, const struct bh_supervisor *s)
{
    const char *comma = "";

    fputs("  \"channels\": [", out);
    for (unsigned i = 0; i < s->n_channels; i++) {
        if (!s->channels[i].row)
            continue;
        fprintf(out, "%s\n", comma);
        channel_row(out, s, (int)i);
        comma = ",";
    }
    fputs("\n  ],\n", out);
}

static void missing(FILE *out, const struct bh_supervisor *s)
{
    fputs("  \"missing\": [", out);
    if (!s->privileged)
        bh_json_text(out,
                     "started by an ordinary user: no users of its own, no capabilities, no private views; "
                     "what this user may do is served, as this user, whatever user a rule names");
    fputs("],\n", out);
}

struct list {
    FILE *out;
    const char *comma;
};

static void list_name(void *context, const char *name, int len, int command)
{
    struct list *list = context;

    (void)command;
    fputs(list->comma, list->out);
    bh_json_string(list->out, name, (size_t)len);
    list->comma = ", ";
}

/* A list of -a or -b; null where none was given, which is not the same as one that names nothing. */
static void list(FILE *out, const char *name, const char *names)
{
    struct list list = { out, "" };

    fprintf(out, "\"%s\": %s", name, names ? "[" : "null");
    bh_narrow_each(names, list_name, &list);
    fputs(names ? "], " : ", ", out);
}

static void digest(FILE *out, const struct bh_supervisor *s)
{
    char text[BH_SHA256_TEXT];

    bh_sha256_text(bh_any_policy(s)->slice->digest, text);
    fprintf(out, "\"digest\": \"%s\"}", text);
}

/* What came of the last SIGHUP. */
static void reload(FILE *out, const struct bh_supervisor *s)
{
    fputs("  \"reload\": {", out);
    bh_json_member(out, "outcome", s->reload.word ? s->reload.word : "");
    bh_json_member(out, "message", s->reload.message);
    bh_json_member(out, "time", s->reload.time);
    fprintf(out, "\"count\": %llu},\n", (unsigned long long)s->reload.count);
}

/* The path of a file of ours, or null where there is none. */
static void place(FILE *out, const char *name, const char *path)
{
    if (path)
        bh_json_member(out, name, path);
    else
        fprintf(out, "\"%s\": null, ", name);
}

static void document(FILE *out, const struct bh_supervisor *s)
{
    fprintf(out, "{\n  \"generation\": %llu, \"pid\": %d, ", (unsigned long long)s->generation,
            (int)getpid());
    bh_json_member(out, "version", BH_VERSION);
    bh_json_member(out, "level", BH_PROTOCOL_LEVEL);
    bh_json_member(out, "started", s->started);
    fprintf(out, "\"restarted\": %u, ", bh_restart_count());
    place(out, "log-file", s->options.log_file || !s->options.daemon ? s->options.log_file : "/dev/null");
    place(out, "pid-file", s->options.daemon ? s->options.pid_file : NULL);
    fputs("\n  \"policy\": {", out);
    bh_json_member(out, "source", s->policy_source);
    bh_json_member(out, "state", s->policy_state);
    bh_json_member(out, "message", s->policy_message);
    bh_json_member(out, "loaded", s->loaded);
    digest(out, s);
    fputs(",\n", out);
    reload(out, s);
    list(out, "allow-rpcs", s->options.allow_rpcs);
    list(out, "block-rpcs", s->options.block_rpcs);
    missing(out, s);
    fputs("  \"audit\": {", out);
    bh_json_member(out, "dir", bh_log_store_path(s->store));
    fprintf(out, "\"segment\": %llu},\n", (unsigned long long)bh_log_store_segment(s->store));
    bh_status_freeze(out, s->frozen);
    channels(out, s);
    processes(out, s);
    fputs("}\n", out);
}

void bh_status_write(struct bh_supervisor *s)
{
    char path[600], next[608];
    _cleanup_fclose_ FILE *out = NULL;
    mode_t old;

    if (!bh_may_write(s, s->home))
        return; /* a state folder that is frozen itself: nobody waits for it */
    old = umask(0177);
    s->generation++;
    (void)snprintf(path, sizeof(path), "%s/status.json", s->home);
    (void)snprintf(next, sizeof(next), "%s.new", path);
    (void)unlink(next);
    out = fopen(next, "wxe");
    (void)umask(old);
    if (out)
        document(out, s);
    if (!out || fflush(out) || ferror(out) || rename(next, path) < 0)
        bh_log(BH_LOG_WARNING, "%s could not be written: %s", path, strerror(errno));
}
