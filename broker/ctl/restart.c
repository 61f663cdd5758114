/*
 * bulkheadctl restart: SIGUSR2, and whether the agent is there again; with --when-idle not before nobody has
 * anything under way.
 *
 * Under way is what would be lost: executions, open file handles, what is frozen. Results that wait for who
 * asked for them are lost too, but one who never comes for his must not hold up a restart: they are waited
 * for RESULTS_MS from when the last execution was seen.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "broker/ctl/statusfile.h"
#include "protocol/base/clock.h"
#include "protocol/base/mem.h"

#define LOOK_MS 500 /* between two looks at what is under way */
#define RESULTS_MS 10000
#define WAIT_MS 60000 /* for the agent: it thaws for 30 s at most, and stops within seconds */
#define STEP_MS 10
#define TIMEOUT_MAX_S 86400u
#define TEXT_MAX 160

struct load {
    int64_t executions, results, handles;
    bool frozen;
    bool known; /* the agent answered; it does not while its own state folder is frozen */
};

static void add_channels(struct load *load, struct json_object *channels)
{
    for (size_t i = 0; i < json_object_array_length(channels); i++) {
        struct json_object *row = json_object_array_get_idx(channels, i);

        load->executions += ctl_json_number(row, "executions");
        load->results += ctl_json_number(row, "results");
        load->handles += ctl_json_number(row, "handles");
    }
}

