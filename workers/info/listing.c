/* The two questions of listing.h. */
#include "workers/info/listing.h"

#include <string.h>

#include "policy/eval.h"
#include "protocol/wire/utf8.h"
#include "workers/lib/worker.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

bool bh_listing_shown(void *context, const char *name, size_t len)
{
    const struct bh_call *call = context;
    const struct bh_str listed = { name, (uint32_t)len };

    return bh_policy_name(&call->worker->policy, (unsigned)(call->command - bh_commands), listed, NULL)
               .verdict == BH_VERDICT_ALLOW;
}

struct bh_str bh_listing_text(struct bh_arena *arena, const char *bytes, size_t len)
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
