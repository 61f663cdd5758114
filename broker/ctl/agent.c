/* The conversation of agent.h. */
#include "broker/ctl/agent.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/ctl/statusfile.h"
#include "protocol/base/clock.h"
#include "protocol/base/mem.h"

#define READ_STEP (256u * 1024u)

#define SYNC_DISABLED "Command guest-sync-delimited has been disabled" /* words that clients may rely on */

static int connect_to(struct ctl_agent *agent)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (strlen(agent->socket) >= sizeof(address.sun_path))
        return ctl_fail(CTL_NO_AGENT, "the socket path %s is too long", agent->socket);
    memcpy(address.sun_path, agent->socket, strlen(agent->socket));
    agent->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (agent->fd < 0)
        return ctl_fail(CTL_NO_AGENT, "no socket can be made: %s", strerror(errno));
    if (connect(agent->fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return CTL_OK;
    if (errno == ENOENT || errno == ECONNREFUSED)
        return ctl_fail(CTL_NO_AGENT, "nobody listens on %s: is the agent running?", agent->socket);
    return ctl_fail(CTL_NO_AGENT, "the socket %s cannot be connected to: %s%s", agent->socket,
                    strerror(errno), errno == EACCES ? "; try as root" : "");
}

int ctl_agent_send(struct ctl_agent *agent, const char *text, size_t len)
{
    while (len > 0) {
        struct pollfd poll_fd = { .fd = agent->fd, .events = POLLOUT };
        ssize_t n;

        if (poll(&poll_fd, 1, agent->timeout_ms) == 0)
            return ctl_fail(CTL_NO_AGENT, "the agent took no more of the request for %d s",
                            agent->timeout_ms / 1000);
        n = send(agent->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return ctl_fail(CTL_NO_AGENT, "the agent closed the connection: %s", strerror(errno));
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
    return CTL_OK;
}

static bool reserve(struct ctl_agent *agent)
{
    size_t cap = agent->cap ? 2 * agent->cap : 2 * READ_STEP;
    char *more;

    if (agent->cap - agent->len > READ_STEP)
        return true;
    more = cap <= 2 * (size_t)CTL_ANSWER_MAX ? realloc(agent->data, cap) : NULL;
    if (!more)
        return false;
    agent->data = more;
    agent->cap = cap;
    return true;
}

/* One more piece from the socket, before `until`. */
static int receive(struct ctl_agent *agent, int64_t until, bool quiet)
{
    struct pollfd poll_fd = { .fd = agent->fd, .events = POLLIN };
    int64_t left = until - bh_clock_ms(CLOCK_MONOTONIC);
    ssize_t n;

    if (agent->len > CTL_ANSWER_MAX || !reserve(agent))
        return ctl_fail(CTL_NO_AGENT, "the answer is longer than %u bytes or than there is memory",
                        CTL_ANSWER_MAX);
    if (left <= 0 || poll(&poll_fd, 1, (int)left) == 0)
        return ctl_fail(
            CTL_NO_AGENT,
            "no answer within %d s; another client may hold the channel, or the command takes longer "
            "(--timeout SECONDS)",
            agent->timeout_ms / 1000);
    n = recv(agent->fd, agent->data + agent->len, READ_STEP, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return CTL_OK;
    if (n <= 0 && quiet)
        return CTL_NO_AGENT;
    if (n <= 0)
        return ctl_fail(CTL_NO_AGENT, "the agent closed the connection before it answered");
    agent->len += (size_t)n;
    return CTL_OK;
}

/* Drops what the last answer took. */
static void forget_line(struct ctl_agent *agent)
{
    if (agent->line > 0)
        memmove(agent->data, agent->data + agent->line, agent->len - agent->line);
    agent->len -= agent->line;
    agent->line = 0;
}

int ctl_agent_line(struct ctl_agent *agent, const char **ret_line, bool quiet)
{
    int64_t until = bh_clock_ms(CLOCK_MONOTONIC) + agent->timeout_ms;
    size_t searched = 0, start = 0;
    char *end = NULL;
    int status = CTL_OK;

    forget_line(agent);
    for (;;) {
        if (agent->len > searched)
            end = memchr(agent->data + searched, '\n', agent->len - searched);
        if (end)
            break;
        searched = agent->len;
        status = receive(agent, until, quiet);
        if (status != CTL_OK)
            return status;
    }
    *end = '\0';
    agent->line = (size_t)(end - agent->data) + 1;
    while (agent->data[start] == '\xff')
        start++;
    *ret_line = agent->data + start;
    return CTL_OK;
}

/* Everything up to the byte 0xFF is what an earlier client left; what follows is our own answer. */
static int await_sentinel(struct ctl_agent *agent)
{
    int64_t until = bh_clock_ms(CLOCK_MONOTONIC) + agent->timeout_ms;

    for (;;) {
        char *mark = agent->len > 0 ? memchr(agent->data, 0xff, agent->len) : NULL;
        int status;

        if (mark) {
            agent->line = (size_t)(mark - agent->data) + 1;
            return CTL_OK;
        }
        if (agent->len > 0 && memmem(agent->data, agent->len, SYNC_DISABLED, strlen(SYNC_DISABLED)))
            return ctl_fail(CTL_FAILED,
                            "the agent refuses guest-sync-delimited, without which no answer is known to be "
                            "ours; its -a, -b or policy must let it through");
        agent->len = 0;
        status = receive(agent, until, false);
        if (status != CTL_OK)
            return status;
    }
}

static int synchronise(struct ctl_agent *agent)
{
    char request[128], wanted[64];
    uint32_t id;
    const char *line;
    int status;

    if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
        id = (uint32_t)getpid();
    (void)snprintf(request, sizeof(request),
                   "\xff{\"execute\": \"guest-sync-delimited\", \"arguments\": {\"id\": %" PRIu32 "}}\n", id);
    (void)snprintf(wanted, sizeof(wanted), "{\"return\": %" PRIu32 "}", id);
    status = ctl_agent_send(agent, request, strlen(request));
    for (;;) {
        if (status == CTL_OK)
            status = await_sentinel(agent);
        if (status == CTL_OK)
            status = ctl_agent_line(agent, &line, false);
        if (status != CTL_OK || strcmp(line, wanted) == 0)
            return status;
    }
}

int ctl_agent_open(struct ctl_agent *agent, const struct ctl *ctl, const char *socket, const char *channel,
                   int timeout_s)
{
    int status = CTL_OK;

    *agent = (struct ctl_agent){ .fd = -1, .timeout_ms = timeout_s * 1000, .socket = socket };
    if (!socket)
        agent->socket = agent->owned = ctl_status_socket(ctl, channel, &status);
    if (agent->socket)
        status = connect_to(agent);
    return status == CTL_OK ? synchronise(agent) : status;
}

void ctl_agent_close(struct ctl_agent *agent)
{
    bh_close_p(&agent->fd);
    free(agent->owned);
    free(agent->data);
}

char *ctl_agent_request(const char *command, struct json_object *arguments)
{
    struct json_object *request = json_object_new_object();
    char *text = NULL;

    json_object_object_add(request, "execute", json_object_new_string(command));
    if (arguments)
        json_object_object_add(request, "arguments", arguments);
    if (asprintf(&text, "%s\n", json_object_to_json_string_ext(request, JSON_C_TO_STRING_NOSLASHESCAPE)) < 0)
        text = NULL;
    json_object_put(request);
    return text;
}

int ctl_agent_parse(const char *line, struct json_object **ret_reply, struct json_object **ret_value)
{
    struct json_object *reply = json_tokener_parse(line), *error;

    if (reply && json_object_object_get_ex(reply, "return", ret_value)) {
        *ret_reply = reply;
        return CTL_OK;
    }
    if (reply && json_object_object_get_ex(reply, "error", &error)) {
        fputs("bulkheadctl: ", stderr);
        ctl_print_clean(stderr, ctl_json_text(error, "class", "GenericError"));
        fputs(": ", stderr);
        ctl_print_clean(stderr, ctl_json_text(error, "desc", "the agent gave no reason"));
        fputc('\n', stderr);
    } else {
        (void)ctl_fail(CTL_FAILED, "the agent's answer is neither a return value nor an error");
    }
    json_object_put(reply);
    return CTL_FAILED;
}

int ctl_agent_ask(struct ctl_agent *agent, const char *command, struct json_object *arguments,
                  struct json_object **ret_reply, struct json_object **ret_value)
{
    _cleanup_free_ char *request = ctl_agent_request(command, arguments);
    const char *line;
    int status =
        request ? ctl_agent_send(agent, request, strlen(request)) : ctl_fail(CTL_FAILED, "out of memory");

    if (status == CTL_OK)
        status = ctl_agent_line(agent, &line, false);
    return status == CTL_OK ? ctl_agent_parse(line, ret_reply, ret_value) : status;
}
