/*
 * What two of our processes say to each other, over a SOCK_SEQPACKET pair: frames, each a fixed header and a
 * payload. Any message may take several frames; all but the last carry BH_FRAME_MORE.
 *
 * A packet is one frame, or two: header, payload, header, payload. The second one, the tail, ends what the
 * first one belongs to: the last STAGE carries the CALL, the last DATA the REPLY or ERROR, so that a small
 * write or read wakes each side once. A tail has the id and the command of its head, no MORE and at most
 * BH_FRAME_TAIL_MAX bytes. It means what it would mean as a packet of its own.
 *
 * Sender and receiver are one build: a wrong schema hash, size, type, flag or pair is not
 * repaired, it is -EPROTO and ends the link. No frame carries a descriptor, and
 * none can: both directions use readv and writev, which drop descriptors.
 *
 * A call, as the worker sees it:
 *   [STAGE id ...]   bytes of the one bulk argument, before the call, MORE on each
 *   CALL  id command encoded arguments (MORE if in several frames)
 * and as the front sees it:
 *   [DATA  id ...]   bytes of the bulk return members: all of the first one, then, with BH_FRAME_SECOND, of
 * the second REPLY id command encoded return value, or ERROR id command struct bh_error_frame ABANDON id: the
 * front gives up what it sent of `id` so far (staged bytes, a half-sent CALL, or nothing yet); no answer, and
 * the number is spent. AGAIN id command: the worker has not begun the call and is leaving: it is to be sent
 * to its successor. WAKE: the worker is to look whether its policy is the newest. The supervisor sends it
 * into a socket that may be a front's as well, so it says nothing, and means nothing when a front sends it.
 * The worker serves one call at a time, in order.
 *
 * Trust: in = PEER; out = CHECKED (header only; the payload is the codec's);
 *        called by = front, workers
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocol/base/err.h"

/* Bytes. Large, so that bulk wakes few; small enough for a socket with the kernel's default of room. */
#define BH_FRAME_PAYLOAD_MAX (128u * 1024u)
#define BH_FRAME_TAIL_MAX 4096u /* bytes: every reply behind a bulk member, most arguments */

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
#define BH_FRAME_SECOND 2u /* DATA only: of the command's second bulk return member */

struct bh_frame {
    uint32_t schema;  /* BH_SCHEMA_HASH */
    uint16_t type;    /* enum bh_frame_type */
    uint16_t command; /* enum bh_command_id */
    uint32_t length;  /* of the payload, exactly */
    uint32_t flags;   /* BH_FRAME_MORE, BH_FRAME_SECOND */
    uint64_t id;      /* chosen by the front: epoch of the front << 32 | counter; never 0. It only grows */
};

/* Bytes that a packet may have behind its first header. */
#define BH_PACKET_ROOM (BH_FRAME_PAYLOAD_MAX + sizeof(struct bh_frame) + BH_FRAME_TAIL_MAX)

/* The second frame of a packet. */
struct bh_tail {
    struct bh_frame frame; /* type 0: there is none */
    const uint8_t *payload;
};

/*
 * Receives one packet: its first frame into `frame`, what follows into `room` (BH_PACKET_ROOM bytes), where
 * the payload begins and that of the tail stands too.
 * 1 = got one, 0 = the peer is gone, -EAGAIN, -EPROTO = not a packet of this build.
 */
int bh_frame_recv(int fd, struct bh_frame *frame, void *room, struct bh_tail *ret_tail);

/* Sends one frame; sets schema and length. 0, -EAGAIN (non-blocking socket, full), -EPIPE, ... */
int bh_frame_send(int fd, struct bh_frame *frame, const void *payload, size_t len);

/* Sends two as one packet: both or none. `tail_len` is at most BH_FRAME_TAIL_MAX. */
int bh_frame_send_pair(int fd, struct bh_frame *frame, const void *payload, size_t len, struct bh_frame *tail,
                       const void *tail_payload, size_t tail_len);

/*
 * Sends `len` bytes as one message of as many frames as it takes (at least one), on a blocking socket.
 * `frame` gives type, command and id, and BH_FRAME_SECOND if it has that.
 */
int bh_message_send(int fd, const struct bh_frame *frame, const void *data, size_t len);

/* The payload of an ERROR frame: fixed head, then `text_len` bytes of UTF-8, nothing else. */
struct bh_error_frame {
    uint16_t code; /* BH_E_* */
    uint16_t text_len;
    uint32_t zero;
    uint64_t record;
};

#define BH_ERROR_PAYLOAD_MAX (sizeof(struct bh_error_frame) + BH_ERROR_TEXT_MAX)

/* Writes the payload of an ERROR frame; returns its size. */
size_t bh_error_pack(const struct bh_error *error, uint8_t ret[BH_ERROR_PAYLOAD_MAX]);

/* Checks every member (code known, text complete and UTF-8). 0 or -EPROTO. */
int bh_error_parse(const void *payload, size_t len, struct bh_error *ret);
