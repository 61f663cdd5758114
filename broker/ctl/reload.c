/* bulkheadctl reload: SIGHUP, and what came of it. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include <json-c/json.h>

#include "broker/ctl/statusfile.h"

#define WAIT_MS 15000 /* a policy may take seconds to compile */
#define STEP_MS 10

static struct json_object *outcome_of(struct json_object *status)
{
    struct json_object *reload = NULL;

    (void)json_object_object_get_ex(status, "reload", &reload);
    return reload;
}

/* The status file with the outcome that comes after `count`; `*status` is replaced. False: none came. */
static bool await(const struct ctl *ctl, int64_t count, struct json_object **status)
{
    for (int waited = 0; waited < WAIT_MS; waited += STEP_MS) {
        struct json_object *fresh;

        (void)poll(NULL, 0, STEP_MS);
        fresh = ctl_status_read(ctl);
        if (fresh && ctl_json_number(outcome_of(fresh), "count") != count) {
            json_object_put(*status);
            *status = fresh;
            return true;
        }
        json_object_put(fresh);
    }
    return false;
}

static int tell(const struct ctl *ctl, struct json_object *outcome)
{
    bool refused = strcmp(ctl_json_text(outcome, "outcome", ""), "refused") == 0;
    FILE *out = refused && !ctl->json ? stderr : stdout;

    if (ctl->json) {
        puts(json_object_to_json_string_ext(outcome,
                                            JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
    } else {
        ctl_print_clean(out, ctl_json_text(outcome, "message", "?"));
        fputc('\n', out);
    }
    return refused ? CTL_FAILED : CTL_OK;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    struct json_object *status;
    bool alive = false;
    int exit_status;
    pid_t pid;

    if (ctl_options(ctl, &ctl_reload, &argc, argv, NULL, &exit_status) < 0)
        return exit_status;
    if (argc > 0)
        return ctl_usage(&ctl_reload, "%s is one word too many", argv[0]);
    status = ctl_status_load(ctl, &alive, &exit_status);
    if (!status)
        return exit_status;
    pid = (pid_t)ctl_json_number(status, "pid");
    if (!alive)
        exit_status = ctl_fail(CTL_NO_AGENT, "the agent does not run");
    else if (kill(pid, SIGHUP) < 0)
        exit_status = ctl_fail(CTL_FAILED, "process %d cannot be told to reload: %s%s", (int)pid,
                               strerror(errno), errno == EPERM ? "; try as root" : "");
    else if (!await(ctl, ctl_json_number(outcome_of(status), "count"), &status))
        exit_status = ctl_fail(
            CTL_NO_AGENT, "the agent did not say in %d seconds what came of it; see its log", WAIT_MS / 1000);
    else
        exit_status = tell(ctl, outcome_of(status));
    json_object_put(status);
    return exit_status;
}

const struct ctl_command ctl_reload = {
    .name = "reload",
    .summary = "have the agent read its policy anew",
    .usage = "\n"
             "Sends SIGHUP to the agent, waits for what comes of it, and prints that.\n"
             "Exit status: 0 the new policy governs, 1 the old one stays, 3 no agent.",
    .run = run,
};
