/*
 * How a freeze ends: each file system is thawed, the last that was frozen first; what may still freeze
 * because its FIFREEZE has not come back is kept in sight.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = guard
 */
#pragma once

#include "workers/storage/thaw.h"

/* Says it in the page, and then in its record. */
void bh_thaw_state(struct bh_guard *guard, enum bh_freeze_state state);
void bh_thaw_fate(struct bh_guard *guard, uint32_t at, enum bh_mount_fate fate);

/* To the log and the audit log. */
void bh_thaw_say(struct bh_guard *guard, const char *text);

/* Thaws all that the page lists as frozen or about to be; how many were. The freeze is over then, and
 * nobody's. */
uint32_t bh_thaw_all(struct bh_guard *guard);

/* Thaws although no client asked: it is said, and the next thaw of a client will be told. */
void bh_thaw_unasked(struct bh_guard *guard, enum bh_thaw_cause cause);

/* One more attempt to thaw what lingers (there is such). */
void bh_thaw_look_again(struct bh_guard *guard);
