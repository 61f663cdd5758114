/* workers/storage: devices, buses and stacks of devices, from trees like sysfs and udev's folder made here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/mem.h"
#include "tests/unit/fds.h"
#include "workers/storage/address.h"
#include "workers/storage/disk.h"
#include "workers/storage/loops.h"
#include "workers/storage/udev.h"

#define PCI "devices/pci0000:00/0000:00:05.0"
#define BUS(name) BH_GUEST_DISK_BUS_TYPE_##name

static char base[] = "/tmp/bh-disk-XXXXXX";
static struct bh_block block = { -1, -1 };
static struct bh_arena arena;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    return ftw->level > 0 ? remove(path) : 0;
}

/* An empty tree and an empty arena for each test. udev is not there until it is told something. */
static int begin(void **state)
{
    (void)state;
    if (block.sys < 0 && !mkdtemp(base))
        return -1;
    if (nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS) < 0)
        return -1;
    if (block.sys < 0)
        block.sys = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (block.udev >= 0)
        (void)close(block.udev);
    block.udev = -1;
    bh_arena_deinit(&arena);
    bh_arena_init(&arena, 1u << 20);
    return block.sys < 0 ? -1 : 0;
}

static int leave(void **state)
{
    (void)begin(state);
    bh_arena_deinit(&arena);
    (void)close(block.sys);
    return rmdir(base);
}

static void make_folders(const char *path)
{
    char part[1024];

    for (size_t i = 1; path[i - 1]; i++)
        if (path[i] == '/' || path[i] == '\0') {
            (void)snprintf(part, sizeof(part), "%.*s", (int)i, path);
            assert_true(mkdirat(block.sys, part, 0755) == 0 || errno == EEXIST);
        }
}

static void put_bytes(const char *path, const char *text, size_t len)
{
    _cleanup_close_ int fd = openat(block.sys, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), len);
}

static void put(const char *folder, const char *name, const char *text)
{
    char path[1024];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    put_bytes(path, text, strlen(text));
}

static void put_link(const char *path, const char *target)
{
    assert_int_equal(symlinkat(target, block.sys, path), 0);
}

/* A device at this path, with its numbers, as /sys/class/block and /sys/dev/block list it. */
static void add_device(const char *path, unsigned minor)
{
    const char *name = strrchr(path, '/') + 1;
    char link[256], target[1024], number[32];

    make_folders(path);
    make_folders("class/block");
    make_folders("dev/block");
    (void)snprintf(number, sizeof(number), "8:%u\n", minor);
    put(path, "dev", number);
    (void)snprintf(target, sizeof(target), "../../%s", path);
    (void)snprintf(link, sizeof(link), "class/block/%s", name);
    put_link(link, target);
    (void)snprintf(link, sizeof(link), "dev/block/8:%u", minor);
    put_link(link, target);
}

static void add_driver(const char *controller, const char *driver)
{
    char path[1024], target[256];

    make_folders(controller);
    (void)snprintf(path, sizeof(path), "%s/driver", controller);
    (void)snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
    put_link(path, target);
}

static void add_slave(const char *device, const char *slave)
{
    char path[1024], target[1024];

    (void)snprintf(path, sizeof(path), "%s/slaves", device);
    make_folders(path);
    (void)snprintf(path, sizeof(path), "%s/slaves/%s", device, slave);
    (void)snprintf(target, sizeof(target), "../../%s", slave);
    put_link(path, target);
}

