/*
 * What the kernel tells in small text files below /proc and /sys: read with bounds, parsed strictly.
 *
 * Files are named below a directory descriptor (an absolute name, as always, stands for itself), so that
 * tests have folders of their own.
 *
 * Trust: in = CONFIG (the kernel's text; bounded and checked anyway);
 *        out = CHECKED; called by = info, storage
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "workers/lib/worker.h"

#define BH_LINE_MAX 4095u /* bytes of a line; of a longer one only the first are seen */

/*
 * Reads a file of at most `cap` - 1 bytes into `text` and ends it with a NUL. One read: such files give all
 * they have at once. The length; -EFBIG if there may be more, -EBADMSG if a NUL is in it, or the kernel's
 * -errno.
 */
ssize_t bh_procfile_read(int dir, const char *name, char *text, size_t cap);

/* A file that is looked at line by line, and only as far as it is asked for. */
struct bh_lines {
    int fd;
    size_t next, end; /* of what is in the buffer: where the next line begins, where the bytes end */
    bool cut;         /* the rest of the line that begins at `next` belongs to one that was given already */
    char text[BH_LINE_MAX + 2]; /* a line, its LF, a NUL */
};

enum bh_line {
    BH_LINE_NONE,  /* the end of the file */
    BH_LINE_WHOLE, /* a line, without its LF */
    BH_LINE_CUT    /* the first bytes of one that is longer than BH_LINE_MAX */
};

/* 0 or -errno. After success bh_lines_close is due. */
int bh_lines_open(struct bh_lines *lines, int dir, const char *name);

/* enum bh_line or -errno. *ret ends with a NUL and is good until the next call. */
int bh_lines_next(struct bh_lines *lines, char **ret);

void bh_lines_close(struct bh_lines *lines);

/* A number without sign, space or prefix at *text, which moves behind it. False: there is none, or it is too
 * large. `base` is 10 or 16. */
bool bh_parse_uint(const char **text, unsigned base, uint64_t *ret);

/* The same, and nothing but a line feed may follow. */
bool bh_parse_whole_uint(const char *text, unsigned base, uint64_t *ret);

/* Decimal numbers, each after at least one space, to the end of the line; those behind the `max`-th are not
 * looked at. Their count, or -1 if something else stands among them. */
int bh_parse_columns(const char *text, uint64_t *ret, int max);

/* The most elements that the list which this command returns may have: "items" of the schema. */
uint32_t bh_most_items(const struct bh_call *call);

/* What a handler answers after `r` (0 or -errno) from reading `name`: 0, or the error in words; -E2BIG = it
 * has more elements than an answer may have. */
int bh_procfile_done(struct bh_call *call, const char *name, int r);
