/*
 * Writing characters, and clean runs. A run is found 64 bytes at a time with SSE2, which every
 * x86-64 has, and 8 at a time elsewhere; the bytes around its end go one by one.
 */
#include "protocol/json/utf8.h"

#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

unsigned bh_utf8_encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

bool bh_utf8_is_nonchar(uint32_t c)
{
    return (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef);
}

static bool is_clean(char c, char stop)
{
    return (signed char)c >= 0x20 && c != '"' && c != '\\' && c != stop;
}

#ifdef __SSE2__

/* Bytes that end a run become 0xFF. As signed numbers, control bytes and bytes above 0x7F are all below 0x20.
 */
static inline __m128i dirty16(const char *p, __m128i stop)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i a = _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(0x20)), _mm_cmpeq_epi8(v, stop));
    __m128i b = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')), _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));

    return _mm_or_si128(a, b);
}

static size_t clean_blocks(const char *p, size_t len, char stop)
{
    __m128i s = _mm_set1_epi8(stop);
    size_t i = 0;

    for (; len - i >= 64; i += 64) {
        __m128i a = _mm_or_si128(dirty16(p + i, s), dirty16(p + i + 16, s));
        __m128i b = _mm_or_si128(dirty16(p + i + 32, s), dirty16(p + i + 48, s));

        if (_mm_movemask_epi8(_mm_or_si128(a, b)))
            break;
    }
    for (; len - i >= 16; i += 16) {
        unsigned mask = (unsigned)_mm_movemask_epi8(dirty16(p + i, s));

        if (mask)
            return i + (unsigned)__builtin_ctz(mask);
    }
    return i;
}

#else

#define EACH(byte) (0x0101010101010101u * (uint64_t)(unsigned char)(byte))

/* High bit of each byte that is below 0x20, above 0x7F or equal to one of three; may also mark a byte above
 * one. */
static uint64_t dirty8(uint64_t v, uint64_t stop)
{
    uint64_t quote = v ^ EACH('"'), slash = v ^ EACH('\\'), other = v ^ stop;

    return (v | (v - EACH(0x20)) | (quote - EACH(1)) | (slash - EACH(1)) | (other - EACH(1))) & EACH(0x80);
}

/* Only skips words that are clean for certain; the caller looks at the rest byte by byte. */
static size_t clean_blocks(const char *p, size_t len, char stop)
{
    uint64_t v;
    size_t i = 0;

    for (; len - i >= 8; i += 8) {
        memcpy(&v, p + i, 8);
        if (dirty8(v, EACH(stop)))
            break;
    }
    return i;
}

#endif

size_t bh_clean_run(const char *p, size_t len, char stop)
{
    size_t i = clean_blocks(p, len, stop);

    while (i < len && is_clean(p[i], stop))
        i++;
    return i;
}
