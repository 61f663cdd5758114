/*
 * Packets over a SOCK_SEQPACKET socket: one readv or writev each, so that headers and payloads are one
 * packet without a copy. Programs ignore SIGPIPE; a peer that is gone is -EPIPE here.
 */
#include "protocol/wire/frame.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#include "protocol/base/err.h"
#include "protocol/codes.h"
#include "protocol/commands.h"
#include "protocol/wire/utf8.h"

_Static_assert(sizeof(struct bh_frame) == 24, "no padding in a frame's head");
_Static_assert(sizeof(struct bh_error_frame) == 16, "no padding in an error's head");
_Static_assert(BH_ERROR_PAYLOAD_MAX <= BH_FRAME_TAIL_MAX, "every error fits behind data");

static uint32_t flags_of(uint16_t type)
{
    return type == BH_FRAME_DATA ? BH_FRAME_MORE | BH_FRAME_SECOND : BH_FRAME_MORE;
}

static bool well_formed(const struct bh_frame *frame, size_t payload_max)
{
    return frame->schema == BH_SCHEMA_HASH && frame->type >= BH_FRAME_CALL &&
           frame->type < BH_FRAME_TYPE_END && frame->command < BH_CMD_COUNT && frame->length <= payload_max &&
           (frame->flags & ~flags_of(frame->type)) == 0 && frame->id != 0;
}

static bool is_pair(const struct bh_frame *frame, const struct bh_frame *tail)
{
    if (tail->id != frame->id || tail->command != frame->command || tail->flags)
        return false;
    if (frame->type == BH_FRAME_STAGE)
        return tail->type == BH_FRAME_CALL;
    return frame->type == BH_FRAME_DATA && (tail->type == BH_FRAME_REPLY || tail->type == BH_FRAME_ERROR);
}

/* `len` bytes stand behind the first frame's payload: nothing, or one frame that may. 1 or -EPROTO. */
static int split(const struct bh_frame *frame, const uint8_t *at, size_t len, struct bh_tail *ret)
{
    ret->frame.type = 0;
    if (len == 0)
        return 1;
    if (len < sizeof(ret->frame))
        return -EPROTO;
    memcpy(&ret->frame, at, sizeof(ret->frame));
    ret->payload = at + sizeof(ret->frame);
    if (!well_formed(&ret->frame, BH_FRAME_TAIL_MAX) || ret->frame.length != len - sizeof(ret->frame))
        return -EPROTO;
    return is_pair(frame, &ret->frame) ? 1 : -EPROTO;
}

int bh_frame_recv(int fd, struct bh_frame *frame, void *room, struct bh_tail *ret_tail)
{
    char extra; /* catches the packet that is longer than one can be */
    struct iovec parts[] = { { frame, sizeof(*frame) }, { room, BH_PACKET_ROOM }, { &extra, sizeof(extra) } };
    size_t behind;
    ssize_t n;

    do
        n = readv(fd, parts, 3);
    while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return 0;
    if (n < 0)
        return -errno;
    if ((size_t)n < sizeof(*frame) || (size_t)n > sizeof(*frame) + BH_PACKET_ROOM)
        return -EPROTO;
    behind = (size_t)n - sizeof(*frame);
    if (!well_formed(frame, BH_FRAME_PAYLOAD_MAX) || frame->length > behind)
        return -EPROTO;
    return split(frame, (const uint8_t *)room + frame->length, behind - frame->length, ret_tail);
}

static struct iovec part(const void *data, size_t len)
{
    return (struct iovec){ (void *)(uintptr_t)data, len };
}

/* Sends whole packets only: what the socket cannot take as one is not sent. */
static int send_parts(int fd, const struct iovec *parts, int n_parts)
{
    size_t all = 0;
    ssize_t n;

    for (int i = 0; i < n_parts; i++)
        all += parts[i].iov_len;
    do
        n = writev(fd, parts, n_parts);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == all ? 0 : -EIO;
}

static void seal(struct bh_frame *frame, size_t len)
{
    frame->schema = BH_SCHEMA_HASH;
    frame->length = (uint32_t)len;
}

int bh_frame_send(int fd, struct bh_frame *frame, const void *payload, size_t len)
{
    if (len > BH_FRAME_PAYLOAD_MAX)
        return -EMSGSIZE;
    seal(frame, len);
    return send_parts(fd, (const struct iovec[]){ part(frame, sizeof(*frame)), part(payload, len) },
                      len > 0 ? 2 : 1);
}

int bh_frame_send_pair(int fd, struct bh_frame *frame, const void *payload, size_t len, struct bh_frame *tail,
                       const void *tail_payload, size_t tail_len)
{
    const struct iovec parts[] = { part(frame, sizeof(*frame)), part(payload, len), part(tail, sizeof(*tail)),
                                   part(tail_payload, tail_len) };

    if (len > BH_FRAME_PAYLOAD_MAX || tail_len > BH_FRAME_TAIL_MAX)
        return -EMSGSIZE;
    seal(frame, len);
    seal(tail, tail_len);
    return send_parts(fd, parts, tail_len > 0 ? 4 : 3);
}

int bh_message_send(int fd, const struct bh_frame *frame, const void *data, size_t len)
{
    const char *at = data;

    for (;;) {
        size_t piece = len > BH_FRAME_PAYLOAD_MAX ? BH_FRAME_PAYLOAD_MAX : len;
        struct bh_frame head = { .type = frame->type, .command = frame->command, .id = frame->id };
        int r;

        head.flags = (frame->flags & BH_FRAME_SECOND) | (piece < len ? BH_FRAME_MORE : 0);
        r = bh_frame_send(fd, &head, at, piece);
        if (r < 0 || piece == len)
            return r;
        at += piece;
        len -= piece;
    }
}

/* Error text quotes names of files and users, which are bytes: what is not ASCII and not valid becomes '?'.
 */
static size_t clean_text(char *out, const char *text)
{
    size_t len = strnlen(text, BH_ERROR_TEXT_MAX - 1);

    memcpy(out, text, len);
    if (!bh_utf8_valid(out, len))
        for (size_t i = 0; i < len; i++)
            if ((unsigned char)out[i] >= 0x80)
                out[i] = '?';
    return len;
}

size_t bh_error_pack(const struct bh_error *error, uint8_t ret[BH_ERROR_PAYLOAD_MAX])
{
    struct bh_error_frame head = { .code = error->code, .record = error->record };

    head.text_len = (uint16_t)clean_text((char *)ret + sizeof(head), error->text);
    memcpy(ret, &head, sizeof(head));
    return sizeof(head) + head.text_len;
}

int bh_error_parse(const void *payload, size_t len, struct bh_error *ret)
{
    const char *text = (const char *)payload + sizeof(struct bh_error_frame);
    struct bh_error_frame head;

    if (len < sizeof(head) || len - sizeof(head) >= BH_ERROR_TEXT_MAX)
        return -EPROTO;
    memcpy(&head, payload, sizeof(head));
    if (head.zero != 0 || head.text_len != len - sizeof(head) || !bh_code_find(head.code))
        return -EPROTO;
    if (memchr(text, '\0', head.text_len) || !bh_utf8_valid(text, head.text_len))
        return -EPROTO;
    ret->code = head.code;
    ret->record = head.record;
    memcpy(ret->text, text, head.text_len);
    ret->text[head.text_len] = '\0';
    return 0;
}
