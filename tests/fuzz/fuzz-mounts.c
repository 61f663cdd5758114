/*
 * Any bytes as a mountinfo, and as udev's file of a device: refused, or a list in which every mount has a
 * path and every name ends where it says; a serial number is one that a reply may hold.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/fd.h"
#include "protocol/wire/utf8.h"
#include "workers/storage/mounts.h"
#include "workers/storage/udev.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
    if (!truth)
        abort();
}

static void require_name(const struct bh_str *name)
{
    require(name->ptr && strlen(name->ptr) == name->len);
}

static void read_mounts(int fd, struct bh_arena *arena)
{
    struct bh_filesystems all;
    uint32_t n = 0;

    if (bh_mounts_read(fd, arena, &all) < 0)
        return;
    require(all.n <= BH_FILESYSTEMS_MAX);
    for (uint32_t i = 0; i < all.n; i++) {
        require(all.list[i].n_mounts > 0 && all.list[i].major > 0);
        require_name(&all.list[i].type);
        require_name(&all.list[i].source);
        for (uint32_t j = 0; j < all.list[i].n_mounts; j++) {
            require_name(&all.list[i].mounts[j].path);
            require(all.list[i].mounts[j].path.ptr[0] == '/');
        }
        n += all.list[i].n_mounts;
    }
    require(n <= BH_MOUNTS_MAX);
}

static char folder_name[] = "/tmp/bh-fuzz-XXXXXX";
static int folder = -1;

static void remove_folder(void)
{
    (void)unlinkat(folder, "b8:1", 0);
    (void)rmdir(folder_name);
}

/* The bytes as the file of device 8:1, in a folder with nothing else. */
static void read_udev(int fd, struct bh_arena *arena)
{
    char target[64];
    struct bh_str serial;

    if (folder < 0) {
        require(mkdtemp(folder_name) != NULL && atexit(remove_folder) == 0);
        folder = open(folder_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    (void)snprintf(target, sizeof(target), "/proc/self/fd/%d", fd);
    (void)unlinkat(folder, "b8:1", 0);
    require(symlinkat(target, folder, "b8:1") == 0);
    if (bh_udev_serial(folder, 8, 1, arena, &serial) != 1)
        return;
    require_name(&serial);
    require(serial.len > 0 && serial.len <= BH_SERIAL_MAX && bh_utf8_valid(serial.ptr, serial.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bh_arena arena;
    int fd = bh_memfd_new("fuzz", NULL, 0);

    require(fd >= 0 && bh_write_all(fd, data, size) == 0);
    bh_arena_init(&arena, 8u << 20);
    read_mounts(fd, &arena);
    read_udev(fd, &arena);
    bh_arena_deinit(&arena);
    (void)close(fd);
    return 0;
}
