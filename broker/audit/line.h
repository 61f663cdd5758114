/*
 * Records and the audit process's own remarks as JSON: one object, one line, without
 * its end (",mac" and brace are chain.h's).
 *
 * Invariants: what a client or a worker wrote is always inside a quoted string with all
 * control characters escaped, so that it can neither forge a line nor speak to a
 * terminal. In a string that is not UTF-8 each byte above 0x7f stands as \udcXX, from
 * which the bytes can be had back. Absent values are left out, numbers are exact, and a
 * record always fits in BH_LINE_MAX: nothing is cut.
 *
 * Trust: in = PEER (strings of a record); out = CHECKED; called by = audit
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/audit/chain.h"
#include "protocol/wire/record.h"

/* Bytes of a whole line. Every byte of a record can become six; 64 counts and the names of the members come
 * on top. */
#define BH_LINE_MAX (112u * 1024u)

#define BH_LINE_FORMAT 1u /* stands in each segment's first line; readers refuse another */

struct bh_line {
    char *data;
    size_t len, cap;
    bool full; /* something did not fit: our own bug, the line is not to be used */
};

/* What a source is to the log. */
struct bh_line_source {
    const char *name; /* "main/fs" */
    bool front;       /* its word is a claim, whatever it calls it */
    const char *note; /* a remark of the audit process on this record, or NULL */
};

void bh_line_record(struct bh_line *line, const struct bh_line_source *source,
                    const struct bh_record *record);

/* The first line of a segment. `previous_mac` as the chain has it: zeros before the very first. */
struct bh_line_segment {
    uint64_t segment, previous, previous_size, steps;
    uint64_t started_ns, now_ns; /* CLOCK_REALTIME: start of the agent, of the segment */
    uint8_t previous_mac[BH_SHA256_SIZE];
};
void bh_line_segment(struct bh_line *line, const struct bh_line_segment *segment);

/* Records `first` to `last` of a source never arrived. */
void bh_line_gap(struct bh_line *line, const char *source, uint64_t now_ns, uint64_t first, uint64_t last);

/* A remark of the audit process itself. */
void bh_line_event(struct bh_line *line, uint64_t now_ns, const char *text);