static void tell_udev(const char *device, const char *text, size_t len)
{
    char path[256];

    make_folders("udev");
    if (block.udev < 0)
        block.udev = openat(block.sys, "udev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    (void)snprintf(path, sizeof(path), "udev/%s", device);
    put_bytes(path, text, len);
}

static struct bh_device device_of(unsigned minor)
{
    struct bh_device device;

    assert_int_equal(bh_device_by_number(block.sys, 8, minor, &device), 0);
    return device;
}

/* The address of a new device at `path`, whose controller has `driver`. */
static struct bh_guest_disk_address address_of(const char *path, int known)
{
    static unsigned minor;
    struct bh_guest_disk_address address;
    struct bh_device device;
    int fds = count_fds();

    add_device(path, ++minor);
    device = device_of(minor);
    assert_string_equal(device.path, path);
    assert_int_equal(bh_address_find(block.sys, &device, &arena, &address), known);
    assert_int_equal(count_fds(), fds);
    return address;
}

static void assert_place(const struct bh_guest_disk_address *address, unsigned type, int bus, int target,
                         int unit)
{
    assert_int_equal(address->bus_type, type);
    assert_int_equal(address->bus, bus);
    assert_int_equal(address->target, target);
    assert_int_equal(address->unit, unit);
}

static void assert_pci(const struct bh_guest_disk_address *address, int domain, int bus, int slot,
                       int function)
{
    assert_int_equal(address->pci_controller.domain, domain);
    assert_int_equal(address->pci_controller.bus, bus);
    assert_int_equal(address->pci_controller.slot, slot);
    assert_int_equal(address->pci_controller.function, function);
}

static void the_largest_number_of_a_unit_is_one_that_can_be_told(void **state)
{
    struct bh_guest_disk_address address;

    (void)state;
    add_driver(PCI, "virtio-pci");
    address = address_of(PCI "/virtio3/host2/target2:0:4/2:0:4:2147483647/block/sda", 1);
    assert_place(&address, BUS(SCSI), 0, 0, 2147483647);
    (void)address_of("devices/platform/x/virtio1/host0/target0:1:2/0:1:2147483648:3/block/sdb", 0);
}

static void virtio_disks_and_their_partitions(void **state)
{
    struct bh_guest_disk_address address;

    (void)state;
    add_driver(PCI, "virtio-pci");
    address = address_of(PCI "/virtio2/block/vda", 1);
    assert_place(&address, BUS(VIRTIO), 0, 0, 0);
    assert_pci(&address, 0, 0, 5, 0);
    assert_false(address.has_ccw_address);
    address = address_of(PCI "/virtio2/block/vda/vda1", 1);
    assert_place(&address, BUS(VIRTIO), 0, 0, 0);
}

static void a_controller_behind_bridges_is_the_one_with_a_known_driver(void **state)
{
    struct bh_guest_disk_address address;

    (void)state;
    add_driver("devices/pci0001:0a/0001:0a:1c.3", "pcieport");
    add_driver("devices/pci0001:0a/0001:0a:1c.3/0001:ff:1f.7", "virtio-pci");
    address = address_of("devices/pci0001:0a/0001:0a:1c.3/0001:ff:1f.7/virtio0/block/vdb", 1);
    assert_pci(&address, 1, 0xff, 0x1f, 7);
}

static void scsi_on_virtio_tells_the_lun(void **state)
{
    struct bh_guest_disk_address address;

    (void)state;
    add_driver(PCI, "virtio-pci");
    address = address_of(PCI "/virtio3/host2/target2:0:4/2:0:4:7/block/sda/sda2", 1);
    assert_place(&address, BUS(SCSI), 0, 0, 7);
}

static void sata_tells_the_port(void **state)
{
    struct bh_guest_disk_address address;

    (void)state;
    add_driver(PCI, "ahci");
    for (int i = 9; i <= 14; i++) {
        char path[128];

        (void)snprintf(path, sizeof(path), PCI "/ata%d", i);
        make_folders(path);
    }
    make_folders(PCI "/host1");
    address = address_of(PCI "/ata10/host5/target5:0:0/5:0:0:0/block/sda", 1);
    assert_place(&address, BUS(SATA), 0, 0, 1);
    address = address_of(PCI "/ata9/host4/target4:0:0/4:0:0:0/block/sdb", 1);
    assert_place(&address, BUS(SATA), 0, 0, 0);
    address = address_of(PCI "/ata14/host9/target9:0:0/9:0:0:0/block/sdc", 1);
    assert_place(&address, BUS(SATA), 0, 0, 5);
}

static void old_kernels_have_hosts_without_ports(void **state)
{
    struct bh_guest_disk_address address;

    (void)state;
    add_driver(PCI, "ahci");
    make_folders(PCI "/host2");
    make_folders(PCI "/host10");
    address = address_of(PCI "/host10/target10:0:0/10:0:0:0/block/sda", 1);
    assert_place(&address, BUS(SATA), 0, 0, 1);
}

static void ide_tells_channel_and_device(void **state)
{
    struct bh_guest_disk_address address;

    (void)state;
    add_driver(PCI, "ata_piix");
    make_folders(PCI "/ata1");
    address = address_of(PCI "/ata2/host1/target1:0:1/1:0:1:0/block/sdb", 1);
    assert_place(&address, BUS(IDE), 1, 0, 1);
    address = address_of(PCI "/ata1/host0/target0:0:0/0:0:0:0/block/sda", 1);
    assert_place(&address, BUS(IDE), 0, 0, 0);
}

static void other_buses(void **state)
{
    static const struct {
        const char *driver, *path;
        unsigned type;
        int unit;
    } rows[] = {
        { "nvme", "/nvme/nvme0/nvme0n1", BUS(NVME), 0 },
        { "xhci_hcd", "/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0/block/sdd", BUS(USB), 0 },
        { "ehci-pci", "/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0/block/sde", BUS(USB), 0 },
        { "sym53c8xx", "/host3/target3:0:5/3:0:5:1/block/sdf", BUS(SCSI), 5 },
    };

    for (size_t i = 0; i < BH_ARRAY_SIZE(rows); i++) {
        char controller[64], path[256];
        struct bh_guest_disk_address address;

        (void)snprintf(controller, sizeof(controller), "devices/pci0000:00/0000:00:1%zu.0", i);
        (void)snprintf(path, sizeof(path), "%s%s", controller, rows[i].path);
        add_driver(controller, rows[i].driver);
        address = address_of(path, 1);
        assert_place(&address, rows[i].type, 0, 0, rows[i].unit);
        assert_pci(&address, 0, 0, 0x10 + (int)i, 0);
    }
    (void)state;
}

static void an_nvme_disk_with_several_controllers_hangs_on_the_first(void **state)
{
    static const char subsystem[] = "devices/virtual/nvme-subsystem/nvme-subsys0";
    struct bh_guest_disk_address address;

    (void)state;
    add_driver(PCI, "nvme");
    make_folders(subsystem);
    address =
        address_of("devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1", 0); /* its controllers are gone */
    put_link("devices/virtual/nvme-subsystem/nvme-subsys0/nvme3",
             "../../../pci0000:00/0000:00:09.0/nvme/nvme3");
    put_link("devices/virtual/nvme-subsystem/nvme-subsys0/nvme2",
             "../../../pci0000:00/0000:00:05.0/nvme/nvme2");
    address = address_of("devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n2", 1);
    assert_place(&address, BUS(NVME), 0, 0, 0);
    assert_pci(&address, 0, 0, 5, 0);
}

static void virtio_without_pci(void **state)
{
    struct bh_guest_disk_address address;

    (void)state;
    address = address_of("devices/platform/soc/a003e00.virtio_mmio/virtio0/block/vda", 1);
    assert_place(&address, BUS(VIRTIO), 0, 0, 0);
    assert_pci(&address, -1, -1, -1, -1);
    assert_false(address.has_ccw_address);
    address = address_of("devices/platform/x/virtio1/host0/target0:1:2/0:1:2:3/block/sda", 1);
    assert_place(&address, BUS(SCSI), 1, 2, 3);
}

static void channel_devices(void **state)
{
    struct bh_guest_disk_address address;

    (void)state;
    address = address_of("devices/css0/0.1.00a5/fe.1.beef/virtio1/block/vda", 1);
    assert_place(&address, BUS(VIRTIO), 0, 0, 0);
    assert_true(address.has_ccw_address);
    assert_int_equal(address.ccw_address.cssid, 0);
    assert_int_equal(address.ccw_address.ssid, 1);
    assert_int_equal(address.ccw_address.subchno, 0xa5);
    assert_int_equal(address.ccw_address.devno, 0xbeef);
    address = address_of("devices/css0/0.0.0001/0.0.0002/block/dasda", 1);
    assert_place(&address, BUS(UNKNOWN), 0, 0, 0);
    assert_true(address.has_ccw_address);
    address = address_of("devices/css0/0.0.0001/0.0.x/block/dasdb", 0);
    assert_false(address.has_ccw_address);
}

static void what_is_not_known_is_said_to_be_unknown(void **state)
{
    static const char *const paths[] = {
        "devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda", /* no driver */
        "devices/pci0000:00/0000:00:20.0/virtio0/block/vdb",                        /* no such slot */
        "devices/pci0000:00/0000:00:01.8/virtio0/block/vdc",
        "devices/pci0000:00/0000:100:01.0/virtio0/block/vdd",
        "devices/pci0000:00/nothing/block/vde",
        "devices/pci0000:00",
        "devices/vbd-51712/block/xvda",
    };

    (void)state;
    make_folders("devices/pci0000:00");
    for (size_t i = 0; i < BH_ARRAY_SIZE(paths); i++) {
        struct bh_guest_disk_address address = address_of(paths[i], 0);

        assert_place(&address, BUS(UNKNOWN), 0, 0, 0);
        assert_pci(&address, -1, -1, -1, -1);
    }
}

static void a_bus_that_does_not_look_as_its_driver_makes_it_is_unknown(void **state)
{
    static const char *const rows[][2] = {
        { "ata_piix", "/ata1/host0/target0:0:0/block/sda" },
        { "ata_piix", "/other1/host0/target0:0:0/0:0:0:0/block/sdb" },
        { "ahci", "/block/sdc" },
        { "ahci", "/atax/block/sdd" },
        { "sym53c8xx", "/host0/target0:0:0/0:0:99999999999999999999:0/block/sde" },
        { "some_other", "/host0/target0:0:0/0:0:0:0/block/sdf" },
        { "virtio-pci", "/virtio0/host0/target0:0:0/0:0:0:2147483648/block/sdg" },
        { "virtio-pci", "/virtio0/host0/target0:0:0/block/sdh" },
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_SIZE(rows); i++) {
        char controller[64], path[256];
        struct bh_guest_disk_address address;

        (void)snprintf(controller, sizeof(controller), "devices/pci0000:00/0000:00:0%zu.0", i);
        (void)snprintf(path, sizeof(path), "%s%s", controller, rows[i][1]);
        add_driver(controller, rows[i][0]);
        address = address_of(path, 0);
        assert_place(&address, BUS(UNKNOWN), 0, 0, 0);
        assert_pci(&address, -1, -1, -1, -1);
    }
}

static void names_say_what_is_a_partition(void **state)
{
    static const struct {
        const char *disk, *name;
        bool is;
    } rows[] = {
        { "sda", "sda1", true },
        { "sda", "sda15", true },
        { "nvme0n1", "nvme0n1p2", true },
        { "mmcblk0", "mmcblk0p1", true },
        { "md127", "md127p1", true },
        { "sda", "sda", false },
        { "sda", "sdaa", false },
        { "sda", "sda1x", false },
        { "sda", "sdap1", false },
        { "dm-1", "dm-12", false },
        { "loop1", "loop1p", false },
        { "mmcblk0", "mmcblk0boot0", false },
        { "nvme0", "nvme0n1", false },
        { "", "1", false },
        { "cciss!c0d0", "cciss!c0d0p3", true },
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_SIZE(rows); i++)
        assert_int_equal(bh_device_is_part(rows[i].disk, rows[i].name), rows[i].is);
}

static void links_that_lead_elsewhere_are_no_devices(void **state)
{
    char far[1200];
    struct bh_device device;

    (void)state;
    make_folders("class/block");
    put_link("class/block/a", "/etc/passwd");
    put_link("class/block/b", "../../devices/");
    put_link("class/block/c", "../../devices/x/../../etc");
    put_link("class/block/d", "../../module/x");
    memset(far, 'x', sizeof(far) - 1);
    far[sizeof(far) - 1] = '\0';
    memcpy(far, "devices/", 8);
    put_link("class/block/e", far);
    put("class/block", "f", "no link");
    for (char name[] = "a"; *name <= 'e'; ++*name)
        assert_int_equal(bh_device_by_name(block.sys, name, &device), -EBADMSG);
    assert_int_equal(bh_device_by_name(block.sys, "f", &device), -EINVAL);
    assert_int_equal(bh_device_by_name(block.sys, "none", &device), -ENOENT);
    assert_int_equal(bh_device_by_name(block.sys, "../block/a", &device), -EBADMSG);
    assert_int_equal(bh_device_by_name(block.sys, far, &device), -EBADMSG);
    assert_int_equal(bh_device_by_number(block.sys, 8, 1, &device), -ENOENT);
}

static void a_number_is_two_numbers(void **state)
{
    static const char *const bad[] = { "",    "8", "8:", ":1", "8:1:2", "8:x", "4294967296:1", "8:4294967296",
                                       "-8:1" };
    uint32_t major = 7, minor = 7;
    struct bh_device device;

    (void)state;
    add_device(PCI "/virtio2/block/vda", 1);
    device = device_of(1);
    for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
        put(PCI "/virtio2/block/vda", "dev", bad[i]);
        assert_int_equal(bh_device_number(block.sys, &device, &major, &minor), -EBADMSG);
    }
    assert_int_equal(major, 7);
    put(PCI "/virtio2/block/vda", "dev", "259:4294967295\n");
    assert_int_equal(bh_device_number(block.sys, &device, &major, &minor), 0);
    assert_int_equal(major, 259);
    assert_int_equal(minor, 4294967295u);
}

