/*
 * Diagnostics of a process, one line each, on descriptor 2:
 * "bulkhead-fs[412] warning: text". Programs log; libraries return.
 *
 * Invariants: never blocks for long and never fails loudly (a log that cannot be
 * written is dropped); control bytes of the text are replaced, so that what a
 * client sent cannot forge a line.
 *
 * Trust: in = CHECKED (text may quote HOST or PEER bytes: it is cleaned here);
 *        out = CHECKED; called by = main-level files of every process
 */
#pragma once

#include <stdarg.h>

enum bh_log_level { BH_LOG_ERROR, BH_LOG_WARNING, BH_LOG_NOTICE, BH_LOG_DEBUG };

#define BH_LOG_LINE_MAX 1024 /* bytes; longer text is cut */

/* `program` must live as long as the process. Levels above `highest` are dropped. */
void bh_log_init(const char *program, enum bh_log_level highest);

void bh_log(enum bh_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Logs at BH_LOG_ERROR and ends the process with `status`. */
_Noreturn void bh_die(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
