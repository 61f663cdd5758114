/* Look-ups in the generated tables. They are short and looked at once a request: a loop will do. */
#include "protocol/codes.h"
#include "protocol/commands.h"

#include <string.h>

int bh_command_find(const char *name, size_t len)
{
    for (int i = 0; i < BH_CMD_COUNT; i++)
        if (strlen(bh_commands[i].name) == len && memcmp(bh_commands[i].name, name, len) == 0)
            return i;
    return -1;
}

const struct bh_code *bh_code_find(uint16_t number)
{
    for (unsigned i = 0; i < bh_n_codes; i++)
        if (bh_codes[i].number == number)
            return &bh_codes[i];
    return NULL;
}

bool bh_command_is_extension(unsigned command)
{
    return bh_commands[command].classes == 1u << BH_CLASS_EXTENSION;
}
