/*
 * Landlock: a second list of paths, held by the process itself and kept when the view
 * fails; no TCP, no abstract sockets and no signals to others where the kernel knows them.
 *
 * Trust: in = CONFIG; out = CHECKED; called by = self.c, workers/exec
 */
#pragma once

#include "policy/confine/confine.h"

/*
 * Restricts the calling process for ever. 0; 1 = this kernel has no Landlock; or -errno. A path that is
 * missing or crosses a symlink grants nothing.
 */
int bh_landlock_restrict(const struct bh_view_path *paths, uint32_t n_paths);

/*
 * The same in two steps, for who loses the right to look at the paths in between. make: a descriptor
 * (close-on-exec); -ENOSYS = this kernel has no Landlock; or -errno. `tcp`: TCP stays as it is. enforce: 0 or
 * -errno; needs no_new_privs or SYS_ADMIN.
 */
int bh_landlock_make(const struct bh_view_path *paths, uint32_t n_paths, bool tcp);
int bh_landlock_enforce(int ruleset);
