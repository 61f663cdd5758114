/*
 * What `policy check` says of a policy that is good: which rules make whoever holds a
 * channel equal to root, or let more be done than they seem to.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = bulkheadctl policy check
 */
#pragma once

#include <stdio.h>

#include "policy/blob.h"

/* One line for each such rule of a channel. Nothing for `local`, which is root's own. */
void ctl_lint(const struct bh_policy *policy, FILE *out);

/* The same of one allow for guest-exec, in as many lines as there is to say. */
void ctl_lint_exec(const struct bh_policy *policy, const struct bh_rule *rule, FILE *out);
