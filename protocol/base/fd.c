/* Descriptors of fd.h. Making an anonymous file is apart (memfd.c): most processes may not. */
#include "protocol/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/mem.h"

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* Room for one descriptor more than any message has: a peer that sends more is caught, not cut. */
union control_space {
    struct cmsghdr head;
    char bytes[CMSG_SPACE((BH_FDS_MAX + 1) * sizeof(int))];
};

/* With descriptors: the one call of ours that needs sendmsg, which most processes may not use. */
static ssize_t send_with_fds(int socket, const void *data, size_t len, const int *fds, unsigned n)
{
    struct iovec iov = { (void *)(uintptr_t)data, len };
    union control_space space = { 0 };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = space.bytes,
                          .msg_controllen = CMSG_SPACE(n * sizeof(int)) };

    space.head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                   .cmsg_type = SCM_RIGHTS,
                                   .cmsg_len = CMSG_LEN(n * sizeof(int)) };
    memcpy(CMSG_DATA(&space.head), fds, n * sizeof(int));
    return sendmsg(socket, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int bh_fds_send(int socket, const void *data, size_t len, const int *fds, unsigned n_fds)
{
    ssize_t n;

    do
        n = n_fds == 0 ? send(socket, data, len, MSG_NOSIGNAL | MSG_DONTWAIT)
                       : send_with_fds(socket, data, len, fds, n_fds);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == len ? 0 : -EIO;
}

int bh_fd_send(int socket, const void *data, size_t len, int fd)
{
    return bh_fds_send(socket, data, len, &fd, fd >= 0);
}

/* Takes every descriptor out of the message. Returns how many there were; keeps them if there are at most
 * `max`. */
static size_t take_fds(struct msghdr *msg, int *ret_fds, unsigned max)
{
    size_t count = 0;

    for (struct cmsghdr *head = CMSG_FIRSTHDR(msg); head; head = CMSG_NXTHDR(msg, head)) {
        size_t n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);

        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t i = 0; i < n; i++, count++) {
            int fd;

            memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof(int));
            if (count < max)
                ret_fds[count] = fd;
            else
                (void)close(fd);
        }
    }
    return count;
}

int bh_fds_recv(int socket, void *data, size_t len, int *ret_fds, unsigned max, unsigned *ret_n)
{
    struct iovec iov = { data, len };
    union control_space space = { 0 };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space.bytes, .msg_controllen = sizeof(space.bytes)
    };
    size_t count;
    ssize_t n;

    *ret_n = 0;
    do
        n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    count = take_fds(&msg, ret_fds, max);
    if (n == 0 && count == 0)
        return 0;
    if ((size_t)n == len && count <= max && !(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
        *ret_n = (unsigned)count;
        return 1;
    }
    for (size_t i = 0; i < count && i < max; i++)
        (void)close(bh_take_fd(&ret_fds[i]));
    return -EPROTO;
}

int bh_fd_recv(int socket, void *data, size_t len, int *ret_fd)
{
    unsigned n;

    *ret_fd = -1;
    return bh_fds_recv(socket, data, len, ret_fd, 1, &n);
}

int bh_fd_wait(int socket, uint64_t until_ms)
{
    struct pollfd poller = { .fd = socket, .events = POLLIN };
    int n;

    do {
        uint64_t now = bh_clock_ms(CLOCK_MONOTONIC);

        n = poll(&poller, 1, until_ms > now ? (int)(until_ms - now) : 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return n == 0 ? -ETIMEDOUT : 0;
}

int bh_fd_await(int socket, void *data, size_t len, uint64_t until_ms, int *ret_fd)
{
    int r = bh_fd_wait(socket, until_ms);

    if (r < 0)
        return r;
    r = bh_fd_recv(socket, data, len, ret_fd);
    if (r == 0 || r == -ECONNRESET)
        return -EPIPE;
    return r < 0 ? r : 0;
}

int bh_memfd_seal(int fd)
{
    return fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? -errno : 0;
}

bool bh_memfd_is_sealed(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);

    return seals >= 0 && (seals & SEALS) == SEALS;
}

int bh_write_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = write(fd, p, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

ssize_t bh_read_file(int fd, void *data, size_t cap)
{
    char *p = data;
    size_t got = 0;
    char extra;

    for (;;) {
        ssize_t n = got < cap ? pread(fd, p + got, cap - got, (off_t)got) : pread(fd, &extra, 1, (off_t)got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return (ssize_t)got;
        if (got == cap)
            return -EFBIG;
        got += (size_t)n;
    }
}
