/*
 * The front: the unprivileged process that reads what the host sends on one channel. It
 * serves one connection, or a port while its host is there, one request at a time, and ends when
 * the client has left.
 *
 * A request passes these files in order: transport.c (bytes), protocol/json/lexer.c
 * (text), request.c (command and arguments), local.c (answered here) or route.c (frames
 * to a worker and back), reply.c (JSON), transport.c. lift.c takes bulk arguments out on
 * the way; machine.c says what may follow what; front.c does it.
 *
 * Invariants: memory is bounded whatever the client or a worker sends; nothing blocks;
 * what a worker sends is checked like what a client sends. A front that is taken over can
 * do what its channel's policy allows, no more: workers decide for themselves.
 *
 * Trust: in = HOST, PEER (frames); out = CHECKED; called by = front
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "broker/front/machine.h"
#include "broker/front/reply.h"
#include "broker/front/request.h"
#include "broker/front/transport.h"
#include "policy/blob.h"
#include "protocol/base/arena.h"
#include "protocol/base/err.h"
#include "protocol/json/base64.h"
#include "protocol/wire/boot.h"
#include "protocol/wire/frame.h"
#include "protocol/wire/record.h"

#define BH_OUT_HIGH (64u * 1024u)     /* bytes of output with which no further request is taken */
#define BH_STREAM_HIGH (128u * 1024u) /* bytes of output with which nothing is read from a worker */
#define BH_FRONT_ARENA_MAX (32u * 1024u * 1024u) /* bytes that one request and its reply may decode into */
#define BH_START_MS 1000                         /* until the supervisor has answered a START */
#define BH_STAGE_MS 30000                        /* until a worker takes more of a staged argument */
#define BH_RETURN_MS 100                         /* for a host that left with bytes unread to be back */
#define BH_QUIET_MS 100                          /* without a byte: memory that bulk needed is given back */
#define BH_CLAIM_MS 1000                         /* between two records about malformed input */

#define BH_NO_WORKER BH_WORKER_COUNT

/* The socket to one worker. */
struct bh_link {
    int fd;           /* -1: not there */
    bool asked;       /* START was sent and is not answered */
    bool used;        /* something went through */
    uint64_t dropped; /* frames up to this id are of requests that nobody waits for */
    uint64_t abandon; /* an ABANDON that did not fit into the socket yet; 0 = none */
};

/* The bulk argument of the request that is being read. */
struct bh_lift {
    bool begun;            /* one was seen in this request, taken or not */
    bool active;           /* it is being taken */
    bool secret;           /* something secret was in the request's text */
    uint16_t command;      /* enum bh_command_id that takes it */
    uint64_t total, limit; /* bytes decoded, and how many may be */
    struct bh_base64 base64;
    size_t at, len; /* decoded bytes that are not sent yet */
    uint8_t bytes[BH_FRAME_PAYLOAD_MAX + BH_BASE64_DECODED_MAX(BH_READ_MAX)];
};

/* The request that is with a worker. */
struct bh_under_way {
    uint8_t worker;       /* whose; BH_NO_WORKER if there is none */
    uint8_t stale_left;   /* how often its socket may still be found dead before use */
    bool staged;          /* a STAGE frame was sent */
    bool begun, whole;    /* the first, the last CALL frame was sent */
    uint16_t command;     /* enum bh_command_id */
    uint64_t id;          /* of its frames; 0: the worker has nothing to do with it */
    struct bh_bytes call; /* encoded arguments; `sent` of them are sent */
    size_t sent;
    struct bh_reply_stream stream; /* bulk return members */
    struct bh_bytes data;          /* of the DATA frame that has come, in `room` */
    unsigned data_of;              /* which bulk member it is of */
    void *ret;                     /* decoded return value, in the arena */
};

struct bh_front {
    int control;
    uint32_t epoch, counter; /* halves of the next frame id */
    enum bh_front_state state;
    struct bh_transport client;
    struct bh_lexer *lexer;
    struct bh_arena arena;
    struct bh_policy policy;
    const struct bh_frozen *frozen; /* what is frozen, for as long as the process lives */
    struct bh_audit audit;
    uint32_t edition;     /* of `policy` */
    bool renewing;        /* the newest policy is asked for */
    uint32_t lines;       /* replies begun since the output was last empty */
    uint64_t progress_ms; /* when the worker last did something */
    struct bh_request request;
    struct bh_error error; /* of the request under way */
    bool half;             /* the last 0xFF dropped half a request */
    struct bh_error spoil; /* of its bulk argument; code 0 = none */
    struct bh_under_way way;
    struct bh_lift lift;
    struct bh_link links[BH_WORKER_COUNT];
    struct bh_out gathered;      /* a return value in several frames */
    uint64_t claimed_ms, claims; /* malformed requests that are not recorded yet */
    uint16_t claim_code;
    size_t room_high, lift_high;  /* bytes of `room` and `lift.bytes` that hold memory */
    uint8_t room[BH_PACKET_ROOM]; /* what a worker sent */
};

