/*
 * broker/audit/append.h: a process that writes two lines is stopped after every single
 * instruction; wherever its page or its log had just changed, a successor is given copies
 * of both and must end with exactly the log of an undisturbed run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "broker/audit/append.h"
#include "protocol/base/fd.h"

#define SOURCE 17u
#define LINES 2
#define LOG_MAX 4096

struct world {
    struct bh_audit_state *state;
    int log;
};

static int new_log(const void *data, size_t size)
{
    int fd = memfd_create("log", MFD_CLOEXEC), again;
    char path[64];

    assert_true(fd >= 0);
    assert_int_equal(bh_write_all(fd, data, size), 0);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    again = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_true(again >= 0);
    (void)close(fd);
    return again;
}

static struct world new_world(void)
{
    const struct bh_audit_previous previous = { .segment = 3, .size = 99 };
    const uint8_t key[BH_SHA256_SIZE] = { 1, 2, 3 };
    struct world world = { .log = new_log("", 0) };

    world.state = mmap(NULL, sizeof(*world.state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(world.state != MAP_FAILED);
    bh_audit_state_init(world.state, &previous, key, 1);
    bh_audit_state_offer(world.state, 4);
    assert_int_equal(bh_append_header(world.state, world.log, 2), 0);
    return world;
}

static void end_world(struct world *world)
{
    (void)munmap(world->state, sizeof(*world->state));
    (void)close(world->log);
}

static size_t log_size(int log)
{
    struct stat st;

    return fstat(log, &st) == 0 ? (size_t)st.st_size : 0;
}

static size_t log_read(int log, char data[LOG_MAX])
{
    char path[64];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", log);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    n = bh_read_file(fd, data, LOG_MAX);
    (void)close(fd);
    assert_true(n >= 0);
    return (size_t)n;
}

static int write_line(struct world *world, uint64_t sequence)
{
    const struct bh_append_of of = { .source = SOURCE, .sequence = sequence, .queued = true };
    struct bh_line line = bh_append_line(world->state);

    bh_line_event(&line, sequence, "a line");
    return bh_append_commit(world->state, world->log, &line, &of);
}

/* What the main loop does: finish, then each record that is still queued and not yet written. */
static void carry_on(struct world *world)
{
    assert_true(bh_append_check(world->state));
    assert_int_equal(bh_append_finish(world->state, world->log), 0);
    for (uint64_t sequence = world->state->last[SOURCE] + 1; sequence <= LINES; sequence++)
        assert_int_equal(write_line(world, sequence), 0);
}

/* A successor on copies of page and log. Both must end as `wanted`. */
static void succeed(const struct world *world, const char *wanted, size_t wanted_len)
{
    static struct bh_audit_state copy;
    char data[LOG_MAX];
    struct world next = { .state = &copy };
    size_t len = log_read(world->log, data);

    memcpy(&copy, world->state, sizeof(copy));
    next.log = new_log(data, len);
    carry_on(&next);
    len = log_read(next.log, data);
    assert_int_equal(len, wanted_len);
    assert_memory_equal(data, wanted, len);
    assert_int_equal(copy.last[SOURCE], LINES);
    assert_int_equal(copy.held[SOURCE], 1);
    assert_int_equal(copy.now.size, wanted_len);
    (void)close(next.log);
}

static pid_t start_writer(struct world *world)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(77);
    (void)raise(SIGSTOP);
    for (uint64_t sequence = 1; sequence <= LINES; sequence++)
        if (write_line(world, sequence) != 0)
            _exit(1);
    _exit(0);
}

