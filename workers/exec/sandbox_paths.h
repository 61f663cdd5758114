/*
 * What a program in `minimal` or `diag` sees of the file system, as lists: the view is built of one
 * (sandbox_view.c), Landlock is given the other, which says the same in its own words and holds where there
 * is no privilege for a view.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = sandbox.c, sandbox_view.c
 */
#pragma once

#include <limits.h>

#include "workers/exec/sandbox.h"

#define BH_SANDBOX_DEVICES 5

/* All devices that there are. */
extern const char *const bh_sandbox_devices[BH_SANDBOX_DEVICES];

/* An array of this many rows holds either list. */
uint32_t bh_sandbox_paths_max(const struct bh_sandbox_plan *plan);

/* The rows that are bound into the view, all read-only; their number. `folder` receives the program's, and
 * the strings live as long as it and the plan. */
uint32_t bh_sandbox_shown(const struct bh_sandbox_plan *plan, char folder[static PATH_MAX],
                          struct bh_view_path *ret);

/* The rows for Landlock; their number. */
uint32_t bh_sandbox_allowed(const struct bh_sandbox_plan *plan, char folder[static PATH_MAX],
                            struct bh_view_path *ret);
