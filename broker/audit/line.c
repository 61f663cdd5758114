/* The writer of line.h: members in a fixed order, straight into the caller's buffer. */
#include "broker/audit/line.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/wire/utf8.h"

static void put(struct bh_line *line, const char *text, size_t len)
{
    if (line->full || line->cap - line->len < len) {
        line->full = true;
        return;
    }
    memcpy(line->data + line->len, text, len);
    line->len += len;
}

static void __attribute__((format(printf, 2, 3))) put_format(struct bh_line *line, const char *format, ...)
{
    char text[256];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(text))
        line->full = true;
    else
        put(line, text, (size_t)n);
}

/* How one byte of a string is written; returns the bytes eaten (two for a C1 control in UTF-8). */
static size_t put_byte(struct bh_line *line, const char *text, size_t len, bool utf8)
{
    unsigned char c = (unsigned char)text[0], next = len > 1 ? (unsigned char)text[1] : 0;

    if (c == '"' || c == '\\') {
        put_format(line, "\\%c", c);
    } else if (c < 0x20 || c == 0x7f) {
        put_format(line, "\\u%04x", c);
    } else if (c >= 0x80 && !utf8) {
        put_format(line, "\\udc%02x", c);
    } else if (c == 0xc2 && next < 0xa0) {
        put_format(line, "\\u%04x", next);
        return 2;
    } else {
        put(line, text, 1);
    }
    return 1;
}

static void put_string(struct bh_line *line, const char *text, size_t len)
{
    bool utf8 = bh_utf8_valid(text, len);
    size_t at = 0;

    put(line, "\"", 1);
    while (at < len)
        at += put_byte(line, text + at, len - at, utf8);
    put(line, "\"", 1);
}

static void put_text(struct bh_line *line, const char *name, const char *text, size_t len)
{
    if (len == 0)
        return;
    put_format(line, ",\"%s\":", name);
    put_string(line, text, len);
}

static void put_number(struct bh_line *line, const char *name, uint64_t value)
{
    if (value != 0)
        put_format(line, ",\"%s\":%" PRIu64, name, value);
}

static void put_time(struct bh_line *line, uint64_t ns)
{
    char text[BH_CLOCK_TEXT_MAX];

    bh_clock_text(ns, text);
    put_format(line, "\"%s\"", text);
}

/* The names that a reader of a log knows; others are told by number. */
static const char *errno_name(int error)
{
    static const struct {
        int error;
        const char *name;
    } names[] = {
#define NAME(e) { e, #e }
        NAME(EPERM),  NAME(ENOENT), NAME(EINTR),   NAME(EIO),       NAME(ENXIO),        NAME(E2BIG),
        NAME(EBADF),  NAME(EAGAIN), NAME(ENOMEM),  NAME(EACCES),    NAME(EFAULT),       NAME(EBUSY),
        NAME(EEXIST), NAME(EXDEV),  NAME(ENODEV),  NAME(ENOTDIR),   NAME(EISDIR),       NAME(EINVAL),
        NAME(ENFILE), NAME(EMFILE), NAME(ENOTTY),  NAME(ETXTBSY),   NAME(EFBIG),        NAME(ENOSPC),
        NAME(ESPIPE), NAME(EROFS),  NAME(EMLINK),  NAME(EPIPE),     NAME(ERANGE),       NAME(EDEADLK),
        NAME(ENOSYS), NAME(ELOOP),  NAME(EPROTO),  NAME(EBADMSG),   NAME(ENAMETOOLONG), NAME(EOVERFLOW),
        NAME(ESTALE), NAME(EDQUOT), NAME(ENOTSUP), NAME(ETIMEDOUT), NAME(ECONNREFUSED), NAME(ECANCELED),
#undef NAME
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].error == error)
            return names[i].name;
    return NULL;
}

static void put_error(struct bh_line *line, int32_t error)
{
    const char *name = errno_name(error < 0 ? -error : error);

    if (error == 0)
        return;
    if (name)
        put_format(line, ",\"errno\":\"%s\"", name);
    else
        put_format(line, ",\"errno\":\"E%" PRId32 "\"", error < 0 ? -error : error);
}

static void put_policy(struct bh_line *line, const uint8_t policy[8])
{
    static const uint8_t none[8];
    char hex[2 * sizeof(none)];

    if (memcmp(policy, none, sizeof(none)) == 0)
        return;
    bh_chain_hex(policy, sizeof(none), hex);
    put_text(line, "policy", hex, sizeof(hex));
}

static void put_command(struct bh_line *line, uint16_t command)
{
    if (command < BH_CMD_COUNT)
        put_text(line, "cmd", bh_commands[command].name, strlen(bh_commands[command].name));
    else if (command != BH_NO_COMMAND)
        put_format(line, ",\"cmd\":\"#%u\"", command);
}

