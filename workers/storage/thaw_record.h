/*
 * The copy of the frozen page in the state folder, for the case that nothing of this agent is left. It is
 * written before each act, as long as that does not block: the file may lie on a file system that is
 * frozen itself, where memory (/run) is the right place for it.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = guard
 */
#pragma once

#include "workers/storage/thaw.h"

/* Writes all that the page says but its mounts; one of its mounts. A file that cannot be written is said
 * once. */
void bh_thaw_record_head(const struct bh_guard *guard);
void bh_thaw_record_mount(const struct bh_guard *guard, uint32_t at);

/* Counts a new mount in the page, and writes both. It is not frozen yet, so that is the last thing written
 * where it is the file's own file system. */
void bh_thaw_record_add(const struct bh_guard *guard, uint32_t at);

/* Does the file lie on one of the mounts that the page says may be frozen? Then what came after that is not
 * in it. */
bool bh_thaw_record_is_cut(const struct bh_guard *guard);
