/* workers/storage/smart.h: a health log in numbers, which disks are asked about, and answers, good and
 * hostile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "tests/unit/fds.h"
#include "workers/storage/smart.h"

static void each_number_from_its_place(void **state)
{
    struct bh_guest_nvme_smart smart;
    uint8_t log[BH_SMART_LOG_BYTES];

    (void)state;
    for (unsigned i = 0; i < sizeof(log); i++)
        log[i] = (uint8_t)i;
    bh_smart_decode(log, &smart);
    assert_int_equal(smart.type, BH_GUEST_DISK_SMART_TYPE_NVME);
    assert_int_equal(smart.critical_warning, 0);
    assert_int_equal(smart.temperature, 0x0201);
    assert_int_equal(smart.available_spare, 3);
    assert_int_equal(smart.available_spare_threshold, 4);
    assert_int_equal(smart.percentage_used, 5);
    assert_true(smart.data_units_read_lo == 0x2726252423222120);
    assert_true(smart.data_units_read_hi == 0x2f2e2d2c2b2a2928);
    assert_true(smart.data_units_written_lo == 0x3736353433323130);
    assert_true(smart.data_units_written_hi == 0x3f3e3d3c3b3a3938);
    assert_true(smart.host_read_commands_lo == 0x4746454443424140);
    assert_true(smart.host_read_commands_hi == 0x4f4e4d4c4b4a4948);
    assert_true(smart.host_write_commands_lo == 0x5756555453525150);
    assert_true(smart.host_write_commands_hi == 0x5f5e5d5c5b5a5958);
    assert_true(smart.controller_busy_time_lo == 0x6766656463626160);
    assert_true(smart.controller_busy_time_hi == 0x6f6e6d6c6b6a6968);
    assert_true(smart.power_cycles_lo == 0x7776757473727170);
    assert_true(smart.power_cycles_hi == 0x7f7e7d7c7b7a7978);
    assert_true(smart.power_on_hours_lo == 0x8786858483828180);
    assert_true(smart.power_on_hours_hi == 0x8f8e8d8c8b8a8988);
    assert_true(smart.unsafe_shutdowns_lo == 0x9796959493929190);
    assert_true(smart.unsafe_shutdowns_hi == 0x9f9e9d9c9b9a9998);
    assert_true(smart.media_errors_lo == 0xa7a6a5a4a3a2a1a0);
    assert_true(smart.media_errors_hi == 0xafaeadacabaaa9a8);
    assert_true(smart.number_of_error_log_entries_lo == 0xb7b6b5b4b3b2b1b0);
    assert_true(smart.number_of_error_log_entries_hi == 0xbfbebdbcbbbab9b8);
}

static void a_disk_that_says_all_ones(void **state)
{
    struct bh_guest_nvme_smart smart;
    uint8_t log[BH_SMART_LOG_BYTES];

    (void)state;
    memset(log, 0xff, sizeof(log));
    bh_smart_decode(log, &smart);
    assert_int_equal(smart.critical_warning, 255); /* no number is negative: they are unsigned in the log */
    assert_int_equal(smart.temperature, 65535);
    assert_int_equal(smart.available_spare, 255);
    assert_int_equal(smart.percentage_used, 255);
    assert_true(smart.media_errors_lo == UINT64_MAX && smart.media_errors_hi == UINT64_MAX);
}

static void names_of_whole_nvme_disks(void **state)
{
    static const char *const good[] = { "nvme0n1", "nvme10n24", "nvme1234567890123456789012345n1" };
    static const char *const bad[] = { "",          "nvme",         "nvme0",
                                       "nvme0n",    "nvmen1",       "nvme0n1p1",
                                       "nvme0c0n1", "xnvme0n1",     "nvme0n1/",
                                       "nvme0n1\n", "nvme0n1/../x", "../nvme0n1",
                                       "nvme-0n1",  "nvme0N1",      "sda",
                                       "ng0n1",     "nvme 0n1",     "nvme0n 1",
                                       "nvme0n1 ",  "nvme+1n1",     "nvme12345678901234567890123456n1" };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_SIZE(good); i++)
        assert_true(bh_smart_name_ok(good[i]));
    for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++)
        assert_false(bh_smart_name_ok(bad[i]));
    assert_int_equal(strlen(good[2]), BH_SMART_NAME_MAX - 1);
}

