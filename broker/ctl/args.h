/*
 * key=value words to the arguments of a command, typed by the schema's tables.
 *
 * Trust: in = CONFIG (the user's words); out = CHECKED (JSON of the right types; the agent
 *        checks bounds and meaning); called by = bulkheadctl call, policy
 */
#pragma once

#include <json-c/json.h>

#include "protocol/wire/table.h"

/*
 * `words`: key=value each (a list takes one word per element, or JSON), or one word of JSON, or "-" for JSON
 * from standard input. CTL_OK: *ret is the caller's, NULL if there are no words. `command` may be NULL
 * (unknown): JSON only.
 */
int ctl_args(const struct bh_command *command, int n, char **words, struct json_object **ret);
