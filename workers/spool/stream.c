/*
 * One pipe of an execution and what it brought. Bytes are read straight to where they stay: the mapping grows
 * by doubling, which moves page tables and no bytes, and pages that are not used are not there.
 *
 * What must not be cut is not read either, while there is no room: then the pipe leaves the epoll set (its
 * hang-up would wake us over and over) until something was taken.
 */
#include "workers/spool/spool.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#define FIRST_MAPPING (64u * 1024u)

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Bytes that may be kept beside what is. */
static size_t room_for(const struct bh_spool *spool, const struct bh_spooled *execution,
                       const struct bh_stream *stream)
{
    size_t len = stream->kept.len;
    size_t left = spool->kept < BH_SPOOL_KEPT_MAX ? (size_t)(BH_SPOOL_KEPT_MAX - spool->kept) : 0;

    if (!(execution->flags & BH_SPOOL_WAITS))
        return len < execution->output ? least(execution->output - len, left) : 0;
    if (len < BH_SPOOL_WAIT_MIN && left < BH_SPOOL_WAIT_MIN - len)
        left = BH_SPOOL_WAIT_MIN - len;
    return len < BH_SPOOL_WAIT_MAX ? least(BH_SPOOL_WAIT_MAX - len, left) : 0;
}

/* Makes room behind what is there. False: the kernel gives none. */
static bool grow(struct bh_kept *kept)
{
    size_t size = kept->mapped ? kept->mapped * 2 : FIRST_MAPPING;
    void *data;

    if (kept->len < kept->mapped)
        return true;
    if (kept->data)
        data = mremap(kept->data, kept->mapped, size, MREMAP_MAYMOVE);
    else
        data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED)
        return false;
    kept->data = data;
    kept->mapped = size;
    return true;
}

static void came(struct bh_spool *spool, struct bh_spooled *execution, struct bh_stream *stream,
                 const uint8_t *data, size_t len)
{
    stream->total += len;
    bh_sha256_update(&stream->sha, data, len);
    if (stream->text)
        bh_told_text(spool, execution, stream, data, len);
}

/* Reads at most `len` bytes to `to`: how many came. */
static size_t read_some(struct bh_spool *spool, struct bh_spooled *execution, struct bh_stream *stream,
                        uint8_t *to, size_t len)
{
    ssize_t n;

    do
        n = read(stream->watch.fd, to, len);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0) {
        bh_watch_close(spool, &stream->watch);
        bh_spool_settle(spool, execution);
        return 0;
    }
    came(spool, execution, stream, to, (size_t)n);
    return (size_t)n;
}

void bh_stream_read(struct bh_spool *spool, struct bh_spooled *execution, struct bh_stream *stream)
{
    struct bh_kept *kept = &stream->kept;
    size_t room = room_for(spool, execution, stream), n;

    if (room > 0 && grow(kept)) {
        n = least(least(room, kept->mapped - kept->len), BH_SPOOL_READ_MAX);
        n = read_some(spool, execution, stream, kept->data + kept->len, n);
        kept->len += n;
        spool->kept += n;
    } else if (execution->flags & BH_SPOOL_WAITS) {
        bh_watch_remove(spool, &stream->watch);
        bh_spool_touch(spool, execution);
    } else {
        stream->cut += read_some(spool, execution, stream, spool->drain, sizeof(spool->drain));
    }
}

struct bh_kept bh_stream_take(struct bh_spool *spool, struct bh_stream *stream)
{
    struct bh_kept taken = stream->kept;

    stream->kept = (struct bh_kept){ 0 };
    if (stream->watch.fd >= 0 && !stream->watch.watched)
        (void)bh_watch_add(spool, &stream->watch, EPOLLIN); /* if not now: when it is taken from again */
    return taken;
}

void bh_kept_free(struct bh_spool *spool, struct bh_kept *kept)
{
    if (kept->data)
        (void)munmap(kept->data, kept->mapped);
    spool->kept -= kept->len;
    *kept = (struct bh_kept){ 0 };
}
