/*
 * What bulk needed is given back once the client is quiet: a connection may stay open for
 * months, and large requests are rare. Only memory that nothing stands in is given back; the
 * next request finds it zeroed, as it was at the start.
 */
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/front/front.h"

#define KEEP (16u * 1024u) /* bytes of each buffer that small requests may go on using */

bool bh_front_has_slack(const struct bh_front *front)
{
    const struct bh_transport *client = &front->client;

    if (front->state != BH_READING || bh_transport_held(client) > 0 || bh_transport_pending(client) > 0)
        return false;
    return client->high > KEEP || client->out.cap > KEEP || front->room_high > KEEP ||
           front->lift_high > KEEP;
}

/* The whole pages of a buffer, but for those at its beginning. */
static void give_back(void *buffer, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), base = (uintptr_t)buffer;
    uintptr_t from = (base + KEEP + page - 1) / page * page, end = (base + size) / page * page;

    if (from < end)
        (void)madvise((char *)buffer + (from - base), end - from, MADV_DONTNEED);
}

void bh_front_trim(struct bh_front *front)
{
    struct bh_transport *client = &front->client;

    give_back(client->in, BH_READ_AHEAD_MAX);
    give_back(front->room, sizeof(front->room));
    give_back(front->lift.bytes, sizeof(front->lift.bytes));
    bh_out_deinit(&client->out);
    bh_out_init(&client->out, BH_OUT_MAX);
    client->high = front->room_high = front->lift_high = 0;
#ifdef __GLIBC__
    (void)malloc_trim(0); /* output that grew in steps has left holes in the heap */
#endif
}
