/*
 * Frames over a SOCK_SEQPACKET socket: one readv or writev each, so that a header and its payload are one
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

static bool well_formed(const struct bh_frame *frame, size_t payload)
{
    return frame->schema == BH_SCHEMA_HASH && frame->type >= BH_FRAME_CALL &&
           frame->type < BH_FRAME_TYPE_END && frame->command < BH_CMD_COUNT && frame->length == payload &&
           (frame->flags & ~BH_FRAME_MORE) == 0 && frame->id != 0;
}

int bh_frame_recv(int fd, struct bh_frame *frame, void *payload)
{
    char extra; /* catches the packet that is longer than a frame can be */
    struct iovec parts[] = { { frame, sizeof(*frame) },
                             { payload, BH_FRAME_PAYLOAD_MAX },
                             { &extra, sizeof(extra) } };
    ssize_t n;

    do
        n = readv(fd, parts, 3);
    while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return 0;
    if (n < 0)
        return -errno;
    if ((size_t)n < sizeof(*frame) || (size_t)n > sizeof(*frame) + BH_FRAME_PAYLOAD_MAX)
        return -EPROTO;
    return well_formed(frame, (size_t)n - sizeof(*frame)) ? 1 : -EPROTO;
}

int bh_frame_send(int fd, struct bh_frame *frame, const void *payload, size_t len)
{
    struct iovec parts[] = { { frame, sizeof(*frame) }, { (void *)(uintptr_t)payload, len } };
    ssize_t n;

    if (len > BH_FRAME_PAYLOAD_MAX)
        return -EMSGSIZE;
    frame->schema = BH_SCHEMA_HASH;
    frame->length = (uint32_t)len;
    do
        n = writev(fd, parts, len > 0 ? 2 : 1);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == sizeof(*frame) + len ? 0 : -EIO;
}

int bh_message_send(int fd, const struct bh_frame *frame, const void *data, size_t len)
{
    const char *at = data;

    for (;;) {
        size_t piece = len > BH_FRAME_PAYLOAD_MAX ? BH_FRAME_PAYLOAD_MAX : len;
        struct bh_frame head = { .type = frame->type, .command = frame->command, .id = frame->id };
        int r;

        head.flags = piece < len ? BH_FRAME_MORE : 0;
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

int bh_error_send(int fd, const struct bh_frame *call, const struct bh_error *error)
{
    struct bh_frame frame = { .type = BH_FRAME_ERROR, .command = call->command, .id = call->id };
    struct {
        struct bh_error_frame head;
        char text[BH_ERROR_TEXT_MAX];
    } payload = { .head = { .code = error->code, .record = error->record } };

    payload.head.text_len = (uint16_t)clean_text(payload.text, error->text);
    return bh_frame_send(fd, &frame, &payload, sizeof(payload.head) + payload.head.text_len);
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
