/* What is known of a port without reading from it. A FIFO stands for the virtio port: its reader sees HUP
 * while there is no writer, as long as that lasts, and no more when one has come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "broker/supervisor/portinfo.h"

static char folder[64];

static const char *in_folder(const char *name)
{
    static char path[8][256];
    static unsigned next;
    char *ret = path[next++ % 8];

    (void)snprintf(ret, sizeof(path[0]), "%s/%s", folder, name);
    return ret;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(in_folder(name), "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/bh-port-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    static const char *const made[] = { "fifo",
                                        "class/vport1p1/name",
                                        "class/vport1p1",
                                        "class/vport1p2/name",
                                        "class/vport1p2",
                                        "class",
                                        "links/there",
                                        "links",
                                        "file" };

    (void)state;
    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++)
        (void)remove(in_folder(made[i]));
    return rmdir(folder);
}

static void host_comes_and_goes(void **state)
{
    char byte;
    int port, host;

    (void)state;
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    port = open(in_folder("fifo"), O_RDONLY | O_NONBLOCK);
    for (int i = 0; i < 3; i++) {
        host = open(in_folder("fifo"), O_WRONLY);
        assert_int_equal(bh_port_presence(port), BH_HOST_HERE);
        assert_int_equal(write(host, "x", 1), 1);
        assert_int_equal(close(host), 0);
        assert_int_equal(bh_port_presence(port), BH_HOST_AWAY);
        assert_int_equal(bh_port_presence(port), BH_HOST_AWAY);
        assert_int_equal(read(port, &byte, 1), 1); /* nothing was taken by looking */
        assert_int_equal(byte, 'x');
    }
    assert_int_equal(close(port), 0);
    assert_int_equal(bh_port_presence(port), BH_PORT_GONE);
}

/* An error of the read of nothing is an unplugged port: here, of a descriptor that cannot be read. */
static void unplugged(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(bh_port_presence(ends[1]), BH_PORT_GONE); /* ERR, and EBADF */
    assert_int_equal(close(ends[1]), 0);
}

static void signal_only_while_it_is_asked_for(void **state)
{
    struct timespec at_once = { 0 };
    int port, host;
    sigset_t set;

    (void)state;
    sigemptyset(&set);
    sigaddset(&set, SIGIO);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, NULL), 0);
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    port = open(in_folder("fifo"), O_RDONLY | O_NONBLOCK);
    host = open(in_folder("fifo"), O_WRONLY);
    assert_int_equal(write(host, "x", 1), 1);
    assert_int_equal(sigtimedwait(&set, NULL, &at_once), -1);
    assert_int_equal(bh_port_signal(port, true), 0);
    assert_int_equal(fcntl(port, F_GETOWN), getpid());
    assert_int_equal(write(host, "x", 1), 1);
    assert_int_equal(sigtimedwait(&set, NULL, &at_once), SIGIO);
    assert_int_equal(bh_port_signal(port, false), 0);
    assert_int_equal(write(host, "x", 1), 1);
    assert_int_equal(sigtimedwait(&set, NULL, &at_once), -1);
    assert_true(fcntl(port, F_GETFL) & O_NONBLOCK);
    (void)close(port);
    (void)close(host);
}

static int find(const char *named, char ret[256])
{
    return bh_port_find(named, in_folder("links"), in_folder("class"), ret, 256);
}

static void ports_are_found_by_name(void **state)
{
    char found[256], small[8];

    (void)state;
    (void)mkdir(in_folder("links"), 0700);
    (void)mkdir(in_folder("class"), 0700);
    (void)mkdir(in_folder("class/vport1p1"), 0700);
    (void)mkdir(in_folder("class/vport1p2"), 0700);
    write_file("links/there", "");
    write_file("class/vport1p1/name", "other\n");
    write_file("class/vport1p2/name", "org.qemu.guest_agent.0\n");
    write_file("file", "");
    assert_int_equal(find("there", found), 0);
    assert_string_equal(found, in_folder("links/there"));
    assert_int_equal(find("org.qemu.guest_agent.0", found), 0);
    assert_string_equal(found, "/dev/vport1p2");
    assert_int_equal(find(in_folder("links/org.qemu.guest_agent.0"), found),
                     0); /* what udev would have made */
    assert_string_equal(found, "/dev/vport1p2");
    assert_int_equal(find(in_folder("file"), found), 0);
    assert_string_equal(found, in_folder("file"));
    assert_int_equal(find("org.qemu.guest_agent", found), -ENOENT);
    assert_int_equal(find(in_folder("nowhere"), found), -ENOENT);
    assert_int_equal(find("", found), 0); /* the folder itself, which is no device */
    assert_int_equal(bh_port_find("other", "/x", in_folder("class"), small, sizeof(small)), -ENAMETOOLONG);
}

static void bytes_pass_a_line_as_they_are(void **state)
{
    char sent[256], got[256];
    int master, line;
    size_t at = 0;

    (void)state;
    assert_int_equal(openpty(&master, &line, NULL, NULL, NULL), 0);
    assert_int_equal(write(master, "old", 3), 3);
    assert_int_equal(bh_port_set_raw(line), 0);
    while (fcntl(master, F_SETFL, O_NONBLOCK) == 0 && read(master, got, sizeof(got)) > 0)
        ; /* the echo of what came before */
    for (int i = 0; i < 256; i++)
        sent[i] = (char)i;
    assert_int_equal(write(master, sent, 256), 256);
    while (at < 256)
        at += (size_t)read(line, got + at, sizeof(got) - at);
    assert_memory_equal(got, sent, 256);
    assert_int_equal(write(line, sent, 256), 256);
    assert_int_equal(read(master, got, sizeof(got)), 256);
    assert_memory_equal(got, sent, 256);
    (void)close(master);
    assert_int_equal(bh_port_presence(line), BH_HOST_AWAY);
    (void)close(line);
}

static void what_is_no_line(void **state)
{
    int null = open("/dev/null", O_RDWR);

    (void)state;
    assert_int_equal(bh_port_set_raw(null), -ENOTTY);
    (void)close(null);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(host_comes_and_goes),
        TEST(unplugged),
        TEST(signal_only_while_it_is_asked_for),
        TEST(ports_are_found_by_name),
        TEST(bytes_pass_a_line_as_they_are),
        TEST(what_is_no_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
