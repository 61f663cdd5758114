/*
 * What a worker is, to the one loop that all of them run, and what a handler may see.
 *
 * The loop (loop.h says which file does what): receive a call, decode it again from its
 * bytes, decide with the policy, record, call the handler, record, answer. A handler sees checked values
 * only; it knows no JSON, no socket and no policy but through the functions below. One call is served at a
 * time; all its memory is the call's arena.
 *
 * Trust: in = CHECKED (handlers), PEER (the loop); out = CHECKED; called by = workers
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/blob.h"
#include "policy/confine/confine.h"
#include "protocol/base/arena.h"
#include "protocol/base/err.h"
#include "protocol/wire/boot.h"
#include "protocol/wire/control.h"
#include "protocol/wire/frozen.h"
#include "protocol/wire/op.h"
#include "protocol/wire/record.h"
#include "protocol/wire/table.h"

#define BH_WORKER_ARENA_MAX (8u * 1024u * 1024u) /* bytes one call may decode into */
#define BH_WORKER_STAGE_MAX                                                                                  \
    (48u * 1024u * 1024u) /* bytes of a staged bulk argument: upstream's file-write limit */

/* The process, for its handlers. */
struct bh_worker {
    const struct bh_boot *boot;
    struct bh_state *state;
    struct bh_policy policy;
    const struct bh_frozen *frozen; /* what is frozen, in this agent's whole */
    struct bh_audit audit;
    uint32_t edition; /* of `policy` */
    bool receiving;   /* a part of a call has come */
    bool leaving;     /* the supervisor was told that a successor would serve better */
    uint32_t read_ms; /* how long a read from the front lasts at most; 0 = as long as it takes */
    void *context;    /* the worker's own long-lived state (fs: the handle table) */
};

struct bh_call {
    struct bh_worker *worker;
    const struct bh_command *command;
    struct bh_arena *arena;
    struct bh_error *error;
    struct bh_bytes stage; /* the bulk argument; empty if there was none */
    uint64_t id;
    bool streamed;        /* some bulk output has been sent */
    bool second;          /* what is streamed from now on is the second bulk return member */
    struct bh_bytes last; /* the end of it, which goes with the reply */
    uint8_t *room;        /* BH_FRAME_PAYLOAD_MAX bytes to put pieces together in */
    size_t room_used;     /* bytes of it that hold memory */
    uint64_t act;         /* number of the ACT record, if one was queued */
};

/* What main() of a worker gives to the loop. */
struct bh_worker_main {
    const struct bh_profile *profile;
    const struct bh_filter *filter;
    /* Its calls are passed on by a process that may have a successor while the front stays. */
    bool relayed;
    /* Before the process confines itself; may be NULL. */
    void (*prepare)(struct bh_worker *worker);
    /* The paths Landlock lets through, from profile and policy; returns their number. NULL: the profile's. */
    uint32_t (*paths)(struct bh_worker *worker, const struct bh_view_path **ret);
    /* Milliseconds until `tick` wants to be called, -1 = never; both may be NULL. */
    int (*next_tick)(struct bh_worker *worker);
    void (*tick)(struct bh_worker *worker);
    /* A descriptor that is waited for beside the front's socket; `ready` is called when it can be read, and
     * before a call that came at the same time. Both may be NULL. */
    int (*watched)(struct bh_worker *worker);
    void (*ready)(struct bh_worker *worker);
    /* The supervisor introduces a client of another kind (BH_CONTROL_CLIENT) while an answer of its is waited
     * for; takes `fd` over. May be NULL: then that ends the process. */
    bh_control_client_fn client;
    /* The policy is another one now; may be NULL. */
    void (*renewed)(struct bh_worker *worker);
    /* True: it holds nothing that would be lost, and a successor would serve better; may be NULL. */
    bool (*would_leave)(struct bh_worker *worker);
    /* It ends, and somebody waits for that a moment; may be NULL. */
    void (*ended)(struct bh_worker *worker);
};

/* Runs until the supervisor goes away. Does not return. */
_Noreturn void bh_worker_run(const struct bh_worker_main *main);

/* Sends a piece (any size) of the bulk return member. 0, or -errno: the front is gone, give up. */
int bh_call_stream(struct bh_call *call, const void *data, size_t len);

/* What is streamed from now on is the command's second bulk return member. Not after bh_call_last. */
void bh_call_second(struct bh_call *call);

/*
 * The last piece (at most BH_FRAME_PAYLOAD_MAX bytes): it goes out with the reply, in one packet if it can,
 * so the memory must stay as it is until then. Nothing is streamed after it.
 */
void bh_call_last(struct bh_call *call, const void *data, size_t len);

/*
 * Queues the ACT record of a mutation, before it is done. 0, or BH_E_AUDIT_FULL with the call's error set: do
 * not act (unless the policy says `set audit-failure continue`).
 */
int bh_call_act(struct bh_call *call, struct bh_record *record);

/* Records a refusal and sets the call's error with the record's number; returns `code`. */
int bh_call_refuse(struct bh_call *call, uint16_t code, struct bh_record *record, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
