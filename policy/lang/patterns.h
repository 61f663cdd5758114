/*
 * Two conditions on a path beside each other: what the compiler and `policy diff` have to know of them.
 *
 * Trust: in = CHECKED (clean paths, NUL-terminated); out = CHECKED; called by = policy/lang, bulkheadctl
 * policy diff
 */
#pragma once

#include "policy/blob.h"

struct bh_pattern {
    enum bh_path_kind kind;
    const char *text;
    size_t len;
};

/* Is there a path that both match? Exact. */
bool bh_patterns_meet(struct bh_pattern a, struct bh_pattern b);

/* The same of texts that need be no paths: GLOB as bh_glob_match has it; BENEATH and IS are paths. Exact. */
bool bh_texts_meet(struct bh_pattern a, struct bh_pattern b);

/* Does `a` match all that `b` matches? False where it takes more than a look to know. */
bool bh_pattern_covers(struct bh_pattern a, struct bh_pattern b);
