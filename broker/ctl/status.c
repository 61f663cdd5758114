/* bulkheadctl status: what the agent says of itself, and what /proc says of it. */
#include <inttypes.h>
#include <string.h>

#include <json-c/json.h>

#include "broker/ctl/procinfo.h"
#include "broker/ctl/statusfile.h"
#include "policy/confine/caps.h"
#include "protocol/base/mem.h"

static struct json_object *list(struct json_object *object, const char *name)
{
    struct json_object *found;

    return json_object_object_get_ex(object, name, &found) && json_object_is_type(found, json_type_array)
               ? found
               : NULL;
}

static size_t count(struct json_object *array)
{
    return array ? json_object_array_length(array) : 0;
}

static struct json_object *part(struct json_object *object, const char *name)
{
    struct json_object *found = NULL;

    (void)json_object_object_get_ex(object, name, &found);
    return found;
}

static void print_row(const char *name, const char *value)
{
    if (!*value)
        return;
    printf("%-10s ", name);
    ctl_print_clean(stdout, value);
    putchar('\n');
}

/* A list of -a or -b, which may be one that names nothing. */
static void print_list(const char *name, struct json_object *names)
{
    if (!json_object_is_type(names, json_type_array))
        return;
    printf("%-10s", name);
    for (size_t i = 0; i < count(names); i++) {
        putchar(' ');
        ctl_print_clean(stdout, json_object_get_string(json_object_array_get_idx(names, i)));
    }
    putchar('\n');
}

/* What came of the last SIGHUP, if there was one. */
static void print_reload(struct json_object *reload)
{
    const char *message = ctl_json_text(reload, "message", "");

    if (!*message)
        return;
    printf("%-10s ", "reload");
    ctl_print_clean(stdout, ctl_json_text(reload, "time", "?"));
    fputs(": ", stdout);
    ctl_print_clean(stdout, message);
    putchar('\n');
}

static void print_words_of(const char *words, struct json_object *object, const char *name)
{
    const char *text = ctl_json_text(object, name, "");

    if (!*text)
        return;
    fputs(words, stdout);
    ctl_print_clean(stdout, text);
}

/* The last freeze, or the one that holds. Nothing where there was none. */
static void print_freeze(struct json_object *freeze)
{
    struct json_object *mounts = list(freeze, "mounts");

    if (!*ctl_json_text(freeze, "began", ""))
        return;
    printf("%-10s ", "freeze");
    ctl_print_clean(stdout, ctl_json_text(freeze, "state", "?"));
    print_words_of(", for channel ", freeze, "channel");
    print_words_of(", begun ", freeze, "began");
    print_words_of(", thaws by itself ", freeze, "thaws-itself");
    print_words_of(", thawed ", freeze, "thawed");
    print_words_of(" (", freeze, "cause");
    puts(*ctl_json_text(freeze, "cause", "") ? ")" : "");
    for (size_t i = 0; i < count(mounts); i++) {
        struct json_object *row = json_object_array_get_idx(mounts, i);

        printf("%-10s ", "");
        ctl_print_clean(stdout, ctl_json_text(row, "state", "?"));
        putchar(' ');
        ctl_print_clean(stdout, ctl_json_text(row, "mountpoint", "?"));
        print_words_of(" ", row, "device");
        printf(", %" PRId64 " ms", ctl_json_number(row, "ms"));
        print_words_of(": ", row, "why");
        putchar('\n');
    }
}

