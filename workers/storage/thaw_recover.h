/*
 * What a guard does first whose predecessor, or whose whole agent, was killed while file systems were frozen
 * or being frozen: it finds the mounts again, by their device, and thaws them, or holds them as the policy
 * says.
 *
 * Trust: in = PEER (the page of a predecessor; mountinfo); out = CHECKED; called by = guard
 */
#pragma once

#include "workers/storage/thaw.h"

/* `mountinfo`: open, of the mount namespace in which they are mounted. */
void bh_guard_recover(struct bh_guard *guard, int mountinfo);
