/*
 * Base64 in pieces: the scalar reference, line feeds and padding, and the choice of engine.
 *
 * Decoding alternates: the engine and the scalar loop take clean quanta as far as they can;
 * where they stop (a line feed, padding, a wrong character, the last few), and where a piece
 * begins within a quantum, the careful loop goes on until it is between two quanta again.
 */
#include "protocol/json/base64.h"

#include <errno.h>
#include <string.h>

#include "protocol/json/base64_engine.h"

/* What a character means, if it is no value; a value has the bit VALUE over its 6 bits. */
enum { BAD = 0, PAD = 1, SKIP = 2, VALUE = 0x40 };

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static const uint8_t meaning[256] = {
    ['\n'] = SKIP,      ['='] = PAD,        ['+'] = VALUE | 62, ['/'] = VALUE | 63, ['0'] = VALUE | 52,
    ['1'] = VALUE | 53, ['2'] = VALUE | 54, ['3'] = VALUE | 55, ['4'] = VALUE | 56, ['5'] = VALUE | 57,
    ['6'] = VALUE | 58, ['7'] = VALUE | 59, ['8'] = VALUE | 60, ['9'] = VALUE | 61, ['A'] = VALUE | 0,
    ['B'] = VALUE | 1,  ['C'] = VALUE | 2,  ['D'] = VALUE | 3,  ['E'] = VALUE | 4,  ['F'] = VALUE | 5,
    ['G'] = VALUE | 6,  ['H'] = VALUE | 7,  ['I'] = VALUE | 8,  ['J'] = VALUE | 9,  ['K'] = VALUE | 10,
    ['L'] = VALUE | 11, ['M'] = VALUE | 12, ['N'] = VALUE | 13, ['O'] = VALUE | 14, ['P'] = VALUE | 15,
    ['Q'] = VALUE | 16, ['R'] = VALUE | 17, ['S'] = VALUE | 18, ['T'] = VALUE | 19, ['U'] = VALUE | 20,
    ['V'] = VALUE | 21, ['W'] = VALUE | 22, ['X'] = VALUE | 23, ['Y'] = VALUE | 24, ['Z'] = VALUE | 25,
    ['a'] = VALUE | 26, ['b'] = VALUE | 27, ['c'] = VALUE | 28, ['d'] = VALUE | 29, ['e'] = VALUE | 30,
    ['f'] = VALUE | 31, ['g'] = VALUE | 32, ['h'] = VALUE | 33, ['i'] = VALUE | 34, ['j'] = VALUE | 35,
    ['k'] = VALUE | 36, ['l'] = VALUE | 37, ['m'] = VALUE | 38, ['n'] = VALUE | 39, ['o'] = VALUE | 40,
    ['p'] = VALUE | 41, ['q'] = VALUE | 42, ['r'] = VALUE | 43, ['s'] = VALUE | 44, ['t'] = VALUE | 45,
    ['u'] = VALUE | 46, ['v'] = VALUE | 47, ['w'] = VALUE | 48, ['x'] = VALUE | 49, ['y'] = VALUE | 50,
    ['z'] = VALUE | 51,
};

/* Four values to three bytes; true unless one of them is no value. */
static inline bool join(const uint8_t v[4], uint8_t out[3])
{
    out[0] = (uint8_t)(v[0] << 2 | (v[1] >> 4 & 3));
    out[1] = (uint8_t)(v[1] << 4 | (v[2] >> 2 & 15));
    out[2] = (uint8_t)(v[2] << 6 | (v[3] & 63));
    return v[0] & v[1] & v[2] & v[3] & VALUE;
}

static inline void split(const uint8_t in[3], char out[4])
{
    out[0] = alphabet[in[0] >> 2];
    out[1] = alphabet[(in[0] << 4 & 0x30) | in[1] >> 4];
    out[2] = alphabet[(in[1] << 2 & 0x3c) | in[2] >> 6];
    out[3] = alphabet[in[2] & 0x3f];
}

static size_t decode_scalar(const char *text, size_t len, uint8_t *out)
{
    size_t i;

    for (i = 0; len - i >= 4; i += 4, out += 3) {
        const unsigned char *c = (const unsigned char *)text + i;
        const uint8_t v[4] = { meaning[c[0]], meaning[c[1]], meaning[c[2]], meaning[c[3]] };

        if (!join(v, out))
            break;
    }
    return i;
}

