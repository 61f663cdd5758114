/*
 * The eight bytes between the supervisor and its children: who is to be started,
 * ended or introduced. The supervisor reads nothing else from anyone.
 *
 * Child -> supervisor: START, KILL (front, fs and storage), SEGMENT (audit), POLICY (front and workers),
 * LEAVE (fs), QUIET (storage). Supervisor -> child: PEER, CLIENT, SOURCE, SEGMENT, POLICY with one descriptor
 * each, REFUSED and THAW with none. A message that is not allowed for the sender's row of the roster ends the
 * sender.
 *
 * Trust: in = PEER; out = CHECKED; called by = supervisor, front, fs, audit
 */
#pragma once

#include <stdint.h>

#define BH_CONTROL_MAGIC 0xb417u

enum bh_control_op {
    BH_CONTROL_START = 1, /* arg: peer number wanted */
    BH_CONTROL_KILL, /* arg: peer number whose deadline passed: it is killed; ask START for its successor */
    BH_CONTROL_SEGMENT, /* arg: 0; audit wants the next log segment, or gets it */
    BH_CONTROL_PEER,    /* arg: peer number; fd: a socket to it */
    BH_CONTROL_REFUSED, /* arg: peer number; not granted by the policy, or over its restart budget */
    BH_CONTROL_CLIENT,  /* front: arg: enum bh_client_kind; fd: the connection or port to serve. guard: arg:
                           slot of  the channel; fd: the socket to its storage worker. spool: arg: 0; fd: the
                           socket  to an exec worker or spawner */
    BH_CONTROL_SOURCE, /* arg: source number, + BH_SOURCES_MAX if it is a former owner's; fd: receiving end of
                          its record queue (audit) */
    BH_CONTROL_POLICY, /* arg: 0; wants the newest slice of its channel, or gets it: arg: its bytes; fd: it */
    BH_CONTROL_LEAVE,  /* arg: 0; a successor would serve better: nothing more is sent to it, and it ends */
    BH_CONTROL_QUIET,  /* arg: 0; file systems are about to be frozen: answered alike when no write of the
                          audit  process is under way (storage) */
    BH_CONTROL_THAW,   /* arg: 0; the agent stops in order: thaw (guard) */
    BH_CONTROL_OP_END,
};

enum bh_client_kind {
    BH_CLIENT_LEAVES,  /* a socket, or a line: when the client has left, nobody comes any more */
    BH_CLIENT_RETURNS, /* a port: another host may come through the same descriptor */
};

struct bh_control {
    uint16_t magic; /* BH_CONTROL_MAGIC */
    uint16_t op;    /* enum bh_control_op */
    uint32_t arg;
};

/* Peer numbers: a worker of the channel is its enum bh_worker_id; openers of the fs worker follow, then what
 * a storage worker asks for. */
#define BH_PEER_OPENER 32u    /* BH_PEER_OPENER + index of the rule's user in the policy slice */
#define BH_PEER_OPENER_MAX 8u /* users that one channel's write rules may name */
#define BH_PEER_END (BH_PEER_OPENER + BH_PEER_OPENER_MAX)
#define BH_PEER_GUARD 48u /* bulkhead-thaw */
#define BH_PEER_HOOK 49u  /* bulkhead-hook; refused if no hooks are configured, or others run */
#define BH_PEER_SMART 50u /* bulkhead-smart; refused if the policy does not say `set nvme-smart yes` */
/* What an exec worker asks for. */
#define BH_PEER_SPOOL 51u /* a socket of its own to the channel's bulkhead-spool */
#define BH_PEER_SPAWN 52u /* bulkhead-spawn; refused if no rule of the channel says `sandbox none` */

/* `fd` may be -1. 0 or -errno. */
int bh_control_send(int socket, uint16_t op, uint32_t arg, int fd);

/* 1 = got one (*ret_fd as in bh_fd_recv), 0 = peer gone, -EAGAIN, -EPROTO. */
int bh_control_recv(int socket, struct bh_control *ret, int *ret_fd);

/*
 * Asks for a peer and waits at most `timeout_ms` for PEER or REFUSED of it.
 * The descriptor, or -EACCES (refused), -ETIMEDOUT, -EPROTO, -EPIPE.
 */
int bh_control_start(int socket, uint32_t peer, int timeout_ms);

/* Has the supervisor see to it that the audit process is not within a write. 0, or as bh_control_start. */
int bh_control_quiet(int socket, int timeout_ms);

/* Takes over `fd`, which came with a BH_CONTROL_CLIENT and its `arg`. */
typedef void (*bh_control_client_fn)(uint32_t arg, int fd);

/*
 * Asks for the newest slice of the policy and waits for it, as bh_control_start; `ret_size`: its bytes.
 * Clients that are introduced meanwhile go to `client`, if that is not NULL.
 */
int bh_control_policy(int socket, int timeout_ms, bh_control_client_fn client, uint32_t *ret_size);
