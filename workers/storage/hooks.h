/*
 * The freeze hooks, as the commands see them: run before anything is frozen, and undone when all is thawed.
 * Who holds the socket owes the thaw hooks: it goes to the guard with a freeze, and comes back at its end; if
 * it is lost, they run all the same (hook_serve.h).
 *
 * Trust: in = PEER (bulkhead-hook's answers); out = CHECKED; called by = storage
 */
#pragma once

#include "workers/lib/worker.h"

/* Runs the freeze hooks, if there are any. 0 with the socket, or -1 for none, in *ret_socket; else the call's
 * error: what had run is undone. */
int bh_hooks_begin(struct bh_call *call, int *ret_socket);

/* Runs the thaw hooks and closes the socket; -1: there are none. 0, or the call's error: one failed. */
int bh_hooks_end(struct bh_call *call, int socket);
