/* protocol/base/fd.h: passing descriptors, packets of the wrong size, seals, files that are too long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "tests/unit/fds.h"

static void make_pair(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
}

static void send_fds(int socket, const void *data, size_t len, const int *fds, size_t n)
{
    _Alignas(struct cmsghdr) char space[CMSG_SPACE(8 * sizeof(int))] = { 0 };
    struct iovec iov = { (void *)(uintptr_t)data, len };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space };
    struct cmsghdr *head = (struct cmsghdr *)space;

    msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(head), fds, n * sizeof(int));
    assert_int_equal(sendmsg(socket, &msg, 0), (ssize_t)len);
}

static void test_packet_with_and_without(void **state)
{
    int pair[2], fd = 99;
    struct stat sent, got;
    uint32_t word = 0;

    (void)state;
    make_pair(pair);
    assert_int_equal(bh_fd_recv(pair[1], &word, sizeof(word), &fd), -EAGAIN);
    assert_int_equal(bh_fd_send(pair[0], &(uint32_t){ 5 }, sizeof(word), -1), 0);
    assert_int_equal(bh_fd_recv(pair[1], &word, sizeof(word), &fd), 1);
    assert_int_equal(word, 5);
    assert_int_equal(fd, -1);
    assert_int_equal(bh_fd_send(pair[0], &(uint32_t){ 6 }, sizeof(word), pair[0]), 0);
    assert_int_equal(bh_fd_recv(pair[1], &word, sizeof(word), &fd), 1);
    assert_int_equal(word, 6);
    assert_int_equal(fstat(fd, &got), 0);
    assert_int_equal(fstat(pair[0], &sent), 0);
    assert_int_equal(got.st_ino, sent.st_ino);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    (void)close(fd);
    (void)close(pair[0]);
    assert_int_equal(bh_fd_recv(pair[1], &word, sizeof(word), &fd), 0);
    assert_int_equal(bh_fd_send(pair[1], &word, sizeof(word), -1), -EPIPE);
    (void)close(pair[1]);
}

/* Another size or more than one descriptor is refused, and nothing of it stays open. */
static void test_hostile_packets(void **state)
{
    int pair[2], fd, before;
    uint32_t word;
    char long_packet[16] = { 0 };

    (void)state;
    make_pair(pair);
    before = count_fds();
    for (size_t len = 1; len <= 8; len++) {
        if (len == sizeof(word))
            continue;
        send_fds(pair[0], long_packet, len, (int[]){ 0 }, 1);
        assert_int_equal(bh_fd_recv(pair[1], &word, sizeof(word), &fd), -EPROTO);
        assert_int_equal(fd, -1);
    }
    for (size_t n = 2; n <= 8; n++) {
        send_fds(pair[0], long_packet, sizeof(word), (int[8]){ 0 }, n);
        assert_int_equal(bh_fd_recv(pair[1], &word, sizeof(word), &fd), -EPROTO);
        assert_int_equal(fd, -1);
    }
    assert_int_equal(count_fds(), before);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

/* Up to as many descriptors as are wanted, in their order; with one more none stays open. */
static void test_several_descriptors(void **state)
{
    int pair[2], fds[BH_FDS_MAX], before;
    struct stat sent, got;
    uint32_t word = 7;
    unsigned n;

    (void)state;
    make_pair(pair);
    before = count_fds();
    for (unsigned max = 1; max <= BH_FDS_MAX; max++)
        for (unsigned sends = 0; sends <= max + 1; sends++) {
            const int several[8] = { pair[0], 0, pair[1], 0, 0, 0 };

            if (sends <= BH_FDS_MAX)
                assert_int_equal(bh_fds_send(pair[0], &word, sizeof(word), several, sends), 0);
            else
                send_fds(pair[0], &word, sizeof(word), several, sends);
            assert_int_equal(bh_fds_recv(pair[1], &word, sizeof(word), fds, max, &n),
                             sends > max ? -EPROTO : 1);
            assert_int_equal(n, sends > max ? 0 : sends);
            if (n > 2)
                assert_true(fstat(pair[1], &sent) == 0 && fstat(fds[2], &got) == 0 &&
                            sent.st_ino == got.st_ino);
            while (n > 0)
                (void)close(fds[--n]);
            assert_int_equal(count_fds(), before);
        }
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void test_memfd_and_seals(void **state)
{
    _cleanup_close_ int fd = bh_memfd_new("test", "hello", 5);
    _cleanup_close_ int zeros = bh_memfd_new("test", NULL, 100);
    char data[101];

    (void)state;
    assert_true(fd >= 0 && zeros >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    assert_false(bh_memfd_is_sealed(fd));
    assert_int_equal(bh_memfd_seal(fd), 0);
    assert_true(bh_memfd_is_sealed(fd));
    assert_false(bh_memfd_is_sealed(0));
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 1), -1);
    assert_int_equal(bh_memfd_seal(fd), -EPERM);
    assert_int_equal(bh_read_file(zeros, data, sizeof(data)), 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(data[i], 0);
}

static void test_sealed_size(void **state)
{
    _cleanup_close_ int fd = bh_memfd_new("test", "hello", 5);

    (void)state;
    assert_int_equal(bh_memfd_seal_size(fd), 0);
    assert_int_equal(ftruncate(fd, 4), -1);
    assert_int_equal(ftruncate(fd, 6), -1);
    assert_int_equal(pwrite(fd, "x", 1, 0), 1);
    assert_false(bh_memfd_is_sealed(fd));
    assert_int_equal(bh_memfd_seal(fd), -EPERM);
}

static void test_read_file_around_the_size(void **state)
{
    _cleanup_close_ int fd = bh_memfd_new("test", "hello", 5);
    char data[8] = { 0 };

    (void)state;
    assert_int_equal(bh_read_file(fd, data, 4), -EFBIG);
    assert_int_equal(bh_read_file(fd, data, 5), 5);
    assert_int_equal(bh_read_file(fd, data, 6), 5);
    assert_string_equal(data, "hello");
    assert_int_equal(bh_read_file(-1, data, 6), -EBADF);
}

static void test_write_all(void **state)
{
    _cleanup_close_ int fd = bh_memfd_new("test", NULL, 0);
    static char data[300000];

    (void)state;
    assert_int_equal(bh_write_all(fd, data, sizeof(data)), 0);
    assert_int_equal(lseek(fd, 0, SEEK_END), sizeof(data));
    assert_int_equal(bh_write_all(fd, data, 0), 0);
    assert_int_equal(bh_write_all(-1, data, 1), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packet_with_and_without),
        cmocka_unit_test(test_hostile_packets),
        cmocka_unit_test(test_several_descriptors),
        cmocka_unit_test(test_memfd_and_seals),
        cmocka_unit_test(test_sealed_size),
        cmocka_unit_test(test_read_file_around_the_size),
        cmocka_unit_test(test_write_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
