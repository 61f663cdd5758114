/*
 * What a process sees of the file system.
 *
 * Trust: in = CONFIG; out = CHECKED; called by = confine.c
 */
#pragma once

#include "policy/confine/confine.h"

/*
 * Gives the calling process a mount namespace of its own with `view` in it; `view` is not BH_VIEW_HOST.
 * 0, or -errno; -EINVAL for "/" as a listed path (that is BH_VIEW_ALL). A listed path that is missing or
 * crosses a symlink is no error: it is left out, view->left_out is told, and an empty directory stands there.
 * One that is optional and missing is left out without all that.
 */
int bh_view_build(const struct bh_view *view);