static pid_t parent_of(pid_t pid)
{
    char path[32], text[1024];
    _cleanup_fclose_ FILE *file = NULL;
    const char *end = NULL;
    int parent = 0;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (file && fgets(text, sizeof(text), file))
        end = strrchr(text, ')'); /* the name before it may hold anything */
    return end && sscanf(end + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

/* Does the agent run us, as it does in an upgrade that came through it? */
static bool is_below(pid_t agent)
{
    pid_t pid = getpid();

    while (pid > 1 && pid != agent)
        pid = parent_of(pid);
    return pid == agent;
}

/* Asks the agent. Exit status; not CTL_OK: it was said why. */
static int look(const struct ctl *ctl, struct load *ret)
{
    struct json_object *old = ctl_status_read(ctl), *status, *part = NULL;
    bool alive = false;
    int exit_status = CTL_OK;

    status = ctl_status_load(ctl, &alive, &exit_status);
    *ret =
        (struct load){ .known = ctl_json_number(old, "generation") != ctl_json_number(status, "generation") };
    if (status && json_object_object_get_ex(status, "freeze", &part))
        ret->frozen = strcmp(ctl_json_text(part, "state", "thawed"), "thawed") != 0;
    if (status && json_object_object_get_ex(status, "channels", &part) &&
        json_object_is_type(part, json_type_array))
        add_channels(ret, part);
    if (ret->executions > 0 && is_below((pid_t)ctl_json_number(status, "pid")))
        ret->executions--; /* who waits for himself waits for ever */
    json_object_put(old);
    json_object_put(status);
    if (exit_status == CTL_OK && !alive)
        exit_status = ctl_fail(CTL_NO_AGENT, "the agent does not run");
    return exit_status;
}

static bool is_idle(const struct load *load, int64_t idle_ms)
{
    return load->known && !load->frozen && load->executions == 0 && load->handles == 0 &&
           (load->results == 0 || idle_ms >= RESULTS_MS);
}

static void say_load(const struct load *load, char ret[TEXT_MAX])
{
    if (load->known)
        (void)snprintf(
            ret, TEXT_MAX, "%" PRId64 " running, %" PRId64 " results not fetched, %" PRId64 " open files%s",
            load->executions, load->results, load->handles, load->frozen ? ", file systems frozen" : "");
    else
        (void)snprintf(ret, TEXT_MAX,
                       "the agent, which cannot write its status; is its state folder frozen?");
}

/* On a terminal a line that is written over, else one line for each change. */
static void show(const char *text, char last[TEXT_MAX])
{
    if (strcmp(text, last) == 0)
        return;
    fprintf(stderr, isatty(STDERR_FILENO) ? "\r\033[KWaiting for: %s" : "Waiting for: %s\n", text);
    (void)snprintf(last, TEXT_MAX, "%s", text);
}

/* `timeout_s` 0: without end. */
static int await_idle(const struct ctl *ctl, uint64_t timeout_s)
{
    int64_t began = bh_clock_ms(CLOCK_MONOTONIC), busy = began, now = began;
    char text[TEXT_MAX], last[TEXT_MAX] = "";
    struct load load;
    int status = look(ctl, &load);

    while (status == CTL_OK && !is_idle(&load, now - busy)) {
        if (load.executions > 0)
            busy = now;
        say_load(&load, text);
        show(text, last);
        if (timeout_s && now - began >= (int64_t)timeout_s * 1000)
            break;
        (void)poll(NULL, 0, LOOK_MS);
        status = look(ctl, &load);
        now = bh_clock_ms(CLOCK_MONOTONIC);
    }
    if (*last && isatty(STDERR_FILENO))
        fputc('\n', stderr);
    if (status == CTL_OK && !is_idle(&load, now - busy))
        status =
            ctl_fail(CTL_FAILED, "not idle within %" PRIu64 " s; the agent was not restarted", timeout_s);
    return status;
}

static bool is_new(struct json_object *status, pid_t pid, int64_t count)
{
    return status && (pid_t)ctl_json_number(status, "pid") == pid &&
           ctl_json_number(status, "restarted") != count;
}

/* Until the same process says that it has been restarted once more, and serves. */
static int await_agent(const struct ctl *ctl, pid_t pid, int64_t count)
{
    for (int waited = 0; waited < WAIT_MS; waited += STEP_MS) {
        struct json_object *status;
        bool done, alive;

        (void)poll(NULL, 0, STEP_MS);
        status = ctl_status_read(ctl);
        done = is_new(status, pid, count);
        alive = !status || ctl_status_is_alive(status);
        json_object_put(status);
        if (done)
            return CTL_OK;
        if (!alive)
            return ctl_fail(CTL_FAILED, "the agent has ended and does not run any more; see its log");
    }
    return ctl_fail(CTL_FAILED, "the agent did not say within %d s that it has restarted; see its log",
                    WAIT_MS / 1000);
}

static int restart(const struct ctl *ctl)
{
    bool alive = false;
    int exit_status;
    struct json_object *status = ctl_status_load(ctl, &alive, &exit_status);
    const pid_t pid = (pid_t)ctl_json_number(status, "pid");
    const int64_t count = ctl_json_number(status, "restarted");

    json_object_put(status);
    if (!status)
        return exit_status;
    if (!alive)
        return ctl_fail(CTL_NO_AGENT, "the agent does not run");
    if (kill(pid, SIGUSR2) < 0)
        return ctl_fail(CTL_FAILED, "process %d cannot be told to restart: %s%s", (int)pid, strerror(errno),
                        errno == EPERM ? "; try as root" : "");
    exit_status = await_agent(ctl, pid, count);
    if (exit_status == CTL_OK && ctl->json)
        printf("{\"pid\": %d, \"restarted\": true}\n", (int)pid);
    else if (exit_status == CTL_OK)
        printf("The agent was restarted and serves, as process %d as before.\n", (int)pid);
    return exit_status;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    bool when_idle = false;
    const char *timeout = NULL;
    const struct ctl_option options[] = {
        { "--when-idle", NULL, NULL, &when_idle },
        { "--timeout", NULL, &timeout, NULL },
        { 0 },
    };
    uint64_t timeout_s = 0;
    int status;

    if (ctl_options(ctl, &ctl_restart, &argc, argv, options, &status) < 0)
        return status;
    if (argc > 0)
        return ctl_usage(&ctl_restart, "%s is one word too many", argv[0]);
    if (timeout && (!ctl_number(timeout, TIMEOUT_MAX_S, &timeout_s) || timeout_s == 0))
        return ctl_usage(&ctl_restart, "--timeout takes seconds, 1 to %u", TIMEOUT_MAX_S);
    status = when_idle ? await_idle(ctl, timeout_s) : CTL_OK;
    return status == CTL_OK ? restart(ctl) : status;
}

const struct ctl_command ctl_restart = {
    .name = "restart",
    .summary = "stop the agent and start it anew as the same process",
    .usage =
        "[--when-idle [--timeout SECONDS]]\n"
        "Sends SIGUSR2 to the agent and waits until it serves again. What is frozen is thawed, what runs is\n"
        "ended, but for what `set on-restart keep` lets live.\n"
        "  --when-idle       first wait until nothing runs, no file is open and nothing is frozen\n"
        "  --timeout SECONDS give up if that takes longer, and do not restart\n"
        "Exit status: 0 it serves again, 1 it was not restarted or did not come back, 3 no agent.",
    .run = run,
};