static void put_counts(struct bh_line *line, const struct bh_record *record)
{
    const char *comma = "";

    if (record->n_counts == 0)
        return;
    put_format(line, ",\"counts\":{");
    for (uint16_t i = 0; i < record->n_counts; i++, comma = ",") {
        uint16_t command = record->counts[i].command;

        if (command < BH_CMD_COUNT)
            put_format(line, "%s\"%s\":%" PRIu32, comma, bh_commands[command].name, record->counts[i].count);
        else
            put_format(line, "%s\"#%u\":%" PRIu32, comma, command, record->counts[i].count);
    }
    put(line, "}", 1);
}

static const char *kind_name(uint16_t kind)
{
    static const char *const names[BH_RECORD_KIND_END] = {
        [BH_RECORD_ACT] = "act",         [BH_RECORD_RESULT] = "result", [BH_RECORD_REFUSED] = "refused",
        [BH_RECORD_SUMMARY] = "summary", [BH_RECORD_CLOSED] = "closed", [BH_RECORD_EVENT] = "event",
        [BH_RECORD_CLAIM] = "claim",     [BH_RECORD_LOST] = "lost",
    };

    return kind < BH_RECORD_KIND_END && names[kind] ? names[kind] : "unknown";
}

static void put_kind(struct bh_line *line, const struct bh_line_source *source, uint16_t kind)
{
    bool may =
        !source->front || kind == BH_RECORD_SUMMARY || kind == BH_RECORD_CLAIM || kind == BH_RECORD_LOST;

    put_format(line, ",\"kind\":\"%s\"", may ? kind_name(kind) : "claim");
    if (!may)
        put_format(line, ",\"note\":\"a front cannot know this; it called it %s\"", kind_name(kind));
    else if (source->note)
        put_text(line, "note", source->note, strlen(source->note));
}

void bh_line_record(struct bh_line *line, const struct bh_line_source *source, const struct bh_record *record)
{
    put_format(line, "{\"n\":%" PRIu64 ",\"time\":", record->number);
    put_time(line, record->realtime_ns);
    put_number(line, "boot", record->boottime_ns);
    put_text(line, "src", source->name, strlen(source->name));
    put_kind(line, source, record->kind);
    put_command(line, record->command);
    put_number(line, "req", record->request);
    put_number(line, "of", record->of);
    put_number(line, "handle", record->handle);
    put_text(line, "obj", record->object.ptr, record->object.len);
    put_text(line, "user", record->user.ptr, record->user.len);
    put_text(line, "rule", record->rule.ptr, record->rule.len);
    put_policy(line, record->policy);
    if (record->code != 0)
        put_format(line, ",\"code\":\"BH%04u\"", record->code);
    put_error(line, record->error);
    put_number(line, "read", record->bytes_read);
    put_number(line, "written", record->bytes_written);
    put_number(line, "count", record->count);
    put_counts(line, record);
    put_text(line, "text", record->text.ptr, record->text.len);
}

/* A remark of the audit process: it has no number, for no sender counted it. */
static void put_head(struct bh_line *line, uint64_t now_ns, const char *source, const char *kind)
{
    put_format(line, "{\"time\":");
    put_time(line, now_ns);
    put_text(line, "src", source, strlen(source));
    put_text(line, "kind", kind, strlen(kind));
}

void bh_line_segment(struct bh_line *line, const struct bh_line_segment *segment)
{
    char mac[BH_CHAIN_HEX];

    bh_chain_hex(segment->previous_mac, BH_SHA256_SIZE, mac);
    put_head(line, segment->now_ns, "audit", "segment");
    put_format(line,
               ",\"format\":%u,\"segment\":%" PRIu64 ",\"previous\":%" PRIu64 ",\"previous-size\":%" PRIu64,
               BH_LINE_FORMAT, segment->segment, segment->previous, segment->previous_size);
    put_text(line, "previous-mac", mac, sizeof(mac));
    put_format(line, ",\"steps\":%" PRIu64 ",\"started\":", segment->steps);
    put_time(line, segment->started_ns);
}

void bh_line_gap(struct bh_line *line, const char *source, uint64_t now_ns, uint64_t first, uint64_t last)
{
    put_head(line, now_ns, source, "gap");
    put_format(line, ",\"from\":%" PRIu64 ",\"to\":%" PRIu64 ",\"count\":%" PRIu64, first, last,
               (last - first) / BH_SOURCES_MAX + 1);
    put_text(line, "note", "these records never arrived", strlen("these records never arrived"));
}

void bh_line_event(struct bh_line *line, uint64_t now_ns, const char *text)
{
    put_head(line, now_ns, "audit", "event");
    put_text(line, "text", text, strlen(text));
}