static int serial_of(const char *text, size_t len, struct bh_str *ret)
{
    tell_udev("b8:1", text, len);
    return bh_udev_serial(block.udev, 8, 1, &arena, ret);
}

static int serial(const char *text, struct bh_str *ret)
{
    return serial_of(text, strlen(text), ret);
}

static void udev_knows_serial_numbers(void **state)
{
    char line[BH_SERIAL_MAX + 64];
    struct bh_str got = BH_STR("untouched");

    (void)state;
    assert_int_equal(bh_udev_serial(-1, 8, 1, &arena, &got), -ENOENT);
    assert_int_equal(
        serial("S:disk/by-id/x\nE:ID_SERIAL_SHORT=no\nE:ID_SERIAL=QEMU disk-1\nE:ID_SERIAL=second\n", &got),
        1);
    assert_string_equal(got.ptr, "QEMU disk-1");
    assert_int_equal(bh_udev_serial(block.udev, 8, 2, &arena, &got), -ENOENT);
    assert_int_equal(serial("E:ID_SERIAL=no line feed", &got), 1);
    assert_string_equal(got.ptr, "no line feed");
    assert_int_equal(serial("E:ID_SERIAL=a\xff\xc3\xa9\n", &got), 1);
    assert_string_equal(got.ptr, "a\xef\xbf\xbd\xc3\xa9");
    assert_int_equal(serial("E:ID_SERIAL=\n", &got), 0);
    assert_int_equal(serial("", &got), 0);
    assert_int_equal(serial("XE:ID_SERIAL=x\nID_SERIAL=y\ne:ID_SERIAL=z\n", &got), 0);
    for (unsigned extra = 0; extra < 2; extra++) {
        memset(line, 's', sizeof(line));
        memcpy(line, "E:ID_SERIAL=", 12);
        line[12 + BH_SERIAL_MAX + extra] = '\n';
        assert_int_equal(serial_of(line, 12 + BH_SERIAL_MAX + extra + 1, &got), extra == 0);
    }
    assert_int_equal(got.len, BH_SERIAL_MAX);
}

