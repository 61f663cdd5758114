/*
 * A handler behind its typed thunk: how a process finds the function of a command. The generator writes
 * bh_ops[] in ops-<worker>.c, one row per command of that process, so a handler that is missing does not
 * link.
 *
 * Trust: in = CHECKED (decoded arguments); out = CHECKED; called by = front, workers
 */
#pragma once

#include <stdint.h>

struct bh_call; /* each tower's own */

struct bh_op {
    uint16_t command; /* enum bh_command_id */
    /*
     * `args` and `ret` are the command's structs, or NULL. 0 = done, positive = BH_E_* with the call's error
     * set, negative errno = our own failure: the client gets BH_E_KERNEL with it.
     */
    int (*run)(struct bh_call *call, const void *args, void *ret);
};

extern const struct bh_op bh_ops[];
extern const unsigned bh_n_ops;
