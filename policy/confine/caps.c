/*
 * All capability changes, by libcap-ng; no other file includes its header.
 *
 * The sets have to survive an execve as a uid that may not be 0, without file
 * capabilities: only the ambient set does that, and it may hold only what is both
 * permitted and inheritable.
 */
#include "policy/confine/caps.h"

#include <cap-ng.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>

static const capng_type_t working_sets = CAPNG_EFFECTIVE | CAPNG_PERMITTED;

/* libcap-ng answers with numbers of its own; errno is set if the kernel refused. */
static int apply(capng_select_t sets)
{
    errno = 0;
    if (capng_apply(sets) == 0)
        return 0;
    return errno ? -errno : -EPERM;
}

static int add(capng_type_t sets, uint64_t caps)
{
    for (unsigned i = 0; i < 64; i++)
        if (caps & (UINT64_C(1) << i) && capng_update(CAPNG_ADD, sets, i) < 0)
            return -EINVAL;
    return 0;
}

int bh_caps_unroot(void)
{
    return prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NO_SETUID_FIXUP) < 0 ? -errno : 0;
}

int bh_caps_bound(uint64_t caps)
{
    int r;

    capng_clear(CAPNG_SELECT_ALL);
    r = add(CAPNG_BOUNDING_SET, caps);
    return r < 0 ? r : apply(CAPNG_SELECT_BOUNDS);
}

int bh_caps_carry(uint64_t caps)
{
    int r;

    capng_clear(CAPNG_SELECT_ALL);
    r = add(working_sets | CAPNG_INHERITABLE | CAPNG_AMBIENT, caps);
    if (r < 0)
        return r;
    r = add(working_sets, UINT64_C(1) << CAP_SETPCAP);
    if (r < 0)
        return r;
    r = apply(CAPNG_SELECT_CAPS);
    return r < 0 ? r : apply(CAPNG_SELECT_AMBIENT);
}

int bh_caps_lock(void)
{
    return prctl(PR_SET_SECUREBITS, BH_SECUREBITS) < 0 ? -errno : 0;
}

int bh_caps_finish(uint64_t caps)
{
    int r;

    capng_clear(CAPNG_SELECT_CAPS);
    r = add(working_sets | CAPNG_INHERITABLE, caps);
    return r < 0 ? r : apply(CAPNG_SELECT_CAPS);
}

int bh_caps_keep(uint64_t caps)
{
    int r;

    capng_clear(CAPNG_SELECT_CAPS);
    r = add(working_sets, caps);
    return r < 0 ? r : apply(CAPNG_SELECT_CAPS);
}

uint64_t bh_caps_bounding(void)
{
    uint64_t caps = 0;
    int has;

    for (unsigned i = 0; (has = prctl(PR_CAPBSET_READ, i)) >= 0; i++)
        caps |= (uint64_t)has << i;
    return caps;
}

int bh_caps_ordinary(uint64_t caps)
{
    if (prctl(PR_SET_SECUREBITS, 0) < 0)
        return -errno;
    return bh_caps_keep(caps);
}

const char *bh_caps_name(unsigned capability)
{
    return capng_capability_to_name(capability);
}
