/* The way back: bulk pieces, the reply, errors, and the records that stand between a decision and an act. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "policy/blob.h"
#include "protocol/base/fd.h"
#include "protocol/codes.h"
#include "protocol/wire/codec.h"
#include "workers/lib/loop.h"

static struct bh_frame head_of(const struct bh_call *call, uint16_t type)
{
    return (
        struct bh_frame){ .type = type, .command = (uint16_t)(call->command - bh_commands), .id = call->id };
}

static struct bh_frame data_head_of(const struct bh_call *call)
{
    struct bh_frame frame = head_of(call, BH_FRAME_DATA);

    frame.flags = call->second ? BH_FRAME_SECOND : 0;
    return frame;
}

void bh_call_second(struct bh_call *call)
{
    call->second = true;
}

int bh_call_stream(struct bh_call *call, const void *data, size_t len)
{
    struct bh_frame frame = data_head_of(call);

    if (len == 0)
        return 0;
    call->streamed = true;
    return bh_message_send(BH_FD_PEER, &frame, data, len);
}

/* Completes what a handler leaves to the loop. */
static void stamp(const struct bh_call *call, struct bh_record *record, uint16_t kind, uint16_t code)
{
    record->kind = kind;
    record->code = code;
    record->command = (uint16_t)(call->command - bh_commands);
    record->request = call->id;
}

int bh_call_act(struct bh_call *call, struct bh_record *record)
{
    struct bh_worker *worker = call->worker;

    stamp(call, record, BH_RECORD_ACT, 0);
    if (bh_audit_send(&worker->audit, record, &call->act) == 0 ||
        worker->policy.slice->settings[BH_SET_AUDIT_FAILURE])
        return 0;
    worker->state->denials++;
    return bh_fail(call->error, BH_E_AUDIT_FULL, "not done: it cannot be recorded, the audit queue is full");
}

int bh_call_refuse(struct bh_call *call, uint16_t code, struct bh_record *record, const char *format, ...)
{
    char text[BH_ERROR_TEXT_MAX];
    uint64_t number = 0;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    stamp(call, record, BH_RECORD_REFUSED, code);
    (void)bh_audit_send(&call->worker->audit, record, &number);
    bh_audit_pace(&call->worker->audit);
    call->worker->state->denials++;
    (void)bh_fail(call->error, code, "%s", text);
    call->error->record = number;
    return code;
}

static int encode(struct bh_call *call, const void *ret, struct bh_bytes *bytes)
{
    if (!call->command->ret)
        return 0;
    return bh_encode(call->command->ret, ret, call->command->reply_max, call->arena, bytes);
}

void bh_call_last(struct bh_call *call, const void *data, size_t len)
{
    call->last = (struct bh_bytes){ data, (uint32_t)len };
    call->streamed |= len > 0;
}

/* The end of the answer, with the last bulk piece in the same packet if there is one and both fit. */
static int send_end(struct bh_call *call, int fd, uint16_t type, const void *data, size_t len)
{
    struct bh_frame head = data_head_of(call), end = head_of(call, type);
    struct bh_bytes last = call->last;
    int r;

    if (last.len > 0 && len <= BH_FRAME_TAIL_MAX)
        return bh_frame_send_pair(fd, &head, last.ptr, last.len, &end, data, len);
    r = last.len > 0 ? bh_frame_send(fd, &head, last.ptr, last.len) : 0;
    return r < 0 ? r : bh_message_send(fd, &end, data, len);
}

static int send_error(struct bh_call *call, int fd)
{
    uint8_t payload[BH_ERROR_PAYLOAD_MAX];

    return send_end(call, fd, BH_FRAME_ERROR, payload, bh_error_pack(call->error, payload));
}

int bh_answer(struct bh_call *call, int fd, int r, const void *ret)
{
    struct bh_bytes bytes = { 0 };

    if (r)
        return send_error(call, fd);
    r = encode(call, ret, &bytes);
    if (r == 0)
        return send_end(call, fd, BH_FRAME_REPLY, bytes.ptr, bytes.len);
    if (r == -E2BIG)
        (void)bh_fail(call->error, BH_E_REPLY_TOO_LARGE, "the reply is larger than %u bytes",
                      call->command->reply_max);
    else
        (void)bh_fail_errno(call->error, BH_E_INTERNAL, r, "the reply cannot be encoded");
    return send_error(call, fd);
}

int bh_answer_again(int fd, const struct bh_frame *call)
{
    struct bh_frame frame = { .type = BH_FRAME_AGAIN, .command = call->command, .id = call->id };

    return bh_frame_send(fd, &frame, NULL, 0);
}
