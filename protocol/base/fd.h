/*
 * Descriptors: fixed numbers that every process of ours starts with, passing one
 * over a socket, sealed and shared memory.
 *
 * Trust: in = PEER (a message with a descriptor may carry anything: the receiver
 *        checks what it got); out = CHECKED; called by = every process
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * What a process finds open after exec; everything above BH_FD_LAST is closed.
 * 0 and 1 are /dev/null, 2 is the log. A process that has no use for a number has
 * /dev/null there, so that no number is ever reused by accident.
 */
enum bh_fd {
    BH_FD_CONTROL = 3, /* socket to the supervisor (protocol/wire/control.h) */
    BH_FD_BOOT = 4,    /* sealed memory: struct bh_boot (protocol/wire/boot.h) */
    BH_FD_POLICY =
        5, /* sealed memory: the channel's slice of the policy; audit: names; policyc: the packed text */
    BH_FD_STATE = 6,  /* shared memory that the supervisor keeps: struct bh_state; audit: its own */
    BH_FD_AUDIT = 7,  /* socket to the audit process, send only */
    BH_FD_PEER = 8,   /* worker: the front; opener: the fs worker; audit: the log segment; policyc: output */
    BH_FD_STATUS = 9, /* /proc/self/status, for the self-check; closed by confine_self; hook: what is owed */
    BH_FD_FROZEN =
        10, /* shared memory, to be read: what is frozen (protocol/wire/frozen.h); the guard writes it */
    BH_FD_LAST = 10,
};

#define BH_FDS_MAX 4u /* descriptors of one packet */

/* Sends `len` (> 0) bytes with `fd` (or none, if -1) as one packet. 0, -EAGAIN, -EPIPE, ... */
int bh_fd_send(int socket, const void *data, size_t len, int fd);

/* The same with `n_fds` (0 to BH_FDS_MAX) descriptors, which stay the caller's. */
int bh_fds_send(int socket, const void *data, size_t len, const int *fds, unsigned n_fds);

/*
 * Receives one packet of exactly `len` bytes and at most one descriptor.
 * 1 = got one (*ret_fd is -1 or a close-on-exec descriptor that the caller owns), 0 = the peer is gone,
 * -EAGAIN = nothing there, -EPROTO = another size or more descriptors (all are closed).
 */
int bh_fd_recv(int socket, void *data, size_t len, int *ret_fd);

/* The same with at most `max` (1 to BH_FDS_MAX) descriptors: *ret_n of them, in their order, into `ret_fds`.
 */
int bh_fds_recv(int socket, void *data, size_t len, int *ret_fds, unsigned max, unsigned *ret_n);

/* Waits for something to read, at most until `until_ms` (CLOCK_MONOTONIC). 0, -ETIMEDOUT or -errno. */
int bh_fd_wait(int socket, uint64_t until_ms);

/* Waits for a packet as bh_fd_recv has it. 0; -ETIMEDOUT; -EPIPE: the peer is gone, whether it left something
 * unread or not; or as bh_fd_recv. */
int bh_fd_await(int socket, void *data, size_t len, uint64_t until_ms, int *ret_fd);

/* A new anonymous file of `size` bytes with `data` in it (zeros if NULL), close-on-exec. */
int bh_memfd_new(const char *name, const void *data, size_t size);

/* Seals size and content for ever. */
int bh_memfd_seal(int fd);

/* Seals the size, for ever: who has mapped it meets no SIGBUS, whatever another holder does. 0 or -errno. */
int bh_memfd_seal_size(int fd);

/* True if nobody can change size or content any more. */
bool bh_memfd_is_sealed(int fd);

/* Writes all of it, through EINTR and short writes. 0 or -errno. */
int bh_write_all(int fd, const void *data, size_t len);

/* Reads up to `cap` bytes from the start of a regular file or memfd; the count, or -errno (-EFBIG if there is
 * more). */
ssize_t bh_read_file(int fd, void *data, size_t cap);
