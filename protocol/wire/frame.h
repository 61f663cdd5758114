/*
 * One packet between two of our processes: a fixed header and a payload, over a
 * SOCK_SEQPACKET pair. Any message may take several frames; all but the last carry
 * BH_FRAME_MORE.
 *
 * Sender and receiver are one build: a wrong schema hash, size, type or flag is not
 * repaired, it is -EPROTO and ends the link. No frame carries a descriptor, and
 * none can: both directions use readv and writev, which drop descriptors.
 *
 * A call, as the worker sees it:
 *   [STAGE id ...]   bytes of the one bulk argument, before the call, MORE on each
 *   CALL  id command encoded arguments (MORE if in several frames)
 * and as the front sees it:
 *   [DATA  id ...]   bytes of the one bulk return member
 *   REPLY id command encoded return value, or ERROR id command struct bh_error_frame
 * ABANDON id: the front gives up what it sent of `id` so far (staged bytes, a half-sent CALL, or nothing
 * yet); no answer, and the number is spent.
 * AGAIN id command: the worker has not begun the call and is leaving: it is to be sent to its successor.
 * WAKE: the worker is to look whether its policy is the newest. The supervisor sends it into a socket that
 * may be a front's as well, so it says nothing, and means nothing when a front sends it. The worker serves
 * one call at a time, in order.
 *
 * Trust: in = PEER; out = CHECKED (header only; the payload is the codec's);
 *        called by = front, workers
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define BH_FRAME_PAYLOAD_MAX 65536u /* bytes */

enum bh_frame_type {
    BH_FRAME_CALL = 1,
    BH_FRAME_STAGE,
    BH_FRAME_ABANDON,
    BH_FRAME_DATA,
    BH_FRAME_REPLY,
    BH_FRAME_ERROR,
    BH_FRAME_AGAIN,
    BH_FRAME_WAKE,
    BH_FRAME_TYPE_END,
};

#define BH_FRAME_MORE 1u

struct bh_frame {
    uint32_t schema;  /* BH_SCHEMA_HASH */
    uint16_t type;    /* enum bh_frame_type */
    uint16_t command; /* enum bh_command_id */
    uint32_t length;  /* of the payload, exactly */
    uint32_t flags;   /* BH_FRAME_MORE or 0 */
    uint64_t id;      /* chosen by the front: epoch of the front << 32 | counter; never 0 */
};

/*
 * Receives one frame into `frame` and `payload` (room for BH_FRAME_PAYLOAD_MAX bytes).
 * 1 = got one, 0 = the peer is gone, -EAGAIN, -EPROTO = not a frame of this build.
 */
int bh_frame_recv(int fd, struct bh_frame *frame, void *payload);

/* Sends one frame; sets schema and length. 0, -EAGAIN (non-blocking socket, full), -EPIPE, ... */
int bh_frame_send(int fd, struct bh_frame *frame, const void *payload, size_t len);

/*
 * Sends `len` bytes as one message of as many frames as it takes (at least one), on a blocking socket.
 * `frame` gives type, command and id.
 */
int bh_message_send(int fd, const struct bh_frame *frame, const void *data, size_t len);

/* The payload of an ERROR frame: fixed head, then `text_len` bytes of UTF-8, nothing else. */
struct bh_error_frame {
    uint16_t code; /* BH_E_* */
    uint16_t text_len;
    uint32_t zero;
    uint64_t record;
};

struct bh_error;

int bh_error_send(int fd, const struct bh_frame *call, const struct bh_error *error);

/* Checks every member (code known, text complete and UTF-8). 0 or -EPROTO. */
int bh_error_parse(const void *payload, size_t len, struct bh_error *ret);
