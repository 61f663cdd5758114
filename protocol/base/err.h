/*
 * What can go wrong, in three kinds.
 *
 * - A fatal error (memory, a broken system call) is a negative errno and is
 *   passed on unchanged.
 * - An outcome that a caller must handle is a positive value, documented there.
 * - What the client is told is a struct bh_error: a code of the one table in
 *   protocol/schema.json ("codes"), and a sentence. The generated header
 *   protocol/codes.h holds the numbers.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = every process
 */
#pragma once

#include <stdint.h>

#define BH_ERROR_TEXT_MAX 1024 /* bytes with the NUL; longer text is cut at a character */

struct bh_error {
    uint16_t code;                /* BH_E_*; 0 = no error */
    uint64_t record;              /* number of the audit record; 0 = none */
    char text[BH_ERROR_TEXT_MAX]; /* UTF-8, no code in it: the front appends code and record */
};

/* Sets code and text; returns `code` as a positive outcome, for `return bh_fail(...)`. */
int bh_fail(struct bh_error *reterr, uint16_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As bh_fail, with ": <strerror>" appended for the errno value `err` (positive or negative). */
int bh_fail_errno(struct bh_error *reterr, uint16_t code, int err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
