/*
 * A disk's path is read from its root: devices of PCI buses, one behind the other, until one has a driver
 * of the table below; what comes after it is the bus that this driver makes. Without PCI there are virtio
 * devices (on channels of s390, or as the firmware placed them).
 */
#include "workers/storage/address.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/mem.h"
#include "workers/lib/numbered.h"
#include "workers/lib/procfile.h"

/* A path that is under way: the controller is its first `len` bytes, the bus what follows. */
struct way {
    int sys;
    const char *path;
    size_t len;
    struct bh_arena *arena;
};

struct scsi {
    uint64_t host, channel, target, lun;
};

static const struct bh_guest_disk_address nowhere = {
    .pci_controller = { -1, -1, -1, -1 },
    .bus_type = BH_GUEST_DISK_BUS_TYPE_UNKNOWN,
};

static bool take_char(const char **text, char c)
{
    if (**text != c)
        return false;
    (*text)++;
    return true;
}

/* A number as the protocol has it. */
static bool take_small(const char **text, uint64_t *ret)
{
    return bh_parse_uint(text, 10, ret) && *ret <= INT32_MAX;
}

static bool has_target(const char *path)
{
    return strstr(path, "/target") != NULL;
}

/* "target2:0:1/2:0:1:5/": only the second part tells the unit. */
static bool find_scsi(const char *path, struct scsi *ret)
{
    const char *p = strstr(path, "/target");

    p = p ? strchr(p + 1, '/') : NULL;
    return p && take_char(&p, '/') && take_small(&p, &ret->host) && take_char(&p, ':') &&
           take_small(&p, &ret->channel) && take_char(&p, ':') && take_small(&p, &ret->target) &&
           take_char(&p, ':') && take_small(&p, &ret->lun) && (*p == '/' || *p == '\0');
}

/* "0000:00:05.0", to the slash behind it. */
static bool take_pci(const char *part, struct bh_guest_pci_address *ret)
{
    uint64_t domain, bus, slot, function;

    if (!bh_parse_uint(&part, 16, &domain) || !take_char(&part, ':') || !bh_parse_uint(&part, 16, &bus) ||
        !take_char(&part, ':') || !bh_parse_uint(&part, 16, &slot) || !take_char(&part, '.') ||
        !bh_parse_uint(&part, 16, &function) || *part != '/')
        return false;
    if (domain > INT32_MAX || bus > 0xff || slot > 0x1f || function > 7)
        return false;
    *ret = (struct bh_guest_pci_address){ (int64_t)domain, (int64_t)bus, (int64_t)slot, (int64_t)function };
    return true;
}

/* Which of the controller's folders `word`N the path goes through, counted from 0. -1: through none. */
static int64_t count_ports(const struct way *way, const char *word)
{
    const char *part = way->path + way->len + 1;
    char folder[BH_DEVICE_PATH_MAX + 1];
    _cleanup_close_ int fd = -1;
    struct bh_numbers ports;
    uint64_t own;

    if (strncmp(part, word, strlen(word)) != 0)
        return -1;
    part += strlen(word);
    if (!bh_parse_uint(&part, 10, &own))
        return -1;
    (void)snprintf(folder, sizeof(folder), "%.*s", (int)way->len, way->path);
    fd = openat(way->sys, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || bh_numbered_list(fd, word, BH_PORTS_MAX, way->arena, &ports) < 0)
        return -1;
    for (uint32_t i = 0; i < ports.n; i++)
        if (ports.number[i] == own)
            return i;
    return -1;
}

/* Since 2.6.39 the ports stand between a controller and its hosts. */
static bool find_port(const struct way *way, int64_t *ret)
{
    int64_t port = count_ports(way, "ata");

    if (port < 0)
        port = count_ports(way, "host");
    if (port < 0)
        return false;
    *ret = port;
    return true;
}

