/* Names of the fences: the policy's `set fence-NAME`, the status file and log lines read this list. */
#include "policy/confine/confine.h"

#include <stddef.h>

const char *bh_fence_name(uint32_t bit)
{
    switch (bit) {
    case BH_FENCE_UID:
        return "uid";
    case BH_FENCE_CAPS:
        return "caps";
    case BH_FENCE_SECUREBITS:
        return "securebits";
    case BH_FENCE_NNP:
        return "no-new-privs";
    case BH_FENCE_SECCOMP:
        return "seccomp";
    case BH_FENCE_LANDLOCK:
        return "landlock";
    case BH_FENCE_VIEW:
        return "view";
    case BH_FENCE_NET:
        return "net";
    case BH_FENCE_IPC:
        return "ipc";
    case BH_FENCE_MDWE:
        return "mdwe";
    case BH_FENCE_DUMPABLE:
        return "dumpable";
    case BH_FENCE_RLIMITS:
        return "rlimits";
    default:
        return NULL;
    }
}
