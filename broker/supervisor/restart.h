/*
 * A restart in place (SIGUSR2): the agent stops in order and executes its program file anew, with its own
 * arguments, environment and folder. It stays the same process, so that a service manager sees no end and
 * the pid file holds; all else is made anew: sockets, policy, processes.
 *
 * Invariants: nothing of the former run stays but the process, descriptors 0 to 2, and the listening socket
 * that a service manager left; the successor is told by an environment variable that names its process
 * number, and removes it at once, as it does with LISTEN_PID.
 *
 * Trust: in = CONFIG (arguments and environment of whoever started us); out = CHECKED; called by = supervisor
 */
#pragma once

#include <stdint.h>

#include "broker/supervisor/options.h"

/* Remembers, before anything changes them, what a restart needs. `argv` must stay valid. */
void bh_restart_remember(char **argv);

/* How often this process has been restarted in place; 0: it was started. */
uint32_t bh_restart_count(void);

/* May it be? 0; or -errno, with the program file that cannot be executed in *ret_path. */
int bh_restart_may(const char **ret_path);

/* All is stopped: executes. Returns -errno if that fails. */
int bh_restart_execute(const struct bh_options *options);
