/*
 * What the files of the guard share: changes of the page, each written to its copy too, and thawing.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = guard
 */
#pragma once

#include "workers/storage/thaw.h"

void bh_guard_set_state(struct bh_guard *guard, enum bh_freeze_state state);
void bh_guard_set_fate(struct bh_guard *guard, uint32_t at, enum bh_mount_fate fate);

/* Into the audit log and the text log. */
void bh_guard_say(struct bh_guard *guard, const char *text);

/* Thaws what is frozen, and what may be; how many were. */
uint32_t bh_guard_thaw_all(struct bh_guard *guard);

/* The same although no client asked: it is said, and the next thaw of a client will be told. */
void bh_guard_thaw_unasked(struct bh_guard *guard, enum bh_thaw_cause cause);

/* One more attempt to thaw what lingers; there is such. */
void bh_guard_look_at_lingering(struct bh_guard *guard);
