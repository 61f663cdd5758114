/*
 * After a reload: may a file that is open stay open?
 *
 * It may if the new policy would grant the same open of the same object by the same user:
 * the name it was judged by, the verbs of its mode, its kind. How the path led to it then
 * (links) is not asked again.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = fs
 */
#pragma once

#include "policy/eval.h"
#include "workers/fs/handle.h"

/* Pure. ALLOW comes with the rule, a denial with the rule that denies. */
struct bh_decision bh_rejudge(const struct bh_policy *policy, const struct bh_handle *handle);
