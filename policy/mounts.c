/* The one list of commands whose mounts a rule can choose, for mounts.h. */
#include "policy/mounts.h"

#include "protocol/commands.h"

#define CLASSES (1u << BH_CLASS_FREEZE | 1u << BH_CLASS_TRIM)

bool bh_freezes_mounts(unsigned command)
{
    return command == BH_CMD_GUEST_FSFREEZE_FREEZE || command == BH_CMD_GUEST_FSFREEZE_FREEZE_LIST;
}

bool bh_acts_on_mounts(unsigned command)
{
    return command == BH_CMD_GUEST_FSTRIM || bh_freezes_mounts(command);
}

bool bh_mask_freezes(const uint64_t mask[2])
{
    for (unsigned command = 0; command < BH_CMD_COUNT; command++)
        if (mask[command / 64] >> (command % 64) & 1 && bh_freezes_mounts(command))
            return true;
    return false;
}

bool bh_mask_about_mounts(const uint64_t mask[2], bool strictly)
{
    bool some = false;

    for (unsigned command = 0; command < BH_CMD_COUNT; command++) {
        if (!(mask[command / 64] >> (command % 64) & 1))
            continue;
        if (bh_acts_on_mounts(command))
            some = true;
        else if (strictly || !(bh_commands[command].classes & CLASSES))
            return false;
    }
    return some;
}
