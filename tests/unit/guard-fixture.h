/*
 * A guard as tests step through it: its page and its record are memory of the test, which plays the storage
 * workers too; the kernel's part of freezing is an array.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = tests
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "protocol/wire/boot.h"
#include "workers/storage/thaw.h"

#define GUARD_BOOT "12345678-1234-1234-1234-123456789abc"
#define GUARD_FILESYSTEMS 8u
#define GUARD_MAJOR 250u       /* of each of them; the minor number is its index */
#define GUARD_DROPPED 1        /* in place of an answer: the guard has ended the connection */
#define GUARD_EVENT_ROOM 1024u /* bytes of what the guard has said last, with a NUL */

/* Shared with processes that a test forks. */
struct kernel {
    bool frozen[GUARD_FILESYSTEMS];
    bool slow[GUARD_FILESYSTEMS];      /* its FIFREEZE is still at work: it cannot be thawed yet */
    uint32_t thaws[GUARD_FILESYSTEMS]; /* attempts */
    uint32_t order[64], n_order;       /* those that were thawed */
    uint64_t inodes[GUARD_FILESYSTEMS];
};

struct guard_scene {
    struct bh_guard guard;
    struct bh_frozen *page; /* shared memory */
    struct kernel *kernel;  /* shared memory; one for all scenes */
    struct bh_state state;
    struct bh_audit audit;
    int events; /* our end of the audit queue */
    int record;
    int clients[BH_FROZEN_CHANNELS_MAX]; /* our ends; -1 */
    int folders[GUARD_FILESYSTEMS];      /* one on each file system */
    struct bh_guard_reply reply;         /* the last one */
    int reply_fd;                        /* what came with it, the scene's; -1 */
    char event[GUARD_EVENT_ROOM];
};

/* `record`: the guard's, who owns it; -1: none. Slots are named "c0", "c1", ... */
void guard_scene_begin(struct guard_scene *scene, int record);
/* Closes all. The guard is not asked to thaw. */
void guard_scene_end(struct guard_scene *scene);

/* A storage worker of this slot comes. */
void guard_scene_join(struct guard_scene *scene, unsigned slot);
/* It ends, and the guard sees that. */
void guard_scene_leave(struct guard_scene *scene, unsigned slot);

/* One question and its answer: the guard's error, or GUARD_DROPPED. */
int guard_scene_ask(struct guard_scene *scene, unsigned slot, const struct bh_guard_request *request, int fd);
/* The same; what the question needs (a path, a folder) is put in. */
int guard_scene_op(struct guard_scene *scene, unsigned slot, enum bh_guard_op op, uint32_t filesystem,
                   int error);

/* What the worker's FIFREEZE would do: 0, EBUSY. */
int guard_scene_fifreeze(struct guard_scene *scene, uint32_t filesystem);
/* HOLD, FIFREEZE and DONE. The first error of the guard. */
int guard_scene_freeze(struct guard_scene *scene, unsigned slot, uint32_t filesystem);

/* How many file systems the kernel has frozen. */
uint32_t guard_scene_frozen(const struct guard_scene *scene);

/* A mountinfo in which each file system is mounted, in a file of memory. */
int guard_scene_mountinfo(const struct guard_scene *scene);

/* True if the guard has said something of this since it was last asked; all that it said is then gone. */
bool guard_scene_said(struct guard_scene *scene, const char *text);

/* Are the bytes of this file those of the page, as far as they are used? */
bool guard_scene_recorded(const struct guard_scene *scene);
