/*
 * What the commands of the spool have in common: the execution that a client names.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = workers/spool
 */
#pragma once

#include "workers/spool/spool.h"

/* NULL: the call's error says why there is none; one whose results are lost is forgotten by that. Counts as a
 * use: its age begins anew. It stays the spool's. */
struct bh_spooled *bh_spool_ask(struct bh_call *call, int64_t number);
