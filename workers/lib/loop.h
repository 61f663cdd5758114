/*
 * The parts of the worker loop: from exec to the loop (start.c, which openers use too),
 * assembly of a call from frames (stage.c), serving it (worker.c), answering it (answer.c),
 * and the change of the policy between two calls (renew.c).
 *
 * Trust: in = PEER; out = CHECKED; called by = workers/lib, opener, tests
 */
#pragma once

#include "protocol/wire/frame.h"
#include "workers/lib/worker.h"

#define BH_WORKER_CALL_MAX                                                                                   \
    (1088u * 1024u)                  /* bytes of encoded arguments: the front's 1 MiB of text, and slack */
#define BH_WORKER_KEEP (64u * 1024u) /* bytes of the intake that stay resident when the front is quiet */
#define BH_EXIT_PROTOCOL 70          /* the front broke the protocol */

/*
 * What has arrived of one call: staged bytes, then arguments, in one region that is mapped once and takes
 * memory only as it fills. Frames are received straight behind what is there, so nothing is copied.
 */
struct bh_intake {
    uint8_t *base;
    size_t staged, args; /* bytes */
    size_t high;         /* bytes that may be resident */
    uint64_t id;         /* of what is under way; 0 = nothing */
    uint64_t last_id;    /* the highest that was ever begun */
    uint16_t command;
    bool relayed; /* who passes calls on may be succeeded within an epoch: a newer call drops an older one */
    bool calling; /* a CALL frame was seen */
    bool over;    /* more was staged than may be: the rest is dropped and the call answered with an error */
};

int bh_intake_init(struct bh_intake *intake);
void bh_intake_deinit(struct bh_intake *intake);

/* `len` bytes of the room behind what has arrived were used: they are slack too. */
void bh_intake_note(struct bh_intake *intake, size_t len);

/* Forgets the call; its memory stays for the next one, which is likely to be as large. */
void bh_intake_reset(struct bh_intake *intake);

/* True if memory beyond BH_WORKER_KEEP is held for nothing; gives it back. */
bool bh_intake_has_slack(const struct bh_intake *intake);
void bh_intake_trim(struct bh_intake *intake);

/* Where the next packet goes, BH_PACKET_ROOM bytes. */
uint8_t *bh_intake_room(const struct bh_intake *intake);

/* Takes the frame whose payload is there. 1 = the call is whole, 0 = more must come, -EPROTO. */
int bh_intake_frame(struct bh_intake *intake, const struct bh_frame *frame);

/* The same for the frame that came behind it, if there is one; `r` is what was said of the first. */
int bh_intake_tail(struct bh_intake *intake, const struct bh_tail *tail, int r);

/* Sends the reply, or the call's error if `r` is not 0. 0 or -errno. */
int bh_answer(struct bh_call *call, int fd, int r, const void *ret);

/* Tells the front that the call was not begun and is a successor's. 0 or -errno. */
int bh_answer_again(int fd, const struct bh_frame *call);

/* True if the supervisor has a newer policy than the worker's. */
bool bh_is_outdated(const struct bh_worker *worker);

/* Adopts the newest policy, if it is outdated. 0, or -EPIPE, said: it cannot be had, and there is nothing to
 * go on with. */
int bh_renew(struct bh_worker *worker, const struct bh_worker_main *main);

/* Tells the supervisor, once, if the worker had better be replaced. */
void bh_consider_leaving(struct bh_worker *worker, const struct bh_worker_main *main);

/* Serves until a peer goes away (0) or breaks the protocol (BH_EXIT_PROTOCOL): the exit status. */
int bh_worker_serve(struct bh_worker *worker, const struct bh_worker_main *main);

/* Maps what the supervisor left and confines the process; `paths` as in bh_worker_main. */
void bh_worker_start(struct bh_worker *worker, const struct bh_worker_main *main);
