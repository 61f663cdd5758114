/* The questions of device.h. Most are answered by a device's path alone, without a system call. */
#include "workers/storage/device.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/mem.h"
#include "workers/lib/entries.h"
#include "workers/lib/procfile.h"
#include "workers/lib/text.h"

#define NUMBER_ROOM 32 /* "4294967295:4294967295" and its line feed */

/* "../../devices/..." of a link in sysfs, made a path below sysfs. */
static int take_link(const char *link, struct bh_device *ret)
{
    size_t len;

    while (strncmp(link, "../", 3) == 0)
        link += 3;
    len = strlen(link);
    if (strncmp(link, "devices/", 8) != 0 || link[len - 1] == '/' || strstr(link, "/../"))
        return -EBADMSG;
    memcpy(ret->path, link, len + 1);
    ret->name = (uint32_t)(strrchr(ret->path, '/') + 1 - ret->path);
    return len - ret->name > BH_DEVICE_NAME_MAX ? -EBADMSG : 0;
}

static int follow(int sys, const char *path, struct bh_device *ret)
{
    char link[BH_DEVICE_PATH_MAX + 1];
    ssize_t n = readlinkat(sys, path, link, sizeof(link));

    if (n < 0)
        return -errno;
    if (n == 0 || (size_t)n == sizeof(link))
        return -EBADMSG;
    link[n] = '\0';
    return take_link(link, ret);
}

int bh_device_by_number(int sys, uint32_t major, uint32_t minor, struct bh_device *ret)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "dev/block/%u:%u", major, minor);
    return follow(sys, path, ret);
}

int bh_device_by_name(int sys, const char *name, struct bh_device *ret)
{
    char path[BH_DEVICE_NAME_MAX + 16];

    if (strlen(name) > BH_DEVICE_NAME_MAX || strchr(name, '/'))
        return -EBADMSG;
    (void)snprintf(path, sizeof(path), "class/block/%s", name);
    return follow(sys, path, ret);
}

bool bh_device_is_virtual(const struct bh_device *device)
{
    return strncmp(device->path, "devices/virtual/block/", 22) == 0;
}

bool bh_device_is_part(const char *disk, const char *name)
{
    size_t len = strlen(disk), digits;

    if (len == 0 || strncmp(disk, name, len) != 0)
        return false;
    if (isdigit((unsigned char)disk[len - 1]) && name[len++] != 'p')
        return false;
    digits = strspn(name + len, "0123456789");
    return digits > 0 && name[len + digits] == '\0';
}

bool bh_device_to_disk(struct bh_device *device)
{
    char above[BH_DEVICE_PATH_MAX + 1];
    const char *slash;

    memcpy(above, device->path, device->name - 1);
    above[device->name - 1] = '\0';
    slash = strrchr(above, '/');
    if (!slash || !bh_device_is_part(slash + 1, bh_device_name(device)))
        return false;
    device->path[device->name - 1] = '\0';
    device->name = (uint32_t)(slash + 1 - above);
    return true;
}

ssize_t bh_device_read(int sys, const struct bh_device *device, const char *attribute, char *text, size_t cap)
{
    char path[BH_DEVICE_PATH_MAX + 64];
    ssize_t n;

    (void)snprintf(path, sizeof(path), "%s/%s", device->path, attribute);
    n = bh_procfile_read(sys, path, text, cap);
    while (n > 0 && isspace((unsigned char)text[n - 1]))
        text[--n] = '\0';
    return n;
}

int bh_device_number(int sys, const struct bh_device *device, uint32_t *ret_major, uint32_t *ret_minor)
{
    char text[NUMBER_ROOM];
    const char *p = text;
    uint64_t major, minor;
    ssize_t n = bh_device_read(sys, device, "dev", text, sizeof(text));

    if (n < 0)
        return (int)n;
    if (!bh_parse_uint(&p, 10, &major) || *p++ != ':' || !bh_parse_whole_uint(p, 10, &minor) ||
        major > UINT32_MAX || minor > UINT32_MAX)
        return -EBADMSG;
    *ret_major = (uint32_t)major;
    *ret_minor = (uint32_t)minor;
    return 0;
}

struct bh_str bh_device_node(struct bh_arena *arena, const char *name)
{
    char node[BH_DEVICE_NAME_MAX + 8];
    int len = snprintf(node, sizeof(node), "/dev/%s", name);

    for (char *p = node; *p; p++)
        *p = *p == '!' ? '/' : *p; /* a name of sysfs has no slash */
    return bh_text_of(arena, node, (size_t)len < sizeof(node) ? (size_t)len : sizeof(node) - 1);
}

struct listing {
    struct bh_names names;
    uint32_t max;
    struct bh_arena *arena;
};

static int take_name(void *context, const char *name)
{
    struct listing *listing = context;
    struct bh_names *names = &listing->names;

    if (names->n == listing->max)
        return -E2BIG;
    names->name = bh_arena_more(listing->arena, names->name, names->n, sizeof(*names->name));
    if (!names->name)
        return -ENOMEM;
    names->name[names->n] = bh_arena_str(listing->arena, name, strlen(name)).ptr;
    return names->name[names->n++] ? 0 : -ENOMEM;
}

static int in_order(const void *a, const void *b)
{
    return strverscmp(*(const char *const *)a, *(const char *const *)b);
}

int bh_names_list(int sys, const char *folder, uint32_t max, struct bh_arena *arena, struct bh_names *ret)
{
    _cleanup_close_ int fd = openat(sys, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct listing listing = { .max = max, .arena = arena };
    int r = fd < 0 ? -errno : bh_entries_each(fd, take_name, &listing);

    if (r < 0)
        return r;
    if (listing.names.n > 1)
        qsort(listing.names.name, listing.names.n, sizeof(*listing.names.name), in_order);
    *ret = listing.names;
    return 0;
}

int bh_device_slaves(int sys, const struct bh_device *device, struct bh_arena *arena, struct bh_names *ret)
{
    char path[BH_DEVICE_PATH_MAX + 16];
    struct bh_device disk = *device;
    struct bh_names names = { 0 };
    int r;

    (void)bh_device_to_disk(&disk);
    (void)snprintf(path, sizeof(path), "%s/slaves", disk.path);
    r = bh_names_list(sys, path, BH_SLAVES_MAX, arena, &names);
    if (r == 0 || r == -ENOENT)
        *ret = names;
    return r == -ENOENT ? 0 : r;
}
