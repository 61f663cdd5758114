/*
 * The ways to open a channel: one table of methods, each with the check of what stands
 * behind its colon. The compiler asks before it writes a bundle, and whoever opens a
 * bundle asks again.
 */
#include <string.h>

#include "policy/blob.h"
#include "protocol/base/mem.h"

#define DEV "/dev/"

const char *const bh_channel_methods[] = { "unix-listen", "virtio", "isa-serial", "vsock-listen", NULL };

static bool is_device(const char *path)
{
    return strncmp(path, DEV, strlen(DEV)) == 0 && bh_path_is_clean(path, strlen(path));
}

static const char *socket_fails(const char *path)
{
    if (strlen(path) > BH_SOCKET_PATH_MAX)
        return "the path of a unix socket has at most 107 bytes: choose a shorter one";
    return bh_path_is_clean(path, strlen(path)) && path[1]
               ? NULL
               : "behind `unix-listen:` stands the absolute path of a socket, such as /run/bulkhead/a.sock, "
                 "without `//`, `/./` and `/../`";
}

/* A port's name becomes a file's name below /dev/virtio-ports. */
static const char *virtio_fails(const char *path)
{
    bool name = path[0] && !strchr(path, '/') && strcmp(path, ".") != 0 && strcmp(path, "..") != 0;

    return name || is_device(path) ? NULL
                                   : "behind `virtio:` stands the name of a port, such as "
                                     "org.qemu.guest_agent.0, or the path of its device below /dev";
}

static const char *serial_fails(const char *path)
{
    return is_device(path)
               ? NULL
               : "behind `isa-serial:` stands the path of a device below /dev, such as /dev/ttyS1";
}

/* Decimal digits for 32 bits, one way to write each number. Moves *text behind them. */
static bool take_uint32(const char **text)
{
    const char *start = *text;
    uint64_t value = 0;

    while (**text >= '0' && **text <= '9' && value <= UINT32_MAX)
        value = value * 10 + (uint64_t)(*(*text)++ - '0');
    return *text > start && value <= UINT32_MAX && (*start != '0' || *text == start + 1);
}

static const char *vsock_fails(const char *path)
{
    const char *at = path;

    return take_uint32(&at) && *at++ == ':' && take_uint32(&at) && !*at
               ? NULL
               : "behind `vsock-listen:` stand CID:PORT, two decimal numbers of at most 4294967295 without "
                 "leading zeros; a CID of 4294967295 means any of this guest's";
}

/* In the order of bh_channel_methods. */
static const char *(*const fails[])(const char *path) = { socket_fails, virtio_fails, serial_fails,
                                                          vsock_fails };

_Static_assert(BH_ARRAY_SIZE(fails) + 1 == BH_ARRAY_SIZE(bh_channel_methods), "a check for each method");

const char *bh_channel_way_fails(const char *name, const char *method, const char *path)
{
    bool local = strcmp(name, "local") == 0;

    if (local && (method[0] || path[0]))
        return "`local` is the name of root's own channel, which the agent opens in its state folder: write "
               "`channel local` without a method, or choose another name";
    if (!method[0])
        return (local || strcmp(name, "main") == 0) && !path[0]
                   ? NULL
                   : "say how this channel is opened: METHOD:PATH stands behind the name of each channel but "
                     "`main` and `local`";
    for (unsigned i = 0; bh_channel_methods[i]; i++)
        if (strcmp(bh_channel_methods[i], method) == 0)
            return fails[i](path);
    return "a channel is opened by unix-listen:PATH, virtio:NAME, isa-serial:DEVICE or vsock-listen:CID:PORT";
}

bool bh_bundle_governs_local(const struct bh_bundle *bundle)
{
    return bundle->count == 1 && strcmp(bundle->rows[0].name, "main") == 0 && !bundle->rows[0].method[0];
}
