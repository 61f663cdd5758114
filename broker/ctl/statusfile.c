/* Finding, refreshing and reading status.json. */
#include "broker/ctl/statusfile.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/mem.h"

#define STATUS_MAX (1024u * 1024u)
#define REFRESH_MS 1000
#define REFRESH_STEP_MS 10

const char *ctl_json_text(struct json_object *object, const char *name, const char *otherwise)
{
    struct json_object *member;

    return json_object_object_get_ex(object, name, &member) && json_object_is_type(member, json_type_string)
               ? json_object_get_string(member)
               : otherwise;
}

int64_t ctl_json_number(struct json_object *object, const char *name)
{
    struct json_object *member;

    return json_object_object_get_ex(object, name, &member) ? json_object_get_int64(member) : 0;
}

static char *file_path(const struct ctl *ctl)
{
    char *path = NULL;

    return asprintf(&path, "%s/bulkhead/status.json", ctl->state_dir) < 0 ? NULL : path;
}

struct json_object *ctl_status_read(const struct ctl *ctl)
{
    _cleanup_free_ char *path = file_path(ctl);
    _cleanup_free_ char *text = NULL;
    struct json_object *status;
    size_t len;

    text = path ? ctl_read_file(path, STATUS_MAX, &len) : NULL;
    if (!text)
        return NULL;
    status = json_tokener_parse(text);
    if (status && json_object_is_type(status, json_type_object))
        return status;
    json_object_put(status);
    errno = EBADMSG;
    return NULL;
}

/* Is the process that wrote the file still there? Its number may have gone to another since. */
static bool is_alive(pid_t pid)
{
    char path[64], name[32] = "";
    _cleanup_fclose_ FILE *file = NULL;

    (void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    file = pid > 1 ? fopen(path, "re") : NULL;
    return file && fgets(name, sizeof(name), file) && strcmp(name, "bulkhead\n") == 0;
}

/* Waits for the file that the signal brings; the old one will do if it does not come. */
static struct json_object *refresh(const struct ctl *ctl, struct json_object *old)
{
    int64_t generation = ctl_json_number(old, "generation");

    for (int waited = 0; waited < REFRESH_MS; waited += REFRESH_STEP_MS) {
        struct json_object *fresh;

        (void)poll(NULL, 0, REFRESH_STEP_MS);
        fresh = ctl_status_read(ctl);
        if (fresh && ctl_json_number(fresh, "generation") != generation) {
            json_object_put(old);
            return fresh;
        }
        json_object_put(fresh);
    }
    return old;
}

bool ctl_status_is_alive(struct json_object *status)
{
    return is_alive((pid_t)ctl_json_number(status, "pid"));
}

struct json_object *ctl_status_load(const struct ctl *ctl, bool *ret_alive, int *ret_status)
{
    struct json_object *status = ctl_status_read(ctl);
    pid_t pid;

    if (!status && (errno == ENOENT || errno == ENOTDIR))
        *ret_status = ctl_fail(
            CTL_NO_AGENT, "no agent has run with the state folder %s; name its -t folder with --state-dir",
            ctl->state_dir);
    else if (!status)
        *ret_status = ctl_fail(CTL_FAILED, "%s/bulkhead/status.json cannot be read: %s%s", ctl->state_dir,
                               strerror(errno), errno == EACCES ? "; try as root" : "");
    if (!status)
        return NULL;
    pid = (pid_t)ctl_json_number(status, "pid");
    *ret_alive = ctl_status_is_alive(status);
    if (*ret_alive && kill(pid, SIGUSR1) == 0)
        status = refresh(ctl, status);
    return status;
}

static struct json_object *list(struct json_object *status)
{
    struct json_object *channels;

    return json_object_object_get_ex(status, "channels", &channels) &&
                   json_object_is_type(channels, json_type_array)
               ? channels
               : NULL;
}

static size_t count(struct json_object *channels)
{
    return channels ? json_object_array_length(channels) : 0;
}

static struct json_object *find(struct json_object *channels, const char *name)
{
    for (size_t i = 0; i < count(channels); i++) {
        struct json_object *row = json_object_array_get_idx(channels, i);

        if (strcmp(ctl_json_text(row, "name", ""), name) == 0)
            return row;
    }
    return NULL;
}

static bool is_socket(struct json_object *row)
{
    return strcmp(ctl_json_text(row, "method", ""), "unix-listen") == 0 ||
           strcmp(ctl_json_text(row, "name", ""), "local") == 0;
}

/* "main, backup": the names of all channels. */
static void names_of(struct json_object *channels, char *ret, size_t size)
{
    size_t at = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < count(channels) && at < size; i++)
        at += (size_t)snprintf(ret + at, size - at, "%s%.31s", i ? ", " : "",
                               ctl_json_text(json_object_array_get_idx(channels, i), "name", "?"));
}