static void killed_at_any_instruction(void **state)
{
    static struct bh_audit_state seen;
    struct world plain = new_world(), world = new_world();
    char wanted[LOG_MAX];
    size_t wanted_len, seen_size = 0, tried = 0;
    int status;
    pid_t pid;

    (void)state;
    carry_on(&plain);
    wanted_len = log_read(plain.log, wanted);
    pid = start_writer(&world);
    assert_true(pid > 0);
    for (;;) {
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFSTOPPED(status))
            break;
        if (memcmp(&seen, world.state, sizeof(seen)) != 0 || seen_size != log_size(world.log)) {
            memcpy(&seen, world.state, sizeof(seen));
            seen_size = log_size(world.log);
            succeed(&world, wanted, wanted_len);
            tried++;
        }
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip(); /* nobody may trace here */
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(tried > 100);
    end_world(&plain);
    end_world(&world);
}

static void any_part_of_the_line_may_be_there(void **state)
{
    struct world plain = new_world();
    char wanted[LOG_MAX];
    size_t wanted_len, head = log_size(plain.log), first;

    (void)state;
    assert_int_equal(write_line(&plain, 1), 0);
    first = log_size(plain.log);
    carry_on(&plain);
    wanted_len = log_read(plain.log, wanted);
    for (size_t done = head; done <= first; done++) {
        struct world world = new_world();
        int full = open("/dev/full", O_WRONLY | O_CLOEXEC), log = world.log;

        world.log = full;
        assert_int_equal(write_line(&world, 1), -ENOSPC);
        world.log = log;
        assert_int_equal(bh_write_all(log, wanted + head, done - head), 0);
        succeed(&world, wanted, wanted_len);
        (void)close(full);
        end_world(&world);
    }
    end_world(&plain);
}

static void strangers_bytes_are_noticed(void **state)
{
    struct world world = new_world();
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC), log = world.log;
    uint64_t size = world.state->now.size;
    char data[LOG_MAX];

    (void)state;
    world.log = full;
    assert_int_equal(write_line(&world, 1), -ENOSPC);
    world.log = log;
    memset(data, 'x', sizeof(data));
    assert_int_equal(bh_write_all(log, data, world.state->pending.len + 1), 0);
    assert_int_equal(bh_append_finish(world.state, log), -EBADMSG);
    assert_int_equal(world.state->now.size, size); /* given up: it will be made again, in the next segment */
    assert_int_equal(world.state->last[SOURCE], 0);
    assert_int_equal(bh_append_finish(world.state, log), 0);
    (void)close(full);
    end_world(&world);
}

static void header_needs_an_empty_segment(void **state)
{
    struct world world = new_world();
    uint64_t steps = world.state->now.chain.steps;
    char data[LOG_MAX];

    (void)state;
    bh_audit_state_offer(world.state, 5);
    memset(data, 'x', sizeof(data));
    assert_int_equal(bh_write_all(world.log, data, sizeof(data) - log_size(world.log)), 0);
    assert_int_equal(bh_append_header(world.state, world.log, 3), -EBADMSG);
    assert_int_equal(world.state->now.segment, 4);
    assert_int_equal(world.state->now.chain.steps, steps);
    end_world(&world);
}

static void damaged_pages_are_refused(void **state)
{
    struct world world = new_world();
    struct bh_audit_state *page = world.state;

    (void)state;
    assert_true(bh_append_check(page));
    page->phase = BH_AUDIT_PENDING;
    assert_true(bh_append_check(page));
    page->pending.len = BH_LINE_MAX;
    assert_true(bh_append_check(page));
    page->pending.len = BH_LINE_MAX + 1;
    assert_false(bh_append_check(page));
    page->pending.len = 0;
    assert_false(bh_append_check(page));
    page->pending.len = 1;
    page->pending.source = BH_SOURCES_MAX + 1;
    assert_false(bh_append_check(page));
    page->phase = BH_AUDIT_IDLE;
    assert_true(bh_append_check(page));
    page->magic++;
    assert_false(bh_append_check(page));
    end_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_any_instruction),   cmocka_unit_test(any_part_of_the_line_may_be_there),
        cmocka_unit_test(strangers_bytes_are_noticed), cmocka_unit_test(header_needs_an_empty_segment),
        cmocka_unit_test(damaged_pages_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
