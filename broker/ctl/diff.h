/*
 * What the files of `policy diff` share: the answer, line by line, and its outcome.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = bulkheadctl policy diff
 */
#pragma once

#include <json-c/json.h>

#include "broker/ctl/compare.h"
#include "broker/ctl/policysource.h"

struct ctl_diff {
    struct json_object *rows; /* --json: collected; else NULL: printed */
    struct ctl_policy_source old, new;
    bool wider, narrower;
};

/* One line. `channel`: "" for the whole policy; `kind`: "channel", "command", "rule", "rules" or
 * "setting". */
void ctl_diff_tell(const struct ctl_diff *diff, const char *channel, enum ctl_change change, const char *kind,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Lets a change count for the outcome; what is not decided counts as wider. */
void ctl_diff_count(struct ctl_diff *diff, enum ctl_change change);

/* "rule logs (/etc/bulkhead/policy:6)"; returns `ret`. */
const char *ctl_diff_rule_text(struct ctl_rule rule, char ret[256]);

/* Rules that choose among files, interfaces, users or mounts, told one by one; what they come to together
 * counts. Nothing of commands that one of the two does not grant: that says it all. */
void ctl_diff_names(struct ctl_diff *diff, const char *channel, const struct bh_policy *old,
                    const struct bh_policy *new);
