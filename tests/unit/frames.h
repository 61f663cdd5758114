/*
 * Frames one by one for tests: a packet may hold two, the second is kept for the next call.
 *
 * Trust: in = PEER; out = CHECKED; called by = tests
 */
#pragma once

#include <string.h>

#include "protocol/wire/frame.h"

struct frames {
    struct bh_frame frame;
    uint8_t room[BH_PACKET_ROOM]; /* the payload of the last frame is at its beginning */
    struct bh_tail tail;
};

/* As bh_frame_recv. */
static inline int frames_next(int fd, struct frames *frames)
{
    if (frames->tail.frame.type == 0)
        return bh_frame_recv(fd, &frames->frame, frames->room, &frames->tail);
    frames->frame = frames->tail.frame;
    frames->tail.frame.type = 0;
    memmove(frames->room, frames->tail.payload, frames->frame.length);
    return 1;
}
