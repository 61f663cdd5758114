/*
 * Which commands act on mounts, one mount after the other, so that a rule can speak of some of them.
 *
 * The other commands of the same classes (thawing, the state) are never limited by such a rule: an allow
 * with mounts grants them as they are, and a deny with mounts does not speak of them.
 *
 * Trust: in = CONFIG, PEER (masks of commands); out = CHECKED; called by = policy, bulkheadctl
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Does it freeze or trim mounts that a rule can choose? Does it freeze them? */
bool bh_acts_on_mounts(unsigned command);
bool bh_freezes_mounts(unsigned command);

/* Does some command of the set freeze? */
bool bh_mask_freezes(const uint64_t mask[2]);

/* Can a rule for these commands have mounts? Some act on them, and all others (`strictly`: there are none)
 * are of @freeze or @trim. */
bool bh_mask_about_mounts(const uint64_t mask[2], bool strictly);
