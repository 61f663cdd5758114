/* What the log and the client are told of executions. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "protocol/base/clock.h"
#include "protocol/codes.h"
#include "workers/exec/engine.h"

#define REFUSED_PATH_MAX 512 /* bytes of a refused path that its record keeps: a client chooses them */

static struct bh_str text_of(const char *text)
{
    return (struct bh_str){ text, (uint32_t)strlen(text) };
}

static struct bh_record record_of(const struct bh_request_to_run *request, uint32_t rule, const char *object)
{
    const struct bh_policy *policy = &request->call->worker->policy;
    struct bh_record record = { .object = text_of(object), .request = request->call->id };

    if (rule != BH_NO_RULE) {
        record.rule = text_of(bh_policy_string(policy, policy->rules[rule].name));
        record.user = text_of(bh_identity_name(policy, rule));
    }
    return record;
}

int bh_refuse(const struct bh_request_to_run *request, uint16_t code, uint32_t rule, const char *object,
              const char *why)
{
    const struct bh_policy *policy = &request->call->worker->policy;
    struct bh_record record = record_of(request, rule, object);
    const char *name = record.rule.ptr;
    bool limit = code == BH_E_LIMIT;

    record.text = text_of(why);
    if (record.object.len > REFUSED_PATH_MAX)
        record.object.len = REFUSED_PATH_MAX;
    if (code == BH_E_NOT_GRANTED)
        return bh_call_refuse(request->call, code, &record, "Command %s has been disabled",
                              request->call->command->name);
    if (limit)
        return bh_call_refuse(request->call, code, &record, "not started: %s", why);
    if (name && policy->slice->settings[BH_SET_EXPLAIN_TO_CLIENT])
        return bh_call_refuse(request->call, code, &record, "denied by policy: rule %s%s%s", name,
                              why[0] ? ": " : "", why);
    return bh_call_refuse(request->call, code, &record, "denied by policy");
}

/* ["a","b"]: quotes and what would end a line are escaped. */
static void put_list(FILE *out, char *const *argv, uint32_t n)
{
    (void)fputc('[', out);
    for (uint32_t i = 0; i < n; i++) {
        (void)fputs(i ? ",\"" : "\"", out);
        for (const char *p = argv[i]; *p; p++) {
            if (*p == '"' || *p == '\\')
                (void)fputc('\\', out);
            (void)fputc(*p, out);
        }
        (void)fputc('"', out);
        if (ftell(out) > (long)BH_RECORD_TEXT_MAX)
            return; /* it is cut there in any case */
    }
    (void)fputc(']', out);
}

int bh_report_start(const struct bh_request_to_run *request, const struct bh_judged *judged,
                    char *const *argv)
{
    struct bh_record record = record_of(request, judged->rule, judged->program.name);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    int r;

    if (!out)
        return bh_fail(request->call->error, BH_E_NO_MEMORY, "there is no memory to record it");
    (void)fprintf(out, "sandbox %s, sha256 %s, argv ",
                  bh_sandbox_name((enum bh_sandbox)judged->exec->sandbox),
                  judged->program.sha256[0] ? judged->program.sha256 : "unknown");
    put_list(out, argv, request->n_args + 1);
    (void)fclose(out);
    record.text = (struct bh_str){ text, (uint32_t)len };
    r = bh_call_act(request->call, &record);
    free(text);
    return r;
}

int bh_report_failure(const struct bh_request_to_run *request, const struct bh_judged *judged,
                      const struct bh_start_failure *failure)
{
    struct bh_worker *worker = request->call->worker;
    struct bh_record record = record_of(request, judged->rule, judged->path.ptr);
    struct bh_error *error = request->call->error;

    record.kind = BH_RECORD_RESULT;
    record.command = (uint16_t)(request->call->command - bh_commands);
    record.of = request->call->act;
    record.code = BH_E_KERNEL;
    record.error = failure->error;
    record.text = text_of(failure->step);
    (void)bh_fail(error, BH_E_KERNEL, "Failed to execute child process \"%.600s\" (%s)%s%s",
                  request->path.ptr, strerror(failure->error), failure->step[0] ? ", when " : "",
                  failure->step);
    (void)bh_audit_send(&worker->audit, &record, &error->record);
    return BH_E_KERNEL;
}

static void describe(const struct bh_execution *execution, const struct bh_ending *ending, char *ret,
                     size_t size)
{
    static const char *const hows[BH_ENDED_HOWS] = { [BH_ENDED_BY_ITSELF] = "",
                                                     [BH_ENDED_KILLED] = ", ended by the agent",
                                                     [BH_ENDED_TIMED_OUT] = ", at its time limit",
                                                     [BH_ENDED_TOO_MANY] =
                                                         ", with more processes than its `pids` allows" };
    uint64_t ms = ending->ended_ms > execution->started_ms ? ending->ended_ms - execution->started_ms : 0;

    if (WIFSIGNALED(ending->status))
        (void)snprintf(ret, size, "signal %d%s, after %" PRIu64 " ms", WTERMSIG(ending->status),
                       execution->cancelled ? ", cancelled by the client" : hows[ending->how], ms);
    else
        (void)snprintf(ret, size, "exit status %d, after %" PRIu64 " ms", WEXITSTATUS(ending->status), ms);
}

void bh_report_end(struct bh_engine *engine, const struct bh_execution *execution,
                   const struct bh_ending *ending)
{
    char text[128];
    struct bh_record record = { .kind = BH_RECORD_RESULT,
                                .command = execution->command,
                                .request = execution->request,
                                .of = execution->act,
                                .handle = execution->number };

    describe(execution, ending, text, sizeof(text));
    record.text = text_of(text);
    (void)bh_audit_send(&engine->worker->audit, &record, NULL);
}
