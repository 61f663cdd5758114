/*
 * Does a text match a pattern of the policy? Any bytes may be asked for.
 *
 * Trust: in = CHECKED (patterns), PEER (what is matched); out = CHECKED; called by = policy, bulkheadctl,
 * tests
 */
#pragma once

#include "policy/blob.h"

/* Paths: '*' and '?' of a GLOB stay within one component. */
bool bh_path_match(enum bh_path_kind kind, const char *pattern, size_t pattern_len, const char *path,
                   size_t len);

/* Texts of any kind: '*' and '?' stand for any bytes but '/'. */
bool bh_glob_match(const char *pattern, size_t pattern_len, const char *text, size_t len);

/* Names: '*' and '?' stand for any bytes. */
bool bh_name_match(const char *pattern, size_t pattern_len, const char *name, size_t len);
