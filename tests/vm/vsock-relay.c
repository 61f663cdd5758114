/*
 * A client for the vsock loopback inside a test guest, where nothing else can open such a
 * socket: connects to CID and PORT, sends what its standard input says and prints what
 * comes back, until LINES lines have come (status 0), the other end has closed (1), or
 * nothing came for too long (3).
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define SILENCE_MS 10000

static int connect_to(unsigned cid, unsigned port)
{
    struct sockaddr_vm address = { .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        perror("vsock-relay: connect");
        exit(2);
    }
    return fd;
}

/* One piece of what `from` has to say: the number of its lines, or -1 at its end. */
static int pass(int from, int to)
{
    char bytes[65536];
    ssize_t n = read(from, bytes, sizeof(bytes)), sent = 0, piece;
    int lines = 0;

    for (ssize_t i = 0; i < n; i++)
        lines += bytes[i] == '\n';
    for (; sent < n; sent += piece) {
        piece = write(to, bytes + sent, (size_t)(n - sent));
        if (piece < 0)
            return -1;
    }
    return n > 0 ? lines : -1;
}

int main(int argc, char **argv)
{
    struct pollfd ends[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .events = POLLIN } };
    int lines;

    if (argc != 4) {
        fprintf(stderr, "Usage: vsock-relay CID PORT LINES\n");
        return 2;
    }
    ends[1].fd = connect_to((unsigned)strtoul(argv[1], NULL, 10), (unsigned)strtoul(argv[2], NULL, 10));
    lines = atoi(argv[3]);
    while (lines > 0 && poll(ends, 2, SILENCE_MS) > 0) {
        int came = ends[1].revents ? pass(ends[1].fd, STDOUT_FILENO) : 0;

        if (came < 0)
            return 1;
        lines -= came;
        if (ends[0].revents && pass(STDIN_FILENO, ends[1].fd) < 0)
            ends[0].fd = -1; /* all is said; the answer may be on its way */
    }
    return lines > 0 ? 3 : 0;
}
