/*
 * What bulkheadctl exec says to the agent. Every request names the execution by its number, which belongs to
 * the channel and not to the connection: so the connection may be given up and made again in between.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "broker/ctl/exec.h"
#include "broker/ctl/statusfile.h"
#include "protocol/base/clock.h"
#include "protocol/base/mem.h"
#include "protocol/codes.h"
#include "protocol/json/base64.h"

#define ANSWER_S 60 /* the deadline of each of these commands is 30 s */
#define TURN_S 3600 /* another client may hold the channel that long */
#define TURN_MS 500 /* so long the channel is ours */
#define DENIED "denied by policy"
#define HEAD_MAX 160u /* bytes of a request in front of its base64 */

static int open_agent(struct ctl_exec *x, int timeout_s)
{
    int status = ctl_agent_open(&x->agent, x->ctl, x->path ? x->path : x->socket, x->channel, timeout_s);

    x->agent.timeout_ms = ANSWER_S * 1000;
    x->turn_ms = (int64_t)bh_clock_ms(CLOCK_MONOTONIC);
    if (status == CTL_OK && !x->path && !(x->path = strdup(x->agent.socket)))
        status = ctl_fail(CTL_FAILED, "out of memory");
    return status;
}

static void add_text(struct json_object *object, const char *name, const char *text)
{
    json_object_object_add(object, name, json_object_new_string(text));
}

static void add_list(struct json_object *object, const char *name, const char *const *words, int n)
{
    struct json_object *list = json_object_new_array();

    for (int i = 0; i < n; i++)
        json_object_array_add(list, json_object_new_string(words[i]));
    json_object_object_add(object, name, list);
}

static struct json_object *start_arguments(const struct ctl_exec *x)
{
    struct json_object *arguments = json_object_new_object();

    add_text(arguments, "path", x->words[0]);
    if (x->n_words > 1)
        add_list(arguments, "arg", (const char *const *)x->words + 1, x->n_words - 1);
    if (x->env.n > 0)
        add_list(arguments, "env", x->env.at, x->env.n);
    if (x->in.open)
        json_object_object_add(arguments, "input", json_object_new_boolean(true));
    if (x->merge)
        add_text(arguments, "output", "merged");
    return arguments;
}

/* Sends and takes the answer; an error of the agent's is not said: *ret_line has it. */
static int ask_quietly(struct ctl_exec *x, const char *request, const char **ret_line)
{
    int status = ctl_agent_send(&x->agent, request, strlen(request));

    return status == CTL_OK ? ctl_agent_line(&x->agent, ret_line, false) : status;
}

int ctl_exec_start(struct ctl_exec *x)
{
    _cleanup_free_ char *request = ctl_agent_request("bulkhead-exec", start_arguments(x));
    struct json_object *reply, *value;
    const char *line;
    int status = request ? open_agent(x, ANSWER_S) : ctl_fail(CTL_FAILED, "out of memory");

    if (status == CTL_OK)
        status = ask_quietly(x, request, &line);
    if (status != CTL_OK)
        return status;
    status = ctl_agent_parse(line, &reply, &value);
    if (status != CTL_OK && x->in.open && strstr(line, DENIED))
        fputs("bulkheadctl: (it was to read standard input; where no rule grants that, say --no-input)\n",
              stderr);
    if (status != CTL_OK)
        return status;
    x->number = ctl_json_number(value, "pid");
    x->moved_ms = (int64_t)bh_clock_ms(CLOCK_MONOTONIC);
    x->chunk = CTL_CHUNK_MIN;
    json_object_put(reply);
    return CTL_OK;
}

static int take_output(struct ctl_exec *x, struct ctl_out *out, struct json_object *value, const char *name)
{
    const char *text = ctl_json_text(value, name, NULL);
    int r = text ? ctl_out_add(out, text) : 0;

    if (text)
        x->moved_ms = (int64_t)bh_clock_ms(CLOCK_MONOTONIC);
    if (r == -ENOMEM)
        return ctl_fail(CTL_FAILED, "out of memory");
    if (r < 0)
        return ctl_fail(CTL_FAILED, "the bytes in the agent's answer are not base64");
    return CTL_OK;
}

static bool has(struct json_object *value, const char *name)
{
    return json_object_object_get_ex(value, name, NULL);
}

