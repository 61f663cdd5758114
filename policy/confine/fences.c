/* Which fences a profile is meant to have: all, but those that it says it has no use for. */
#include "policy/confine/confine.h"

uint32_t bh_profile_fences(const struct bh_profile *profile)
{
    uint32_t fences = BH_FENCE_UID | BH_FENCE_CAPS | BH_FENCE_SECUREBITS | BH_FENCE_NNP | BH_FENCE_SECCOMP |
                      BH_FENCE_LANDLOCK | BH_FENCE_IPC | BH_FENCE_MDWE | BH_FENCE_DUMPABLE | BH_FENCE_RLIMITS;

    if (profile->bare)
        return 0;
    if (profile->spawns)
        return BH_FENCE_UID | BH_FENCE_CAPS | BH_FENCE_SECCOMP | BH_FENCE_DUMPABLE;
    if (profile->view != BH_VIEW_ALL && profile->view != BH_VIEW_HOST)
        fences |= BH_FENCE_VIEW;
    if (profile->own_net)
        fences |= BH_FENCE_NET;
    return fences;
}