static void print_agent(struct json_object *status, bool alive)
{
    struct json_object *policy = part(status, "policy"), *audit = part(status, "audit");

    printf("bulkhead ");
    ctl_print_clean(stdout, ctl_json_text(status, "version", "?"));
    printf(" (protocol ");
    ctl_print_clean(stdout, ctl_json_text(status, "level", "?"));
    printf("), process %" PRId64 ", since ", ctl_json_number(status, "pid"));
    ctl_print_clean(stdout, ctl_json_text(status, "started", "?"));
    printf("%s\n", alive ? "" : " -- NOT RUNNING: these are its last figures");
    printf("%-10s ", "policy");
    ctl_print_clean(stdout, ctl_json_text(policy, "source", "?"));
    printf(" (");
    ctl_print_clean(stdout, ctl_json_text(policy, "state", "?"));
    printf("), digest %.16s, since ", ctl_json_text(policy, "digest", "?"));
    ctl_print_clean(stdout, ctl_json_text(policy, "loaded", "?"));
    putchar('\n');
    print_row("", ctl_json_text(policy, "message", ""));
    print_reload(part(status, "reload"));
    print_list("allow-rpcs", part(status, "allow-rpcs"));
    print_list("block-rpcs", part(status, "block-rpcs"));
    printf("%-10s ", "audit");
    ctl_print_clean(stdout, ctl_json_text(audit, "dir", "?"));
    printf(", segment %" PRId64 "\n", ctl_json_number(audit, "segment"));
    print_row("log", ctl_json_text(status, "log-file", "standard error"));
    print_row("pid file", ctl_json_text(status, "pid-file", ""));
    print_freeze(part(status, "freeze"));
    for (size_t i = 0; i < count(list(status, "missing")); i++)
        print_row("missing", json_object_get_string(json_object_array_get_idx(list(status, "missing"), i)));
}

static void print_host(const char *host)
{
    if (*host) {
        printf(" (");
        ctl_print_clean(stdout, host);
        putchar(')');
    }
    putchar('\n');
}

/* Cells of the clean kind: names that the agent's build knows. */
static void print_channels(struct json_object *channels)
{
    static const char *const numbers[] = { "denials", "failures", "handles", "executions", "results" };

    printf("\n%-12s %9s %7s %7s %7s %7s %7s  %s\n", "CHANNEL", "REQUESTS", "DENIED", "FAILED", "HANDLES",
           "RUNNING", "RESULTS", "AT");
    for (size_t i = 0; i < count(channels); i++) {
        struct json_object *row = json_object_array_get_idx(channels, i);

        printf("%-12.31s %9" PRId64, ctl_json_text(row, "name", "?"), ctl_json_number(row, "requests"));
        for (size_t j = 0; j < BH_ARRAY_SIZE(numbers); j++)
            printf(" %7" PRId64, ctl_json_number(row, numbers[j]));
        fputs("  ", stdout);
        ctl_print_clean(stdout, ctl_json_text(row, "method", ""));
        putchar(':');
        ctl_print_clean(stdout, ctl_json_text(row, "path", ""));
        print_host(ctl_json_text(row, "host", ""));
    }
}

static void print_words(const char *before, struct json_object *words)
{
    if (count(words) == 0)
        return;
    fputs(before, stdout);
    for (size_t i = 0; i < count(words); i++) {
        fputs(i ? " " : "", stdout);
        ctl_print_clean(stdout, json_object_get_string(json_object_array_get_idx(words, i)));
    }
}

/* The name of the one capability, or how many there are. */
static void caps_words(uint64_t caps, char ret[32])
{
    int n = __builtin_popcountll(caps);
    const char *name = n == 1 ? bh_caps_name((unsigned)__builtin_ctzll(caps)) : NULL;

    if (name || n == 0)
        (void)snprintf(ret, 32, "%.31s", name ? name : "none");
    else
        (void)snprintf(ret, 32, "%d of root's", n);
}

/* Complete is the rule, and takes few words; what is missing is named. */
static void print_fences(struct json_object *fences, struct json_object *missing)
{
    size_t n = count(fences), lacking = count(missing);

    if (n + lacking == 0)
        putchar('-');
    else if (lacking == 0)
        printf("all %zu", n);
    else
        printf("%zu of %zu", n, n + lacking);
    print_words("; MISSING: ", missing);
}

