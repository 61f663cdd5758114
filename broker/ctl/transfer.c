/*
 * bulkheadctl read and write: a whole file of the guest through guest-file-open, -read,
 * -write and -close. The data is on standard output or input; what is said, on standard error.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "broker/ctl/agent.h"
#include "broker/ctl/statusfile.h"
#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "protocol/json/base64.h"

#define READ_BYTES (4u * 1024u * 1024u) /* asked for at once */
#define WRITE_BYTES (1024u * 1024u)     /* sent at once */
#define PROGRESS_MS 200
#define REQUEST_HEAD_MAX 128u

struct transfer {
    struct ctl_agent agent;
    int64_t handle;
    uint64_t bytes;
    bool shown; /* standard error is a terminal */
    int64_t started_ms, shown_ms;
};

static void progress(struct transfer *t, bool last)
{
    int64_t now = bh_clock_ms(CLOCK_MONOTONIC), took = now - t->started_ms;
    double mib = (double)t->bytes / 1048576.0;

    if (!t->shown || (!last && now - t->shown_ms < PROGRESS_MS))
        return;
    t->shown_ms = now;
    fprintf(stderr, "\r%10.1f MiB  %8.1f MiB/s%s", mib, took > 0 ? mib * 1000 / (double)took : 0.0,
            last ? "\n" : "");
}

static int open_file(struct transfer *t, const char *path, const char *mode)
{
    struct json_object *arguments = json_object_new_object(), *reply, *value;
    int status;

    json_object_object_add(arguments, "path", json_object_new_string(path));
    json_object_object_add(arguments, "mode", json_object_new_string(mode));
    status = ctl_agent_ask(&t->agent, "guest-file-open", arguments, &reply, &value);
    if (status != CTL_OK)
        return status;
    t->handle = json_object_get_int64(value);
    json_object_put(reply);
    return CTL_OK;
}

static int close_file(struct transfer *t)
{
    struct json_object *arguments = json_object_new_object(), *reply, *value;
    int status;

    json_object_object_add(arguments, "handle", json_object_new_int64(t->handle));
    status = ctl_agent_ask(&t->agent, "guest-file-close", arguments, &reply, &value);
    if (status == CTL_OK)
        json_object_put(reply);
    return status;
}

/* Decodes and writes out one answer. */
static int take_piece(struct transfer *t, struct json_object *value, uint8_t *data, bool *ret_end)
{
    const char *text = ctl_json_text(value, "buf-b64", "");
    struct bh_base64 state = { 0 };
    size_t len = strlen(text);
    struct json_object *eof;
    long n;
    int r;

    n = len <= BH_BASE64_ENCODED_MAX(READ_BYTES) ? bh_base64_decode(&state, text, len, data) : -1;
    if (n < 0 || bh_base64_decode_end(&state) < 0 || n != ctl_json_number(value, "count"))
        return ctl_fail(CTL_FAILED,
                        "the agent's answer contradicts itself: its bytes are not what was counted");
    r = bh_write_all(STDOUT_FILENO, data, (size_t)n);
    if (r < 0)
        return ctl_fail(CTL_FAILED, "standard output cannot be written: %s", strerror(-r));
    t->bytes += (uint64_t)n;
    *ret_end = n == 0 || (json_object_object_get_ex(value, "eof", &eof) && json_object_get_boolean(eof));
    return CTL_OK;
}

static int read_all(struct transfer *t)
{
    _cleanup_free_ uint8_t *data = malloc(BH_BASE64_DECODED_MAX(BH_BASE64_ENCODED_MAX(READ_BYTES)));
    bool end = false;
    int status = data ? CTL_OK : ctl_fail(CTL_FAILED, "out of memory");

    while (status == CTL_OK && !end) {
        struct json_object *arguments = json_object_new_object(), *reply, *value;

        json_object_object_add(arguments, "handle", json_object_new_int64(t->handle));
        json_object_object_add(arguments, "count", json_object_new_int64(READ_BYTES));
        status = ctl_agent_ask(&t->agent, "guest-file-read", arguments, &reply, &value);
        if (status != CTL_OK)
            break;
        status = take_piece(t, value, data, &end);
        json_object_put(reply);
        progress(t, false);
    }
    return status;
}

