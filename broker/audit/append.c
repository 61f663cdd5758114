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
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/fd.h"

_Static_assert(BH_LINE_MAX <= BH_AUDIT_KEPT_MAX, "a line that could not be written can always be kept");

static void set_phase(struct bh_audit_state *state, enum bh_audit_phase phase)
{
    __atomic_store_n(&state->phase, (uint32_t)phase, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static bool kept_is_sound(const struct bh_audit_state *state)
{
    const struct bh_audit_mark *now = &state->now;

    return now->kept <= BH_AUDIT_KEPT_MAX && now->kept <= now->size &&
           (now->kept == 0 || now->segment == state->offered);
}

static bool pending_is_sound(const struct bh_audit_state *state)
{
    const struct bh_audit_pending *pending = &state->pending;
    const uint64_t kept = pending->after.kept;

    return pending->len > 0 && pending->len <= BH_LINE_MAX && pending->source <= BH_SOURCES_MAX &&
           pending->after.segment == state->offered &&
           (kept == 0 || (kept >= pending->len && kept <= BH_AUDIT_KEPT_MAX && kept <= pending->after.size));
}

bool bh_append_check(const struct bh_audit_state *state)
{
    if (state->magic != BH_AUDIT_MAGIC || state->offered == 0 || state->now.segment > state->offered)
        return false;
    if (state->phase == BH_AUDIT_IDLE)
        return kept_is_sound(state);
    return state->phase == BH_AUDIT_PENDING && pending_is_sound(state);
}

bool bh_append_is_frozen(const struct bh_append_log *log)
{
    return log->frozen && __atomic_load_n(log->frozen, __ATOMIC_SEQ_CST) != 0;
}

static void end_write(struct bh_audit_state *state)
{
    __atomic_store_n(&state->writing, 0, __ATOMIC_SEQ_CST);
}

/* False: the file may not be written. First it is said, then looked: see state.h. */
static bool begin_write(struct bh_audit_state *state, const struct bh_append_log *log)
{
    __atomic_store_n(&state->writing, 1, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!bh_append_is_frozen(log))
        return true;
    end_write(state);
    return false;
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

/* Steps 1 and 2: makes `after` from where the log stands, `at` bytes into the newest segment. */
static int seal(struct bh_audit_state *state, const struct bh_append_log *log, const struct bh_line *line,
                const struct bh_append_of *of, uint64_t at)
{
    struct bh_audit_pending *pending = &state->pending;
    const bool keep = state->now.kept > 0 || bh_append_is_frozen(log);

    if (line->full)
        return -E2BIG;
    if (keep && state->now.kept + line->len + BH_CHAIN_TAIL > BH_AUDIT_KEPT_MAX)
        return -ENOBUFS;
    bh_chain_step(&state->now.chain, (uint8_t *)pending->text, line->len, &pending->after.chain);
    bh_chain_tail(pending->after.chain.mac, line->data + line->len);
    pending->len = (uint32_t)(line->len + BH_CHAIN_TAIL);
    pending->at = at;
    pending->after.segment = state->offered;
    pending->after.size = at + pending->len;
    pending->after.kept = keep ? state->now.kept + pending->len : 0;
    pending->source = of->source;
    pending->sequence = of->sequence;
    pending->stamp = of->stamp;
    pending->queued = of->queued;
    set_phase(state, BH_AUDIT_PENDING);
    return 0;
}

/* Step 3, to memory. Copies only. */
static void keep_line(struct bh_audit_state *state)
{
    const struct bh_audit_pending *pending = &state->pending;

    memcpy(state->tail + (pending->after.kept - pending->len), pending->text + BH_CHAIN_ROOM, pending->len);
}

/* Step 3, to the file. `look`: some of the line may be there, or somebody else's bytes. */
static int write_line(struct bh_audit_state *state, int fd, bool look)
{
    const struct bh_audit_pending *pending = &state->pending;
    struct stat st = { .st_size = (off_t)pending->at };
    uint64_t size;

    if (look && fstat(fd, &st) < 0)
        return -errno;
    size = (uint64_t)st.st_size;
    if (size < pending->at || size > pending->at + pending->len) {
        set_phase(state, BH_AUDIT_IDLE);
        return -EBADMSG;
    }
    return bh_write_all(fd, pending->text + BH_CHAIN_ROOM + (size - pending->at),
                        pending->len - (size - pending->at));
}

/* Steps 3 and 4. What cannot go to the file any more, since something is frozen, goes to memory, which keeps
 * nothing then. */
static int complete(struct bh_audit_state *state, const struct bh_append_log *log, bool look)
{
    struct bh_audit_mark *after = &state->pending.after;
    int r = 0;

    if (after->kept == 0 && !begin_write(state, log))
        after->kept = state->pending.len;
    if (after->kept > 0) {
        keep_line(state);
    } else {
        r = write_line(state, log->fd, look);
        end_write(state);
    }
    if (r == 0)
        account(state);
    return r;
}

int bh_append_commit(struct bh_audit_state *state, const struct bh_append_log *log,
                     const struct bh_line *line, const struct bh_append_of *of)
{
    int r = seal(state, log, line, of, state->now.size);

    return r < 0 ? r : complete(state, log, false);
}

int bh_append_header(struct bh_audit_state *state, const struct bh_append_log *log, uint64_t now_ns)
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
    r = seal(state, log, &line, &of, 0);
    /* The size is looked at: a stranger's bytes before the header would make the segment worthless. */
    return r < 0 ? r : complete(state, log, true);
}

int bh_append_finish(struct bh_audit_state *state, const struct bh_append_log *log)
{
    return state->phase == BH_AUDIT_PENDING ? complete(state, log, true) : 0;
}

/* Nothing is kept any more; the memory goes back, but for the pages at its ends that are shared. */
static void release(struct bh_audit_state *state)
{
    const uintptr_t page = (uintptr_t)getpagesize();
    const uintptr_t start = ((uintptr_t)state->tail + page - 1) & ~(page - 1);
    const uintptr_t end = ((uintptr_t)state->tail + state->now.kept) & ~(page - 1);

    __atomic_store_n(&state->now.kept, 0, __ATOMIC_RELEASE);
    if (end > start)
        (void)madvise((void *)start, end - start, MADV_REMOVE);
}

/* Where the segment's size says that the kept bytes go on. -EBADMSG: nowhere that we would know. */
static int find_end(const struct bh_audit_state *state, int fd, uint64_t *ret_done)
{
    const uint64_t written = state->now.size - state->now.kept;
    struct stat st;
    uint64_t size;

    if (fstat(fd, &st) < 0)
        return -errno;
    size = (uint64_t)st.st_size;
    if (size < written || size > state->now.size)
        return -EBADMSG;
    *ret_done = size - written;
    return 0;
}

static int write_piece(struct bh_audit_state *state, int fd)
{
    uint64_t done = 0, left, n;
    int found = find_end(state, fd, &done), r;

    if (found < 0 && found != -EBADMSG)
        return found;
    left = n = state->now.kept - done;
    if (found == 0 && n > BH_AUDIT_PIECE)
        n = BH_AUDIT_PIECE;
    r = bh_write_all(fd, state->tail + done, n);
    if (r < 0)
        return r;
    if (n < left)
        return 1;
    release(state);
    return found;
}

int bh_append_flush(struct bh_audit_state *state, const struct bh_append_log *log)
{
    int r;

    if (state->now.kept == 0)
        return 0;
    if (!begin_write(state, log))
        return 1;
    r = write_piece(state, log->fd);
    end_write(state);
    return r;
}
