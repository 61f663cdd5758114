/* broker/audit/store.h and segment.h: numbers, modes, keys, what stays, and what a new run finds of the last
 * one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <cmocka.h>

#include "broker/audit/segment.h"
#include "broker/audit/store.h"
#include "protocol/base/fd.h"

static char folder[64], path[96];
static struct bh_audit_state *page;
static char why[512];

static int setup(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/bh-store-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof(path), "%s/audit", folder);
    return 0;
}

static int teardown(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof(command), "rm -rf %s", folder);
    return system(command);
}

static struct bh_log_store *new_run(void)
{
    static const struct bh_audit_names names;
    struct bh_log_store *store = NULL;
    int fd = bh_memfd_new("state", NULL, BH_AUDIT_STATE_SIZE);

    assert_true(fd >= 0);
    page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(page != MAP_FAILED);
    if (bh_log_store_new(&store, path, fd, &names, why, sizeof(why)) < 0)
        store = NULL;
    (void)close(fd);
    return store;
}

static void end_run(struct bh_log_store *store)
{
    bh_log_store_free(store);
    (void)munmap(page, sizeof(*page));
}

static size_t count(uint64_t *ret_first)
{
    int dir = open(path, O_RDONLY | O_DIRECTORY);
    uint64_t *numbers = NULL;
    ssize_t n = bh_segment_list(dir, &numbers);

    assert_true(n > 0);
    *ret_first = numbers[0];
    free(numbers);
    (void)close(dir);
    return (size_t)n;
}

static void first_run(void **state)
{
    struct bh_log_store *store = new_run();
    char name[160], text[256] = "";
    struct stat st;
    int fd;

    (void)state;
    assert_non_null(store);
    assert_int_equal(bh_log_store_segment(store), 1);
    assert_int_equal(page->offered, 1);
    assert_int_equal(page->now.segment, 0);
    (void)snprintf(name, sizeof(name), "%s/audit-000001.log", path);
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(fcntl(bh_log_store_segment_fd(store), F_GETFL) & (O_ACCMODE | O_APPEND),
                     O_WRONLY | O_APPEND);
    assert_true(bh_memfd_is_sealed(bh_log_store_names_fd(store)));
    (void)snprintf(name, sizeof(name), "%s/keys", path);
    fd = open(name, O_RDONLY);
    assert_int_equal(bh_read_file(fd, text, sizeof(text) - 1), 2 + BH_CHAIN_HEX + 1);
    (void)close(fd);
    bh_chain_hex(page->now.chain.key, BH_SHA256_SIZE, name);
    assert_memory_equal(text, "1 ", 2);
    assert_memory_equal(text + 2, name, BH_CHAIN_HEX);
    end_run(store);
}

static int next_after_a_full_one(struct bh_log_store *store)
{
    assert_int_equal(ftruncate(bh_log_store_segment_fd(store), BH_AUDIT_SEGMENT_MAX), 0);
    return bh_log_store_next(store, why, sizeof(why));
}

static void newest_segments_stay(void **state)
{
    struct bh_log_store *store = new_run();
    struct statvfs fs;
    uint64_t first;
    unsigned keep;

    (void)state;
    assert_int_equal(statvfs(folder, &fs), 0);
    keep = bh_log_store_keep((uint64_t)fs.f_blocks * fs.f_frsize);
    for (unsigned n = 2; n < keep; n++)
        assert_true(next_after_a_full_one(store) >= 0);
    assert_int_equal(count(&first), keep - 1);
    assert_true(next_after_a_full_one(store) >= 0);
    assert_int_equal(count(&first), keep);
    assert_int_equal(first, 1);
    assert_true(next_after_a_full_one(store) >= 0);
    assert_int_equal(count(&first), keep);
    assert_int_equal(first, 2);
    assert_int_equal(page->offered, keep + 1);
    end_run(store);
}

static void a_small_file_system_is_not_filled(void **state)
{
    const uint64_t four = 4 * (uint64_t)BH_AUDIT_SEGMENT_MAX;

    (void)state;
    assert_int_equal(bh_log_store_keep(0), 2);
    assert_int_equal(bh_log_store_keep(3 * four - 1), 2);
    assert_int_equal(bh_log_store_keep(3 * four), 3);
    assert_int_equal(bh_log_store_keep(BH_AUDIT_SEGMENTS_KEEP * four - 1), BH_AUDIT_SEGMENTS_KEEP - 1);
    assert_int_equal(bh_log_store_keep(BH_AUDIT_SEGMENTS_KEEP * four), BH_AUDIT_SEGMENTS_KEEP);
    assert_int_equal(bh_log_store_keep(UINT64_MAX), BH_AUDIT_SEGMENTS_KEEP);
}

/* The audit process may be lying when it wants another one: what is there stays. */
static void segments_that_are_not_full_are_few(void **state)
{
    struct bh_log_store *store = new_run();
    uint64_t first;

    (void)state;
    for (unsigned n = 0; n < BH_AUDIT_EARLY_MAX; n++)
        assert_true(bh_log_store_next(store, why, sizeof(why)) >= 0);
    assert_int_equal(bh_log_store_next(store, why, sizeof(why)), -EBUSY);
    assert_int_equal(ftruncate(bh_log_store_segment_fd(store), BH_AUDIT_SEGMENT_MAX - 1), 0);
    assert_int_equal(bh_log_store_next(store, why, sizeof(why)), -EBUSY);
    assert_int_equal(count(&first), 1 + BH_AUDIT_EARLY_MAX);
    assert_true(next_after_a_full_one(store) >= 0);
    assert_int_equal(bh_log_store_next(store, why, sizeof(why)), -EBUSY);
    end_run(store);
}

