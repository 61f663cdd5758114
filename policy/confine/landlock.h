/*
 * Landlock: a second list of paths, held by the process itself and kept when the view
 * fails; no TCP, no abstract sockets and no signals to others where the kernel knows them.
 *
 * Trust: in = CONFIG; out = CHECKED; called by = self.c
 */
#pragma once

#include "policy/confine/confine.h"

/*
 * Restricts the calling process for ever. 0; 1 = this kernel has no Landlock; or -errno. A path that is
 * missing or crosses a symlink grants nothing.
 */
int bh_landlock_restrict(const struct bh_view_path *paths, uint32_t n_paths);
