/*
 * Rules as explain tells them, one after the other as the evaluator tries them: printed, or collected as
 * JSON.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = bulkheadctl policy explain
 */
#pragma once

#include <json-c/json.h>

#include "policy/eval.h"

struct ctl_telling {
    const struct bh_policy *policy;
    struct json_object *tried; /* --json: collected; else NULL: printed */
    unsigned n;
};

/* A bh_trace_fn; `context` is a struct ctl_telling. */
void ctl_tell_rule(void *context, uint32_t number, bool matched, const char *why);