/* Says why there is no row, or why nobody in the guest can speak on this one. Exit status. */
static int refuse(struct json_object *channels, struct json_object *row, const char *wanted)
{
    const char *local =
        find(channels, "local") ? "use --channel local" : "let the policy open `channel local`";
    char names[512];

    names_of(channels, names, sizeof(names));
    if (row)
        return ctl_fail(CTL_NO_AGENT,
                        "channel %.31s is no unix socket but %.15s:%.127s, which its host has at the other "
                        "end; %s",
                        ctl_json_text(row, "name", "?"), ctl_json_text(row, "method", "?"),
                        ctl_json_text(row, "path", "?"), local);
    if (count(channels) == 0)
        return ctl_fail(CTL_NO_AGENT, "the agent's status names no channel; name its socket with -s");
    if (wanted)
        return ctl_fail(CTL_NO_AGENT, "the agent has no channel %s; there are: %s", wanted, names);
    return ctl_fail(CTL_NO_AGENT, "the agent has several channels: choose one with --channel; there are: %s",
                    names);
}

char *ctl_status_socket(const struct ctl *ctl, const char *channel, int *ret_status)
{
    struct json_object *status = ctl_status_read(ctl), *channels = list(status), *row;
    const char *path;
    char *copy = NULL;

    if (!status && (errno == ENOENT || errno == ENOTDIR)) {
        *ret_status = ctl_fail(CTL_NO_AGENT,
                               "no agent has run with the state folder %s; name its -t folder with "
                               "--state-dir, or its socket with -s",
                               ctl->state_dir);
        return NULL;
    }
    if (!status) {
        *ret_status = ctl_fail(CTL_NO_AGENT,
                               "%s/bulkhead/status.json cannot be read: %s; name the agent's socket with -s",
                               ctl->state_dir, strerror(errno));
        return NULL;
    }
    row = find(channels, channel ? channel : "local");
    if (!row && !channel && count(channels) == 1)
        row = json_object_array_get_idx(channels, 0);
    path = row && is_socket(row) ? ctl_json_text(row, "path", NULL) : NULL;
    if (path)
        copy = strdup(path);
    else
        *ret_status = refuse(channels, row, channel);
    json_object_put(status);
    return copy;
}

/* A copy of `name` in the member `object` of the file, or NULL. */
static char *copy_member(const struct ctl *ctl, const char *object, const char *name)
{
    struct json_object *status = ctl_status_read(ctl), *part = NULL;
    const char *text = NULL;
    char *copy;

    if (status && json_object_object_get_ex(status, object, &part))
        text = ctl_json_text(part, name, NULL);
    copy = text ? strdup(text) : NULL;
    json_object_put(status);
    return copy;
}

char *ctl_status_audit_dir(const struct ctl *ctl)
{
    return copy_member(ctl, "audit", "dir");
}

char *ctl_status_policy(const struct ctl *ctl, const char *name)
{
    return copy_member(ctl, "policy", name);
}

static bool holds(struct json_object *names, const char *name)
{
    for (size_t i = 0; i < count(names); i++) {
        const char *text = json_object_get_string(json_object_array_get_idx(names, i));

        if (text && strcmp(text, name) == 0)
            return true;
    }
    return false;
}

bool ctl_status_withholds(const struct ctl *ctl, const char *command)
{
    struct json_object *status = ctl_status_read(ctl), *allow = NULL, *block = NULL;
    bool withheld;

    (void)json_object_object_get_ex(status, "allow-rpcs", &allow);
    (void)json_object_object_get_ex(status, "block-rpcs", &block);
    withheld = (json_object_is_type(allow, json_type_array) && !holds(allow, command)) ||
               (json_object_is_type(block, json_type_array) && holds(block, command));
    json_object_put(status);
    return withheld;
}

char *ctl_status_policy_source(const struct ctl *ctl)
{
    _cleanup_free_ char *state = ctl_status_policy(ctl, "state");

    return state && strcmp(state, "last-good") != 0 ? ctl_status_policy(ctl, "source") : NULL;
}
