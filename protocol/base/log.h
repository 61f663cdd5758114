/*
 * Diagnostics of a process, one line each, on descriptor 2:
 * "bulkhead-fs[412] warning: text"; in a log file with the time before it. Programs
 * log; libraries return.
 *
 * Invariants: never blocks for long and never fails loudly (a log that cannot be
 * written is dropped); control characters of the text are written as \xNN, so that
 * what a client sent can neither forge a line nor speak to a terminal.
 *
 * Trust: in = CHECKED (text may quote HOST or PEER bytes: it is cleaned here);
 *        out = CHECKED; called by = main-level files of every process
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

enum bh_log_level { BH_LOG_ERROR, BH_LOG_WARNING, BH_LOG_NOTICE, BH_LOG_DEBUG };

#define BH_LOG_LINE_MAX 1024 /* bytes; longer text is cut */

/* `program` must live as long as the process. Levels above `highest` are dropped. */
void bh_log_init(const char *program, enum bh_log_level highest);

/* `verbose`: every level from now on; `stamped`: lines begin with the time, as a file needs it. */
void bh_log_style(bool verbose, bool stamped);

/* Errors and warnings are written to `fd` too: whoever waits for our start wants to know. -1: no more. */
void bh_log_echo(int fd);

/* What bh_die does last in this process, before it ends; NULL: nothing. */
void bh_log_last_act(void (*act)(void));

void bh_log(enum bh_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Logs at BH_LOG_ERROR and ends the process with `status`. */
_Noreturn void bh_die(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
