/*
 * SHA-256 with the SHA extensions of x86: two rounds an instruction. They want the eight words of the state
 * in two registers, from the highest lane down A B E F and C D G H, and the message in registers of four
 * words.
 */
#include "protocol/base/sha256_engine.h"

#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>

#define SHA __attribute__((target("sha,sse4.1")))
#define SHA_INLINE __attribute__((target("sha,sse4.1"), always_inline)) static inline

#define HAS_SSSE3 (1u << 9)
#define HAS_SSE41 (1u << 19)
#define HAS_SHA (1u << 29)

bool bh_sha256_has_x86(void)
{
    unsigned a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & HAS_SSSE3) || !(c & HAS_SSE41))
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & HAS_SHA);
}

SHA_INLINE __m128i lanes(uint32_t highest, uint32_t high, uint32_t low, uint32_t lowest)
{
    return _mm_set_epi32((int)highest, (int)high, (int)low, (int)lowest);
}

/* Four rounds with the words of `message`. */
SHA_INLINE void rounds(__m128i *abef, __m128i *cdgh, __m128i message, const uint32_t *k)
{
    __m128i sum = _mm_add_epi32(message, _mm_loadu_si128((const __m128i *)(const void *)k));

    *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, sum);
    *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(sum, 0x0e));
}

/* The four words of the schedule that follow the sixteen in a, b, c, d. */
SHA_INLINE __m128i next_words(__m128i a, __m128i b, __m128i c, __m128i d)
{
    return _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(a, b), _mm_alignr_epi8(d, c, 4)), d);
}

SHA_INLINE void block(__m128i *abef, __m128i *cdgh, const uint8_t *data)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    const __m128i abef_before = *abef, cdgh_before = *cdgh;
    __m128i w[4];

    for (unsigned i = 0; i < 4; i++)
        w[i] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(data + 16 * i)), swap);
#pragma GCC unroll 16
    for (unsigned i = 0; i < 16; i++) {
        rounds(abef, cdgh, w[i % 4], bh_sha256_k + 4 * i);
        if (i < 12)
            w[i % 4] = next_words(w[i % 4], w[(i + 1) % 4], w[(i + 2) % 4], w[(i + 3) % 4]);
    }
    *abef = _mm_add_epi32(*abef, abef_before);
    *cdgh = _mm_add_epi32(*cdgh, cdgh_before);
}

SHA void bh_sha256_blocks_x86(uint32_t state[8], const uint8_t *data, size_t n)
{
    __m128i abef = lanes(state[0], state[1], state[4], state[5]);
    __m128i cdgh = lanes(state[2], state[3], state[6], state[7]);

    for (; n > 0; n--, data += 64)
        block(&abef, &cdgh, data);
    state[0] = (uint32_t)_mm_extract_epi32(abef, 3);
    state[1] = (uint32_t)_mm_extract_epi32(abef, 2);
    state[2] = (uint32_t)_mm_extract_epi32(cdgh, 3);
    state[3] = (uint32_t)_mm_extract_epi32(cdgh, 2);
    state[4] = (uint32_t)_mm_extract_epi32(abef, 1);
    state[5] = (uint32_t)_mm_extract_epi32(abef, 0);
    state[6] = (uint32_t)_mm_extract_epi32(cdgh, 1);
    state[7] = (uint32_t)_mm_extract_epi32(cdgh, 0);
}

#else

bool bh_sha256_has_x86(void)
{
    return false;
}

void bh_sha256_blocks_x86(uint32_t state[8], const uint8_t *data, size_t n)
{
    bh_sha256_blocks_c(state, data, n);
}

#endif
