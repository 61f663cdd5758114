/*
 * Assembly of one call from frames.
 *
 * Invariants: frame ids only grow, over all fronts (the epoch is their upper half), so none is served twice;
 * one call is under way at a time; a frame of a newer epoch drops what a dead front left half sent; a frame
 * can be received in any state, since the region has room for one more packet behind its limits.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "protocol/commands.h"
#include "workers/lib/loop.h"

#define REGION (BH_WORKER_STAGE_MAX + BH_WORKER_CALL_MAX + BH_PACKET_ROOM)

int bh_intake_init(struct bh_intake *intake)
{
    void *base =
        mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED)
        return -errno;
    *intake = (struct bh_intake){ .base = base };
    return 0;
}

void bh_intake_deinit(struct bh_intake *intake)
{
    if (intake->base)
        (void)munmap(intake->base, REGION);
    *intake = (struct bh_intake){ 0 };
}

void bh_intake_reset(struct bh_intake *intake)
{
    bh_intake_note(intake, 0);
    *intake = (struct bh_intake){
        .base = intake->base, .last_id = intake->last_id, .high = intake->high, .relayed = intake->relayed
    };
}

void bh_intake_note(struct bh_intake *intake, size_t len)
{
    size_t used = intake->staged + intake->args + len;

    intake->high = used > intake->high ? used : intake->high;
}

bool bh_intake_has_slack(const struct bh_intake *intake)
{
    return !intake->id && intake->high > BH_WORKER_KEEP;
}

void bh_intake_trim(struct bh_intake *intake)
{
    if (!bh_intake_has_slack(intake))
        return;
    (void)madvise(intake->base + BH_WORKER_KEEP, intake->high + BH_PACKET_ROOM - BH_WORKER_KEEP,
                  MADV_DONTNEED);
    intake->high = 0;
}

uint8_t *bh_intake_room(const struct bh_intake *intake)
{
    return intake->base + intake->staged + intake->args;
}

/* True if this process serves the command. */
static bool is_ours(uint16_t command)
{
    for (unsigned i = 0; i < bh_n_ops; i++)
        if (bh_ops[i].command == command)
            return true;
    return false;
}

static int begin(struct bh_intake *intake, const struct bh_frame *frame)
{
    if (frame->id <= intake->last_id || !is_ours(frame->command))
        return -EPROTO;
    intake->id = frame->id;
    intake->last_id = frame->id;
    intake->command = frame->command;
    return 0;
}

static int take_stage(struct bh_intake *intake, const struct bh_frame *frame)
{
    if (intake->calling || !(frame->flags & BH_FRAME_MORE) || frame->length == 0 ||
        !bh_commands[frame->command].bulk_arg)
        return -EPROTO;
    if (intake->over || frame->length > BH_WORKER_STAGE_MAX - intake->staged)
        intake->over = true;
    else
        intake->staged += frame->length;
    return 0;
}

static int take_call(struct bh_intake *intake, const struct bh_frame *frame)
{
    bool more = frame->flags & BH_FRAME_MORE;

    if (frame->length > BH_WORKER_CALL_MAX - intake->args || (more && frame->length == 0))
        return -EPROTO;
    intake->args += frame->length;
    intake->calling = true;
    return more ? 0 : 1;
}

/* What was sent in part is given up; or nothing of it has arrived, and its number is spent. */
static int take_abandon(struct bh_intake *intake, const struct bh_frame *frame)
{
    if (frame->length > 0 || frame->flags ||
        (intake->id ? frame->id != intake->id : frame->id <= intake->last_id))
        return -EPROTO;
    intake->last_id = frame->id;
    bh_intake_reset(intake);
    return 0;
}

/* Its sender has died and has a successor, for it would have abandoned its call. */
static bool is_orphan(const struct bh_intake *intake, uint64_t newer)
{
    unsigned shift = intake->relayed ? 0 : 32;

    return intake->id && newer >> shift > intake->id >> shift;
}

/* A frame of another sender than the one whose call is under way: its payload moves to where it belongs. */
static void drop_orphan(struct bh_intake *intake, const struct bh_frame *frame)
{
    const uint8_t *payload = bh_intake_room(intake);

    memmove(intake->base, payload, frame->length);
    bh_intake_reset(intake);
}

int bh_intake_frame(struct bh_intake *intake, const struct bh_frame *frame)
{
    int r = 0;

    if (is_orphan(intake, frame->id))
        drop_orphan(intake, frame);
    if (frame->type == BH_FRAME_ABANDON)
        return take_abandon(intake, frame);
    if (frame->type != BH_FRAME_STAGE && frame->type != BH_FRAME_CALL)
        return -EPROTO;
    if (!intake->id)
        r = begin(intake, frame);
    else if (frame->id != intake->id || frame->command != intake->command)
        r = -EPROTO;
    if (r < 0)
        return r;
    return frame->type == BH_FRAME_STAGE ? take_stage(intake, frame) : take_call(intake, frame);
}

int bh_intake_tail(struct bh_intake *intake, const struct bh_tail *tail, int r)
{
    if (r != 0 || tail->frame.type == 0)
        return r;
    memmove(bh_intake_room(intake), tail->payload, tail->frame.length); /* behind its head stood its header */
    return bh_intake_frame(intake, &tail->frame);
}
