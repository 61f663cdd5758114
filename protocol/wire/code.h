/*
 * A row of the table of error codes; the generated header protocol/codes.h has the numbers.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = every process
 */
#pragma once

#include <stdint.h>

struct bh_code {
    uint16_t number;
    const char *name;  /* "json-syntax" */
    const char *class; /* class of the protocol's error object */
    const char *doc;   /* what it means and what to mend */
};

extern const struct bh_code bh_codes[];
extern const unsigned bh_n_codes;

/* The row of a number, or NULL. */
const struct bh_code *bh_code_find(uint16_t number);
