/* Text from bytes, for text.h. */
#include "workers/lib/text.h"

#include <string.h>

#include "protocol/wire/utf8.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

struct bh_str bh_text_of(struct bh_arena *arena, const char *bytes, size_t len)
{
    size_t used = 0;
    char *text = bh_arena_alloc(arena, len * (sizeof(REPLACEMENT) - 1) + 1);

    for (size_t i = 0; text && i < len;) {
        uint32_t character;
        unsigned n = bh_utf8_decode(bytes + i, len - i, &character);
        bool good = n > 0 && character != 0;

        memcpy(text + used, good ? bytes + i : REPLACEMENT, good ? n : sizeof(REPLACEMENT) - 1);
        used += good ? n : sizeof(REPLACEMENT) - 1;
        i += n > 0 ? n : 1;
    }
    return (struct bh_str){ text, (uint32_t)used };
}
