/*
 * The matchers of match.h: one walk over pattern and text, which goes back to the last star
 * only; so a match takes at most as many steps as both lengths multiplied.
 */
#include "policy/match.h"

#include <string.h>

/* One component against a pattern of bytes, '?' and '*': on a mismatch the last star takes one byte more. */
static bool component_match(const char *pattern, size_t pattern_len, const char *text, size_t len)
{
    size_t p = 0, t = 0, star = SIZE_MAX, resume = 0;

    while (t < len) {
        if (p < pattern_len && pattern[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern_len && (pattern[p] == '?' || pattern[p] == text[t])) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern_len && pattern[p] == '*')
        p++;
    return p == pattern_len;
}

bool bh_name_match(const char *pattern, size_t pattern_len, const char *name, size_t len)
{
    return component_match(pattern, pattern_len, name, len);
}

static size_t component_len(const char *text, size_t len)
{
    const char *slash = memchr(text, '/', len);

    return slash ? (size_t)(slash - text) : len;
}

/* Both have as many components, and each matches its own. */
bool bh_glob_match(const char *pattern, size_t pattern_len, const char *path, size_t len)
{
    for (;;) {
        size_t p = component_len(pattern, pattern_len), n = component_len(path, len);

        if (!component_match(pattern, p, path, n))
            return false;
        if (p == pattern_len || n == len)
            return p == pattern_len && n == len;
        pattern += p + 1;
        pattern_len -= p + 1;
        path += n + 1;
        len -= n + 1;
    }
}

bool bh_path_match(enum bh_path_kind kind, const char *pattern, size_t pattern_len, const char *path,
                   size_t len)
{
    if (kind == BH_PATH_GLOB && len == 1) /* "/" has no component that a star could stand for */
        return pattern_len == 1 && path[0] == pattern[0];
    if (kind == BH_PATH_GLOB)
        return bh_glob_match(pattern, pattern_len, path, len);
    if (kind == BH_PATH_BENEATH && pattern_len == 1)
        return len > 0 && path[0] == '/';
    if (len < pattern_len || memcmp(path, pattern, pattern_len) != 0)
        return false;
    return len == pattern_len || (kind == BH_PATH_BENEATH && path[pattern_len] == '/');
}
