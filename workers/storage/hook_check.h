/*
 * May this file be run as root? Only if nobody but root could have written it or put another in its place: a
 * regular file of root's that nobody else may write to, in folders of root's that nobody else may write to,
 * up to the root of the tree. A sticky folder (/tmp) does not do: others may not exchange a file of root's in
 * it, but they can be there first. Symbolic links are not followed, in no part of the path: what they lead to
 * is to be named itself.
 *
 * Each part is judged through a descriptor that was opened from the one before.
 *
 * Trust: in = CONFIG; out = CHECKED; called by = hook
 */
#pragma once

#include <stddef.h>

#define BH_HOOK_WHY_MAX 1024u /* bytes of a sentence, with the NUL */

/* 0; or -errno with a sentence in `why` that says what to mend. */
int bh_hook_check(const char *path, char why[BH_HOOK_WHY_MAX]);

/* The same for a folder of hooks: a descriptor to list it, or -errno; -ENOENT: there is none. */
int bh_hook_check_folder(const char *path, char why[BH_HOOK_WHY_MAX]);