/* --- front.c ---------------------------------------------------------------- */

/*
 * Prepares to serve the connection `client`, which it takes over. `policy`, `frozen` and `audit` are filled
 * by the caller, with the edition of the policy. Begins with what a predecessor owed, as the state page says.
 * 0 or -ENOMEM.
 */
int bh_front_init(struct bh_front *front, int control, int client, uint32_t epoch);

/* Reports what is left to be reported and gives back everything. A half-sent line stays on the state page:
 * the next host of a port must not take its own reply for the rest of it. */
void bh_front_deinit(struct bh_front *front);

/* Something has happened: does what the table of machine.h says. */
void bh_front_fire(struct bh_front *front, enum bh_front_event event);

/* Writes and counts an error reply to the current request. */
void bh_front_fail(struct bh_front *front, const struct bh_error *error);

/* --- loop.c ------------------------------------------------------------------- */

/* Waits at most `max_ms` (-1: as long as it takes) for something to do and does it. False: it is over. */
bool bh_front_step(struct bh_front *front, int max_ms);

/* Writes as much output as the client takes now. Until note() has counted what went, the state page says so.
 */
void bh_front_flush(struct bh_front *front);

/* --- lift.c ------------------------------------------------------------------- */

/* Pieces of a lifted argument, from the lexer (bh_lift_fn; `context` is the front). */
bool bh_front_lift(void *context, unsigned which, const char *data, size_t len);

/* The text is complete. 0, or the positive BH_E_* of the bulk argument with the error set. */
int bh_front_lift_end(struct bh_front *front, struct bh_error *reterr);

/* Forgets the argument; wipes it if it was secret. */
void bh_front_lift_reset(struct bh_front *front);

/* --- route.c ------------------------------------------------------------------ */

/* A request begins whose command a worker does: gives it a number. */
void bh_route_begin(struct bh_front *front, uint16_t command);

/* Asks for the worker; fires PEER if it is there already. */
void bh_route_ask(struct bh_front *front);

/* Encodes the arguments. 0, or a positive BH_E_* with the error set. */
int bh_route_encode(struct bh_front *front, struct bh_error *reterr);

/*
 * Sends what is queued; only whole frames while the text is not complete. Fires ROOM, SENT, BLOCKED, STALE or
 * GONE.
 */
void bh_route_send(struct bh_front *front);

/* The request under way is over or given up: tells its worker what it must know. */
void bh_route_end(struct bh_front *front);

/* Sends what a link could not take earlier, when it is writable. */
void bh_route_writable(struct bh_front *front, uint8_t worker);

/* Closes a link; with `kill`, asks the supervisor to end the worker. */
void bh_route_close(struct bh_front *front, uint8_t worker, bool kill);

/* The worker's end is closed. */
void bh_route_died(struct bh_front *front, uint8_t worker);

/* The worker gives the call back unbegun, since it is leaving. */
void bh_route_again(struct bh_front *front);

/* The request under way ends with an error, since its worker does not do it. */
void bh_route_lost(struct bh_front *front, bool kill, uint16_t code, const char *what);

/* Ends the request under way if its worker has made no progress for too long. */
void bh_route_expire(struct bh_front *front);

/* Milliseconds until bh_route_expire has something to do, -1 = never. */
int bh_route_due(const struct bh_front *front);

/* --- receive.c ---------------------------------------------------------------- */

/* Reads frames of a worker: as many as make sense before output is written. */
void bh_receive(struct bh_front *front, uint8_t worker);

/* Reads one message of the supervisor. False: it is gone. */
bool bh_receive_control(struct bh_front *front);

/* --- renew.c ------------------------------------------------------------------ */

/*
 * Between two requests: adopts the newest policy, if the state page says that there is one. It is waited for,
 * so that a request that came after a reload is judged by it. False: the supervisor is gone.
 */
bool bh_front_renew(struct bh_front *front);

/* The slice that was asked for has come; `fd` stays the caller's. */
void bh_front_adopt(struct bh_front *front, int fd, uint32_t size);

/* --- trim.c ------------------------------------------------------------------- */

/* True if nothing is under way and memory is held that only bulk needed. */
bool bh_front_has_slack(const struct bh_front *front);

/* Gives it back. */
void bh_front_trim(struct bh_front *front);

/* --- claim.c ------------------------------------------------------------------ */

/* Records what only the front knows and puts the record's number in the error. Malformed input is counted. */
void bh_claim(struct bh_front *front, struct bh_error *error);

/* Records that nobody waits for the reply of the request under way any more. */
void bh_claim_dropped(struct bh_front *front);

/* Milliseconds until bh_claim_report has something to do, -1 = never. */
int bh_claim_due(const struct bh_front *front);

/* Queues the claims that are due, all of them if `all`, and the summary if it is due: counts outlive the
 * front. */
void bh_claim_report(struct bh_front *front, bool all);