static void a_name_without_an_end(void **state)
{
    char name[BH_SMART_NAME_MAX];

    (void)state;
    memset(name, '1', sizeof(name));
    memcpy(name, "nvme0n", 6);
    assert_false(bh_smart_name_ok(name));
    name[sizeof(name) - 1] = '\0';
    assert_true(bh_smart_name_ok(name));
}

/* Asks about a disk; what bulkhead-smart answers waits already. Of `size` 0 it is gone. */
static bool tell(struct bh_smart *smart, const struct bh_smart_reply *reply, size_t size, int fd,
                 struct bh_guest_nvme_smart *ret)
{
    struct bh_smart_request request;
    int pair[2], none;
    bool told;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    *smart = (struct bh_smart){ true, pair[0], bh_clock_ms(CLOCK_MONOTONIC) + 1000 };
    if (size)
        assert_int_equal(bh_fd_send(pair[1], reply, size, fd), 0);
    else
        (void)shutdown(pair[1], SHUT_RDWR);
    told = bh_smart_tell(smart, "nvme0n1", ret);
    if (size) {
        assert_int_equal(bh_fd_recv(pair[1], &request, sizeof(request), &none), 1);
        assert_true(request.magic == BH_SMART_MAGIC && strcmp(request.name, "nvme0n1") == 0 && none < 0);
    }
    (void)close(pair[1]);
    return told;
}

static void answers(void **state)
{
    struct bh_smart_reply reply = { .magic = BH_SMART_MAGIC, .log = { [1] = 0x42, [2] = 0x01 } };
    struct bh_guest_nvme_smart told;
    struct bh_smart smart;

    (void)state;
    assert_true(tell(&smart, &reply, sizeof(reply), -1, &told));
    assert_int_equal(told.temperature, 0x142);
    assert_true(smart.wanted);
    bh_smart_end(&smart);
    assert_false(smart.wanted || smart.socket >= 0);
    reply.error = -EIO; /* this disk: the others are asked nevertheless */
    assert_false(tell(&smart, &reply, sizeof(reply), -1, &told));
    assert_true(smart.wanted && smart.socket >= 0);
    bh_smart_end(&smart);
}

#define BROKEN(size, fd)                                                                                     \
    do {                                                                                                     \
        assert_false(tell(&smart, &reply, size, fd, &told));                                                 \
        assert_false(smart.wanted || smart.socket >= 0);                                                     \
        assert_false(bh_smart_tell(&smart, "nvme0n2", &told));                                               \
    } while (0)

static void broken_answers_end_the_asking(void **state)
{
    struct bh_smart_reply reply = { .magic = BH_SMART_MAGIC };
    struct bh_guest_nvme_smart told;
    struct bh_smart smart;
    int before = count_fds();

    (void)state;
    BROKEN(0, -1);
    BROKEN(sizeof(reply) - 1, -1);
    BROKEN(sizeof(reply), STDERR_FILENO);
    reply.error = 1;
    BROKEN(sizeof(reply), -1);
    reply = (struct bh_smart_reply){ .magic = BH_SMART_MAGIC + 1 };
    BROKEN(sizeof(reply), -1);
    assert_int_equal(count_fds(), before);
}

static void the_list_does_not_wait_for_ever(void **state)
{
    struct bh_guest_nvme_smart told;
    struct bh_smart smart;
    int pair[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    smart = (struct bh_smart){ true, pair[0], bh_clock_ms(CLOCK_MONOTONIC) + 20 };
    assert_false(bh_smart_tell(&smart, "nvme0n1", &told));
    assert_false(smart.wanted || smart.socket >= 0);
    (void)close(pair[1]);
}

static void nobody_is_asked(void **state)
{
    struct bh_guest_nvme_smart told;
    struct bh_smart unwanted = { .socket = -1 }, wanted = { .wanted = true, .socket = -1 };

    (void)state;
    assert_false(bh_smart_tell(&unwanted, "nvme0n1", &told));
    assert_false(bh_smart_tell(&wanted, "sda", &told));
    assert_true(wanted.wanted); /* it did not come to asking */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_number_from_its_place),
        cmocka_unit_test(a_disk_that_says_all_ones),
        cmocka_unit_test(names_of_whole_nvme_disks),
        cmocka_unit_test(a_name_without_an_end),
        cmocka_unit_test(answers),
        cmocka_unit_test(broken_answers_end_the_asking),
        cmocka_unit_test(the_list_does_not_wait_for_ever),
        cmocka_unit_test(nobody_is_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
