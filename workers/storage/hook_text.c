/* Cleaning as the log does it (protocol/base/log.c), and cutting where a character begins. */
#include "workers/storage/hook_text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "protocol/wire/utf8.h"

#define ESCAPE 4u /* bytes of \xNN */

/* Bytes of the harmless character at `p`, or 0: C0, DEL, C1, or no character at all. */
static unsigned harmless(const char *p, size_t len)
{
    uint32_t c;
    unsigned n = bh_utf8_decode(p, len, &c);

    return n > 0 && (c < 0x20 || (c >= 0x7f && c < 0xa0)) ? 0 : n;
}

size_t bh_hook_clean(const char *data, size_t len, char *ret, size_t size)
{
    size_t used = 0;

    while (len > 0 && strchr(" \t\r\n", data[len - 1]) && data[len - 1])
        len--;
    for (size_t at = 0; at < len;) {
        unsigned n = harmless(data + at, len - at);
        size_t need = n ? n : ESCAPE;

        if (need >= size - used)
            break;
        if (n)
            memcpy(ret + used, data + at, n);
        else
            (void)snprintf(ret + used, ESCAPE + 1, "\\x%02x", (unsigned char)data[at]);
        used += need;
        at += n ? n : 1;
    }
    ret[used] = '\0';
    return used;
}

/* Takes away the last character if the cut went through it. */
static void drop_partial(char *text, size_t len)
{
    size_t lead = len;
    uint32_t c;

    while (lead > 0 && len - lead < 4 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
        lead--;
    if (lead > 0 && bh_utf8_decode(text + lead - 1, len - lead + 1, &c) == 0)
        text[lead - 1] = '\0';
}

void bh_hook_printf(char *ret, size_t size, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(ret, size, format, args);
    va_end(args);
    if (n >= (int)size)
        drop_partial(ret, size - 1);
}
