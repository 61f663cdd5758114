/* Sockets: how one talks to whoever is root, and to the world. */
#include "escape.h"

#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef NETLINK_AUDIT
#define NETLINK_AUDIT 9
#endif

#define SOCKET(name, family, type, protocol)                                                                 \
    static int name(const struct world *world)                                                               \
    {                                                                                                        \
        (void)world;                                                                                         \
        return ANSWER(socket(family, (type) | SOCK_CLOEXEC, protocol));                                      \
    }

SOCKET(make_unix, AF_UNIX, SOCK_STREAM, 0)
SOCKET(make_raw, AF_INET, SOCK_RAW, IPPROTO_ICMP)
SOCKET(make_packet, AF_PACKET, SOCK_RAW, 0)
SOCKET(make_vsock, AF_VSOCK, SOCK_STREAM, 0)
SOCKET(make_alg, AF_ALG, SOCK_SEQPACKET, 0)
SOCKET(make_sctp, AF_INET, SOCK_STREAM, IPPROTO_SCTP)
SOCKET(make_audit, AF_NETLINK, SOCK_RAW, NETLINK_AUDIT)
SOCKET(make_netfilter, AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)
SOCKET(make_route, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)
SOCKET(make_diag, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG)
SOCKET(make_tcp, AF_INET, SOCK_STREAM, 0)

static int connect_unix(const char *path, size_t skip)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno;
    memcpy(address.sun_path + skip, path, strlen(path));
    return ANSWER(connect(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + skip + strlen(path))));
}

#define CONNECT(name, path)                                                                                  \
    static int name(const struct world *world)                                                               \
    {                                                                                                        \
        (void)world;                                                                                         \
        return connect_unix(path, 0);                                                                        \
    }

CONNECT(connect_systemd, "/run/systemd/private")
CONNECT(connect_dbus, "/run/dbus/system_bus_socket")
CONNECT(connect_docker, "/run/docker.sock")
CONNECT(connect_library, "/var/lib/bulkhead-escape/socket")

static int connect_abstract(const struct world *world)
{
    return connect_unix(world->abstract, 1);
}

/* An end of a pair of datagram sockets may send to anybody. */
static int send_from_pair(const struct world *world)
{
    static const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/systemd/journal" };
    int pair[2];

    (void)world;
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0)
        return errno;
    return ANSWER(sendto(pair[0], "", 0, 0, (const struct sockaddr *)&address, sizeof(address)));
}

static int connect_pair(const struct world *world)
{
    static const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/run/docker.sock" };
    int pair[2];

    (void)world;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return errno;
    return ANSWER(connect(pair[0], (const struct sockaddr *)&address, sizeof(address)));
}

static int connect_tcp(const struct world *world)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons(world->port),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd < 0 ? errno : ANSWER(connect(fd, (const struct sockaddr *)&address, sizeof(address)));
}

const struct attempt attempts_sockets[] = {
    { "socket-unix", make_unix },
    { "socket-raw", make_raw },
    { "socket-packet", make_packet },
    { "socket-vsock", make_vsock },
    { "socket-alg", make_alg },
    { "socket-sctp", make_sctp },
    { "socket-audit", make_audit },
    { "socket-netfilter", make_netfilter },
    { "socket-route", make_route },
    { "socket-diag", make_diag },
    { "socket-tcp", make_tcp },
    { "connect-systemd", connect_systemd },
    { "connect-dbus", connect_dbus },
    { "connect-docker", connect_docker },
    { "connect-below-var-lib", connect_library },
    { "connect-abstract", connect_abstract },
    { "send-from-a-pair", send_from_pair },
    { "connect-a-pair", connect_pair },
    { "connect-tcp", connect_tcp },
};

const size_t n_attempts_sockets = sizeof(attempts_sockets) / sizeof(attempts_sockets[0]);