static void a_line_of_any_length_is_passed_over(void **state)
{
    static char text[20000];
    struct bh_str got;

    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text + sizeof(text) - 16, "\nE:ID_SERIAL=ok\n", 16);
    assert_int_equal(serial_of(text, sizeof(text), &got), 1);
    assert_string_equal(got.ptr, "ok");
}

static struct bh_guest_disk_address told(unsigned minor)
{
    struct bh_guest_disk_address address;
    struct bh_device device = device_of(minor);

    assert_int_equal(bh_disk_tell(&block, &device, 8, minor, &arena, &address), 0);
    return address;
}

static void a_disk_has_a_node_and_perhaps_a_serial_number(void **state)
{
    struct bh_guest_disk_address address;

    (void)state;
    add_device(PCI "/virtio2/block/vda", 1);
    put(PCI "/virtio2/block/vda", "serial", "asks the disk\n");
    address = told(1);
    assert_string_equal(address.dev.ptr, "/dev/vda");
    assert_false(address.has_serial);
    tell_udev("b8:1", "E:ID_SERIAL=SN1\n", 16);
    address = told(1);
    assert_true(address.has_serial);
    assert_string_equal(address.serial.ptr, "SN1");
    add_device(PCI "/cciss0/c0d0/block/cciss!c0d0", 2);
    address = told(2);
    assert_string_equal(address.dev.ptr, "/dev/cciss/c0d0");
}

