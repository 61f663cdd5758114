/* Finding a row of settings.h. */
#include <string.h>

#include "policy/confine/confine.h"
#include "policy/lang/settings.h"

static uint32_t find_fence(const char *name)
{
    for (uint32_t bit = 1; bh_fence_name(bit); bit <<= 1)
        if (strcmp(bh_fence_name(bit), name) == 0)
            return bit;
    return 0;
}

const struct bh_setting_row *bh_setting_of(enum bh_listed listed)
{
    for (unsigned i = 0; i < bh_n_settings; i++)
        if (bh_settings[i].domain == BH_DOMAIN_NAMES && bh_settings[i].listed == listed)
            return &bh_settings[i];
    return NULL;
}

const struct bh_setting_row *bh_setting_of_rule(const char *name, bool runs)
{
    const struct bh_setting_row *found = NULL;

    for (unsigned i = 0; i < bh_n_settings; i++) {
        const struct bh_setting_row *row = &bh_settings[i];

        if (row->domain == BH_DOMAIN_SET || strcmp(row->name, name) != 0)
            continue;
        if (!found || (row->domain == BH_DOMAIN_EXEC) == runs)
            found = row;
    }
    return found;
}

uint64_t bh_setting_initial(const struct bh_setting_row *row, enum bh_sandbox sandbox)
{
    bool open = sandbox == BH_SANDBOX_PLAIN || sandbox == BH_SANDBOX_NONE;

    if (row->domain == BH_DOMAIN_EXEC && row->slot == BH_SLOT_NET)
        return open;
    if (row->domain == BH_DOMAIN_EXEC && row->slot == BH_SLOT_PIDS)
        return open ? 0 : BH_EXEC_PIDS_INITIAL;
    return row->initial;
}

const struct bh_setting_row *bh_setting_find(enum bh_setting_domain domain, const char *name,
                                             uint32_t *ret_fence)
{
    uint32_t fence =
        strncmp(name, FENCE_PREFIX, strlen(FENCE_PREFIX)) == 0 ? find_fence(name + strlen(FENCE_PREFIX)) : 0;

    for (unsigned i = 0; i < bh_n_settings; i++) {
        const struct bh_setting_row *row = &bh_settings[i];

        if (row->domain != domain || (row->type == BH_TYPE_FENCE ? !fence : strcmp(row->name, name) != 0))
            continue;
        *ret_fence = fence;
        return row;
    }
    return NULL;
}
