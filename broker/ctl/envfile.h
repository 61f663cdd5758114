/*
 * Files of VAR="value" lines, as /etc/sysconfig/qemu-ga and /etc/default/qemu-guest-agent
 * are. They are parsed and never executed: what only a shell could work out is an error.
 *
 * Trust: in = CONFIG; out = CONFIG; called by = bulkheadctl policy migrate
 */
#pragma once

#include <stdbool.h>

/* One variable. False ends the reading. `dubious`: NULL, or why shells and service managers take this value
 * in different ways. */
typedef bool (*ctl_envfile_fn)(void *context, const char *name, const char *value, const char *dubious,
                               unsigned line);

/*
 * Reads a NUL-terminated text, which is cut into pieces. 0; -ECANCELED: `fn` said so; -EBADMSG: the line
 * *ret_line is none of such a file.
 */
int ctl_envfile_read(char *text, ctl_envfile_fn fn, void *context, unsigned *ret_line);