static void an_nvme_disk_says_its_number_where_udev_does_not(void **state)
{
    struct bh_guest_disk_address address;

    (void)state;
    add_device(PCI "/nvme/nvme0/nvme0n1", 1);
    add_device(PCI "/nvme/nvme0/nvme0n1/nvme0n1p1", 2);
    make_folders(PCI "/nvme/nvme0/nvme0n1/device");
    put(PCI "/nvme/nvme0/nvme0n1/device", "serial", "SN-nvme             \n");
    for (unsigned minor = 1; minor <= 2; minor++) {
        address = told(minor);
        assert_true(address.has_serial);
        assert_string_equal(address.serial.ptr, "SN-nvme");
    }
    tell_udev("b8:2", "E:X=y\n", 6); /* it knows that one, and no number */
    address = told(2);
    assert_false(address.has_serial);
}

/* What device `minor` is built upon, as one text. */
static const char *leaves_of(unsigned minor)
{
    static char text[512];
    struct bh_guest_disk_address *found = NULL;
    struct bh_device device = device_of(minor);
    uint32_t n = 0;

    text[0] = '\0';
    assert_int_equal(bh_leaves_tell(&block, &device, 8, minor, &arena, &found, &n), 0);
    for (uint32_t i = 0; i < n; i++) {
        strcat(text, i ? " " : "");
        strcat(text, found[i].dev.ptr);
    }
    return text;
}

