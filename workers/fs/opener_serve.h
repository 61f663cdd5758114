/*
 * The loop of an opener.
 *
 * Trust: in = PEER (questions of the fs worker); out = CHECKED; called by = opener_main.c, tests
 */
#pragma once

#include "workers/lib/worker.h"

/* Answers until the fs worker goes away (0) or breaks the protocol: the exit status. */
int bh_opener_serve(struct bh_worker *worker);
