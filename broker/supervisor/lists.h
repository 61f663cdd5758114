/*
 * What -a and -b amount to, said in words: names that are no command's, and commands
 * that -a names and no policy opens.
 *
 * Trust: in = CONFIG (lists), CHECKED (slices); out = CHECKED; called by = supervisor
 */
#pragma once

#include "broker/supervisor/supervisor.h"

/* A line in the log for each kind that there is. */
void bh_lists_say(const struct bh_supervisor *s);
