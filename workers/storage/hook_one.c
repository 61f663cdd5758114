/*
 * Judge, record, run, record. Records go into the socket's queue and nowhere else; a line is logged only if
 * the log does not lie on a file system that is frozen.
 */
#include "workers/storage/hook_one.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/log.h"
#include "protocol/codes.h"
#include "workers/storage/hook.h"
#include "workers/storage/hook_client.h"
#include "workers/storage/hook_text.h"

#define RULE BH_STR("hooks") /* built in: no policy has a rule for them */

static uint64_t last_act; /* number of the latest ACT record, or 0: it could not be queued */

static const char *word(enum bh_hook_op op)
{
    return op == BH_HOOK_FREEZE ? "freeze" : "thaw";
}

static int record(struct bh_hook_keeper *keeper, struct bh_record *record, uint64_t *ret_number)
{
    record->command = BH_NO_COMMAND;
    return bh_audit_send(&keeper->audit, record, ret_number);
}

static void warn(const struct bh_hook_keeper *keeper, const char *text)
{
    if (!bh_frozen_holds(keeper->frozen, STDERR_FILENO))
        bh_log(BH_LOG_WARNING, "%s", text);
}

void bh_hook_event(struct bh_hook_keeper *keeper, const char *text)
{
    struct bh_record event = { .kind = BH_RECORD_EVENT, .text = bh_str_of(text) };

    (void)record(keeper, &event, NULL);
    warn(keeper, text);
}

void bh_hook_one_refused(struct bh_hook_keeper *keeper, enum bh_hook_op op, const char *path, int error,
                         const char *why)
{
    char text[BH_HOOK_WHY_MAX + 32];
    struct bh_record refused = { .kind = BH_RECORD_REFUSED,
                                 .code = BH_E_HOOK_FAILED,
                                 .error = error,
                                 .rule = RULE,
                                 .object = bh_str_of(path) };

    bh_hook_printf(text, sizeof(text), "%s: %s", word(op), why);
    refused.text = bh_str_of(text);
    (void)record(keeper, &refused, NULL);
    keeper->state->denials++;
    warn(keeper, text);
}

static void name(struct bh_hook_reply *reply, const char *path)
{
    (void)bh_hook_clean(path, strlen(path), reply->hook, sizeof(reply->hook));
}

bool bh_hook_one_check(struct bh_hook_keeper *keeper, enum bh_hook_op op, uint32_t i,
                       struct bh_hook_reply *reply)
{
    const char *path = keeper->hooks.paths[i];
    char why[BH_HOOK_WHY_MAX];
    int r = bh_hook_check(path, why);

    if (r == 0)
        return true;
    bh_hook_one_refused(keeper, op, path, r, why);
    reply->outcome = BH_HOOK_REFUSED;
    name(reply, path);
    bh_hook_printf(reply->text, sizeof(reply->text), "%s", why);
    return false;
}

bool bh_hook_one_act(struct bh_hook_keeper *keeper, enum bh_hook_op op, uint32_t i,
                     struct bh_hook_reply *reply)
{
    const char *path = keeper->hooks.paths[i];
    char text[BH_CHANNEL_NAME_MAX + 32];
    struct bh_record act = {
        .kind = BH_RECORD_ACT, .rule = RULE, .object = bh_str_of(path), .user = BH_STR("root")
    };

    bh_hook_printf(text, sizeof(text), keeper->config->channel[0] ? "%s for channel %s" : "%s", word(op),
                   keeper->config->channel);
    act.text = bh_str_of(text);
    last_act = 0;
    if (record(keeper, &act, &last_act) == 0 || op == BH_HOOK_THAW || keeper->config->unrecorded)
        return true;
    reply->outcome = BH_HOOK_REFUSED;
    name(reply, path);
    bh_hook_printf(
        reply->text, sizeof(reply->text),
        "the audit queue is full, so no freeze hook is run; look at the audit process and its disk");
    return false;
}

static void fill(struct bh_hook_reply *reply, const struct bh_hook_result *result, const char *path)
{
    reply->outcome = result->outcome;
    reply->status = result->status;
    reply->ms = result->ms;
    reply->output = result->output;
    reply->n_run += result->outcome != BH_HOOK_REFUSED;
    name(reply, path);
    (void)bh_hook_clean(result->kept, result->kept_len, reply->text, BH_HOOK_OUTPUT_MAX + 1);
    if (result->outcome == BH_HOOK_REFUSED)
        bh_hook_printf(reply->text, sizeof(reply->text), "the hook %s cannot be started: %s", reply->hook,
                       strerror(result->status));
}

/* How it ended, in the words of the record; without its output. */
static void put_ending(const struct bh_hook_result *result, char *ret, size_t size)
{
    switch (result->outcome) {
    case BH_HOOK_KILLED:
        (void)snprintf(ret, size, "signal %d", result->status);
        break;
    case BH_HOOK_TIMED_OUT:
        (void)snprintf(ret, size, "killed at its time limit of %d ms", result->status);
        break;
    case BH_HOOK_LEFT:
        (void)snprintf(ret, size, "a process of it cannot be killed");
        break;
    case BH_HOOK_REFUSED:
        (void)snprintf(ret, size, "not started: %s", strerror(result->status));
        break;
    default:
        (void)snprintf(ret, size, "exit status %d", result->status);
    }
}

static void record_result(struct bh_hook_keeper *keeper, enum bh_hook_op op, const char *path,
                          const struct bh_hook_result *result)
{
    static char text[BH_RECORD_TEXT_MAX + 1];
    char ending[128];
    struct bh_record done = { .kind = BH_RECORD_RESULT,
                              .of = last_act,
                              .rule = RULE,
                              .object = bh_str_of(path),
                              .user = BH_STR("root") };
    int used;

    put_ending(result, ending, sizeof(ending));
    if (result->outcome != BH_HOOK_DONE)
        done.code = BH_E_HOOK_FAILED;
    used = snprintf(text, sizeof(text), "%s: %s after %" PRIu32 " ms, %" PRIu64 " bytes of output%s",
                    word(op), ending, result->ms, result->output, result->kept_len ? ": " : "");
    (void)bh_hook_clean(result->kept, result->kept_len, text + used, sizeof(text) - (size_t)used);
    done.text = bh_str_of(text);
    (void)record(keeper, &done, NULL);
}

void bh_hook_one_run(struct bh_hook_keeper *keeper, enum bh_hook_op op, uint32_t i,
                     struct bh_hook_reply *reply)
{
    static struct bh_hook_result result;
    const char *path = keeper->hooks.paths[i];
    char text[BH_ERROR_TEXT_MAX];

    bh_hook_execute(path, word(op), keeper->config->timeout_ms, &result);
    record_result(keeper, op, path, &result);
    fill(reply, &result, path);
    reply->op = (uint16_t)op;
    if (result.outcome == BH_HOOK_DONE)
        return;
    keeper->state->failures++;
    bh_hook_say(reply, text, sizeof(text));
    warn(keeper, text);
}
