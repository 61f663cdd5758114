/*
 * One question to an opener and its answer: a fixed struct each way over a
 * SOCK_SEQPACKET pair, the answer with the opened file as its one descriptor.
 *
 * Trust: in = PEER on both sides: either may have been taken over; out = CHECKED;
 *        called by = fs, opener
 */
#pragma once

#include <limits.h>
#include <stdint.h>

#include "protocol/base/err.h"

#define BH_OPENER_MAGIC 0x4f50454eu

struct bh_opener_request {
    uint32_t magic; /* BH_OPENER_MAGIC */
    uint32_t mode;  /* enum bh_guest_file_mode */
    uint64_t id;    /* of the call; the answer repeats it */
    uint32_t zero;
    uint32_t path_len;
    char path[PATH_MAX]; /* path_len bytes without NUL, then zeros */
};

struct bh_opener_result {
    uint32_t magic;
    uint32_t rule; /* that granted it */
    uint64_t id;
    uint64_t record; /* number of the opener's ACT record */
    uint64_t error_record;
    uint32_t regular; /* 1: a regular file with one name */
    uint16_t code;    /* 0: opened, `text` is its resolved name; BH_E_*: `text` says why not */
    uint16_t text_len;
    char text[PATH_MAX]; /* text_len bytes without NUL, then a NUL */
};

_Static_assert(BH_ERROR_TEXT_MAX <= PATH_MAX, "an error's text fits where a name does");
