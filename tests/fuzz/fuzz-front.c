/*
 * The front between a hostile client, a hostile worker and a supervisor that answers as it
 * likes. The input is a script: one byte says who acts, the next ones what he does. Sentences
 * and frames that are nearly right are offered, so that the deeper states are reached.
 *
 * Must hold: the process does not end, buffers stay within their limits, and if no 0xFF was
 * sent, what the client reads is whole lines that begin like replies.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/base/log.h"
#include "protocol/codes.h"
#include "protocol/commands.h"
#include "protocol/wire/control.h"
#include "tests/unit/front-fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const sentences[] = {
    "{\"execute\":\"guest-ping\"}",
    "{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":1},\"id\":2}",
    "{\"execute\":\"guest-info\"}",
    "{\"execute\":\"guest-file-read\",\"arguments\":{\"handle\":1}}",
    "{\"execute\":\"guest-file-seek\",\"arguments\":{\"handle\":1,\"offset\":2,\"whence\":\"set\"},\"id\":0}",
    "{\"execute\":\"guest-file-write\",\"arguments\":{\"handle\":1,\"buf-b64\":\"",
    "AAAABBBBCCCC",
    "\"}}",
    "{\"execute\":\"guest-get-osinfo\"}",
    "\n",
    "{\"execute\":\"guest-exec-status\",\"arguments\":{\"pid\":1}}",
};

struct script {
    const uint8_t *at, *end;
    bool reset_sent;
    char line[16]; /* beginning of the line that the client is reading */
    size_t n_line;
};

static void require(bool truth)
{
    if (!truth)
        abort();
}

static uint8_t next(struct script *s)
{
    return s->at < s->end ? *s->at++ : 0;
}

static size_t take(struct script *s, size_t n, const uint8_t **ret)
{
    if (n > (size_t)(s->end - s->at))
        n = (size_t)(s->end - s->at);
    *ret = s->at;
    s->at += n;
    return n;
}

static void client_says(struct fixture *f, struct script *s)
{
    const uint8_t *bytes;
    size_t n = take(s, next(s), &bytes);

    for (size_t i = 0; i < n; i++)
        s->reset_sent |= bytes[i] >= 0xfe;
    fixture_say(f, (const char *)bytes, n);
}

static void client_says_sentence(struct fixture *f, struct script *s)
{
    const char *text = sentences[next(s) % (sizeof(sentences) / sizeof(sentences[0]))];

    fixture_say(f, text, strlen(text));
}

static void client_says_much(struct fixture *f, struct script *s)
{
    char block[8192];

    memset(block, next(s), sizeof(block));
    s->reset_sent |= (uint8_t)block[0] >= 0xfe;
    for (unsigned n = next(s) % 32; n > 0; n--)
        fixture_say(f, block, sizeof(block));
}

static void look_at(struct script *s, char c)
{
    const char *line = s->line[0] == '\xff' ? s->line + 1 : s->line;

    if (c != '\n') {
        if (s->n_line < sizeof(s->line) - 1)
            s->line[s->n_line++] = c;
        return;
    }
    s->line[s->n_line] = '\0';
    require(s->reset_sent || strncmp(line, "{\"return\": ", 11) == 0 || strncmp(line, "{\"id\": ", 7) == 0 ||
            strncmp(line, "{\"error\": ", 10) == 0);
    s->n_line = 0;
}

static void client_reads(struct fixture *f, struct script *s)
{
    static char heard[65536];
    ssize_t n = read(f->client, heard, sizeof(heard));

    for (ssize_t i = 0; i < n; i++)
        look_at(s, heard[i]);
    fixture_settle(f);
}

static void worker_sends(struct fixture *f, struct script *s)
{
    static uint8_t zeros[BH_FRAME_PAYLOAD_MAX];
    struct bh_frame frame = { .type = next(s) % (BH_FRAME_TYPE_END + 1), .command = f->front.way.command };
    uint8_t how = next(s);
    const uint8_t *bytes = zeros;
    size_t n = next(s) * 16u;

    frame.flags = (how & 1) | (how & 32 ? BH_FRAME_SECOND : 0);
    frame.id = f->front.way.id + (how >> 6) - ((how & 2) ? 1ull << 32 : 0);
    if (how & 4)
        frame.command = next(s);
    if (!(how & 8))
        n = take(s, n / 16, &bytes);
    else if (how & 16)
        n = sizeof(zeros);
    if (f->worker >= 0)
        (void)bh_frame_send(f->worker, &frame, bytes, n);
    fixture_settle(f);
}

/* A frame that is nearly right for the call under way; `how` says what is wrong with it. */
static struct bh_frame nearly(const struct fixture *f, uint8_t type, uint8_t how)
{
    struct bh_frame frame = { .schema = BH_SCHEMA_HASH,
                              .type = type % (BH_FRAME_TYPE_END + 1),
                              .command = f->front.way.command,
                              .flags = how & 1,
                              .id = f->front.way.id };

    frame.schema ^= (how & 2) ? 1 : 0;
    frame.command += (how & 4) ? 1 : 0;
    frame.id += (how & 8) ? 1 : 0;
    frame.id -= (how & 16) ? 1ull << 32 : 0;
    frame.flags |= (how & 32) ? BH_FRAME_SECOND : 0;
    frame.flags |= (how & 64) ? 4 : 0;
    return frame;
}