/* Under the name that it has in the audit log. With short names a row fits a console of 80 columns. */
static void print_process(struct json_object *row)
{
    struct ctl_proc proc = ctl_proc_read((pid_t)ctl_json_number(row, "pid"));
    char pss[24] = "-", uid[12] = "-", seccomp[8] = "-", caps[32] = "-";

    if (proc.has_pss)
        (void)snprintf(pss, sizeof(pss), "%" PRIu64 ".%" PRIu64, proc.pss_kib / 1024,
                       proc.pss_kib % 1024 * 10 / 1024);
    if (proc.found)
        (void)snprintf(seccomp, sizeof(seccomp), "%s",
                       proc.seccomp == 2 ? "filter"
                       : proc.seccomp    ? "strict"
                                         : "no");
    if (proc.found) {
        (void)snprintf(uid, sizeof(uid), "%" PRIu32, proc.uid);
        caps_words(proc.caps, caps);
    }
    printf("%-16.63s %7" PRId64 " %5s %-15s %-7s %-3s %5s %8" PRId64 " ", ctl_json_text(row, "label", "?"),
           ctl_json_number(row, "pid"), uid, caps, seccomp,
           !proc.found         ? "-"
           : proc.no_new_privs ? "yes"
                               : "no",
           pss, ctl_json_number(row, "restarts"));
    print_fences(list(row, "fences"), list(row, "missing"));
    putchar('\n');
}

/* The supervisor is no row of its own list. */
static void print_supervisor(int64_t pid)
{
    struct json_object *row = json_object_new_object();

    json_object_object_add(row, "label", json_object_new_string("supervisor"));
    json_object_object_add(row, "pid", json_object_new_int64(pid));
    print_process(row);
    json_object_put(row);
}

static void print_processes(int64_t supervisor, struct json_object *processes)
{
    printf("\n%-16s %7s %5s %-15s %-7s %-3s %5s %8s %s\n", "PROCESS", "PID", "UID", "CAPABILITIES", "SECCOMP",
           "NNP", "MiB", "RESTARTS", "FENCES");
    print_supervisor(supervisor);
    for (size_t i = 0; i < count(processes); i++)
        print_process(json_object_array_get_idx(processes, i));
}

/* For programs: the agent's document, with the kernel's view added to each process. */
static void add_proc(struct json_object *processes)
{
    for (size_t i = 0; i < count(processes); i++) {
        struct json_object *row = json_object_array_get_idx(processes, i), *kernel = json_object_new_object();
        struct ctl_proc proc = ctl_proc_read((pid_t)ctl_json_number(row, "pid"));
        char caps[20];

        (void)snprintf(caps, sizeof(caps), "%016" PRIx64, proc.caps);
        if (proc.found) {
            json_object_object_add(kernel, "uid", json_object_new_int64(proc.uid));
            json_object_object_add(kernel, "cap-eff", json_object_new_string(caps));
            json_object_object_add(kernel, "seccomp", json_object_new_int(proc.seccomp));
            json_object_object_add(kernel, "no-new-privs", json_object_new_int(proc.no_new_privs));
        }
        if (proc.has_pss)
            json_object_object_add(kernel, "pss-kib", json_object_new_int64((int64_t)proc.pss_kib));
        json_object_object_add(row, "kernel", kernel);
    }
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    struct json_object *status;
    bool alive = false;
    int exit_status;

    if (ctl_options(ctl, &ctl_status, &argc, argv, NULL, &exit_status) < 0)
        return exit_status;
    if (argc > 0)
        return ctl_usage(&ctl_status, "%s is one word too many", argv[0]);
    status = ctl_status_load(ctl, &alive, &exit_status);
    if (!status)
        return exit_status;
    if (ctl->json) {
        add_proc(list(status, "processes"));
        json_object_object_add(status, "alive", json_object_new_boolean(alive));
        puts(
            json_object_to_json_string_ext(status, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
    } else {
        print_agent(status, alive);
        print_channels(list(status, "channels"));
        print_processes(ctl_json_number(status, "pid"), list(status, "processes"));
    }
    json_object_put(status);
    return alive ? CTL_OK : CTL_NO_AGENT;
}

const struct ctl_command ctl_status = {
    .name = "status",
    .summary = "processes, fences, channels, policy in force",
    .usage = "\n"
             "Asks the agent for fresh figures and adds what /proc shows of each process.\n"
             "Exit status: 0 it runs, 3 it does not.",
    .run = run,
};