static void next_run_finds_the_last_line(void **state)
{
    static const char half[] = "{\"n\":1,\"ti";
    struct bh_log_store *store = new_run();
    char line[8 + BH_CHAIN_TAIL] = "{\"n\":512";
    uint8_t mac[BH_SHA256_SIZE];

    (void)state;
    memset(mac, 7, sizeof(mac));
    bh_chain_tail(mac, line + 8);
    for (int i = 0; i < 3; i++)
        assert_int_equal(bh_write_all(bh_log_store_segment_fd(store), line, sizeof(line)), 0);
    assert_int_equal(bh_write_all(bh_log_store_segment_fd(store), half, sizeof(half) - 1), 0);
    end_run(store);
    store = new_run();
    assert_int_equal(bh_log_store_segment(store), 2);
    assert_int_equal(page->now.segment, 1);
    assert_int_equal(page->now.size, 3 * sizeof(line) + sizeof(half) - 1);
    assert_memory_equal(page->now.chain.mac, mac, sizeof(mac));
    assert_int_equal(page->now.chain.steps, 0);
    end_run(store);
}

static void segment_without_a_line_has_no_mac(void **state)
{
    static const uint8_t none[BH_SHA256_SIZE];
    struct bh_log_store *store = new_run();

    (void)state;
    assert_int_equal(bh_write_all(bh_log_store_segment_fd(store), "no line\n", 8), 0);
    end_run(store);
    store = new_run();
    assert_memory_equal(page->now.chain.mac, none, sizeof(none));
    end_run(store);
}

static void folder_that_others_may_write_is_refused(void **state)
{
    struct bh_log_store *store = new_run();

    (void)state;
    end_run(store);
    assert_int_equal(chmod(path, 0720), 0);
    assert_null(new_run());
    assert_non_null(strstr(why, "may be written to by others"));
    assert_int_equal(chmod(path, 0750), 0);
    store = new_run();
    assert_non_null(store);
    end_run(store);
}

static void missing_parent_is_said(void **state)
{
    (void)state;
    (void)snprintf(path, sizeof(path), "%s/no/audit", folder);
    assert_null(new_run());
    assert_non_null(strstr(why, "cannot be made: No such file or directory"));
}

static void names(void **state)
{
    char name[BH_SEGMENT_NAME_MAX];

    (void)state;
    bh_segment_name(1234567, name);
    assert_string_equal(name, "audit-1234567.log");
    assert_int_equal(bh_segment_number(name), 1234567);
    assert_int_equal(bh_segment_number("audit-000012.log"), 12);
    assert_int_equal(bh_segment_number("audit-12.log"), 0);
    assert_int_equal(bh_segment_number("audit-000012.log.gz"), 0);
    assert_int_equal(bh_segment_number("audit-000000.log"), 0);
    assert_int_equal(bh_segment_number("keys"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(first_run, setup, teardown),
        cmocka_unit_test_setup_teardown(newest_segments_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(segments_that_are_not_full_are_few, setup, teardown),
        cmocka_unit_test_setup_teardown(next_run_finds_the_last_line, setup, teardown),
        cmocka_unit_test_setup_teardown(segment_without_a_line_has_no_mac, setup, teardown),
        cmocka_unit_test_setup_teardown(folder_that_others_may_write_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(missing_parent_is_said, setup, teardown),
        cmocka_unit_test(a_small_file_system_is_not_filled),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