static bool find_ide(const struct way *way, struct bh_guest_disk_address *ret)
{
    struct scsi scsi;

    if (!find_scsi(way->path + way->len, &scsi) || !find_port(way, &ret->bus))
        return false;
    ret->bus_type = BH_GUEST_DISK_BUS_TYPE_IDE;
    ret->unit = (int64_t)scsi.target;
    return true;
}

static bool find_sata(const struct way *way, struct bh_guest_disk_address *ret)
{
    if (!find_port(way, &ret->unit))
        return false;
    ret->bus_type = BH_GUEST_DISK_BUS_TYPE_SATA;
    return true;
}

static bool find_parallel_scsi(const struct way *way, struct bh_guest_disk_address *ret)
{
    struct scsi scsi;

    if (!find_scsi(way->path + way->len, &scsi))
        return false;
    ret->bus_type = BH_GUEST_DISK_BUS_TYPE_SCSI;
    ret->unit = (int64_t)scsi.target;
    return true;
}

static bool find_virtio(const struct way *way, struct bh_guest_disk_address *ret)
{
    const char *rest = way->path + way->len;
    struct scsi scsi;

    ret->bus_type = BH_GUEST_DISK_BUS_TYPE_VIRTIO;
    if (!has_target(rest))
        return true;
    if (!find_scsi(rest, &scsi))
        return false;
    ret->bus_type = BH_GUEST_DISK_BUS_TYPE_SCSI;
    ret->unit = (int64_t)scsi.lun;
    return true;
}

static bool find_nvme(const struct way *way, struct bh_guest_disk_address *ret)
{
    (void)way;
    ret->bus_type = BH_GUEST_DISK_BUS_TYPE_NVME;
    return true;
}

static bool find_usb(const struct way *way, struct bh_guest_disk_address *ret)
{
    (void)way;
    ret->bus_type = BH_GUEST_DISK_BUS_TYPE_USB;
    return true;
}

static const struct driver {
    const char *name;
    bool (*find)(const struct way *way, struct bh_guest_disk_address *ret);
} drivers[] = {
    { "virtio-pci", find_virtio }, { "ahci", find_sata },    { "nvme", find_nvme },
    { "ata_piix", find_ide },      { "xhci_hcd", find_usb }, { "ehci-pci", find_usb },
    { "uhci_hcd", find_usb },      { "ohci-pci", find_usb }, { "sym53c8xx", find_parallel_scsi },
};

/* The row of the controller's driver; NULL if it has none that is known here. */
static const struct driver *driver_of(const struct way *way)
{
    char path[BH_DEVICE_PATH_MAX + 16], link[BH_DEVICE_PATH_MAX + 1];
    const char *name;
    ssize_t n;

    (void)snprintf(path, sizeof(path), "%.*s/driver", (int)way->len, way->path);
    n = readlinkat(way->sys, path, link, sizeof(link) - 1);
    if (n <= 0)
        return NULL;
    link[n] = '\0';
    name = strrchr(link, '/');
    name = name ? name + 1 : link;
    for (size_t i = 0; i < BH_ARRAY_SIZE(drivers); i++)
        if (strcmp(name, drivers[i].name) == 0)
            return &drivers[i];
    return NULL;
}

/* Walks from bridge to bridge. */
static bool find_pci(struct way *way, struct bh_guest_disk_address *ret)
{
    const char *part = strstr(way->path, "/pci");

    for (part = part ? strchr(part + 1, '/') : NULL; part; part = strchr(part + 1, '/')) {
        struct bh_guest_pci_address pci;
        const struct driver *driver;

        if (!take_pci(part + 1, &pci))
            return false;
        way->len = (size_t)(strchr(part + 1, '/') - way->path);
        driver = driver_of(way);
        if (!driver)
            continue;
        ret->pci_controller = pci;
        return driver->find(way, ret);
    }
    return false;
}

