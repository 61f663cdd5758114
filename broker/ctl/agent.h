/*
 * A conversation with the agent over a channel's unix socket: one request, one line.
 *
 * Invariants: the first thing said is guest-sync-delimited, so what an earlier client
 * left behind is never taken for an answer; every wait has an end; an answer is at most
 * CTL_ANSWER_MAX bytes.
 *
 * Trust: in = PEER (answers); out = CHECKED (a line; its content is shown, never obeyed);
 *        called by = bulkheadctl call, read, write
 */
#pragma once

#include <json-c/json.h>

#include "broker/ctl/ctl.h"

#define CTL_ANSWER_MAX (128u * 1024u * 1024u) /* bytes of a line: base64 of 48 MiB is 64 MiB */
#define CTL_TIMEOUT_S 30                      /* for an answer, beyond the command's own deadline */

struct ctl_agent {
    int fd;
    int timeout_ms;
    const char *socket;
    char *owned; /* the path, if it was looked up */
    char *data;  /* bytes received: data[0..len) */
    size_t len, cap;
    size_t line; /* bytes of data that the last answer took */
};

/* `socket` NULL: looked up in status.json by `channel` (which may be NULL). Exit status; what is wrong was
 * said. */
int ctl_agent_open(struct ctl_agent *agent, const struct ctl *ctl, const char *socket, const char *channel,
                   int timeout_s);
void ctl_agent_close(struct ctl_agent *agent);

/* Sends bytes as they are. Exit status. */
int ctl_agent_send(struct ctl_agent *agent, const char *text, size_t len);

/* The next line, NUL-terminated, valid until the next call. Exit status; `quiet`: an ended connection is not
 * said. */
int ctl_agent_line(struct ctl_agent *agent, const char **ret_line, bool quiet);

/*
 * Sends `{"execute": command, "arguments": arguments}` (consumes `arguments`, which may be NULL) and takes
 * its answer. CTL_OK: *ret_reply is the caller's to put, *ret_value its `return`; CTL_FAILED: the agent's
 * error was printed.
 */
int ctl_agent_ask(struct ctl_agent *agent, const char *command, struct json_object *arguments,
                  struct json_object **ret_reply, struct json_object **ret_value);

/* Takes a line apart. CTL_OK with *ret_reply and *ret_value, or as ctl_agent_ask. */
int ctl_agent_parse(const char *line, struct json_object **ret_reply, struct json_object **ret_value);

/* `{"execute": ..., "arguments": ...}` and a line feed, the caller's; consumes `arguments`. NULL: no memory.
 */
char *ctl_agent_request(const char *command, struct json_object *arguments);
