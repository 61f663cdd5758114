/*
 * A sentence that says why something could not be done, in room of the caller's.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = supervisor, bulkheadctl
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

struct bh_why {
    char *text;
    size_t size;
};

/* Writes the sentence; returns `r`, for `return bh_why_fail(...)`. */
static inline int __attribute__((format(printf, 3, 4)))
bh_why_fail(const struct bh_why *why, int r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    (void)vsnprintf(why->text, why->size, format, args);
    va_end(args);
    return r;
}
