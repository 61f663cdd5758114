/* The folder's names of segment.h, and the last line of a segment. */
#include "broker/audit/segment.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/mem.h"

#define SEGMENTS_MAX 100000u /* files looked at; far more than are ever kept */

void bh_segment_name(uint64_t segment, char ret[BH_SEGMENT_NAME_MAX])
{
    (void)snprintf(ret, BH_SEGMENT_NAME_MAX, "audit-%06" PRIu64 ".log", segment);
}

uint64_t bh_segment_number(const char *name)
{
    char again[BH_SEGMENT_NAME_MAX];
    uint64_t number;

    if (sscanf(name, "audit-%18" SCNu64 ".log", &number) != 1)
        return 0;
    bh_segment_name(number, again);
    return strcmp(name, again) == 0 ? number : 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void close_dir(DIR **dir)
{
    if (*dir)
        (void)closedir(*dir);
}

ssize_t bh_segment_list(int dir, uint64_t **ret)
{
    BH_CLEANUP(close_dir) DIR *stream = NULL;
    _cleanup_free_ uint64_t *numbers = NULL;
    _cleanup_close_ int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dirent *entry;
    size_t n = 0, cap = 0;

    if (fd < 0)
        return -errno;
    stream = fdopendir(fd);
    if (!stream)
        return -errno;
    (void)bh_take_fd(&fd);
    while ((entry = readdir(stream)) && n < SEGMENTS_MAX) {
        uint64_t number = bh_segment_number(entry->d_name), *more;

        if (number == 0)
            continue;
        if (n == cap) {
            cap = cap ? 2 * cap : 128;
            more = reallocarray(numbers, cap, sizeof(*numbers));
            if (!more)
                return -ENOMEM;
            numbers = more;
        }
        numbers[n++] = number;
    }
    if (n > 0)
        qsort(numbers, n, sizeof(*numbers), compare);
    *ret = bh_take_ptr(numbers);
    return (ssize_t)n;
}

/* The last complete line within `len` bytes: from behind the line feed before its own. */
static void last_mac(const char *tail, size_t len, uint8_t ret[BH_SHA256_SIZE])
{
    const char *end = memrchr(tail, '\n', len), *start;
    size_t body;

    memset(ret, 0, BH_SHA256_SIZE);
    if (!end)
        return;
    start = memrchr(tail, '\n', (size_t)(end - tail));
    start = start ? start + 1 : tail;
    if (!bh_chain_split(start, (size_t)(end + 1 - start), &body, ret))
        memset(ret, 0, BH_SHA256_SIZE);
}

int bh_segment_end(int fd, struct bh_audit_previous *ret)
{
    const size_t most = 2 * (size_t)BH_LINE_MAX; /* a torn line, and the complete one before it */
    _cleanup_free_ char *tail = malloc(most);
    struct stat st;
    size_t size, got = 0;

    if (!tail)
        return -ENOMEM;
    if (fstat(fd, &st) < 0)
        return -errno;
    size = (size_t)st.st_size < most ? (size_t)st.st_size : most;
    while (got < size) {
        ssize_t n = pread(fd, tail + got, size - got, st.st_size - (off_t)(size - got));

        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return -EIO;
        got += n > 0 ? (size_t)n : 0;
    }
    last_mac(tail, size, ret->mac);
    ret->size = (uint64_t)st.st_size;
    return 0;
}
