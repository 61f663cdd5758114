/*
 * Base64 with SSSE3 (16 characters a step) and AVX2 (32).
 *
 * Decoding: each of the alphabet's five ranges adds its own distance to the characters in
 * it; a character that is in none ends the run. Two multiply-and-add steps join four values
 * of 6 bits to 24 bits, and a shuffle drops the empty fourth byte.
 * Encoding: a shuffle gives each group of three bytes a 32-bit lane, two multiplications
 * shift the four values of 6 bits into their bytes, and a table lookup by range adds the
 * distance to the character.
 *
 * Stores and loads may reach beyond the block by a few bytes, never beyond the buffers: the
 * loops stop early enough for that, as each says.
 */
#include "protocol/json/base64_engine.h"

#ifdef __x86_64__

#include <immintrin.h>

#define SSSE3 __attribute__((target("ssse3")))
#define AVX2 __attribute__((target("avx2")))
#define SSSE3_INLINE __attribute__((target("ssse3"), always_inline)) static inline
#define AVX2_INLINE __attribute__((target("avx2"), always_inline)) static inline

/* In each group of four bytes: the three that hold data, highest first; the rest of the lane is zero. */
#define PACK 2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1
/* Three bytes a, b, c to a lane of b, a, c, b: each pair of lanes then holds two values. */
#define SPREAD 1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10
/* Distances from value to character: 26..51, the digits, '+', '/', then 0..25. */
#define DISTANCES 'a' - 26, -4, -4, -4, -4, -4, -4, -4, -4, -4, -4, '+' - 62, '/' - 63, 'A', 0, 0

bool bh_base64_has_avx2(void)
{
    return __builtin_cpu_supports("avx2");
}

bool bh_base64_has_ssse3(void)
{
    return __builtin_cpu_supports("ssse3");
}

/* 0xFF in each byte that lies in first..last (ASCII; bytes above 0x7F are negative and in no range). */
SSSE3_INLINE __m128i range16(__m128i v, char first, char last)
{
    return _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8((char)(first - 1))),
                         _mm_cmplt_epi8(v, _mm_set1_epi8((char)(last + 1))));
}

/* Characters to values; false if one is not of the alphabet. */
SSSE3_INLINE bool values16(__m128i v, __m128i *ret_values)
{
    __m128i upper = range16(v, 'A', 'Z'), lower = range16(v, 'a', 'z'), digit = range16(v, '0', '9');
    __m128i plus = _mm_cmpeq_epi8(v, _mm_set1_epi8('+')), slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('/'));
    __m128i any = _mm_or_si128(_mm_or_si128(upper, lower), _mm_or_si128(digit, _mm_or_si128(plus, slash)));
    __m128i far = _mm_or_si128(_mm_and_si128(upper, _mm_set1_epi8(-'A')),
                               _mm_and_si128(lower, _mm_set1_epi8(26 - 'a')));
    __m128i near = _mm_or_si128(_mm_and_si128(digit, _mm_set1_epi8(52 - '0')),
                                _mm_or_si128(_mm_and_si128(plus, _mm_set1_epi8(62 - '+')),
                                             _mm_and_si128(slash, _mm_set1_epi8(63 - '/'))));

    *ret_values = _mm_add_epi8(v, _mm_or_si128(far, near));
    return _mm_movemask_epi8(any) == 0xffff;
}

/* A step writes 16 bytes, 12 of them meant; with 24 characters left there is room for 18. */
SSSE3 size_t bh_base64_decode_ssse3(const char *text, size_t len, uint8_t *out)
{
    size_t i;

    for (i = 0; len - i >= 24; i += 16, out += 12) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(text + i));

        if (!values16(v, &v))
            break;
        v = _mm_maddubs_epi16(v, _mm_set1_epi16(0x0140));
        v = _mm_madd_epi16(v, _mm_set1_epi32(0x00011000));
        v = _mm_shuffle_epi8(v, _mm_setr_epi8(PACK));
        _mm_storeu_si128((__m128i *)(void *)out, v);
    }
    return i;
}

/* Twelve bytes (of 16 loaded) to 16 characters. */
SSSE3_INLINE __m128i chars16(__m128i v)
{
    __m128i high, low, kind, upper;

    v = _mm_shuffle_epi8(v, _mm_setr_epi8(SPREAD));
    high = _mm_mulhi_epu16(_mm_and_si128(v, _mm_set1_epi32(0x0fc0fc00)), _mm_set1_epi32(0x04000040));
    low = _mm_mullo_epi16(_mm_and_si128(v, _mm_set1_epi32(0x003f03f0)), _mm_set1_epi32(0x01000010));
    v = _mm_or_si128(high, low);
    upper = _mm_cmpgt_epi8(_mm_set1_epi8(26), v);
    kind = _mm_or_si128(_mm_subs_epu8(v, _mm_set1_epi8(51)), _mm_and_si128(upper, _mm_set1_epi8(13)));
    return _mm_add_epi8(v, _mm_shuffle_epi8(_mm_setr_epi8(DISTANCES), kind));
}

