/*
 * Audit records between memory and one packet: a head of numbers, the counts, then four strings with a NUL
 * behind each.
 *
 * Invariants: a record's number is taken before it is sent, so that a crash between the two leaves a gap and
 * never the same number twice; what could not be queued is counted in the state page and reported by the
 * next record that can.
 */
#include "protocol/wire/record.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "protocol/commands.h"

#define SUMMARY_MS 60000u
#define STRINGS 4u
#define CUT "..."

struct head {
    uint64_t number, of, realtime_ns, boottime_ns, request, handle, bytes_read, bytes_written, count;
    uint16_t kind, command, code, n_counts;
    int32_t error;
    uint8_t policy[8];
    uint16_t lens[STRINGS];
    uint32_t zero;
};

_Static_assert(sizeof(struct head) == 104, "no padding in a record's head");
_Static_assert(BH_CMD_COUNT <= BH_RECORD_COUNTS_MAX, "one summary holds every command");

struct packet {
    struct head head;
    uint8_t body[BH_RECORD_MAX - sizeof(struct head)];
};

/* Appends text and NUL. What is too long for its field or for the packet ends in "...". */
static size_t put_string(struct packet *packet, size_t at, unsigned which, const struct bh_str *text)
{
    size_t room = sizeof(packet->body) - at - (STRINGS - which), len = text->len;
    bool cut = len > BH_RECORD_TEXT_MAX || len > room;

    if (cut)
        len = room < BH_RECORD_TEXT_MAX ? room : BH_RECORD_TEXT_MAX;
    if (len > 0)
        memcpy(packet->body + at, text->ptr, len);
    if (cut && len >= strlen(CUT))
        memcpy(packet->body + at + len - strlen(CUT), CUT, strlen(CUT));
    packet->body[at + len] = '\0';
    packet->head.lens[which] = (uint16_t)len;
    return at + len + 1;
}

static size_t fill(struct packet *packet, const struct bh_audit *audit, const struct bh_record *record)
{
    const struct bh_str *strings[STRINGS] = { &record->rule, &record->user, &record->object, &record->text };
    uint16_t n = record->n_counts > BH_RECORD_COUNTS_MAX ? BH_RECORD_COUNTS_MAX : record->n_counts;
    size_t at = n * sizeof(*record->counts);

    packet->head = (struct head){
        .number = (audit->state->sequence + 1) * BH_SOURCES_MAX + audit->source,
        .of = record->of,
        .realtime_ns = bh_clock_ns(CLOCK_REALTIME),
        .boottime_ns = bh_clock_ns(CLOCK_BOOTTIME),
        .request = record->request,
        .handle = record->handle,
        .bytes_read = record->bytes_read,
        .bytes_written = record->bytes_written,
        .count = record->count,
        .kind = record->kind,
        .command = record->command,
        .code = record->code,
        .n_counts = n,
        .error = record->error,
    };
    memcpy(packet->head.policy, audit->policy, sizeof(audit->policy));
    if (n > 0)
        memcpy(packet->body, record->counts, at);
    for (unsigned i = 0; i < STRINGS; i++)
        at = put_string(packet, at, i, strings[i]);
    return sizeof(packet->head) + at;
}

static int queue(struct bh_audit *audit, const struct bh_record *record, uint64_t *ret_number)
{
    struct packet packet __attribute__((uninitialized)); /* 16 KiB, of which only what is filled is sent */
    size_t len = fill(&packet, audit, record);
    int r;

    audit->state->sequence++;
    r = bh_fd_send(audit->fd, &packet, len, -1);
    if (r == 0 && ret_number)
        *ret_number = packet.head.number;
    return r;
}

int bh_audit_send(struct bh_audit *audit, const struct bh_record *record, uint64_t *ret_number)
{
    int r = 0;

    if (audit->state->lost) {
        struct bh_record lost = { .kind = BH_RECORD_LOST,
                                  .command = BH_NO_COMMAND,
                                  .count = audit->state->lost };

        r = queue(audit, &lost, NULL);
        if (r == 0)
            audit->state->lost = 0;
    }
    if (r == 0)
        r = queue(audit, record, ret_number);
    if (r < 0)
        audit->state->lost++;
    return r;
}

void bh_audit_count(struct bh_audit *audit, unsigned command)
{
    struct bh_state *state = audit->state;

    if (command >= BH_CMD_COUNT)
        return;
    if (state->counted_since_ms == 0)
        state->counted_since_ms = bh_clock_ms(CLOCK_BOOTTIME) + 1; /* 0 means: nothing counted */
    if (state->counted[command] < UINT32_MAX)
        state->counted[command]++;
}