static void stacks_are_followed_to_the_disks(void **state)
{
    (void)state;
    add_driver(PCI, "virtio-pci");
    add_device(PCI "/virtio2/block/vda", 0);
    add_device(PCI "/virtio2/block/vda/vda1", 1);
    add_device(PCI "/virtio2/block/vda/vda2", 2);
    add_device(PCI "/virtio3/block/vdb", 3);
    add_device("devices/virtual/block/md0", 10);
    add_device("devices/virtual/block/md0/md0p1", 11);
    add_device("devices/virtual/block/dm-0", 12);
    add_device("devices/virtual/block/dm-1", 13);
    add_device("devices/virtual/block/loop0", 14);
    add_slave("devices/virtual/block/md0", "vda1");
    add_slave("devices/virtual/block/md0", "vdb");
    add_slave("devices/virtual/block/dm-0", "md0p1");
    add_slave("devices/virtual/block/dm-1", "dm-0");
    add_slave("devices/virtual/block/dm-1", "vda2");
    add_slave("devices/virtual/block/dm-1", "vdb"); /* met twice, told once */
    assert_string_equal(leaves_of(2), "/dev/vda2");
    assert_string_equal(leaves_of(10), "/dev/vda1 /dev/vdb");
    assert_string_equal(leaves_of(11), "/dev/vda1 /dev/vdb"); /* of a partition: those of its disk */
    assert_string_equal(leaves_of(12), "/dev/vda1 /dev/vdb");
    assert_string_equal(leaves_of(13), "/dev/vda2 /dev/vdb /dev/vda1");
    assert_string_equal(leaves_of(14), "");
}

