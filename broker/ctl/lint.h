/*
 * What `policy check` says of a policy that is good: which rules make whoever holds a
 * channel equal to root.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = bulkheadctl policy check
 */
#pragma once

#include <stdio.h>

#include "policy/blob.h"

/* One line for each such rule of a channel. Nothing for `local`, which is root's own. */
void ctl_lint(const struct bh_policy *policy, FILE *out);
