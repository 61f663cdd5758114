/*
 * What the worker loop calls of the spool: all of main but its confinement.
 *
 * Trust: in = nothing; out = CHECKED; called by = spool, tests
 */
#pragma once

#include "workers/lib/worker.h"

extern const struct bh_worker_main bh_spool_hooks;