/* A step reads 16 bytes, 12 of them meant. */
SSSE3 size_t bh_base64_encode_ssse3(const uint8_t *data, size_t len, char *out)
{
    size_t i;

    for (i = 0; len - i >= 16; i += 12, out += 16)
        _mm_storeu_si128((__m128i *)(void *)out,
                         chars16(_mm_loadu_si128((const __m128i *)(const void *)(data + i))));
    return i;
}

AVX2_INLINE __m256i range32(__m256i v, char first, char last)
{
    return _mm256_and_si256(_mm256_cmpgt_epi8(v, _mm256_set1_epi8((char)(first - 1))),
                            _mm256_cmpgt_epi8(_mm256_set1_epi8((char)(last + 1)), v));
}

AVX2_INLINE bool values32(__m256i v, __m256i *ret_values)
{
    __m256i upper = range32(v, 'A', 'Z'), lower = range32(v, 'a', 'z'), digit = range32(v, '0', '9');
    __m256i plus = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('+'));
    __m256i slash = _mm256_cmpeq_epi8(v, _mm256_set1_epi8('/'));
    __m256i signs = _mm256_or_si256(plus, slash);
    __m256i any = _mm256_or_si256(_mm256_or_si256(upper, lower), _mm256_or_si256(digit, signs));
    __m256i far = _mm256_or_si256(_mm256_and_si256(upper, _mm256_set1_epi8(-'A')),
                                  _mm256_and_si256(lower, _mm256_set1_epi8(26 - 'a')));
    __m256i near = _mm256_or_si256(_mm256_and_si256(digit, _mm256_set1_epi8(52 - '0')),
                                   _mm256_or_si256(_mm256_and_si256(plus, _mm256_set1_epi8(62 - '+')),
                                                   _mm256_and_si256(slash, _mm256_set1_epi8(63 - '/'))));

    *ret_values = _mm256_add_epi8(v, _mm256_or_si256(far, near));
    return _mm256_movemask_epi8(any) == -1;
}

/* A step writes two overlapping stores, 28 bytes, 24 of them meant; with 40 characters left there is room
 * for 30. */
AVX2 size_t bh_base64_decode_avx2(const char *text, size_t len, uint8_t *out)
{
    size_t i;

    for (i = 0; len - i >= 40; i += 32, out += 24) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(text + i));

        if (!values32(v, &v))
            break;
        v = _mm256_maddubs_epi16(v, _mm256_set1_epi16(0x0140));
        v = _mm256_madd_epi16(v, _mm256_set1_epi32(0x00011000));
        v = _mm256_shuffle_epi8(v, _mm256_setr_epi8(PACK, PACK));
        _mm_storeu_si128((__m128i *)(void *)out, _mm256_castsi256_si128(v));
        _mm_storeu_si128((__m128i *)(void *)(out + 12), _mm256_extracti128_si256(v, 1));
    }
    return i;
}

AVX2_INLINE __m256i chars32(__m256i v)
{
    __m256i high, low, kind, upper;

    v = _mm256_shuffle_epi8(v, _mm256_setr_epi8(SPREAD, SPREAD));
    high =
        _mm256_mulhi_epu16(_mm256_and_si256(v, _mm256_set1_epi32(0x0fc0fc00)), _mm256_set1_epi32(0x04000040));
    low =
        _mm256_mullo_epi16(_mm256_and_si256(v, _mm256_set1_epi32(0x003f03f0)), _mm256_set1_epi32(0x01000010));
    v = _mm256_or_si256(high, low);
    upper = _mm256_cmpgt_epi8(_mm256_set1_epi8(26), v);
    kind = _mm256_or_si256(_mm256_subs_epu8(v, _mm256_set1_epi8(51)),
                           _mm256_and_si256(upper, _mm256_set1_epi8(13)));
    return _mm256_add_epi8(v, _mm256_shuffle_epi8(_mm256_setr_epi8(DISTANCES, DISTANCES), kind));
}

/* A step reads two overlapping halves, 28 bytes, 24 of them meant. */
AVX2 size_t bh_base64_encode_avx2(const uint8_t *data, size_t len, char *out)
{
    size_t i;

    for (i = 0; len - i >= 28; i += 24, out += 32) {
        __m128i first = _mm_loadu_si128((const __m128i *)(const void *)(data + i));
        __m128i second = _mm_loadu_si128((const __m128i *)(const void *)(data + i + 12));

        _mm256_storeu_si256((__m256i *)(void *)out, chars32(_mm256_set_m128i(second, first)));
    }
    return i;
}

#endif
