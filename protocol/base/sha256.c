/* SHA-256 after FIPS 180-4, sections 5.1.1, 5.3.3 and 6.2; names of functions and variables are the
 * standard's. */
#include "protocol/base/sha256.h"
#include "protocol/base/sha256_engine.h"

#include <string.h>

bh_sha256_blocks_fn bh_sha256_blocks;

const uint32_t bh_sha256_k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotr(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static uint32_t load32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void store32(uint8_t *p, uint32_t x)
{
    p[0] = (uint8_t)(x >> 24);
    p[1] = (uint8_t)(x >> 16);
    p[2] = (uint8_t)(x >> 8);
    p[3] = (uint8_t)x;
}

static void schedule(uint32_t W[64], const uint8_t *block)
{
    for (unsigned t = 0; t < 16; t++)
        W[t] = load32(block + 4 * t);
    for (unsigned t = 16; t < 64; t++) {
        uint32_t s0 = rotr(W[t - 15], 7) ^ rotr(W[t - 15], 18) ^ W[t - 15] >> 3;
        uint32_t s1 = rotr(W[t - 2], 17) ^ rotr(W[t - 2], 19) ^ W[t - 2] >> 10;

        W[t] = s1 + W[t - 7] + s0 + W[t - 16];
    }
}

/* The eight variables are not moved: the one that is a in round t stands at -t. */
static inline void round_of(uint32_t v[8], unsigned t, uint32_t kw)
{
    uint32_t a = v[-t & 7], b = v[(1 - t) & 7], c = v[(2 - t) & 7], e = v[(4 - t) & 7], f = v[(5 - t) & 7],
             g = v[(6 - t) & 7];
    uint32_t T1 = v[(7 - t) & 7] + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) + kw;
    uint32_t T2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));

    v[(3 - t) & 7] += T1;
    v[(7 - t) & 7] = T1 + T2;
}

static void compress(uint32_t H[8], const uint8_t *block)
{
    uint32_t W[64], v[8];

    schedule(W, block);
    memcpy(v, H, sizeof(v));
    for (unsigned t = 0; t < 64; t += 8)
#pragma GCC unroll 8
        for (unsigned i = 0; i < 8; i++)
            round_of(v, i, bh_sha256_k[t + i] + W[t + i]);
    for (unsigned i = 0; i < 8; i++)
        H[i] += v[i];
}

void bh_sha256_blocks_c(uint32_t state[8], const uint8_t *data, size_t n)
{
    for (; n > 0; n--, data += BH_SHA256_BLOCK)
        compress(state, data);
}

static void blocks(uint32_t state[8], const uint8_t *data, size_t n)
{
    if (!bh_sha256_blocks)
        bh_sha256_blocks = bh_sha256_has_x86() ? bh_sha256_blocks_x86 : bh_sha256_blocks_c;
    bh_sha256_blocks(state, data, n);
}

void bh_sha256_init(struct bh_sha256 *sha)
{
    *sha = (struct bh_sha256){
        .state = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
                   0x5be0cd19 },
    };
}

void bh_sha256_update(struct bh_sha256 *sha, const void *data, size_t len)
{
    const uint8_t *p = data;
    size_t held = sha->len % BH_SHA256_BLOCK;

    sha->len += len;
    if (held > 0) {
        size_t n = BH_SHA256_BLOCK - held < len ? BH_SHA256_BLOCK - held : len;

        memcpy(sha->block + held, p, n);
        p += n;
        len -= n;
        if (held + n < BH_SHA256_BLOCK)
            return;
        blocks(sha->state, sha->block, 1);
    }
    if (len >= BH_SHA256_BLOCK)
        blocks(sha->state, p, len / BH_SHA256_BLOCK);
    if (len % BH_SHA256_BLOCK > 0)
        memcpy(sha->block, p + len / BH_SHA256_BLOCK * BH_SHA256_BLOCK, len % BH_SHA256_BLOCK);
}

void bh_sha256_final(struct bh_sha256 *sha, uint8_t ret_digest[BH_SHA256_SIZE])
{
    static const uint8_t pad[BH_SHA256_BLOCK] = { 0x80 };
    uint64_t bits = sha->len * 8;
    size_t held = sha->len % BH_SHA256_BLOCK;
    uint8_t length[8];

    store32(length, (uint32_t)(bits >> 32));
    store32(length + 4, (uint32_t)bits);
    bh_sha256_update(sha, pad, held < 56 ? 56 - held : 120 - held);
    bh_sha256_update(sha, length, sizeof(length));
    for (unsigned i = 0; i < 8; i++)
        store32(ret_digest + 4 * i, sha->state[i]);
    explicit_bzero(sha, sizeof(*sha));
}

void bh_sha256_text(const uint8_t digest[BH_SHA256_SIZE], char ret[BH_SHA256_TEXT])
{
    static const char digits[] = "0123456789abcdef";

    for (unsigned i = 0; i < BH_SHA256_SIZE; i++) {
        ret[2 * i] = digits[digest[i] >> 4];
        ret[2 * i + 1] = digits[digest[i] & 15];
    }
    ret[BH_SHA256_TEXT - 1] = '\0';
}

void bh_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                    uint8_t ret_digest[BH_SHA256_SIZE])
{
    uint8_t inner[BH_SHA256_BLOCK] = { 0 }, outer[BH_SHA256_BLOCK];
    struct bh_sha256 sha;

    bh_sha256_init(&sha);
    if (key_len > sizeof(inner)) {
        bh_sha256_update(&sha, key, key_len);
        bh_sha256_final(&sha, inner);
        bh_sha256_init(&sha);
    } else if (key_len > 0) {
        memcpy(inner, key, key_len);
    }
    for (unsigned i = 0; i < BH_SHA256_BLOCK; i++) {
        outer[i] = inner[i] ^ 0x5c;
        inner[i] ^= 0x36;
    }
    bh_sha256_update(&sha, inner, sizeof(inner));
    bh_sha256_update(&sha, data, len);
    bh_sha256_final(&sha, ret_digest);
    bh_sha256_init(&sha);
    bh_sha256_update(&sha, outer, sizeof(outer));
    bh_sha256_update(&sha, ret_digest, BH_SHA256_SIZE);
    bh_sha256_final(&sha, ret_digest);
    explicit_bzero(inner, sizeof(inner));
    explicit_bzero(outer, sizeof(outer));
}