static size_t encode_scalar(const uint8_t *data, size_t len, char *out)
{
    size_t i;

    for (i = 0; len - i >= 3; i += 3, out += 4)
        split(data + i, out);
    return i;
}

const struct bh_base64_engine bh_base64_engines[] = {
#ifdef __x86_64__
    { "avx2", bh_base64_has_avx2, bh_base64_decode_avx2, bh_base64_encode_avx2 },
    { "ssse3", bh_base64_has_ssse3, bh_base64_decode_ssse3, bh_base64_encode_ssse3 },
#endif
    { "scalar", NULL, decode_scalar, encode_scalar },
};
const unsigned bh_base64_n_engines = sizeof(bh_base64_engines) / sizeof(bh_base64_engines[0]);

const struct bh_base64_engine *bh_base64_engine;

static const struct bh_base64_engine *engine(void)
{
    if (!bh_base64_engine) {
        bh_base64_engine = bh_base64_engines;
        while (bh_base64_engine->usable && !bh_base64_engine->usable())
            bh_base64_engine++;
    }
    return bh_base64_engine;
}

/*
 * Padding: one '=' behind three values, or two behind two. The bytes are written when the quantum is
 * complete, so that a piece never gives more than BH_BASE64_DECODED_MAX says. Bytes written.
 */
static long decode_pad(struct bh_base64 *state, uint8_t *out)
{
    uint8_t bytes[3], n = state->n_held;
    bool complete = n == 3 || state->ended;

    if (n < 2)
        return -EBADMSG;
    state->ended = true;
    if (!complete)
        return 0;
    memset(state->held + n, 0, sizeof(state->held) - n);
    (void)join(state->held, bytes);
    memcpy(out, bytes, n - 1u);
    state->n_held = 0;
    return n - 1;
}

/* One character with all its cases; bytes written or -EBADMSG. */
static long decode_char(struct bh_base64 *state, char c, uint8_t *out)
{
    uint8_t value = meaning[(unsigned char)c];

    if (value == SKIP)
        return 0;
    if (value == PAD)
        return decode_pad(state, out);
    if (value == BAD || state->ended)
        return -EBADMSG;
    state->held[state->n_held++] = value;
    if (state->n_held < 4)
        return 0;
    state->n_held = 0;
    (void)join(state->held, out);
    return 3;
}

/* As many whole clean quanta as possible; characters eaten. */
static size_t decode_quanta(const char *text, size_t len, uint8_t *out)
{
    size_t eaten = engine()->decode(text, len, out);

    return eaten + decode_scalar(text + eaten, len - eaten, out + eaten / 4 * 3);
}

long bh_base64_decode(struct bh_base64 *state, const char *text, size_t len, uint8_t *out)
{
    const char *p = text, *end = text + len;
    uint8_t *to = out;
    size_t eaten;
    long n;

    while (p < end) {
        if (state->n_held == 0 && !state->ended) {
            eaten = decode_quanta(p, (size_t)(end - p), to);
            p += eaten;
            to += eaten / 4 * 3;
        }
        while (p < end) {
            n = decode_char(state, *p++, to);
            if (n < 0)
                return n;
            to += n;
            if (state->n_held == 0)
                break;
        }
    }
    return to - out;
}

int bh_base64_decode_end(const struct bh_base64 *state)
{
    return state->n_held == 0 ? 0 : -EBADMSG;
}

size_t bh_base64_encode(struct bh_base64 *state, const uint8_t *data, size_t len, char *out)
{
    size_t eaten, written = 0;

    while (len > 0 && state->n_held > 0) {
        state->held[state->n_held++] = *data++;
        len--;
        if (state->n_held == 3) {
            split(state->held, out);
            written = 4;
            state->n_held = 0;
        }
    }
    if (len == 0)
        return written;
    eaten = engine()->encode(data, len, out + written);
    eaten += encode_scalar(data + eaten, len - eaten, out + written + eaten / 3 * 4);
    if (len > eaten) {
        memcpy(state->held, data + eaten, len - eaten);
        state->n_held = (uint8_t)(len - eaten);
    }
    return written + eaten / 3 * 4;
}

size_t bh_base64_encode_end(struct bh_base64 *state, char *out)
{
    uint8_t last[3] = { 0 };

    if (state->n_held == 0)
        return 0;
    memcpy(last, state->held, state->n_held);
    split(last, out);
    out[3] = '=';
    if (state->n_held == 1)
        out[2] = '=';
    state->n_held = 0;
    return 4;
}
