/*
 * The lists of -a and -b: they only take away. A command that is in no policy stays
 * refused, whatever -a says.
 *
 * Trust: in = CONFIG (lists as they were given), CHECKED (the slice); out = CHECKED; called by = supervisor,
 *        bulkheadctl policy migrate
 */
#pragma once

#include "policy/blob.h"

/*
 * Withholds commands of a slice: with `allow` (NULL: no list) those that it does not name, and those that
 * `block` names. Both are names with commas between; a name that is no command's changes nothing.
 */
void bh_narrow(struct bh_slice *slice, const char *allow, const char *block);

/* Tells each name of a list; `command` is enum bh_command_id, or -1: there is none of that name. */
void bh_narrow_each(const char *list, void (*tell)(void *context, const char *name, int len, int command),
                    void *context);