/* How a shell tells it. */
static void take_end(struct ctl_exec *x, struct json_object *value)
{
    const int signal = (int)ctl_json_number(value, "signal");
    struct json_object *exited;

    x->over = json_object_object_get_ex(value, "exited", &exited) && json_object_get_boolean(exited);
    if (!x->over)
        return;
    x->status = has(value, "signal") ? 128 + (signal & 127) : (int)(ctl_json_number(value, "exitcode") & 255);
    if (has(value, "signal") && !x->cancel.first)
        (void)ctl_fail(0, "%s was ended by signal %d (%s)", x->words[0], signal, strsignal(signal));
}

int ctl_exec_read(struct ctl_exec *x, unsigned wait_ms)
{
    struct json_object *arguments = json_object_new_object(), *reply, *value;
    int status;

    json_object_object_add(arguments, "pid", json_object_new_int64(x->number));
    if (wait_ms > 0)
        json_object_object_add(arguments, "wait", json_object_new_int64(wait_ms));
    status = ctl_agent_ask(&x->agent, "bulkhead-exec-read", arguments, &reply, &value);
    if (status != CTL_OK)
        return status;
    status = take_output(x, &x->out, value, "out-data");
    if (status == CTL_OK)
        status = take_output(x, &x->err, value, "err-data");
    if (status == CTL_OK)
        take_end(x, value);
    json_object_put(reply);
    return status;
}

/* The request with the next bytes of input, and the input's end if that comes with them. */
static char *write_request(const struct ctl_exec *x, size_t len)
{
    char *request = malloc(HEAD_MAX + BH_BASE64_ENCODED_MAX(len) + 8);
    struct bh_base64 state = { 0 };
    const bool last = x->in.ended && x->in.at + len == x->in.len;
    size_t at;

    if (!request)
        return NULL;
    at = (size_t)snprintf(request, HEAD_MAX,
                          "{\"execute\": \"bulkhead-exec-write\", \"arguments\": {\"pid\": %" PRId64 "%s%s",
                          x->number, last ? ", \"eof\": true" : "", len > 0 ? ", \"stdin-b64\": \"" : "");
    if (len > 0) {
        at += bh_base64_encode(&state, x->in.data + x->in.at, len, request + at);
        at += bh_base64_encode_end(&state, request + at);
        request[at++] = '"';
    }
    memcpy(request + at, "}}\n", 4);
    return request;
}

/* The answer to `len` bytes that were offered. */
static void take_count(struct ctl_exec *x, size_t len, const char *line)
{
    struct json_object *reply = json_tokener_parse(line), *value;
    size_t count;

    if (!reply || !json_object_object_get_ex(reply, "return", &value)) {
        ctl_in_close(&x->in); /* it reads no more, or is over: the next read tells */
    } else {
        count = (size_t)ctl_json_number(value, "count");
        count = count < len ? count : len;
        x->chunk = ctl_pace_chunk(len, count, x->chunk);
        x->in.at += count;
        if (count > 0)
            x->moved_ms = (int64_t)bh_clock_ms(CLOCK_MONOTONIC);
        if (x->in.ended && x->in.at == x->in.len)
            ctl_in_close(&x->in);
    }
    json_object_put(reply);
}

int ctl_exec_write(struct ctl_exec *x)
{
    const size_t held = x->in.len - x->in.at, len = held < x->chunk ? held : x->chunk;
    _cleanup_free_ char *request = NULL;
    const char *line;
    int status;

    if (!x->in.open || (len == 0 && !x->in.ended))
        return CTL_OK;
    request = write_request(x, len);
    if (!request)
        return ctl_fail(CTL_FAILED, "out of memory");
    status = ask_quietly(x, request, &line);
    if (status == CTL_OK)
        take_count(x, len, line);
    return status;
}

int ctl_exec_signal(struct ctl_exec *x, const char *word)
{
    char request[HEAD_MAX], gone[16];
    struct json_object *reply, *value;
    const char *line;
    int status;

    (void)snprintf(request, sizeof(request),
                   "{\"execute\": \"bulkhead-exec-signal\", \"arguments\": {\"pid\": %" PRId64
                   ", \"signal\": \"%s\"}}\n",
                   x->number, word);
    (void)snprintf(gone, sizeof(gone), "(BH%d", BH_E_BAD_PID);
    status = ask_quietly(x, request, &line);
    if (status != CTL_OK || strstr(line, gone)) /* it is over: the next read tells */
        return status;
    if (ctl_agent_parse(line, &reply, &value) == CTL_OK)
        json_object_put(reply);
    return CTL_OK;
}

int ctl_exec_give_turn(struct ctl_exec *x)
{
    if ((int64_t)bh_clock_ms(CLOCK_MONOTONIC) - x->turn_ms < TURN_MS)
        return CTL_OK;
    ctl_agent_close(&x->agent);
    return open_agent(x, TURN_S);
}