/* Sends one piece, and checks that all of it was written. */
static int give_piece(struct transfer *t, const uint8_t *data, size_t len, char *request)
{
    struct bh_base64 state = { 0 };
    struct json_object *reply, *value;
    const char *line;
    size_t at;
    int status;

    at = (size_t)snprintf(request, REQUEST_HEAD_MAX,
                          "{\"execute\": \"guest-file-write\", \"arguments\": {\"handle\": %" PRId64
                          ", \"buf-b64\": \"",
                          t->handle);
    at += bh_base64_encode(&state, data, len, request + at);
    at += bh_base64_encode_end(&state, request + at);
    memcpy(request + at, "\"}}\n", 4);
    status = ctl_agent_send(&t->agent, request, at + 4);
    if (status == CTL_OK)
        status = ctl_agent_line(&t->agent, &line, false);
    if (status == CTL_OK)
        status = ctl_agent_parse(line, &reply, &value);
    if (status != CTL_OK)
        return status;
    if (ctl_json_number(value, "count") != (int64_t)len)
        status = ctl_fail(CTL_FAILED, "only %" PRId64 " of %zu bytes were written; is the guest's disk full?",
                          ctl_json_number(value, "count"), len);
    t->bytes += (uint64_t)ctl_json_number(value, "count");
    json_object_put(reply);
    return status;
}

/* As much of standard input as one piece takes: a pipe gives less at a time. */
static ssize_t fill(uint8_t *data, size_t cap)
{
    size_t got = 0;

    while (got < cap) {
        ssize_t n = read(STDIN_FILENO, data + got, cap - got);

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            break;
        got += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)got;
}

static int write_all(struct transfer *t)
{
    _cleanup_free_ uint8_t *data = malloc(WRITE_BYTES);
    _cleanup_free_ char *request = malloc(REQUEST_HEAD_MAX + BH_BASE64_ENCODED_MAX(WRITE_BYTES) + 8);
    int status = data && request ? CTL_OK : ctl_fail(CTL_FAILED, "out of memory");

    while (status == CTL_OK) {
        ssize_t n = fill(data, WRITE_BYTES);

        if (n == 0)
            break;
        if (n < 0)
            return ctl_fail(CTL_FAILED, "standard input cannot be read: %s", strerror((int)-n));
        status = give_piece(t, data, (size_t)n, request);
        progress(t, false);
    }
    return status;
}

static int transfer(struct transfer *t, const char *path, const char *mode)
{
    int status = open_file(t, path, mode), closed;

    if (status != CTL_OK)
        return status;
    t->started_ms = bh_clock_ms(CLOCK_MONOTONIC);
    t->shown = isatty(STDERR_FILENO);
    status = mode[0] == 'r' ? read_all(t) : write_all(t);
    progress(t, true);
    closed = status == CTL_NO_AGENT ? CTL_OK : close_file(t);
    return status == CTL_OK ? closed : status;
}

static int run(struct ctl *ctl, const struct ctl_command *command, bool writes, int argc, char **argv)
{
    const char *socket = NULL, *channel = NULL;
    bool append = false;
    const struct ctl_option options[] = {
        { "--socket", "-s", &socket, NULL },
        { "--channel", NULL, &channel, NULL },
        { writes ? "--append" : NULL, NULL, NULL, &append },
        { 0 },
    };
    struct transfer t = { 0 };
    int status;

    if (ctl_options(ctl, command, &argc, argv, options, &status) < 0)
        return status;
    if (argc != 1)
        return ctl_usage(command, "it takes one PATH");
    status = ctl_agent_open(&t.agent, ctl, socket, channel, CTL_TIMEOUT_S);
    if (status == CTL_OK)
        status = transfer(&t, argv[0], writes ? (append ? "a" : "w") : "r");
    ctl_agent_close(&t.agent);
    return status;
}

static int run_read(struct ctl *ctl, int argc, char **argv)
{
    return run(ctl, &ctl_read, false, argc, argv);
}

static int run_write(struct ctl *ctl, int argc, char **argv)
{
    return run(ctl, &ctl_write, true, argc, argv);
}

const struct ctl_command ctl_read = {
    .name = "read",
    .summary = "copy a file of the guest to standard output",
    .usage = "[-s SOCKET] [--channel C] PATH\n"
             "What the policy grants the channel decides. Exit status as of call.",
    .run = run_read,
};

const struct ctl_command ctl_write = {
    .name = "write",
    .summary = "copy standard input to a file of the guest",
    .usage = "[-s SOCKET] [--channel C] [--append] PATH\n"
             "The file is created or emptied first. Exit status as of call.\n"
             "  --append          add to what is there instead",
    .run = run_write,
};
