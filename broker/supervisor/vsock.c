/* Reading and judging what vsock.h says. */
#include "broker/supervisor/vsock.h"

#include <errno.h>

#define CID_LOCAL 1u
#define CID_HOST 2u

/* Digits up to `end`, which is stepped over if it is not the text's own. */
static bool number(const char **text, char end, uint32_t *ret)
{
    const char *p = *text;
    uint64_t value = 0;

    for (; *p >= '0' && *p <= '9'; p++) {
        value = value * 10 + (uint64_t)(*p - '0');
        if (value > UINT32_MAX)
            return false;
    }
    if (p == *text || *p != end)
        return false;
    *text = end ? p + 1 : p;
    *ret = (uint32_t)value;
    return true;
}

int bh_vsock_parse(const char *text, uint32_t *ret_cid, uint32_t *ret_port)
{
    uint32_t cid, port;

    if (!number(&text, ':', &cid) || !number(&text, '\0', &port))
        return -EINVAL;
    *ret_cid = cid;
    *ret_port = port;
    return 0;
}

bool bh_vsock_admits(uint64_t peers, uint32_t cid)
{
    return (peers & BH_VSOCK_ANY) || ((peers & BH_VSOCK_HOST) && cid == CID_HOST) ||
           ((peers & BH_VSOCK_LOCAL) && cid == CID_LOCAL);
}
