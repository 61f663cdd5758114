/* The lists of narrow.h, name by name. Nothing is trimmed: qemu-ga takes names as they stand between commas.
 */
#include "broker/supervisor/narrow.h"

#include <string.h>

#include "protocol/base/mem.h"
#include "protocol/commands.h"

static int command_of(const char *name, size_t len)
{
    for (unsigned i = 0; i < BH_CMD_COUNT; i++)
        if (strlen(bh_commands[i].name) == len && !memcmp(bh_commands[i].name, name, len))
            return (int)i;
    return -1;
}

void bh_narrow_each(const char *list, void (*tell)(void *context, const char *name, int len, int command),
                    void *context)
{
    while (list && *list) {
        size_t len = strcspn(list, ",");

        if (len > 0)
            tell(context, list, (int)len, command_of(list, len));
        list += len + (list[len] == ',');
    }
}

static void add(void *context, const char *name, int len, int command)
{
    uint64_t *mask = context;

    (void)name;
    (void)len;
    if (command >= 0)
        mask[command / 64] |= 1ull << (command % 64);
}

void bh_narrow(struct bh_slice *slice, const char *allow, const char *block)
{
    uint64_t allowed[BH_ARRAY_SIZE(slice->withheld)] = { 0 }, blocked[BH_ARRAY_SIZE(slice->withheld)] = { 0 };

    bh_narrow_each(allow, add, allowed);
    bh_narrow_each(block, add, blocked);
    for (size_t i = 0; i < BH_ARRAY_SIZE(slice->withheld); i++)
        slice->withheld[i] |= blocked[i] | (allow ? ~allowed[i] : 0);
}
