/* bulkheadctl audit show: the log for eyes, or the lines that match for programs. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include <json-c/json.h>

#include "broker/ctl/log.h"
#include "broker/ctl/statusfile.h"
#include "protocol/base/mem.h"

#define LAST_MAX 1000000u

struct filter {
    const char *since, *kind, *source, *command, *of, *last;
    uint64_t act;  /* a number: this record and those that tell more of it; 0: all */
    char from[40]; /* RFC 3339: comparable as text */
};

/* The last n lines that match; without a limit each is printed at once. */
struct tail {
    char **lines;
    size_t cap, n;
    bool any; /* a line matched */
};

/* "90s", "15m", "3h", "2d" ago, or an RFC 3339 time or its beginning, in UTC. */
static bool set_since(struct filter *filter, const char *text)
{
    char *unit;
    long long amount = strtoll(text, &unit, 10);
    long long seconds = *unit == 's' ? 1 : *unit == 'm' ? 60 : *unit == 'h' ? 3600 : *unit == 'd' ? 86400 : 0;
    time_t then;
    struct tm tm;

    if (seconds > 0 && unit[1] == '\0' && amount >= 0 && amount < 1000000) {
        then = time(NULL) - (time_t)(amount * seconds);
        return gmtime_r(&then, &tm) &&
               strftime(filter->from, sizeof(filter->from), "%Y-%m-%dT%H:%M:%S", &tm) > 0;
    }
    if (strlen(text) >= sizeof(filter->from) || !strptime(text, "%Y-%m-%d", &tm))
        return false;
    (void)snprintf(filter->from, sizeof(filter->from), "%s", text);
    return true;
}

static bool is(struct json_object *record, const char *name, const char *wanted)
{
    return !wanted || strcmp(ctl_json_text(record, name, ""), wanted) == 0;
}

static bool is_number(struct json_object *record, const char *name, uint64_t wanted)
{
    struct json_object *value;

    return json_object_object_get_ex(record, name, &value) && json_object_get_uint64(value) == wanted;
}

static bool matches(const struct filter *filter, struct json_object *record)
{
    if (filter->act && !is_number(record, "n", filter->act) && !is_number(record, "of", filter->act))
        return false;
    return is(record, "kind", filter->kind) && is(record, "src", filter->source) &&
           is(record, "cmd", filter->command) && strcmp(ctl_json_text(record, "time", ""), filter->from) >= 0;
}

static void print_text(struct json_object *record, const char *name, const char *before)
{
    const char *text = ctl_json_text(record, name, NULL);

    if (!text)
        return;
    fputs(before, stdout);
    ctl_print_clean(stdout, text);
}

static void print_number(struct json_object *record, const char *name, const char *before)
{
    struct json_object *value;

    if (json_object_object_get_ex(record, name, &value))
        printf("%s%" PRIu64, before, json_object_get_uint64(value));
}

static void print_counts(struct json_object *record)
{
    struct json_object *counts;

    if (!json_object_object_get_ex(record, "counts", &counts) ||
        !json_object_is_type(counts, json_type_object))
        return;
    json_object_object_foreach(counts, name, value)
    {
        fputs("  ", stdout);
        ctl_print_clean(stdout, name);
        printf(" x%" PRId64, json_object_get_int64(value));
    }
}

static void print_record(struct json_object *record)
{
    static const char *const plain[][2] = {
        { "obj", "  " }, { "user", "  as " }, { "rule", "  rule " }, { "code", "  " }, { "errno", "  " },
    };
    static const char *const numbers[][2] = {
        { "of", "  of " },           { "handle", "  handle " },  { "read", "  read " },
        { "written", "  written " }, { "segment", "  number " }, { "count", "  count " },
    };
    struct json_object *value;

    printf("%-27s ", ctl_json_text(record, "time", "?"));
    if (json_object_object_get_ex(record, "n", &value))
        printf("%8" PRIu64 " ", json_object_get_uint64(value));
    else
        printf("%8s ", "-");
    ctl_print_clean(stdout, ctl_json_text(record, "src", "?"));
    print_text(record, "kind", "  ");
    print_text(record, "cmd", "  ");
    for (size_t i = 0; i < BH_ARRAY_SIZE(plain); i++)
        print_text(record, plain[i][0], plain[i][1]);
    for (size_t i = 0; i < BH_ARRAY_SIZE(numbers); i++)
        print_number(record, numbers[i][0], numbers[i][1]);
    print_counts(record);
    print_text(record, "text", "  ");
    print_text(record, "note", "  note: ");
    putchar('\n');
}

static void print(const struct ctl *ctl, const char *line)
{
    struct json_object *record;

    if (ctl->json) {
        fputs(line, stdout);
        return;
    }
    record = json_tokener_parse(line);
    print_record(record);
    json_object_put(record);
}

