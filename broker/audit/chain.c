/* The arithmetic of chain.h. */
#include "broker/audit/chain.h"

#include <string.h>

#define NEXT_KEY "bulkhead next key"
#define MAC_NAME ",\"mac\":\""
#define LINE_END "\"}\n"

static void next_key(const uint8_t key[BH_SHA256_SIZE], uint8_t ret[BH_SHA256_SIZE])
{
    struct bh_sha256 sha;

    bh_sha256_init(&sha);
    bh_sha256_update(&sha, NEXT_KEY, sizeof(NEXT_KEY) - 1);
    bh_sha256_update(&sha, key, BH_SHA256_SIZE);
    bh_sha256_final(&sha, ret);
}

void bh_chain_step(const struct bh_chain *chain, uint8_t *room, size_t len, struct bh_chain *ret_next)
{
    memcpy(room, chain->mac, BH_CHAIN_ROOM);
    bh_hmac_sha256(chain->key, sizeof(chain->key), room, BH_CHAIN_ROOM + len, ret_next->mac);
    next_key(chain->key, ret_next->key);
    ret_next->steps = chain->steps + 1;
}

void bh_chain_skip(struct bh_chain *chain, uint64_t steps)
{
    uint8_t key[BH_SHA256_SIZE];

    for (uint64_t i = 0; i < steps; i++) {
        next_key(chain->key, key);
        memcpy(chain->key, key, sizeof(key));
    }
    chain->steps += steps;
}

void bh_chain_tail(const uint8_t mac[BH_SHA256_SIZE], char out[BH_CHAIN_TAIL])
{
    const size_t name = sizeof(MAC_NAME) - 1;

    memcpy(out, MAC_NAME, name);
    bh_chain_hex(mac, BH_SHA256_SIZE, out + name);
    memcpy(out + name + BH_CHAIN_HEX, LINE_END, sizeof(LINE_END) - 1);
}

bool bh_chain_split(const char *line, size_t len, size_t *ret_body, uint8_t ret_mac[BH_SHA256_SIZE])
{
    const size_t name = sizeof(MAC_NAME) - 1, end = sizeof(LINE_END) - 1;
    const char *tail;

    if (len < BH_CHAIN_TAIL)
        return false;
    tail = line + len - BH_CHAIN_TAIL;
    if (memcmp(tail, MAC_NAME, name) != 0 || memcmp(line + len - end, LINE_END, end) != 0)
        return false;
    if (!bh_chain_unhex(tail + name, BH_CHAIN_HEX, ret_mac))
        return false;
    *ret_body = len - BH_CHAIN_TAIL;
    return true;
}

void bh_chain_hex(const uint8_t *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
}

/* Lower case only: one value has one spelling, so a changed spelling is a changed line. */
static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool bh_chain_unhex(const char *text, size_t len, uint8_t *out)
{
    if (len % 2 != 0)
        return false;
    for (size_t i = 0; i < len; i += 2) {
        int high = digit(text[i]), low = digit(text[i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return true;
}
