/*
 * The steps of append.h.
 *
 * The stores of one process reach a shared page in the order of the program, as far as
 * the compiler keeps it; hence a release store for each change of the phase. A process
 * that dies has finished all its earlier stores.
 */
#include "broker/audit/append.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "protocol/base/fd.h"

static void set_phase(struct bh_audit_state *state, enum bh_audit_phase phase)
{
    __atomic_store_n(&state->phase, (uint32_t)phase, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

bool bh_append_check(const struct bh_audit_state *state)
{
    const struct bh_audit_pending *pending = &state->pending;

    if (state->magic != BH_AUDIT_MAGIC || state->offered == 0 || state->now.segment > state->offered)
        return false;
    if (state->phase == BH_AUDIT_IDLE)
        return true;
    return state->phase == BH_AUDIT_PENDING && pending->len > 0 && pending->len <= BH_LINE_MAX &&
           pending->source <= BH_SOURCES_MAX && pending->after.segment == state->offered;
}

struct bh_line bh_append_line(struct bh_audit_state *state)
{
    return (struct bh_line){ .data = state->pending.text + BH_CHAIN_ROOM,
                             .cap = BH_LINE_MAX - BH_CHAIN_TAIL };
}

/* Step 4. Copies only, so that it may be done twice. */
static void account(struct bh_audit_state *state)
{
    const struct bh_audit_pending *pending = &state->pending;

    state->now = pending->after;
    if (pending->source < BH_SOURCES_MAX) {
        state->last[pending->source] = pending->sequence;
        state->stamp[pending->source] = pending->stamp;
        state->held[pending->source] = (uint8_t)pending->queued;
    }
    set_phase(state, BH_AUDIT_IDLE);
}

/* Steps 1 and 2: makes `after` from where the log stands, `at` bytes into `segment`. */
static int seal(struct bh_audit_state *state, const struct bh_line *line, const struct bh_append_of *of,
                uint64_t segment, uint64_t at)
{
    struct bh_audit_pending *pending = &state->pending;

    if (line->full)
        return -E2BIG;
    bh_chain_step(&state->now.chain, (uint8_t *)pending->text, line->len, &pending->after.chain);
    bh_chain_tail(pending->after.chain.mac, line->data + line->len);
    pending->len = (uint32_t)(line->len + BH_CHAIN_TAIL);
    pending->at = at;
    pending->after.segment = segment;
    pending->after.size = at + pending->len;
    pending->source = of->source;
    pending->sequence = of->sequence;
    pending->stamp = of->stamp;
    pending->queued = of->queued;
    set_phase(state, BH_AUDIT_PENDING);
    return 0;
}

/* Step 3 and 4 for a line of which `done` bytes are in the log. */
static int append_rest(struct bh_audit_state *state, int log, size_t done)
{
    const struct bh_audit_pending *pending = &state->pending;
    int r = bh_write_all(log, pending->text + BH_CHAIN_ROOM + done, pending->len - done);

    if (r < 0)
        return r;
    account(state);
    return 0;
}

int bh_append_commit(struct bh_audit_state *state, int log, const struct bh_line *line,
                     const struct bh_append_of *of)
{
    int r = seal(state, line, of, state->now.segment, state->now.size);

    return r < 0 ? r : append_rest(state, log, 0);
}

int bh_append_header(struct bh_audit_state *state, int log, uint64_t now_ns)
{
    const struct bh_append_of of = { .source = BH_SOURCES_MAX };
    struct bh_line line = bh_append_line(state);
    struct bh_line_segment segment = {
        .segment = state->offered,
        .previous = state->now.segment,
        .previous_size = state->now.size,
        .steps = state->now.chain.steps,
        .started_ns = state->started_ns,
        .now_ns = now_ns,
    };
    int r;

    memcpy(segment.previous_mac, state->now.chain.mac, BH_SHA256_SIZE);
    bh_line_segment(&line, &segment);
    r = seal(state, &line, &of, state->offered, 0);
    /* The size is looked at: a stranger's bytes before the header would make the segment worthless. */
    return r < 0 ? r : bh_append_finish(state, log);
}

int bh_append_finish(struct bh_audit_state *state, int log)
{
    const struct bh_audit_pending *pending = &state->pending;
    struct stat st;
    uint64_t size;

    if (state->phase != BH_AUDIT_PENDING)
        return 0;
    if (fstat(log, &st) < 0)
        return -errno;
    size = (uint64_t)st.st_size;
    if (size < pending->at || size > pending->at + pending->len) {
        set_phase(state, BH_AUDIT_IDLE);
        return -EBADMSG;
    }
    return append_rest(state, log, size - pending->at);
}
