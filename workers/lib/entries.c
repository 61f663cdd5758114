/* The listing of entries.h. */
#include "workers/lib/entries.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES_SIZE 8192u /* bytes of entries taken at once */

/* As the kernel lays an entry out. */
struct entry {
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

#define NAME_OFFSET offsetof(struct entry, name)

static int take_all(const char *entries, long n, bh_entry_fn take, void *context)
{
    int r = 0;

    for (long at = 0; at < n && r == 0;) {
        const char *name = entries + at + NAME_OFFSET;
        uint16_t size;

        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
            r = take(context, name);
        memcpy(&size, entries + at + offsetof(struct entry, size), sizeof(size));
        at += size;
    }
    return r;
}

int bh_entries_each(int dir, bh_entry_fn take, void *context)
{
    _Alignas(struct entry) char entries[ENTRIES_SIZE];
    long n;

    if (lseek(dir, 0, SEEK_SET) < 0)
        return -errno;
    while ((n = syscall(SYS_getdents64, dir, entries, sizeof(entries))) > 0) {
        int r = take_all(entries, n, take, context);

        if (r)
            return r;
    }
    return n < 0 ? -errno : 0;
}
