/*
 * Which of two policies lets more files be opened: rule by rule, over verbs, paths and
 * settings. An answer is certain or it is CTL_UNDECIDED; nothing is guessed.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = bulkheadctl policy diff
 */
#pragma once

#include "policy/blob.h"

enum ctl_change { CTL_SAME, CTL_NARROWER, CTL_WIDER, CTL_UNDECIDED };

/* A rule of a slice. */
struct ctl_rule {
    const struct bh_policy *policy;
    const struct bh_rule *rule;
};

/* Does it speak of opening files? */
bool ctl_rule_opens(const struct bh_rule *rule);

/*
 * Does `a` speak of every open that `b` speaks of, as the same user and with settings that are no tighter?
 * Both are of one effect. What they are called does not count.
 */
bool ctl_rule_covers(struct ctl_rule a, struct ctl_rule b);

/* The same in all that counts: they cover each other, and a deny spares rules of the same names. */
bool ctl_rule_equal(struct ctl_rule a, struct ctl_rule b);

/* What became of opening files. */
enum ctl_change ctl_files_compare(const struct bh_policy *old, const struct bh_policy *new);
