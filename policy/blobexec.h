/*
 * What the files share that verify compiled policies (blob.c, blobexec.c, bundle.c).
 *
 * Trust: in = CONFIG (verified as if PEER; the strings are verified already); out = CHECKED; called by =
 * policy/blob.c
 */
#pragma once

#include "policy/blob.h"

/* Is this a text with a NUL in a fixed field, zeros up to its end? Is it the name of a channel? */
bool bh_blob_field_ok(const char *field, size_t size);
bool bh_blob_channel_ok(const char *name);

/* Is this an offset of the first byte of a string? Of one of exactly `len` bytes? (blob.c has them) */
bool bh_blob_string_ok(const struct bh_policy *policy, uint32_t offset);
bool bh_blob_text_ok(const struct bh_policy *policy, uint32_t offset, uint32_t len);

/* Do n elements from the first one on lie in a table of `count`? */
static inline bool bh_blob_range_ok(uint32_t first, uint32_t n, uint32_t count)
{
    return first <= count && n <= count - first;
}

static inline uint32_t bh_blob_count(const struct bh_policy *policy, enum bh_section section)
{
    return policy->slice->sections[section].count;
}

/* All rows of the tables that speak of executions; the rules are verified by now, but for what they say of
 * these. */
bool bh_blob_execs_ok(const struct bh_policy *policy);

/* Does the rule have an exec part where it needs one, and one that suits it? After bh_blob_execs_ok. */
bool bh_blob_rule_exec_ok(const struct bh_policy *policy, const struct bh_rule *rule);
