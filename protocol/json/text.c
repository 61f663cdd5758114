/* The canonical text: growth by doubling, the escapes that JSON demands, and undoing them for `execute`. */
#include "protocol/json/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/json/lexer.h"
#include "protocol/json/utf8.h"

#define CAP_FIRST 1024u
#define CAP_KEPT (64u * 1024u) /* a larger buffer is given back after its request */

void bh_canon_deinit(struct bh_canon *canon)
{
    free(canon->data);
    *canon = (struct bh_canon){ 0 };
}

void bh_canon_reset(struct bh_canon *canon)
{
    if (canon->cap > CAP_KEPT)
        bh_canon_deinit(canon);
    canon->len = 0;
}

static bool resize(struct bh_canon *canon, size_t cap)
{
    char *data = realloc(canon->data, cap + 1);

    if (!data)
        return false;
    canon->data = data;
    canon->cap = (uint32_t)cap;
    return true;
}

bool bh_canon_reserve(struct bh_canon *canon, size_t more)
{
    size_t cap = canon->cap ? canon->cap : CAP_FIRST;

    if (more > BH_TEXT_MAX - canon->len)
        return false;
    while (cap < canon->len + more)
        cap *= 2;
    if (cap > BH_TEXT_MAX)
        cap = BH_TEXT_MAX;
    return cap <= canon->cap || resize(canon, cap);
}

bool bh_canon_put(struct bh_canon *canon, const char *text, size_t len)
{
    if (len > canon->cap - canon->len && !bh_canon_reserve(canon, len))
        return false;
    memcpy(canon->data + canon->len, text, len);
    canon->len += (uint32_t)len;
    return true;
}

/* JSON's two-character escapes; what stands after the backslash, by character. */
static const char short_escape[0x60] = {
    ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't', ['"'] = '"', ['\\'] = '\\',
};

bool bh_canon_put_char(struct bh_canon *canon, uint32_t c)
{
    char text[8];

    if (c < sizeof(short_escape) && short_escape[c]) {
        text[0] = '\\';
        text[1] = short_escape[c];
        return bh_canon_put(canon, text, 2);
    }
    if (c < 0x20)
        return bh_canon_put(canon, text, (size_t)snprintf(text, sizeof(text), "\\u%04X", (unsigned)c));
    return bh_canon_put(canon, text, bh_utf8_encode(c, text));
}

/* The character that the escape at `p` stands for; `ret_used` bytes of text. Only our own escapes occur. */
static char undo_one(const char *p, uint32_t *ret_used)
{
    const char *found;
    char hex[3] = { 0 };

    if (p[1] == 'u') {
        memcpy(hex, p + 4, 2);
        *ret_used = 6;
        return (char)strtoul(hex, NULL, 16);
    }
    *ret_used = 2;
    found = memchr(short_escape, p[1], sizeof(short_escape));
    return (char)(found - short_escape);
}

bool bh_canon_undo_escapes(struct bh_canon *canon, uint32_t at, uint32_t len, uint32_t *ret_at,
                           uint32_t *ret_len)
{
    uint32_t to = canon->len + 1, end = at + len, used = 1;

    if (canon->cap < to + len && !resize(canon, to + (size_t)len))
        return false;
    *ret_at = to;
    for (; at < end; at += used) {
        used = 1;
        canon->data[to++] = canon->data[at] == '\\' ? undo_one(canon->data + at, &used) : canon->data[at];
    }
    *ret_len = to - *ret_at;
    return true;
}
