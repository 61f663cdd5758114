/*
 * The pid file of a daemon: "<pid>\n", 0600, locked for writing as long as the daemon lives.
 *
 * Invariants: only a file that is ours to replace is written to: regular, with one name, of
 * the starting user, holding a number or nothing. What another agent holds is neither
 * changed nor removed.
 *
 * Trust: in = CONFIG (the path); out = CHECKED; called by = supervisor
 */
#pragma once

#include <stddef.h>

/* Makes or takes over the file at `path`, which must stay valid. 0, or -errno with a sentence in `why`. */
int bh_pid_file_take(const char *path, char *why, size_t size);

/* Removes the file, if this process took it and it is still the one of that name. */
void bh_pid_file_drop(void);
