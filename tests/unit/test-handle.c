/* workers/fs/handle.h: the limit, numbers, idling, the record of what went through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/unit/worker-fixture.h"
#include "workers/fs/handle.h"

static struct bh_worker worker;
static struct records records;
static struct bh_handles handles;

static int setup(void **state)
{
    (void)state;
    worker_init(&worker, &records, NULL, NULL);
    handles = (struct bh_handles){ 0 };
    bh_handles_init(&handles, worker.state, &worker.audit, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < BH_HANDLES_MAX; i++)
        if (handles.slots[i].number)
            (void)bh_handle_close(&handles, &handles.slots[i], "");
    worker_deinit(&worker, &records);
    return 0;
}

static int some_fd(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void test_limit(void **state)
{
    uint64_t last = 0, first = 0;
    int fd;

    (void)state;
    for (unsigned i = 0; i < BH_HANDLES_MAX; i++) {
        struct bh_handle *handle = bh_handle_new(&handles, some_fd(), 0, 0);

        assert_non_null(handle);
        assert_true(handle->number > last && handle->number < BH_NUMBER_END);
        assert_int_equal(worker.state->open_handles, i + 1);
        last = handle->number;
        first = first ? first : last;
    }
    fd = some_fd();
    assert_null(bh_handle_new(&handles, fd, 0, 0));
    assert_int_equal(bh_handle_close(&handles, bh_handle_find(&handles, (int64_t)first), ""), 0);
    assert_int_equal(handles.n, BH_HANDLES_MAX - 1);
    assert_true(bh_handle_new(&handles, fd, 0, 0)->number > last);
    assert_null(bh_handle_find(&handles, (int64_t)first));
}

static void test_numbers_are_not_reused(void **state)
{
    uint64_t a, b;

    (void)state;
    a = bh_handle_new(&handles, some_fd(), 0, 0)->number;
    (void)bh_handle_close(&handles, bh_handle_find(&handles, (int64_t)a), "");
    b = bh_handle_new(&handles, some_fd(), 0, 0)->number;
    assert_true(b > a);
    assert_null(bh_handle_find(&handles, (int64_t)a));
    assert_null(bh_handle_find(&handles, (int64_t)(b + BH_HANDLES_MAX)));
    assert_null(bh_handle_find(&handles, 0));
    assert_null(bh_handle_find(&handles, -(int64_t)b));
    assert_null(bh_handle_find(&handles, INT64_MIN));
}

/* A long-lived handle sits in the way when the numbers come round to its slot. */
static void test_taken_slot_is_skipped(void **state)
{
    struct bh_handle *old = bh_handle_new(&handles, some_fd(), 0, 0);
    uint64_t number = old->number;

    (void)state;
    worker.state->next_number = number + BH_HANDLES_MAX;
    assert_int_equal(bh_handle_new(&handles, some_fd(), 0, 0)->number, number + BH_HANDLES_MAX + 1);
    assert_ptr_equal(bh_handle_find(&handles, (int64_t)number), old);
}

static void test_spoiled_page(void **state)
{
    (void)state;
    worker.state->next_number = UINT64_MAX;
    assert_true(bh_handle_new(&handles, some_fd(), 0, 0)->number < BH_NUMBER_END);
    worker.state->next_number = BH_NUMBER_END - 1;
    assert_true(bh_handle_new(&handles, some_fd(), 0, 0)->number < BH_NUMBER_END);
}

static void test_closed_record(void **state)
{
    struct bh_handle *handle = bh_handle_new(&handles, some_fd(), 0, 4711);
    uint64_t number = handle->number;

    (void)state;
    handle->bytes_read = 5;
    handle->bytes_written = 6;
    assert_int_equal(bh_handle_close(&handles, handle, ""), 0);
    assert_true(records_next(&records));
    assert_int_equal(records.last.kind, BH_RECORD_CLOSED);
    assert_int_equal(records.last.of, 4711);
    assert_int_equal(records.last.handle, number);
    assert_int_equal(records.last.bytes_read, 5);
    assert_int_equal(records.last.bytes_written, 6);
    assert_int_equal(worker.state->open_handles, 0);
}

static void test_never_idle(void **state)
{
    (void)state;
    assert_non_null(bh_handle_new(&handles, some_fd(), 0, 0));
    assert_int_equal(bh_handles_next(&handles), -1);
}

static void test_idle(void **state)
{
    struct bh_handle *old, *young;

    (void)state;
    bh_handles_init(&handles, worker.state, &worker.audit, 10);
    assert_int_equal(bh_handles_next(&handles), -1);
    old = bh_handle_new(&handles, some_fd(), 0, 0);
    young = bh_handle_new(&handles, some_fd(), 0, 0);
    assert_in_range(bh_handles_next(&handles), 9000, 10000);
    old->used_ms -= 10000;
    handles.check_ms -= 10000;
    assert_int_equal(bh_handles_next(&handles), 0);
    bh_handles_expire(&handles);
    assert_int_equal(handles.n, 1);
    assert_ptr_not_equal(young->number, 0);
    assert_int_equal(old->number, 0);
    assert_true(records_next(&records));
    assert_int_equal(records.last.kind, BH_RECORD_CLOSED);
    assert_in_range(bh_handles_next(&handles), 9000, 10000);
}

static void test_use_keeps_it(void **state)
{
    struct bh_handle *handle;

    (void)state;
    bh_handles_init(&handles, worker.state, &worker.audit, 10);
    handle = bh_handle_new(&handles, some_fd(), 0, 0);
    handle->used_ms -= 10000;
    assert_ptr_equal(bh_handle_find(&handles, (int64_t)handle->number), handle);
    bh_handles_expire(&handles);
    assert_int_equal(handles.n, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_numbers_are_not_reused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_taken_slot_is_skipped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spoiled_page, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closed_record, setup, teardown),
        cmocka_unit_test_setup_teardown(test_never_idle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idle, setup, teardown),
        cmocka_unit_test_setup_teardown(test_use_keeps_it, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