static void a_ring_and_what_vanished_end_the_search_of_nothing_else(void **state)
{
    (void)state;
    add_device(PCI "/virtio2/block/vda", 0);
    add_device("devices/virtual/block/dm-0", 1);
    add_device("devices/virtual/block/dm-1", 2);
    add_slave("devices/virtual/block/dm-0", "dm-0");
    add_slave("devices/virtual/block/dm-0", "dm-1");
    add_slave("devices/virtual/block/dm-1", "dm-0");
    add_slave("devices/virtual/block/dm-1", "gone");
    add_slave("devices/virtual/block/dm-1", "vda");
    assert_string_equal(leaves_of(1), "/dev/vda");
    assert_string_equal(leaves_of(2), "/dev/vda");
}

/* dm-0 upon `n` disks. */
static uint32_t count_leaves(unsigned n)
{
    struct bh_guest_disk_address *found;
    struct bh_device device;
    uint32_t told_n = 0;

    (void)begin(NULL);
    add_device("devices/virtual/block/dm-0", 0);
    for (unsigned i = 1; i <= n; i++) {
        char path[64];

        (void)snprintf(path, sizeof(path), "devices/x/block/sd%c%c%c", 'a' + i / 26 / 26, 'a' + i / 26 % 26,
                       'a' + i % 26);
        add_device(path, i);
        add_slave("devices/virtual/block/dm-0", strrchr(path, '/') + 1);
    }
    device = device_of(0);
    assert_int_equal(bh_leaves_tell(&block, &device, 8, 0, &arena, &found, &told_n), 0);
    return told_n;
}

static void there_are_bounds(void **state)
{
    struct bh_names names;

    (void)state;
    assert_int_equal(count_leaves(BH_LEAVES_MAX - 1), BH_LEAVES_MAX - 1);
    assert_int_equal(count_leaves(BH_LEAVES_MAX), BH_LEAVES_MAX);
    assert_int_equal(bh_names_list(block.sys, "devices/x/block", BH_LEAVES_MAX, &arena, &names), 0);
    assert_int_equal(names.n, BH_LEAVES_MAX);
    assert_int_equal(bh_names_list(block.sys, "devices/x/block", BH_LEAVES_MAX - 1, &arena, &names), -E2BIG);
    assert_int_equal(count_leaves(BH_LEAVES_MAX + 1), 0);
}

static void names_come_in_an_order_that_does_not_change(void **state)
{
    struct bh_names names;

    (void)state;
    make_folders("class/block/sda10");
    make_folders("class/block/sdb");
    make_folders("class/block/sda2");
    make_folders("class/block/sda");
    assert_int_equal(bh_names_list(block.sys, "class/block", 4, &arena, &names), 0);
    assert_int_equal(names.n, 4);
    assert_string_equal(names.name[0], "sda");
    assert_string_equal(names.name[1], "sda2");
    assert_string_equal(names.name[2], "sda10");
    assert_string_equal(names.name[3], "sdb");
    assert_int_equal(bh_names_list(block.sys, "nowhere", 4, &arena, &names), -ENOENT);
}

static struct bh_loops loops_of(const char *text)
{
    struct bh_loops loops = { .n = 77 };

    if (text)
        put(".", "partitions", text);
    assert_int_equal(bh_loops_read(block.sys, "partitions", &arena, &loops), 0);
    return loops;
}