/* Two frames in a packet, with lengths that may lie and bytes behind them that may lack or be too many. */
static void worker_sends_packet(struct fixture *f, struct script *s)
{
    static uint8_t packet[2 * sizeof(struct bh_frame) + 512];
    uint8_t types = next(s), lie = next(s);
    struct bh_frame head = nearly(f, types >> 4, next(s)), tail = nearly(f, types & 15, next(s));
    const uint8_t *bytes;
    size_t n = take(s, next(s), &bytes), at = sizeof(head), cut = lie >> 4;
    size_t n_head = n - n / 4;

    head.length = (uint32_t)n_head + (lie & 1);
    tail.length = (uint32_t)(n - n_head) + (lie >> 1 & 1);
    memcpy(packet, &head, sizeof(head));
    memcpy(packet + at, bytes, n_head);
    at += n_head;
    memcpy(packet + at, &tail, sizeof(tail));
    at += sizeof(tail);
    memcpy(packet + at, bytes + n_head, n - n_head);
    at += n - n_head;
    if (f->worker >= 0)
        (void)send(f->worker, packet, at - (cut < at ? cut : 0), 0);
    fixture_settle(f);
}

/* A whole answer as an honest worker would give it, so that many requests are served in one run. */
static void worker_answers(struct fixture *f, struct script *s)
{
    struct bh_error error = { .code = BH_E_KERNEL, .text = "no" };
    struct bh_frame data = nearly(f, BH_FRAME_DATA, BH_FRAME_MORE), end = nearly(f, BH_FRAME_ERROR, 0);
    uint8_t packed[BH_ERROR_PAYLOAD_MAX];
    const uint8_t *bytes;
    size_t n = take(s, next(s), &bytes), len = bh_error_pack(&error, packed);

    if (f->worker >= 0 && f->front.way.id && n > 0)
        (void)bh_frame_send_pair(f->worker, &data, bytes, n, &end, packed, len);
    else if (f->worker >= 0 && f->front.way.id)
        (void)bh_frame_send(f->worker, &end, packed, len);
    fixture_settle(f);
}

static void worker_drains(struct fixture *f)
{
    static uint8_t room[BH_PACKET_ROOM];
    struct bh_frame frame;
    struct bh_tail tail;

    while (f->worker >= 0 && bh_frame_recv(f->worker, &frame, room, &tail) > 0)
        require(frame.type == BH_FRAME_CALL || frame.type == BH_FRAME_STAGE ||
                frame.type == BH_FRAME_ABANDON);
    fixture_settle(f);
}

static void worker_ends(struct fixture *f)
{
    if (f->worker >= 0)
        (void)close(f->worker);
    f->worker = -1;
    fixture_settle(f);
}

static void supervisor_says(struct fixture *f, struct script *s)
{
    uint16_t op = next(s);

    (void)bh_control_send(f->supervisor, op, next(s), -1);
    fixture_settle(f);
}

static void time_passes(struct fixture *f, struct script *s)
{
    uint64_t ms = (uint64_t)next(s) * 1000;

    f->front.progress_ms -= ms;
    f->front.claimed_ms -= ms;
    fixture_settle(f);
}

static void act(struct fixture *f, struct script *s)
{
    switch (next(s) % 14) {
    case 0:
    case 1:
        client_says(f, s);
        break;
    case 2:
    case 3:
        client_says_sentence(f, s);
        break;
    case 4:
        client_says_much(f, s);
        break;
    case 5:
        client_reads(f, s);
        break;
    case 6:
        (void)fixture_give_worker(f);
        break;
    case 7:
        worker_sends(f, s);
        break;
    case 8:
        worker_drains(f);
        break;
    case 9:
        worker_ends(f);
        break;
    case 10:
        supervisor_says(f, s);
        break;
    case 11:
        time_passes(f, s);
        break;
    case 12:
        worker_sends_packet(f, s);
        break;
    case 13:
        worker_answers(f, s);
        break;
    }
}

static void check_limits(const struct bh_front *front)
{
    require(bh_transport_held(&front->client) <= BH_READ_AHEAD_MAX);
    require(bh_transport_pending(&front->client) <= BH_STREAM_HIGH + 2u * BH_FRAME_PAYLOAD_MAX);
    require(front->gathered.len <= BH_OUT_MAX && front->arena.used <= BH_FRONT_ARENA_MAX);
    require(front->lift.at <= front->lift.len && front->lift.len <= sizeof(front->lift.bytes));
    require((front->way.worker == BH_NO_WORKER) ==
            (front->state == BH_READING || front->state == BH_FLUSHING));
    require(front->state != BH_FLUSHING || bh_transport_pending(&front->client) > BH_OUT_HIGH);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fixture f;
    struct script s = { .at = data, .end = data + size };

    bh_log_init("fuzz-front", BH_LOG_ERROR);
    fixture_init(&f);
    fixture_start(&f);
    while (s.at < s.end && !f.over) {
        act(&f, &s);
        if (!f.over)
            check_limits(&f.front);
    }
    fixture_deinit(&f);
    return 0;
}
