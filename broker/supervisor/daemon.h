/*
 * The beginning and the end of the supervisor as a process: in the background or not,
 * where its words go while somebody waits for its start, its pid file.
 *
 * Trust: in = CHECKED (options); out = CHECKED; called by = supervisor (main)
 */
#pragma once

#include "broker/supervisor/options.h"

/*
 * With -d: forks; the process that was started waits in here and ends with 0 at bh_daemon_ready, with 1 if
 * the daemon ends before. What goes on is the daemon: own session, folder "/", /dev/null as 0 to 2, the pid
 * file taken. With -l: the log file is standard error. Until bh_daemon_ready, errors and warnings go to the
 * old standard error too. What fails ends the process with a sentence.
 */
void bh_daemon_start(const struct bh_options *options);

/* The agent serves: whoever waited for it is told. */
void bh_daemon_ready(void);

/* Takes back what outlives a process. */
void bh_daemon_end(void);