static void loop_devices_with_nothing_in_them_are_known(void **state)
{
    struct bh_loops loops = loops_of("major minor  #blocks  name\n\n   7        0       8192 loop0\n"
                                     " 259        0         10 loop3p1\n   7       12       8192 loop12\n"
                                     " 254        0  268435456 vda\nx\n loop\n loop5x\n");

    (void)state;
    assert_true(loops.known);
    assert_false(bh_loops_is_empty(&loops, "loop0"));
    assert_false(bh_loops_is_empty(&loops, "loop12"));
    assert_true(bh_loops_is_empty(&loops, "loop1"));
    assert_true(bh_loops_is_empty(&loops, "loop3"));
    assert_true(bh_loops_is_empty(&loops, "loop5"));
    assert_false(bh_loops_is_empty(&loops, "loop3p1")); /* of others nothing is known */
    assert_false(bh_loops_is_empty(&loops, "vdb"));
    assert_false(bh_loops_is_empty(&loops, "sr0"));
}

static void without_their_list_none_is_known_to_be_empty(void **state)
{
    struct bh_loops loops = loops_of(NULL);
    char *text = malloc(BH_LOOPS_MAX * 32), *at = text;

    (void)state;
    assert_false(loops.known || bh_loops_is_empty(&loops, "loop1"));
    for (unsigned i = 0; i < BH_LOOPS_MAX; i++)
        at += sprintf(at, " 7 0 8 loop%u\n", i);
    loops = loops_of(text);
    assert_true(loops.known && loops.n == BH_LOOPS_MAX);
    assert_true(bh_loops_is_empty(&loops, "loop9999"));
    (void)sprintf(at, " 7 0 8 loop%u\n", BH_LOOPS_MAX);
    loops = loops_of(text);
    assert_false(loops.known || bh_loops_is_empty(&loops, "loop9999"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(virtio_disks_and_their_partitions, begin),
        cmocka_unit_test_setup(a_controller_behind_bridges_is_the_one_with_a_known_driver, begin),
        cmocka_unit_test_setup(scsi_on_virtio_tells_the_lun, begin),
        cmocka_unit_test_setup(the_largest_number_of_a_unit_is_one_that_can_be_told, begin),
        cmocka_unit_test_setup(sata_tells_the_port, begin),
        cmocka_unit_test_setup(old_kernels_have_hosts_without_ports, begin),
        cmocka_unit_test_setup(ide_tells_channel_and_device, begin),
        cmocka_unit_test_setup(other_buses, begin),
        cmocka_unit_test_setup(an_nvme_disk_with_several_controllers_hangs_on_the_first, begin),
        cmocka_unit_test_setup(virtio_without_pci, begin),
        cmocka_unit_test_setup(channel_devices, begin),
        cmocka_unit_test_setup(what_is_not_known_is_said_to_be_unknown, begin),
        cmocka_unit_test_setup(a_bus_that_does_not_look_as_its_driver_makes_it_is_unknown, begin),
        cmocka_unit_test_setup(names_say_what_is_a_partition, begin),
        cmocka_unit_test_setup(links_that_lead_elsewhere_are_no_devices, begin),
        cmocka_unit_test_setup(a_number_is_two_numbers, begin),
        cmocka_unit_test_setup(udev_knows_serial_numbers, begin),
        cmocka_unit_test_setup(a_line_of_any_length_is_passed_over, begin),
        cmocka_unit_test_setup(a_disk_has_a_node_and_perhaps_a_serial_number, begin),
        cmocka_unit_test_setup(an_nvme_disk_says_its_number_where_udev_does_not, begin),
        cmocka_unit_test_setup(stacks_are_followed_to_the_disks, begin),
        cmocka_unit_test_setup(a_ring_and_what_vanished_end_the_search_of_nothing_else, begin),
        cmocka_unit_test_setup(loop_devices_with_nothing_in_them_are_known, begin),
        cmocka_unit_test_setup(without_their_list_none_is_known_to_be_empty, begin),
        cmocka_unit_test_setup(there_are_bounds, begin),
        cmocka_unit_test_setup(names_come_in_an_order_that_does_not_change, begin),
    };

    return cmocka_run_group_tests(tests, NULL, leave);
}
