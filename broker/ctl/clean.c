/* Text of unknown origin on its way to a terminal. */
#include <string.h>

#include "broker/ctl/ctl.h"
#include "protocol/wire/utf8.h"

/* Bytes of the character at `text` if it may be shown, else 0. */
static size_t shown(const char *text)
{
    unsigned char c = (unsigned char)text[0];
    size_t len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

    if (c < 0x20 || c == 0x7f || strnlen(text, len) < len || !bh_utf8_valid(text, len))
        return 0;
    if (c == 0xc2 && (unsigned char)text[1] < 0xa0) /* C1 controls */
        return 0;
    if (c == 0xe2 && (unsigned char)text[1] == 0x80 && (unsigned char)text[2] >= 0xaa &&
        (unsigned char)text[2] <= 0xae)
        return 0; /* marks that turn the direction of writing around */
    return len;
}

void ctl_print_clean(FILE *out, const char *text)
{
    while (*text) {
        size_t len = shown(text);

        if (len > 0)
            (void)fwrite(text, 1, len, out);
        else
            fputc('?', out);
        text += len > 0 ? len : 1;
    }
}
