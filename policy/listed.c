/* The one list of commands whose answers a rule can choose from, for listed.h. */
#include "policy/listed.h"

#include <string.h>

#include "protocol/commands.h"

enum bh_listed bh_command_lists(unsigned command)
{
    switch (command) {
    case BH_CMD_GUEST_NETWORK_GET_INTERFACES:
    case BH_CMD_GUEST_NETWORK_GET_ROUTE:
        return BH_LISTED_INTERFACES;
    case BH_CMD_GUEST_GET_USERS:
        return BH_LISTED_USERS;
    default:
        return BH_LISTED_NOTHING;
    }
}

enum bh_listed bh_mask_lists(const uint64_t mask[2])
{
    enum bh_listed all = BH_LISTED_NOTHING;
    bool first = true;

    for (unsigned command = 0; command < BH_CMD_COUNT; command++) {
        enum bh_listed one = bh_command_lists(command);

        if (!(mask[command / 64] >> (command % 64) & 1))
            continue;
        if (one == BH_LISTED_NOTHING || (!first && one != all))
            return BH_LISTED_NOTHING;
        all = one;
        first = false;
    }
    return all;
}

const char *bh_name_fails(enum bh_listed listed, const char *pattern, size_t len)
{
    size_t most = listed == BH_LISTED_USERS ? BH_USER_MAX : BH_INTERFACE_MAX, fixed = 0;

    if (len == 0)
        return "it is empty";
    if (memchr(pattern, '/', len) || memchr(pattern, '\0', len))
        return "no such name has a '/' in it";
    for (size_t i = 0; i < len; i++)
        fixed += pattern[i] != '*';
    if (fixed > most || len > 2 * most + 1)
        return listed == BH_LISTED_USERS ? "the name of a user has at most 256 bytes"
                                         : "the name of an interface has at most 15 bytes";
    return NULL;
}
