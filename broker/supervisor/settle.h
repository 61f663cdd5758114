/*
 * From what was said to what holds: the configuration file below the command line,
 * defaults, an inherited socket, the dump of -D, and the checks before a start.
 *
 * Trust: in = CONFIG; out = CHECKED; called by = supervisor (options.c)
 */
#pragma once

#include "broker/supervisor/options.h"

/* Prints "PROGRAM: sentence" and ends the process with status 1. */
_Noreturn void bh_options_refuse(const struct bh_options *options, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds names to a list, or begins it. Within one list the last name comes first, as in qemu-ga's -D; a list
 * without a name is none. */
void bh_options_add_list(const char **list, const char *names);

/* config.c: reads `path`, or with NULL the file of $QGA_CONF or the default, which need not exist. */
void bh_config_load(struct bh_options *options, const char *path);

/* What nobody said: methods, paths, an inherited socket. */
void bh_options_default(struct bh_options *options);

/* dump.c: what holds now, as a configuration file on standard output. */
void bh_options_dump(const struct bh_options *options);

/* Refuses what cannot be started with, and makes paths absolute. */
void bh_options_check(struct bh_options *options);
