/*
 * What a process sees of the file system.
 *
 * Trust: in = CONFIG; out = CHECKED; called by = confine.c, workers/exec
 */
#pragma once

#include "policy/confine/confine.h"
#include "policy/confine/tree.h"

/*
 * Gives the calling process a mount namespace of its own with `view` in it; `view` is not BH_VIEW_HOST.
 * 0, or -errno; -EINVAL for "/" as a listed path (that is BH_VIEW_ALL). A listed path that is missing or
 * crosses a symlink is no error: it is left out, view->left_out is told, and an empty directory stands there.
 * One that is optional and missing is left out without all that.
 */
int bh_view_build(const struct bh_view *view);

/*
 * Binds the rows, in any order, into a tree that is being built; what lies below another row is seen by that
 * one's bind. A row that is left out is told of as above. 0, or -errno.
 */
int bh_view_bind(const struct bh_tree *tree, const struct bh_view_path *rows, uint32_t n_rows,
                 void (*left_out)(const char *path, int error));
