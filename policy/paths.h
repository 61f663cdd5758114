/*
 * Which folders a policy makes visible to the processes that open files: the supervisor
 * builds their view from this list, and they give the same list to Landlock. And which capabilities the rules
 * ask for.
 *
 * Trust: in = CHECKED (an opened slice); out = CHECKED; called by = supervisor, fs, opener, storage,
 * policy/lang, bulkheadctl
 */
#pragma once

#include <limits.h>

#include "policy/blob.h"
#include "policy/confine/confine.h"

#define BH_PATHS_MAX 64u               /* folders of one process */
#define BH_PATHS_STORAGE (64u * 1024u) /* bytes for their names */

/*
 * The folders of the rules that open files as `user` (index, or BH_NO_USER: opened by the fs worker itself),
 * each once and with all that these rules grant: the parent of an `is` path, the last folder before the first
 * wildcard of a `glob`, the folder of a `beneath`, "/" for a rule without paths. At most `cap` rows; what
 * does not fit is left out, so its rules open nothing. The names lie in `storage`. Returns the
 * number of rows. A policy that the compiler has passed fits in BH_PATHS_MAX and BH_PATHS_STORAGE.
 */
uint32_t bh_policy_paths(const struct bh_policy *policy, uint32_t user, struct bh_view_path *paths,
                         uint32_t cap, char *storage, size_t storage_size);

/*
 * A profile's own paths, and the folder of one more file (absolute; NULL: none), as info has for
 * $QGA_OS_RELEASE. At most `cap` rows, the folder's name in `storage`. Returns the number of rows.
 */
uint32_t bh_profile_paths(const struct bh_profile *profile, const char *file, struct bh_view_path *paths,
                          uint32_t cap, char storage[PATH_MAX]);

/* True if some rule opens files as this user (index): then there is an opener for it. Other users run
 * programs. */
bool bh_policy_opens_as(const struct bh_policy *policy, uint32_t user);

/* True if some rule has files opened by the fs worker itself, which then needs its capability. */
bool bh_policy_needs_fs_reader(const struct bh_policy *policy);

/* True if some rule lets the storage worker do more to file systems than list them: then it needs SYS_ADMIN.
 */
bool bh_policy_needs_mounts(const struct bh_policy *policy);

/* The verbs that an open in this mode (enum bh_guest_file_mode) asks for, whether or not the file exists. */
uint32_t bh_policy_mode_verbs(uint8_t mode);
