/*
 * A front that was taken over: it does what the test at the other end of its connection
 * says, and shows everything that comes back. It stands in a scratch folder under the
 * name bulkhead-front, so the supervisor starts and confines it like the real one; it
 * only leaves out what a program does to itself.
 *
 * Both directions on the connection: one byte of kind, u32 number, u32 length, bytes.
 * From the test:  C packet to the supervisor, A packet to the audit process, S bytes into
 *                 the state page at `number`, P packet to peer `number`, D descriptor with
 *                 the packet to peer `number`, X close peer `number`.
 * To the test:    C packet from the supervisor, P packet from peer `number`, G peer
 *                 `number` has arrived, E peer `number` is gone, N errno `number` of a
 *                 packet that could not be sent.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/base/fd.h"
#include "protocol/wire/control.h"

#define PACKET_MAX (1024 * 1024)
#define STATE_BYTES 4096

struct head {
    char kind;
    uint32_t number, length;
} __attribute__((packed));

static char packet[PACKET_MAX];
static int client = -1;
static int peers[BH_PEER_END];

static void read_all(void *data, size_t len)
{
    char *at = data;

    while (len > 0) {
        ssize_t n = read(client, at, len);

        if (n < 0 && errno == EAGAIN) {
            (void)poll(&(struct pollfd){ client, POLLIN, 0 }, 1, -1);
            continue;
        }
        if (n <= 0)
            _exit(0); /* the test has left */
        at += n;
        len -= (size_t)n;
    }
}

static void write_all(const void *data, size_t len)
{
    const char *at = data;

    while (len > 0) {
        ssize_t n = write(client, at, len);

        if (n < 0 && errno == EAGAIN) {
            (void)poll(&(struct pollfd){ client, POLLOUT, 0 }, 1, -1);
            continue;
        }
        if (n <= 0)
            _exit(0);
        at += n;
        len -= (size_t)n;
    }
}

static void tell(char kind, uint32_t number, const void *data, size_t len)
{
    struct head head = { kind, number, (uint32_t)len };

    write_all(&head, sizeof(head));
    write_all(data, len);
}

static void drop(uint32_t number)
{
    (void)close(peers[number]);
    peers[number] = -1;
    tell('E', number, NULL, 0);
}

static ssize_t send_fd(int socket, const void *data, size_t len)
{
    char control[CMSG_SPACE(sizeof(int))] = { 0 };
    struct iovec iov = { (void *)(uintptr_t)data, len };
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    int fd = BH_FD_BOOT;

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void scribble(uint32_t offset, size_t len)
{
    char *page = mmap(NULL, STATE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, BH_FD_STATE, 0);

    if (page != MAP_FAILED && offset + len <= STATE_BYTES) {
        memcpy(page + offset, packet, len);
        (void)munmap(page, STATE_BYTES);
    }
}

static void obey(void)
{
    struct head head;
    int fd = -1;
    ssize_t n = 0;

    read_all(&head, sizeof(head));
    if (head.length > sizeof(packet))
        _exit(1);
    read_all(packet, head.length);
    if (head.kind == 'C')
        fd = BH_FD_CONTROL;
    else if (head.kind == 'A')
        fd = BH_FD_AUDIT;
    else if (head.number < BH_PEER_END)
        fd = peers[head.number];
    if (head.kind == 'S')
        scribble(head.number, head.length);
    else if (head.kind == 'X')
        (void)shutdown(fd, SHUT_RDWR);
    else if (head.kind == 'D')
        n = send_fd(fd, packet, head.length);
    else
        n = send(fd, packet, head.length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        tell('N', (uint32_t)errno, NULL, 0);
}

static void hear_supervisor(void)
{
    struct bh_control message;
    int fd = -1;

    if (bh_control_recv(BH_FD_CONTROL, &message, &fd) != 1)
        _exit(0);
    if (message.op == BH_CONTROL_CLIENT && client < 0) {
        client = fd;
        return;
    }
    if (client < 0)
        return;
    if (message.op == BH_CONTROL_PEER && message.arg < BH_PEER_END && fd >= 0) {
        if (peers[message.arg] >= 0)
            (void)close(peers[message.arg]);
        peers[message.arg] = fd;
        tell('G', message.arg, NULL, 0);
        return;
    }
    tell('C', message.arg, &message, sizeof(message));
}

static void hear_peer(uint32_t number)
{
    ssize_t n = recv(peers[number], packet, sizeof(packet), MSG_DONTWAIT);

    if (n > 0)
        tell('P', number, packet, (size_t)n);
    else if (n == 0 || errno != EAGAIN)
        drop(number);
}

int main(void)
{
    struct pollfd polls[BH_PEER_END + 2];

    memset(peers, -1, sizeof(peers));
    for (;;) {
        for (uint32_t i = 0; i < BH_PEER_END; i++)
            polls[i] = (struct pollfd){ peers[i], POLLIN, 0 };
        polls[BH_PEER_END] = (struct pollfd){ BH_FD_CONTROL, POLLIN, 0 };
        polls[BH_PEER_END + 1] = (struct pollfd){ client, POLLIN, 0 };
        if (poll(polls, BH_PEER_END + 2, -1) < 0)
            continue;
        for (uint32_t i = 0; i < BH_PEER_END; i++)
            if (polls[i].revents)
                hear_peer(i);
        if (polls[BH_PEER_END].revents)
            hear_supervisor();
        if (polls[BH_PEER_END + 1].revents)
            obey();
    }
}
