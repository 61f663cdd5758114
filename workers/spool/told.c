/*
 * What the audit log is told of output: sizes and digests when all is over, and the text itself where the
 * rule says so, as it comes and up to a limit. A record's text has no NUL: it is written as \0, and a
 * backslash as \\.
 */
#include <stdio.h>
#include <string.h>

#include "protocol/base/mem.h"
#include "protocol/commands.h"
#include "workers/spool/spool.h"

#define ESCAPED_MAX 2 /* bytes that one byte may take */

static const char *const names[] = { "standard output", "standard error" };

static struct bh_record record_of(const struct bh_spooled *execution, enum bh_record_kind kind)
{
    return (struct bh_record){ .kind = (uint16_t)kind,
                               .command = execution->flags & BH_SPOOL_WAITS ? BH_CMD_BULKHEAD_EXEC
                                                                            : BH_CMD_GUEST_EXEC,
                               .of = execution->act,
                               .rule = execution->rule,
                               .object = execution->program,
                               .user = execution->user };
}

static void send_text(struct bh_spool *spool, const struct bh_spooled *execution, struct bh_stream *stream)
{
    struct bh_record record = record_of(execution, BH_RECORD_EVENT);

    if (stream->text_len > 0) {
        record.text = (struct bh_str){ stream->text, (uint32_t)stream->text_len };
        (void)bh_audit_send(spool->audit, &record, NULL);
    }
    stream->text_len = 0;
}

static void put_byte(struct bh_stream *stream, char c)
{
    if (c == '\0' || c == '\\')
        stream->text[stream->text_len++] = '\\';
    stream->text[stream->text_len++] = c ? c : '0';
}

void bh_told_text(struct bh_spool *spool, struct bh_spooled *execution, struct bh_stream *stream,
                  const void *data, size_t len)
{
    uint64_t before = stream->total - len;
    const char *bytes = data;

    for (size_t i = 0; i < len && execution->recorded < BH_SPOOL_RECORDED_MAX; i++, execution->recorded++) {
        if (stream->text_len + ESCAPED_MAX > BH_RECORD_TEXT_MAX)
            send_text(spool, execution, stream);
        if (stream->text_len == 0)
            stream->text_len = (size_t)snprintf(stream->text, BH_RECORD_TEXT_MAX,
                                                "%s from byte %llu: ", names[stream->watch.which],
                                                (unsigned long long)(before + i));
        put_byte(stream, bytes[i]);
    }
}

static size_t put_stream(char *to, size_t room, struct bh_stream *stream)
{
    uint8_t digest[BH_SHA256_SIZE];
    char hex[BH_SHA256_TEXT];
    int n;

    bh_sha256_final(&stream->sha, digest);
    bh_sha256_text(digest, hex);
    n = snprintf(to, room, "%s: %llu bytes, sha256 %s", names[stream->watch.which],
                 (unsigned long long)stream->total, hex);
    if (stream->cut > 0)
        n += snprintf(to + n, room - (size_t)n, ", cut by %llu", (unsigned long long)stream->cut);
    return (size_t)n;
}

void bh_told_result(struct bh_spool *spool, struct bh_spooled *execution)
{
    struct bh_record record = record_of(execution, BH_RECORD_RESULT);
    char text[512];
    size_t len = 0;

    for (unsigned i = 0; i < 2; i++) {
        struct bh_stream *stream = &execution->streams[i];

        if (!stream->captured)
            continue;
        if (stream->text)
            send_text(spool, execution, stream);
        if (len > 0)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "; ");
        len += put_stream(text + len, sizeof(text) - len, stream);
        record.bytes_written += stream->total;
    }
    if (len == 0)
        return;
    if (execution->flags & BH_SPOOL_RECORD)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "; recorded: %llu bytes",
                                (unsigned long long)execution->recorded);
    record.text = (struct bh_str){ text, (uint32_t)len };
    (void)bh_audit_send(spool->audit, &record, NULL);
}

void bh_told_violation(struct bh_spool *spool)
{
    struct bh_record record = {
        .kind = BH_RECORD_EVENT,
        .command = BH_NO_COMMAND,
        .text = BH_STR("protocol violation by what starts executions: it is not listened to any more"),
    };

    (void)bh_audit_send(spool->audit, &record, NULL);
}

void bh_told_expired(struct bh_spool *spool, const struct bh_spooled *execution)
{
    struct bh_record record = record_of(execution, BH_RECORD_EVENT);
    char text[128];

    (void)snprintf(text, sizeof(text),
                   "the result of execution %llu is forgotten: nobody fetched it for %llu seconds",
                   (unsigned long long)execution->number, (unsigned long long)(spool->idle_ms / 1000));
    record.text = bh_str_of(text);
    (void)bh_audit_send(spool->audit, &record, NULL);
}
