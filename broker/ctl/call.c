/* bulkheadctl call: one command, its answer, its exit status. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "broker/ctl/agent.h"
#include "broker/ctl/args.h"
#include "broker/ctl/statusfile.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "protocol/commands.h"
#include "protocol/json/base64.h"

#define TIMEOUT_MAX_S 86400u

struct call {
    const struct ctl *ctl;
    const char *name, *output;
    const struct bh_command *command; /* NULL: this build does not know it */
    struct json_object *arguments;
};

/* The bytes of `buf-b64` (or of exec's `out-data`) into a file. */
static int save(const struct call *call, struct json_object *value)
{
    const char *text = ctl_json_text(value, "buf-b64", ctl_json_text(value, "out-data", NULL));
    size_t len = text ? strlen(text) : 0;
    _cleanup_free_ uint8_t *data = malloc(BH_BASE64_DECODED_MAX(len) + 1);
    _cleanup_close_ int fd = -1;
    struct bh_base64 state = { 0 };
    long n;
    int r;

    if (!text || !data)
        return ctl_fail(CTL_FAILED, text ? "out of memory" : "the answer has no bytes to write to a file");
    n = bh_base64_decode(&state, text, len, data);
    if (n < 0 || bh_base64_decode_end(&state) < 0)
        return ctl_fail(CTL_FAILED, "the bytes in the answer are not base64");
    fd = open(call->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    r = fd < 0 ? -errno : bh_write_all(fd, data, (size_t)n);
    if (r < 0)
        return ctl_fail(CTL_FAILED, "%s cannot be written: %s", call->output, strerror(-r));
    return CTL_OK;
}

/* The value as the agent wrote it, for programs: what stands between {"return": and the last brace. */
static void print_raw(const char *line, struct json_object *value)
{
    static const char head[] = "{\"return\": ";
    size_t len = strlen(line);

    if (strncmp(line, head, sizeof(head) - 1) == 0 && len > sizeof(head))
        printf("%.*s\n", (int)(len - sizeof(head)), line + sizeof(head) - 1);
    else
        puts(json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

/* An empty object or list stays on its line. */
static int pretty_flags(struct json_object *value)
{
    bool empty = (json_object_is_type(value, json_type_object) && json_object_object_length(value) == 0) ||
                 (json_object_is_type(value, json_type_array) && json_object_array_length(value) == 0);

    return JSON_C_TO_STRING_NOSLASHESCAPE |
           (empty ? JSON_C_TO_STRING_PLAIN : JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);
}

static int print(const struct call *call, const char *line)
{
    struct json_object *reply, *value;
    int status = ctl_agent_parse(line, &reply, &value);

    if (status != CTL_OK)
        return status;
    if (call->output)
        status = save(call, value);
    else if (call->ctl->json)
        print_raw(line, value);
    else
        puts(json_object_to_json_string_ext(value, pretty_flags(value)));
    json_object_put(reply);
    return status;
}

/* Success is silent: a sync behind the command shows that no error came. An agent that is gone has done as
 * told. */
static int await_silence(struct ctl_agent *agent)
{
    static const char sync[] = "{\"execute\": \"guest-sync\", \"arguments\": {\"id\": 1}}\n";
    struct json_object *reply, *value;
    const char *line;
    int status;

    if (ctl_agent_send(agent, sync, sizeof(sync) - 1) != CTL_OK ||
        ctl_agent_line(agent, &line, true) != CTL_OK)
        return CTL_OK;
    status = ctl_agent_parse(line, &reply, &value);
    if (status == CTL_OK)
        json_object_put(reply);
    return status;
}

static int converse(struct ctl_agent *agent, const struct call *call)
{
    _cleanup_free_ char *request = ctl_agent_request(call->name, json_object_get(call->arguments));
    const char *line;
    int status =
        request ? ctl_agent_send(agent, request, strlen(request)) : ctl_fail(CTL_FAILED, "out of memory");

    if (status != CTL_OK)
        return status;
    if (call->command && call->command->flags & BH_COMMAND_NO_REPLY)
        return await_silence(agent);
    status = ctl_agent_line(agent, &line, false);
    return status == CTL_OK ? print(call, line) : status;
}

/* The user's choice, or what the command itself may take and some more. */
static int set_timeout(const struct call *call, const char *text, int *ret)
{
    uint64_t seconds = CTL_TIMEOUT_S + (call->command ? call->command->deadline_ms / 1000 : 0);

    if (text && (!ctl_number(text, TIMEOUT_MAX_S, &seconds) || seconds == 0))
        return ctl_usage(&ctl_call, "--timeout takes seconds, 1 to %u", TIMEOUT_MAX_S);
    *ret = (int)seconds;
    return CTL_OK;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    const char *socket = NULL, *channel = NULL, *timeout = NULL;
    struct call call = { .ctl = ctl };
    const struct ctl_option options[] = {
        { "--socket", "-s", &socket, NULL },
        { "--channel", NULL, &channel, NULL },
        { "--timeout", NULL, &timeout, NULL },
        { "--output", "-o", &call.output, NULL },
        { 0 },
    };
    struct ctl_agent agent;
    int status, seconds = CTL_TIMEOUT_S, index;

    if (ctl_options(ctl, &ctl_call, &argc, argv, options, &status) < 0)
        return status;
    if (argc < 1)
        return ctl_usage(&ctl_call, "it takes a COMMAND, such as guest-ping");
    call.name = argv[0];
    index = bh_command_find(call.name, strlen(call.name));
    call.command = index < 0 ? NULL : &bh_commands[index];
    status = set_timeout(&call, timeout, &seconds);
    if (status == CTL_OK)
        status = ctl_args(call.command, argc - 1, argv + 1, &call.arguments);
    if (status != CTL_OK)
        return status;
    status = ctl_agent_open(&agent, ctl, socket, channel, seconds);
    if (status == CTL_OK)
        status = converse(&agent, &call);
    ctl_agent_close(&agent);
    json_object_put(call.arguments);
    return status;
}

const struct ctl_command ctl_call = {
    .name = "call",
    .summary = "send one command to the agent and print its answer",
    .usage =
        "[-s SOCKET] [--channel C] [--timeout SECONDS] [--output FILE] COMMAND [KEY=VALUE ... | JSON | -]\n"
        "Values are typed by the command's schema; a list takes KEY=VALUE once per element, or JSON.\n"
        "  -s SOCKET         the agent's unix socket (default: from its status file)\n"
        "  --channel C       the channel to use, where the agent has several\n"
        "  --timeout SECONDS how long to wait (default: the command's deadline and 30 s)\n"
        "  --output FILE     write the decoded bytes of the answer (buf-b64) to FILE\n"
        "Exit status: 0 done, 1 the agent answered with an error, 2 usage, 3 no connection or no answer.",
    .run = run,
};
