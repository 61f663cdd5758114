/*
 * SHA-256 of programs. A digest is remembered for as long as the file is the same: device, inode, size and
 * the time of its last change, which only the kernel sets. Whoever pins a program (`sha256` in a rule) has it
 * read anew. What is not pinned may be anybody's file, and is read only up to a limit: nobody waits for a
 * file without end.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "protocol/base/mem.h"
#include "workers/exec/program.h"

#define KEPT 64u
#define CHUNK (256u * 1024u)

static struct kept {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
    char hex[BH_SHA256_TEXT]; /* "" = free */
} kept[KEPT];

static struct kept *place_of(const struct stat *st)
{
    return &kept[(st->st_ino * 31u + st->st_dev) % KEPT];
}

static bool is_same(const struct kept *row, const struct stat *st)
{
    return row->hex[0] && row->device == st->st_dev && row->inode == st->st_ino && row->size == st->st_size &&
           row->changed.tv_sec == st->st_ctim.tv_sec && row->changed.tv_nsec == st->st_ctim.tv_nsec;
}

/* `most` bytes; -EFBIG: there are more, whatever fstat said. */
static int read_all(int fd, off_t most, char ret[BH_SHA256_TEXT])
{
    static uint8_t chunk[CHUNK];
    uint8_t digest[BH_SHA256_SIZE];
    struct bh_sha256 sha;
    off_t at = 0;
    ssize_t n;

    bh_sha256_init(&sha);
    while ((n = pread(fd, chunk, sizeof(chunk), at)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bh_sha256_update(&sha, chunk, (size_t)n);
        at += n;
        if (at > most)
            return -EFBIG;
    }
    bh_sha256_final(&sha, digest);
    bh_sha256_text(digest, ret);
    return 0;
}

int bh_program_digest(struct bh_program *program, bool fresh)
{
    struct kept *row = place_of(&program->st);
    int r;

    if (!fresh && is_same(row, &program->st)) {
        memcpy(program->sha256, row->hex, sizeof(row->hex));
        return 0;
    }
    if (!fresh && program->st.st_size > BH_PROGRAM_DIGEST_MAX)
        return -EFBIG;
    r = read_all(program->fd, fresh ? INT64_MAX : BH_PROGRAM_DIGEST_MAX, program->sha256);
    if (r < 0)
        return r;
    *row = (struct kept){ .device = program->st.st_dev,
                          .inode = program->st.st_ino,
                          .size = program->st.st_size,
                          .changed = program->st.st_ctim };
    memcpy(row->hex, program->sha256, sizeof(row->hex));
    return 0;
}
