/*
 * The file system of a program in `minimal` or `diag`.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = sandbox.c
 */
#pragma once

#include "workers/exec/sandbox.h"

/* In mount and process namespaces of the caller's own, whose files are made as uid 0. 0, or -errno with
 * *ret_step. */
int bh_sandbox_view(const struct bh_sandbox_plan *plan, const char **ret_step);
