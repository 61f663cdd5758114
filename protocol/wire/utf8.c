/* The rules of utf8.h. A text is looked at eight ASCII bytes at a time, since that is what names and keys
 * are. */
#include "protocol/wire/utf8.h"

#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

unsigned bh_utf8_need(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2)
        return 0;
    if (lead < 0xe0)
        return 2;
    if (lead < 0xf0)
        return 3;
    return lead < 0xf5 ? 4 : 0;
}

unsigned bh_utf8_decode(const char *p, size_t len, uint32_t *ret_char)
{
    static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
    unsigned char lead = (unsigned char)p[0];
    unsigned need = bh_utf8_need(lead);
    uint32_t c;
    unsigned i;

    if (!need || need > len)
        return 0;
    c = need == 1 ? lead : lead & (0x7fu >> need);
    for (i = 1; i < need; i++) {
        if (((unsigned char)p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | ((unsigned char)p[i] & 0x3f);
    }
    if (c < least[need] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *ret_char = c;
    return need;
}

bool bh_utf8_valid(const char *text, size_t len)
{
    for (size_t i = 0; i < len;) {
        uint64_t word;
        uint32_t c;
        unsigned n;

        if (len - i >= sizeof(word)) {
            memcpy(&word, text + i, sizeof(word));
            if (!(word & HIGH_BITS)) {
                i += sizeof(word);
                continue;
            }
        }
        n = bh_utf8_decode(text + i, len - i, &c);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}
