/*
 * Diagnostics of a process, one line each, on descriptor 2:
 * "bulkhead-fs[412] warning: text"; in a log file with the time before it. Programs
 * log; libraries return.
 *
 * While file systems are frozen a line must not be written: descriptor 2 may be a file on one of them, or
 * lead to somebody who writes such a file and does not read on before he has. So lines are kept in memory, up
 * to BH_LOG_HELD_MAX bytes; the first ones stay, for they tell how it began, and later ones are counted. They
 * are written, in their order and before any other, by the first line after the thaw or by bh_log_flush. A
 * line that is being written at the very moment when a freeze begins may still stand still with it.
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
#include <stdint.h>

enum bh_log_level { BH_LOG_ERROR, BH_LOG_WARNING, BH_LOG_NOTICE, BH_LOG_DEBUG };

#define BH_LOG_LINE_MAX 1024          /* bytes; longer text is cut */
#define BH_LOG_HELD_MAX (16u * 1024u) /* bytes of lines that are kept while file systems are frozen */
#define BH_LOG_LOOK_MS 50             /* between two looks whether they still have to be */

/* `program` must live as long as the process. Levels above `highest` are dropped, and so is what was held: a
 * child says nothing in its parent's name. */
void bh_log_init(const char *program, enum bh_log_level highest);

/* `verbose`: every level from now on; `stamped`: lines begin with the time, as a file needs it. */
void bh_log_style(bool verbose, bool stamped);

/* Errors and warnings are written to `fd` too: whoever waits for our start wants to know. -1: no more. */
void bh_log_echo(int fd);

/* What bh_die does last in this process, before it ends; NULL: nothing. */
void bh_log_last_act(void (*act)(void));

/*
 * From now on lines are kept as long as *flag is not 0 (NULL: never). What kind of file descriptor 2 is, is
 * looked at here: later a filter may not let us.
 */
void bh_log_hold(const uint32_t *flag);

/* Writes what is kept, unless it still has to be. */
void bh_log_flush(void);

/* True if lines are kept: whoever has a loop calls bh_log_flush every BH_LOG_LOOK_MS, for nothing else tells
 * of the thaw. */
bool bh_log_held(void);

void bh_log(enum bh_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Logs at BH_LOG_ERROR and ends the process with `status`. While lines must be kept there is nobody to keep
 * them for: they and this one are written if descriptor 2 is no regular file and takes them at once, else
 * dropped.
 */
_Noreturn void bh_die(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));
