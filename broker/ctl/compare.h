/*
 * Which of two policies lets more be done with a command that acts on named things: which
 * files it opens, and how; which programs it runs, and how; which interfaces or users it lists; which mounts
 * it freezes or trims, and which of them must be frozen. Rule by rule; an answer is certain or it is
 * CTL_UNDECIDED; nothing is guessed.
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

/* Does the command act on named things, so that two policies that grant it may still differ? */
bool ctl_acts_on_names(unsigned command);

/* Does the rule speak of it? */
bool ctl_rule_speaks(const struct bh_rule *rule, unsigned command);

/*
 * Does `a` speak of all that `b` speaks of; of files and programs, as the same user and with settings that
 * are no tighter; of mounts, and requires no more of them? Both are of one effect. What they are called does
 * not count.
 */
bool ctl_rule_covers(struct ctl_rule a, struct ctl_rule b, unsigned command);

/* Is the limit `a` no tighter than `b`? 0 is none. */
static inline bool ctl_limit_covers(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && a >= b);
}

/* ctl_rule_covers for guest-exec. */
bool ctl_exec_covers(struct ctl_rule a, struct ctl_rule b);

/* The same in all that counts: they cover each other, and a deny spares rules of the same names. */
bool ctl_rule_equal(struct ctl_rule a, struct ctl_rule b, unsigned command);

/* What became of the command, which both grant. */
enum ctl_change ctl_names_compare(const struct bh_policy *old, const struct bh_policy *new, unsigned command);