int bh_audit_refused(struct bh_audit *audit)
{
    struct bh_state *state = audit->state;
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);

    if (now - state->refused_since_ms >= 1000 || now < state->refused_since_ms) {
        state->refused_since_ms = now;
        state->refused = 0;
    }
    return ++state->refused > BH_REFUSALS_PER_SECOND ? (int)(state->refused_since_ms + 1000 - now) : 0;
}

void bh_audit_pace(struct bh_audit *audit)
{
    int wait_ms = bh_audit_refused(audit);

    if (wait_ms > 0)
        (void)poll(NULL, 0, wait_ms);
}

int bh_audit_summary_due(const struct bh_audit *audit)
{
    uint64_t since = audit->state->counted_since_ms, now;

    if (since == 0)
        return -1;
    now = bh_clock_ms(CLOCK_BOOTTIME) + 1;
    if (now < since || now - since >= SUMMARY_MS) /* the page is a predecessor's: it may hold anything */
        return 0;
    return (int)(SUMMARY_MS - (now - since));
}

int bh_audit_summary(struct bh_audit *audit)
{
    struct bh_record_count counts[BH_RECORD_COUNTS_MAX];
    struct bh_record record = { .kind = BH_RECORD_SUMMARY, .command = BH_NO_COMMAND, .counts = counts };
    struct bh_state *state = audit->state;

    for (uint16_t i = 0; i < BH_CMD_COUNT; i++)
        if (state->counted[i] > 0)
            counts[record.n_counts++] = (struct bh_record_count){ .command = i, .count = state->counted[i] };
    memset(state->counted, 0, sizeof(state->counted));
    state->counted_since_ms = 0;
    return record.n_counts > 0 ? bh_audit_send(audit, &record, NULL) : 0;
}

static bool head_is_sound(const struct head *head)
{
    if (head->kind == 0 || head->kind >= BH_RECORD_KIND_END || head->n_counts > BH_RECORD_COUNTS_MAX)
        return false;
    if (head->command >= BH_CMD_COUNT && head->command != BH_NO_COMMAND)
        return false;
    return head->zero == 0;
}

/* The string of `len` bytes at *at, of which there must be a NUL behind it and none in it. */
static int take_string(const char *data, size_t total, size_t *at, uint16_t len, struct bh_str *ret)
{
    if (len > BH_RECORD_TEXT_MAX || total - *at < (size_t)len + 1)
        return -EPROTO;
    if (strnlen(data + *at, (size_t)len + 1) != len)
        return -EPROTO;
    *ret = (struct bh_str){ data + *at, len };
    *at += (size_t)len + 1;
    return 0;
}

static int take_counts(const char *data, size_t total, size_t *at, uint16_t n, struct bh_record_count *ret)
{
    size_t size = n * sizeof(*ret);

    if (total - *at < size)
        return -EPROTO;
    memcpy(ret, data + *at, size);
    *at += size;
    for (uint16_t i = 0; i < n; i++)
        if (ret[i].command >= BH_CMD_COUNT || ret[i].zero != 0)
            return -EPROTO;
    return 0;
}

int bh_record_parse(const void *data, size_t len, struct bh_record *ret,
                    struct bh_record_count counts[BH_RECORD_COUNTS_MAX])
{
    struct bh_record record;
    struct bh_str *strings[STRINGS] = { &record.rule, &record.user, &record.object, &record.text };
    struct head head;
    size_t at = sizeof(head);
    int r;

    if (len < sizeof(head) || len > BH_RECORD_MAX)
        return -EPROTO;
    memcpy(&head, data, sizeof(head));
    if (!head_is_sound(&head))
        return -EPROTO;
    record = (struct bh_record){ .number = head.number,
                                 .of = head.of,
                                 .realtime_ns = head.realtime_ns,
                                 .boottime_ns = head.boottime_ns,
                                 .request = head.request,
                                 .handle = head.handle,
                                 .bytes_read = head.bytes_read,
                                 .bytes_written = head.bytes_written,
                                 .count = head.count,
                                 .kind = head.kind,
                                 .command = head.command,
                                 .code = head.code,
                                 .n_counts = head.n_counts,
                                 .error = head.error,
                                 .counts = counts };
    memcpy(record.policy, head.policy, sizeof(record.policy));
    r = take_counts(data, len, &at, head.n_counts, counts);
    for (unsigned i = 0; i < STRINGS && r == 0; i++)
        r = take_string(data, len, &at, head.lens[i], strings[i]);
    if (r < 0 || at != len)
        return -EPROTO;
    *ret = record;
    return 0;
}
