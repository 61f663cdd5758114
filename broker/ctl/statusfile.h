/*
 * status.json, as the supervisor writes it (broker/supervisor/status.c).
 *
 * Trust: in = CONFIG (root's file, or the starting user's); out = CHECKED (a JSON object;
 *        members may be absent); called by = bulkheadctl
 */
#pragma once

#include <stdbool.h>

#include <json-c/json.h>

#include "broker/ctl/ctl.h"

/* The file as it is. NULL: errno. */
struct json_object *ctl_status_read(const struct ctl *ctl);

/* Asks a live agent for fresh figures, and reads the file. NULL with *ret_status set and said. */
struct json_object *ctl_status_load(const struct ctl *ctl, bool *ret_alive, int *ret_status);

/* Does the process that the file names still run? */
bool ctl_status_is_alive(struct json_object *status);

/* Path of the unix socket of a channel (NULL: `local`, else the only one); the caller's. NULL: said,
 * *ret_status set. */
char *ctl_status_socket(const struct ctl *ctl, const char *channel, int *ret_status);

/* The audit folder that the file names, the caller's; NULL if there is no such file. Says nothing. */
char *ctl_status_audit_dir(const struct ctl *ctl);

/* A member of the file's `policy`: "source" (a profile's name, or a file), "state" or "digest"; the caller's,
 * NULL if there is none. Says nothing. */
char *ctl_status_policy(const struct ctl *ctl, const char *name);

/* The policy in force by that file: a profile's name or a file's, the caller's; NULL if it names none that
 * can be read again. Says nothing. */
char *ctl_status_policy_source(const struct ctl *ctl);

/* Do the agent's -a and -b keep this command from every channel? Says nothing. */
bool ctl_status_withholds(const struct ctl *ctl, const char *command);

/* Members with a default. */
const char *ctl_json_text(struct json_object *object, const char *name, const char *otherwise);
int64_t ctl_json_number(struct json_object *object, const char *name);
