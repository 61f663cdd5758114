/*
 * The file handles of a channel: at most 1,024, numbered upwards, found in one step,
 * closed when nobody has used them for as long as the policy says.
 *
 * Invariants: a number lives in the slot `number % BH_HANDLES_MAX` and nowhere else; a
 * number whose slot is taken is never handed out. Numbers start at the boot clock in
 * microseconds, so that no two processes of a boot ever hand out the same.
 *
 * Trust: in = CHECKED (numbers may be any); out = CHECKED; called by = fs
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "protocol/wire/boot.h"
#include "protocol/wire/record.h"

#define BH_HANDLES_MAX 1024u
#define BH_NUMBER_END (UINT64_C(1) << 53) /* numbers stay exact in every JSON reader */

struct bh_handle {
    uint64_t number;  /* 0 = free */
    uint64_t used_ms; /* CLOCK_BOOTTIME of the last use */
    uint64_t record;  /* of its open */
    uint64_t bytes_read, bytes_written;
    uint32_t rule;    /* of the policy of `edition` */
    uint32_t edition; /* of the policy that it was judged by */
    int fd;
    int error; /* errno that ended the last read early, told by the next one */
    /* What it was judged by when it was opened, to be judged again after a reload (rejudge.h). */
    char *name;          /* resolved; malloc */
    uint32_t verbs, uid; /* uid: of the opener's user, or BH_NO_USER */
    bool regular;
};

struct bh_handles {
    struct bh_handle slots[BH_HANDLES_MAX];
    uint32_t n;
    uint64_t idle_ms;  /* 0 = never closed for idling */
    uint64_t check_ms; /* no handle idles out before this */
    struct bh_state *state;
    struct bh_audit *audit;
};

void bh_handles_init(struct bh_handles *handles, struct bh_state *state, struct bh_audit *audit,
                     uint64_t idle_s);

/* Takes `fd` over. NULL when all are in use (`fd` stays the caller's). */
struct bh_handle *bh_handle_new(struct bh_handles *handles, int fd, uint32_t rule, uint64_t record);

/* Another policy may say another time; 0 = never. */
void bh_handles_set_idle(struct bh_handles *handles, uint64_t idle_s);

/* NULL: no such handle. Counts as a use. */
struct bh_handle *bh_handle_find(struct bh_handles *handles, int64_t number);

/* Closes it and records what went through it; `why` may be "". 0 or -errno of close. */
int bh_handle_close(struct bh_handles *handles, struct bh_handle *handle, const char *why);

/* Closes all of them. */
void bh_handles_close(struct bh_handles *handles, const char *why);

/* Milliseconds until some handle may have idled long enough; -1 = none will. */
int bh_handles_next(const struct bh_handles *handles);

/* Closes those that have. */
void bh_handles_expire(struct bh_handles *handles);
