/* Finding integers beyond 64 bits: strings are stepped over, other numbers are measured. */
#include "protocol/json/huge.h"

#include <stdbool.h>
#include <string.h>

/* True if the integer token `digits` (with a sign, perhaps) is outside of -2^63 .. 2^64-1. */
static bool is_huge(const char *digits, size_t len)
{
    const char *limit = *digits == '-' ? "-9223372036854775808" : "18446744073709551615";
    size_t limit_len = 20;

    return len > limit_len || (len == limit_len && memcmp(digits, limit, len) > 0);
}

/* Length of the string at `p`, both quotes included. */
static size_t string_len(const char *p, const char *end)
{
    const char *q = p + 1;

    while (q < end && *q != '"')
        q += *q == '\\' ? 2 : 1;
    return (size_t)(q - p) + 1;
}

const char *bh_find_huge(const char *p, const char *end)
{
    size_t len;

    while (p < end) {
        if (*p == '"') {
            p += string_len(p, end);
        } else if (*p == '-' || (*p >= '0' && *p <= '9')) {
            len = strspn(p, "-+.0123456789eE");
            if (strspn(p, "-0123456789") == len && is_huge(p, len))
                return p + len;
            p += len;
        } else {
            p++;
        }
    }
    return NULL;
}
