/*
 * guest-get-vcpus: a folder per CPU, with a file `online` in it if the CPU can be switched off.
 *
 * The command is asked often: the folder stays open, so that a request costs one listing and one small file
 * per CPU.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/handlers-info.h"
#include "workers/info/inventory.h"
#include "workers/info/numbered.h"
#include "workers/info/procfile.h"

#define FOLDER "/sys/devices/system/cpu"

/* 1 = this is how the CPU is, 0 = it has just been taken out of the machine, or -errno. */
static int read_cpu(int folder, uint64_t number, struct bh_guest_logical_processor *cpu)
{
    char name[40], text[8];
    struct stat st;
    ssize_t n;
    int len = snprintf(name, sizeof(name), "cpu%" PRIu64 "/online", number);

    *cpu = (struct bh_guest_logical_processor){ .logical_id = (int64_t)number, .has_can_offline = true };
    n = bh_procfile_read(folder, name, text, sizeof(text));
    if (n == -ENODEV)
        return 0;
    if (n == -ENOENT) {
        name[len - (int)sizeof("/online") + 1] = '\0';
        cpu->online = true;
        return fstatat(folder, name, &st, 0) == 0;
    }
    if (n < 0)
        return (int)n;
    cpu->online = text[0] == '1';
    cpu->can_offline = true;
    return cpu->online || text[0] == '0' ? 1 : -EBADMSG;
}

int bh_vcpus_read(int folder, uint32_t max, struct bh_arena *arena, struct bh_guest_get_vcpus_ret *ret)
{
    struct bh_guest_logical_processor *cpus;
    struct bh_numbers numbers;
    uint32_t n = 0;
    int r = bh_numbered_list(folder, "cpu", max, arena, &numbers);

    if (r < 0)
        return r;
    cpus = bh_arena_array(arena, numbers.n, sizeof(*cpus));
    if (!cpus)
        return -ENOMEM;
    for (uint32_t i = 0; i < numbers.n; i++) {
        if (numbers.number[i] > INT64_MAX)
            continue;
        r = read_cpu(folder, numbers.number[i], &cpus[n]);
        if (r < 0)
            return r;
        n += (uint32_t)r;
    }
    *ret = (struct bh_guest_get_vcpus_ret){ .value = cpus, .n_value = n };
    return 0;
}

int bh_do_guest_get_vcpus(struct bh_call *call, struct bh_guest_get_vcpus_ret *ret)
{
    static int folder = -1; /* kept: the kernel never takes it away */
    int r;

    if (folder < 0)
        folder = open(FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = folder < 0 ? -errno : bh_vcpus_read(folder, bh_most_items(call), call->arena, ret);
    return bh_procfile_done(call, FOLDER, r);
}
