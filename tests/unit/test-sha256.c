/* SHA-256 against FIPS 180-4's examples and HMAC against RFC 4231's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/sha256.h"
#include "protocol/base/sha256_engine.h"

static void check_digest(const uint8_t *digest, const char *hex)
{
    char text[BH_SHA256_TEXT];

    bh_sha256_text(digest, text);
    assert_string_equal(text, hex);
}

static void check_pieces(const void *data, size_t len, size_t piece, const char *hex)
{
    uint8_t digest[BH_SHA256_SIZE];
    struct bh_sha256 sha;

    bh_sha256_init(&sha);
    for (size_t at = 0; at < len; at += piece)
        bh_sha256_update(&sha, (const char *)data + at, len - at < piece ? len - at : piece);
    bh_sha256_final(&sha, digest);
    check_digest(digest, hex);
}

static void standard_vectors(void **state)
{
    static const char two_blocks[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    static char million[1000000];

    (void)state;
    memset(million, 'a', sizeof(million));
    check_pieces("", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_pieces("abc", 3, 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_pieces(million, sizeof(million), 4093,
                 "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    for (size_t piece = 1; piece < 70; piece++)
        check_pieces(two_blocks, strlen(two_blocks), piece,
                     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void lengths_around_a_block(void **state)
{
    static const char *const hex[] = {
        "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318", /* 55 */
        "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a", /* 56 */
        "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb", /* 64 */
    };
    static const size_t lengths[] = { 55, 56, 64 };
    char text[64];

    (void)state;
    memset(text, 'a', sizeof(text));
    for (unsigned i = 0; i < 3; i++)
        check_pieces(text, lengths[i], 7, hex[i]);
}

static void hmac_vectors(void **state)
{
    uint8_t key[131], digest[BH_SHA256_SIZE];

    (void)state;
    memset(key, 0x0b, 20);
    bh_hmac_sha256(key, 20, "Hi There", 8, digest);
    check_digest(digest, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    bh_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, digest);
    check_digest(digest, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    bh_hmac_sha256(key, sizeof(key), "Test Using Larger Than Block-Size Key - Hash Key First", 54, digest);
    check_digest(digest, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* Both loops, whatever this machine would take, say the same of any bytes and any number of blocks. */
static void loops_agree(void **state)
{
    uint8_t bytes[8 * BH_SHA256_BLOCK];
    uint32_t seed = 1;

    (void)state;
    if (!bh_sha256_has_x86())
        skip();
    for (unsigned run = 0; run < 2000; run++) {
        uint32_t one[8], other[8];

        for (size_t i = 0; i < sizeof(bytes); i++)
            bytes[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24);
        for (unsigned i = 0; i < 8; i++)
            one[i] = other[i] = seed * (i + 1);
        bh_sha256_blocks_c(one, bytes, run % 9);
        bh_sha256_blocks_x86(other, bytes, run % 9);
        assert_memory_equal(one, other, sizeof(one));
    }
}

static int with_c(void **state)
{
    (void)state;
    bh_sha256_blocks = bh_sha256_blocks_c;
    return 0;
}

static int with_best(void **state)
{
    (void)state;
    bh_sha256_blocks = NULL;
    return 0;
}

#define BOTH(name)                                                                                           \
    { #name "_in_c", name, with_c, NULL, NULL },                                                             \
    {                                                                                                        \
#name, name, with_best, NULL, NULL                                                                   \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(standard_vectors),
        BOTH(lengths_around_a_block),
        BOTH(hmac_vectors),
        cmocka_unit_test(loops_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
