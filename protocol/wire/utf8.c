/*
 * UTF-8 validation. Eight ASCII bytes at a time, since that is what names and keys are; everything else goes
 * through one table-free step per character, after RFC 3629 (no overlong forms, no surrogates, at most
 * U+10FFFF).
 */
#include "protocol/wire/codec.h"

#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* Bytes of the character at `s`, of which `left` > 0 are there; 0 if it is malformed. */
static size_t character(const uint8_t *s, size_t left)
{
    uint8_t low = 0x80, high = 0xbf;
    size_t n;

    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (s[0] == 0xe0)
        low = 0xa0;
    else if (s[0] == 0xed)
        high = 0x9f;
    else if (s[0] == 0xf0)
        low = 0x90;
    else if (s[0] == 0xf4)
        high = 0x8f;
    if (left < n || s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

int bh_utf8_valid(const char *text, size_t len)
{
    const uint8_t *s = (const uint8_t *)text;

    for (size_t i = 0; i < len;) {
        uint64_t word;
        size_t n;

        if (len - i >= sizeof(word)) {
            memcpy(&word, s + i, sizeof(word));
            if (!(word & HIGH_BITS)) {
                i += sizeof(word);
                continue;
            }
        }
        n = character(s + i, len - i);
        if (n == 0)
            return 0;
        i += n;
    }
    return 1;
}
