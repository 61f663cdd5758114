/*
 * Text of hooks, bounded: their output made harmless, and sentences about them.
 *
 * Trust: in = PEER (a hook prints what it likes), CONFIG (file names); out = CHECKED; called by = storage,
 * hook
 */
#pragma once

#include <stddef.h>

/*
 * The beginning of `len` bytes as text that can neither forge a line nor speak to a terminal: control
 * characters and what is no UTF-8 become \xNN, as in the log; white space at the end is dropped. As much as
 * fits into `size` (> 0) bytes with the NUL; no character is cut. Returns the length.
 */
size_t bh_hook_clean(const char *data, size_t len, char *ret, size_t size);

/* snprintf of UTF-8; what does not fit is cut where a character begins. */
void bh_hook_printf(char *ret, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