/* Keeps or prints a line that matches. */
static int add(const struct ctl *ctl, struct tail *tail, const char *line)
{
    char **place;

    tail->any = true;
    if (tail->cap == 0) {
        print(ctl, line);
        return CTL_OK;
    }
    place = &tail->lines[tail->n++ % tail->cap];
    free(*place);
    *place = strdup(line);
    return *place ? CTL_OK : ctl_fail(CTL_FAILED, "out of memory");
}

static int show_segment(const struct ctl *ctl, const struct filter *filter, FILE *file, struct tail *tail)
{
    _cleanup_free_ char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    int status = CTL_OK;

    while (status == CTL_OK && (len = getline(&line, &cap, file)) > 0) {
        struct json_object *record = line[len - 1] == '\n' ? json_tokener_parse(line) : NULL;

        if (record && json_object_is_type(record, json_type_object) && matches(filter, record))
            status = add(ctl, tail, line);
        json_object_put(record);
    }
    return status;
}

static int show(const struct ctl *ctl, const struct filter *filter, const struct ctl_log *log,
                struct tail *tail)
{
    int status = CTL_OK;

    for (size_t i = 0; i < log->n && status == CTL_OK; i++) {
        _cleanup_fclose_ FILE *file = ctl_log_segment(log, log->segments[i]);

        if (file)
            status = show_segment(ctl, filter, file, tail);
        else
            status = ctl_fail(CTL_FAILED, "an audit segment cannot be opened: %s", strerror(errno));
    }
    for (size_t i = tail->n > tail->cap ? tail->n - tail->cap : 0; i < tail->n; i++)
        print(ctl, tail->lines[i % tail->cap]);
    return status;
}

static int set_filter(struct filter *filter, struct tail *tail)
{
    uint64_t last = 0;

    if (filter->since && !set_since(filter, filter->since))
        return ctl_usage(&ctl_audit_show, "--since takes 15m, 3h, 2d or a UTC time such as 2026-03-01T12:00");
    if (filter->of && (!ctl_number(filter->of, UINT64_MAX, &filter->act) || filter->act == 0))
        return ctl_usage(&ctl_audit_show, "--of takes the number of a record");
    if (filter->last && (!ctl_number(filter->last, LAST_MAX, &last) || last == 0))
        return ctl_usage(&ctl_audit_show, "-n takes a number from 1 to %u", LAST_MAX);
    tail->cap = (size_t)last;
    tail->lines = last ? calloc(tail->cap, sizeof(*tail->lines)) : NULL;
    return last && !tail->lines ? ctl_fail(CTL_FAILED, "out of memory") : CTL_OK;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    struct filter filter = { 0 };
    const char *dir = NULL;
    const struct ctl_option options[] = {
        { "--dir", NULL, &dir, NULL },
        { "--since", NULL, &filter.since, NULL },
        { "--kind", NULL, &filter.kind, NULL },
        { "--source", NULL, &filter.source, NULL },
        { "--command", NULL, &filter.command, NULL },
        { "--of", NULL, &filter.of, NULL },
        { "--last", "-n", &filter.last, NULL },
        { 0 },
    };
    struct tail tail = { 0 };
    struct ctl_log log;
    int status;

    if (ctl_options(ctl, &ctl_audit_show, &argc, argv, options, &status) < 0)
        return status;
    if (argc > 0)
        return ctl_usage(&ctl_audit_show, "%s is one word too many", argv[0]);
    status = set_filter(&filter, &tail);
    if (status != CTL_OK)
        return status;
    status = ctl_log_open(&log, ctl, dir);
    if (status == CTL_OK)
        status = show(ctl, &filter, &log, &tail);
    if (status == CTL_OK && !tail.any)
        fprintf(stderr, "No record in %s matches.\n", log.path);
    ctl_log_close(&log);
    for (size_t i = 0; i < tail.cap; i++)
        free(tail.lines[i]);
    free(tail.lines);
    return status;
}

const struct ctl_command ctl_audit_show = {
    .name = "audit show",
    .summary = "what was done, refused and counted",
    .usage = "[--dir DIR] [--since T] [--kind K] [--source S] [--command C] [--of N] [-n N]\n"
             "Prints the records that match; with --json their lines as they stand in the log.\n"
             "  --dir DIR         the audit folder (default: the agent's)\n"
             "  --since T         15m, 3h, 2d, or a UTC time such as 2026-03-01T12:00\n"
             "  --kind K          act, result, refused, summary, closed, event, claim, lost, gap, segment\n"
             "  --source S        who wrote it: main/fs, supervisor, audit\n"
             "  --command C       guest-file-open\n"
             "  --of N            record N and all that tell more of it: one execution, its end, its output\n"
             "  -n N              only the last N",
    .run = run,
};
