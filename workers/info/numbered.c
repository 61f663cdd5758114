/* Lists numbered entries, for numbered.h: getdents64 on a descriptor that the caller keeps, so that a folder
 * that is listed often is opened once. */
#include "workers/info/numbered.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "workers/lib/procfile.h"

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

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* The kernel writes no leading zero. */
static bool number_of(const char *name, const char *word, uint64_t *ret)
{
    size_t len = strlen(word);

    if (strncmp(name, word, len) != 0)
        return false;
    name += len;
    if (name[0] == '0' && name[1] != '\0')
        return false;
    return bh_parse_uint(&name, 10, ret) && *name == '\0';
}

static int take(const char *name, const char *word, uint32_t max, struct bh_arena *arena,
                struct bh_numbers *numbers)
{
    uint64_t number;

    if (!number_of(name, word, &number))
        return 0;
    if (numbers->n == max)
        return -E2BIG;
    numbers->number = bh_arena_more(arena, numbers->number, numbers->n, sizeof(*numbers->number));
    if (!numbers->number)
        return -ENOMEM;
    numbers->number[numbers->n++] = number;
    return 0;
}

int bh_numbered_list(int dir, const char *word, uint32_t max, struct bh_arena *arena, struct bh_numbers *ret)
{
    _Alignas(struct entry) char entries[ENTRIES_SIZE];
    struct bh_numbers numbers = { 0 };
    long n;

    if (lseek(dir, 0, SEEK_SET) < 0)
        return -errno;
    while ((n = syscall(SYS_getdents64, dir, entries, sizeof(entries))) > 0) {
        for (long at = 0; at < n;) {
            uint16_t size;
            int r = take(entries + at + NAME_OFFSET, word, max, arena, &numbers);

            if (r < 0)
                return r;
            memcpy(&size, entries + at + offsetof(struct entry, size), sizeof(size));
            at += size;
        }
    }
    if (n < 0)
        return -errno;
    if (numbers.n > 1)
        qsort(numbers.number, numbers.n, sizeof(*numbers.number), by_number);
    *ret = numbers;
    return 0;
}
