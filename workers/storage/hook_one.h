/*
 * One hook of a freeze or thaw, and what is recorded, logged and answered of it.
 *
 * Trust: in = CONFIG (paths), PEER (output); out = CHECKED; called by = hook
 */
#pragma once

#include "workers/storage/hook_serve.h"
#include "workers/storage/hook_wire.h"

/* May hook `i` be run? If not it is recorded and logged, and `reply` says why. */
bool bh_hook_one_check(struct bh_hook_keeper *keeper, enum bh_hook_op op, uint32_t i,
                       struct bh_hook_reply *reply);

/*
 * Queues the ACT record. False: there is no room for it, and `reply` says so. Of a thaw hook it is always
 * true: it is run nevertheless, and the loss is counted.
 */
bool bh_hook_one_act(struct bh_hook_keeper *keeper, enum bh_hook_op op, uint32_t i,
                     struct bh_hook_reply *reply);

/* Runs it to its end, with the RESULT record; `reply` says what came of it. */
void bh_hook_one_run(struct bh_hook_keeper *keeper, enum bh_hook_op op, uint32_t i,
                     struct bh_hook_reply *reply);

/* Records and logs what may not be run. */
void bh_hook_one_refused(struct bh_hook_keeper *keeper, enum bh_hook_op op, const char *path, int error,
                         const char *why);

/* Records and logs something of the process itself. */
void bh_hook_event(struct bh_hook_keeper *keeper, const char *text);
