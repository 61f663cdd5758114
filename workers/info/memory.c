/*
 * guest-get-memory-blocks, guest-get-memory-block-info: a folder per block of memory, and the size of all of
 * them. A kernel without memory hot-plug has neither.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/mem.h"
#include "protocol/codes.h"
#include "protocol/handlers-info.h"
#include "workers/info/inventory.h"
#include "workers/lib/numbered.h"
#include "workers/lib/procfile.h"

#define FOLDER "/sys/devices/system/memory"
#define SIZE_FILE FOLDER "/block_size_bytes"

static ssize_t read_of_block(int folder, uint64_t number, const char *what, char *text, size_t cap)
{
    char name[48];

    (void)snprintf(name, sizeof(name), "memory%" PRIu64 "/%s", number, what);
    return bh_procfile_read(folder, name, text, cap);
}

/* 1 = this is how the block is, 0 = it has just been taken out of the machine, or -errno. */
static int read_block(int folder, uint64_t number, struct bh_guest_memory_block *block)
{
    char text[32];
    ssize_t n = read_of_block(folder, number, "state", text, sizeof(text));

    if (n == -ENOENT || n == -ENODEV)
        return 0;
    if (n < 0)
        return (int)n;
    *block = (struct bh_guest_memory_block){ .phys_index = number, .has_can_offline = true };
    block->online = strncmp(text, "online", strlen("online")) == 0;
    n = read_of_block(folder, number, "removable", text, sizeof(text));
    if (n == -ENOENT || n == -ENODEV)
        return 1;
    if (n < 0)
        return (int)n;
    block->can_offline = text[0] == '1';
    return block->can_offline || text[0] == '0' ? 1 : -EBADMSG;
}

int bh_memory_blocks_read(int folder, uint32_t max, struct bh_arena *arena,
                          struct bh_guest_get_memory_blocks_ret *ret)
{
    struct bh_guest_memory_block *blocks;
    struct bh_numbers numbers;
    uint32_t n = 0;
    int r = bh_numbered_list(folder, "memory", max, arena, &numbers);

    if (r < 0)
        return r;
    blocks = bh_arena_array(arena, numbers.n, sizeof(*blocks));
    if (!blocks)
        return -ENOMEM;
    for (uint32_t i = 0; i < numbers.n; i++) {
        r = read_block(folder, numbers.number[i], &blocks[n]);
        if (r < 0)
            return r;
        n += (uint32_t)r;
    }
    *ret = (struct bh_guest_get_memory_blocks_ret){ .value = blocks, .n_value = n };
    return 0;
}

int bh_memory_block_size_read(int folder, const char *name, uint64_t *ret)
{
    char text[32];
    ssize_t n = bh_procfile_read(folder, name, text, sizeof(text));

    if (n < 0)
        return (int)n;
    return bh_parse_whole_uint(text, 16, ret) ? 0 : -EBADMSG;
}

int bh_do_guest_get_memory_blocks(struct bh_call *call, struct bh_guest_get_memory_blocks_ret *ret)
{
    _cleanup_close_ int folder = open(FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = folder < 0 ? -errno : 0;

    if (r == -ENOENT)
        return 0;
    if (r == 0)
        r = bh_memory_blocks_read(folder, bh_most_items(call), call->arena, ret);
    return bh_procfile_done(call, FOLDER, r);
}

int bh_do_guest_get_memory_block_info(struct bh_call *call, struct bh_guest_memory_block_info *ret)
{
    int r = bh_memory_block_size_read(AT_FDCWD, SIZE_FILE, &ret->size);

    if (r == -ENOENT)
        return bh_fail(call->error, BH_E_NOT_SUPPORTED, "this kernel does not count memory in blocks");
    return bh_procfile_done(call, SIZE_FILE, r);
}
