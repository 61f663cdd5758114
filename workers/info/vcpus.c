/*
 * guest-get-vcpus: a folder per CPU, with a file `online` in it if the CPU can be switched off.
 *
 * The command is asked often and opening costs more than reading: the folder stays open, and so do the files
 * of the first CPUs. sysfs makes its text anew for each read from the start; the file of a CPU that has left
 * the machine answers ENODEV, also when one of the same number has come.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/mem.h"
#include "protocol/handlers-info.h"
#include "workers/info/inventory.h"
#include "workers/lib/numbered.h"
#include "workers/lib/procfile.h"

#define FOLDER "/sys/devices/system/cpu"

/* Where the descriptor of this CPU's file is kept; NULL for the CPUs that have no place. */
static int *place_of(struct bh_vcpus *vcpus, uint64_t number)
{
    return number < BH_VCPUS_KEPT ? &vcpus->online[number] : NULL;
}

/* The file's first byte, from the kept descriptor. -ENODEV: there is none, or it is no good any more. */
static int read_kept(int *place)
{
    char byte;
    ssize_t n = place && *place ? pread(*place, &byte, 1, 0) : 0;

    if (n == 1)
        return (unsigned char)byte;
    if (place && *place) {
        (void)close(*place);
        *place = 0;
    }
    return -ENODEV;
}

/* The file's first byte, or -errno. */
static int read_anew(int folder, const char *name, int *place)
{
    _cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    char byte;
    ssize_t n = fd < 0 ? -1 : pread(fd, &byte, 1, 0);

    if (n != 1)
        return n < 0 ? -errno : -EBADMSG;
    if (place)
        *place = bh_take_fd(&fd);
    return (unsigned char)byte;
}

/* 1 = this is how the CPU is, 0 = it has just been taken out of the machine, or -errno. */
static int read_cpu(struct bh_vcpus *vcpus, uint64_t number, struct bh_guest_logical_processor *cpu)
{
    char folder[32], name[40];
    struct stat st;
    int *place = place_of(vcpus, number);
    int r = read_kept(place);

    *cpu = (struct bh_guest_logical_processor){ .logical_id = (int64_t)number, .has_can_offline = true };
    (void)snprintf(folder, sizeof(folder), "cpu%" PRIu64, number);
    (void)snprintf(name, sizeof(name), "%s/online", folder);
    if (r < 0)
        r = read_anew(vcpus->folder, name, place);
    if (r == -ENODEV)
        return 0;
    if (r == -ENOENT) {
        cpu->online = true;
        return fstatat(vcpus->folder, folder, &st, 0) == 0;
    }
    if (r < 0)
        return r;
    cpu->online = r == '1';
    cpu->can_offline = true;
    return r == '0' || r == '1' ? 1 : -EBADMSG;
}

int bh_vcpus_read(struct bh_vcpus *vcpus, uint32_t max, struct bh_arena *arena,
                  struct bh_guest_get_vcpus_ret *ret)
{
    struct bh_guest_logical_processor *cpus;
    struct bh_numbers numbers;
    uint32_t n = 0;
    int r = bh_numbered_list(vcpus->folder, "cpu", max, arena, &numbers);

    if (r < 0)
        return r;
    cpus = bh_arena_array(arena, numbers.n, sizeof(*cpus));
    if (!cpus)
        return -ENOMEM;
    for (uint32_t i = 0; i < numbers.n; i++) {
        if (numbers.number[i] > INT64_MAX)
            continue;
        r = read_cpu(vcpus, numbers.number[i], &cpus[n]);
        if (r < 0)
            return r;
        n += (uint32_t)r;
    }
    *ret = (struct bh_guest_get_vcpus_ret){ .value = cpus, .n_value = n };
    return 0;
}

int bh_do_guest_get_vcpus(struct bh_call *call, struct bh_guest_get_vcpus_ret *ret)
{
    static struct bh_vcpus vcpus = { .folder = -1 };
    int r;

    if (vcpus.folder < 0)
        vcpus.folder = open(FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = vcpus.folder < 0 ? -errno : bh_vcpus_read(&vcpus, bh_most_items(call), call->arena, ret);
    return bh_procfile_done(call, FOLDER, r);
}