/* "devices/css0/0.0.0005/0.0.0008/virtio1/...": the subchannel, then the device on it. */
static void find_ccw(const char *path, struct bh_guest_disk_address *ret)
{
    uint64_t cssid, ssid, subchannel, cssid_again, ssid_again, device;
    const char *p = strncmp(path, "devices/css", 11) == 0 ? strchr(path + 11, '/') : NULL;

    if (!p || !take_char(&p, '/') || !bh_parse_uint(&p, 16, &cssid) || !take_char(&p, '.') ||
        !bh_parse_uint(&p, 16, &ssid) || !take_char(&p, '.') || !bh_parse_uint(&p, 16, &subchannel) ||
        !take_char(&p, '/') || !bh_parse_uint(&p, 16, &cssid_again) || !take_char(&p, '.') ||
        !bh_parse_uint(&p, 16, &ssid_again) || !take_char(&p, '.') || !bh_parse_uint(&p, 16, &device) ||
        *p != '/')
        return;
    if (cssid > 0xff || ssid > 0xff || subchannel > 0xffff || device > 0xffff)
        return;
    ret->has_ccw_address = true;
    ret->ccw_address =
        (struct bh_guest_ccw_address){ (int64_t)cssid, (int64_t)ssid, (int64_t)subchannel, (int64_t)device };
}

static bool find_bare_virtio(const struct way *way, struct bh_guest_disk_address *ret)
{
    const char *virtio = strstr(way->path, "/virtio");
    struct scsi scsi;

    find_ccw(way->path, ret);
    if (!virtio)
        return ret->has_ccw_address;
    ret->bus_type = BH_GUEST_DISK_BUS_TYPE_VIRTIO;
    if (!has_target(virtio))
        return true;
    if (!find_scsi(virtio, &scsi))
        return false;
    ret->bus_type = BH_GUEST_DISK_BUS_TYPE_SCSI;
    ret->bus = (int64_t)scsi.channel;
    ret->target = (int64_t)scsi.target;
    ret->unit = (int64_t)scsi.lun;
    return true;
}

/*
 * A disk with several ways to it stands below its NVMe subsystem, whose links are its controllers: the path
 * of the first of them. False: there is none.
 */
static bool find_controller(int sys, const struct bh_device *device, struct bh_arena *arena,
                            char ret[BH_DEVICE_PATH_MAX + 1])
{
    static const char folder[] = "devices/virtual/nvme-subsystem/";
    char path[BH_DEVICE_PATH_MAX + 32], link[BH_DEVICE_PATH_MAX + 1];
    const char *rest = strncmp(device->path, folder, sizeof(folder) - 1) == 0
                           ? strchr(device->path + sizeof(folder) - 1, '/')
                           : NULL;
    _cleanup_close_ int fd = -1;
    struct bh_numbers ways;
    const char *place = link;
    int len = rest ? (int)(rest - device->path) : 0;
    ssize_t n;

    (void)snprintf(path, sizeof(path), "%.*s", len, device->path);
    fd = len > 0 ? openat(sys, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd < 0 || bh_numbered_list(fd, "nvme", BH_PORTS_MAX, arena, &ways) < 0 || ways.n == 0)
        return false;
    (void)snprintf(path, sizeof(path), "nvme%" PRIu64, ways.number[0]);
    n = readlinkat(fd, path, link, sizeof(link) - 1);
    link[n > 0 ? n : 0] = '\0';
    while (strncmp(place, "../", 3) == 0)
        place += 3;
    return snprintf(ret, BH_DEVICE_PATH_MAX + 1, "devices/%s", place) <= (int)BH_DEVICE_PATH_MAX && *place;
}

int bh_address_find(int sys, const struct bh_device *device, struct bh_arena *arena,
                    struct bh_guest_disk_address *ret)
{
    char controller[BH_DEVICE_PATH_MAX + 1];
    struct way way = { .sys = sys, .path = device->path, .arena = arena };
    struct bh_guest_disk_address found = nowhere;
    bool known;

    if (find_controller(sys, device, arena, controller))
        way.path = controller;
    known = strstr(way.path, "/pci") ? find_pci(&way, &found) : find_bare_virtio(&way, &found);
    *ret = known ? found : nowhere;
    return known;
}
