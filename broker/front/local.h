/*
 * Commands that the front answers itself: sync, ping, info, whether file systems are frozen. They cost no
 * hop.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = front
 */
#pragma once

#include <stdint.h>

#include "policy/blob.h"
#include "protocol/base/arena.h"
#include "protocol/base/err.h"
#include "protocol/wire/frozen.h"

/* What a handler of protocol/handlers-front.h sees. */
struct bh_call {
    const struct bh_policy *policy;
    const struct bh_frozen *frozen;
    struct bh_arena *arena;
    struct bh_error *error;
};

/* Runs a command of the front; `args` and `ret` are its structs. 0, or a positive BH_E_*, the error set. */
int bh_local_run(struct bh_call *call, uint16_t command, const void *args, void *ret);
