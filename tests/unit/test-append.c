/*
 * broker/audit/append.h: a process that writes two lines is stopped after every single
 * instruction; wherever its page or its log had just changed, a successor is given copies
 * of both and must end with exactly the log of an undisturbed run. It is the same log if file systems were
 * frozen for a part of it.
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
#define LINES 2        /* of a run in which nothing is frozen */
#define FROZEN_LINES 5 /* of one in which something is for a while, from the second to the fourth */
#define LOG_MAX 4096

/* As test-feed.c says: a sanitizer's checks are instructions too. The longer run is stepped through by system
 * calls there. */
#ifdef __SANITIZE_ADDRESS__
#define FREEZE_STEP PTRACE_SYSCALL
#define FREEZE_TRIED_LEAST 2u
#else
#define FREEZE_STEP PTRACE_SINGLESTEP
#define FREEZE_TRIED_LEAST 100u
#endif

/* Lives in shared memory: the one that is killed and the one that watches see the same. */
struct world {
    struct bh_audit_state *state;
    struct bh_append_log log;
    uint32_t *frozen;
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

static void *shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(memory != MAP_FAILED);
    return memory;
}

static struct world empty_world(int log)
{
    struct world world = { .state = shared(BH_AUDIT_STATE_SIZE),
                           .frozen = shared(sizeof(*world.frozen)),
                           .log.fd = log };

    world.log.frozen = world.frozen;
    return world;
}

static struct world new_world(uint32_t frozen)
{
    const struct bh_audit_previous previous = { .segment = 3, .size = 99 };
    const uint8_t key[BH_SHA256_SIZE] = { 1, 2, 3 };
    struct world world = empty_world(new_log("", 0));

    *world.frozen = frozen;
    bh_audit_state_init(world.state, &previous, key, 1);
    bh_audit_state_offer(world.state, 4);
    assert_int_equal(bh_append_header(world.state, &world.log, 2), 0);
    return world;
}

static void end_world(struct world *world)
{
    (void)munmap(world->state, BH_AUDIT_STATE_SIZE);
    (void)munmap(world->frozen, sizeof(*world->frozen));
    (void)close(world->log.fd);
}

static size_t log_size(const struct world *world)
{
    struct stat st;

    return fstat(world->log.fd, &st) == 0 ? (size_t)st.st_size : 0;
}

static size_t log_read(const struct world *world, char data[LOG_MAX])
{
    char path[64];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", world->log.fd);
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
    return bh_append_commit(world->state, &world->log, &line, &of);
}

static void flush(struct world *world)
{
    int r;

    while ((r = bh_append_flush(world->state, &world->log)) == 1)
        assert_int_equal(*world->frozen, 0);
    assert_int_equal(r, 0);
}

/* What the main loop does: finish, what memory keeps if it may be written, each record that is still queued
 * and not yet written; and a thaw at the end. */
static void carry_on(struct world *world, uint64_t lines)
{
    assert_true(bh_append_check(world->state));
    assert_int_equal(bh_append_finish(world->state, &world->log), 0);
    if (!*world->frozen)
        flush(world);
    for (uint64_t sequence = world->state->last[SOURCE] + 1; sequence <= lines; sequence++)
        assert_int_equal(write_line(world, sequence), 0);
    *world->frozen = 0;
    flush(world);
}

/* A successor on copies of page and log. Both must end as `wanted`. */
static void succeed(const struct world *world, uint32_t frozen, uint64_t lines, const char *wanted,
                    size_t wanted_len)
{
    static struct world next;
    char data[LOG_MAX];
    size_t len = log_read(world, data);

    next = next.state ? next : empty_world(-1);
    memcpy(next.state, world->state, sizeof(*next.state) + LOG_MAX);
    *next.frozen = frozen;
    next.log.fd = new_log(data, len);
    carry_on(&next, lines);
    len = log_read(&next, data);
    assert_int_equal(len, wanted_len);
    assert_memory_equal(data, wanted, len);
    assert_int_equal(next.state->last[SOURCE], lines);
    assert_int_equal(next.state->held[SOURCE], 1);
    assert_int_equal(next.state->now.size, wanted_len);
    assert_int_equal(next.state->now.kept, 0);
    assert_int_equal(next.state->writing, 0);
    (void)close(next.log.fd);
}

/* The one that is killed: while it has written FROZEN_LINES lines, file systems were frozen and thawed. */
static void play(struct world *world, uint64_t lines)
{
    for (uint64_t sequence = 1; sequence <= lines; sequence++) {
        if (lines == FROZEN_LINES && sequence == FROZEN_LINES) {
            *world->frozen = 0;
            while (bh_append_flush(world->state, &world->log) == 1)
                ;
        }
        if (write_line(world, sequence) != 0)
            _exit(1);
        if (lines == FROZEN_LINES && sequence == 1)
            *world->frozen = 1;
    }
}

static pid_t start_writer(struct world *world, uint64_t lines)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(77);
    (void)raise(SIGSTOP);
    play(world, lines);
    _exit(0);
}

static void kill_at_any_step(uint64_t lines, enum __ptrace_request step, size_t tried_least)
{
    static struct bh_audit_state seen;
    struct world plain = new_world(0), world = new_world(0);
    char wanted[LOG_MAX];
    size_t wanted_len, seen_size = 0, tried = 0;
    int status;
    pid_t pid;

    carry_on(&plain, lines);
    wanted_len = log_read(&plain, wanted);
    pid = start_writer(&world, lines);
    assert_true(pid > 0);
    for (;;) {
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFSTOPPED(status))
            break;
        if (memcmp(&seen, world.state, sizeof(seen)) != 0 || seen_size != log_size(&world)) {
            if (seen_size != log_size(&world) && seen_size > 0) {
                assert_int_equal(world.state->writing, 1); /* it was said before */
                assert_int_equal(*world.frozen, 0);
            }
            memcpy(&seen, world.state, sizeof(seen));
            seen_size = log_size(&world);
            succeed(&world, 0, lines, wanted, wanted_len);
            succeed(&world, 1, lines, wanted, wanted_len); /* whatever it was: it may change at any moment */
            tried++;
        }
        assert_int_equal(ptrace(step, pid, NULL, NULL), 0);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip(); /* nobody may trace here */
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(tried > tried_least);
    end_world(&plain);
    end_world(&world);
}

static void killed_at_any_instruction(void **state)
{
    (void)state;
    kill_at_any_step(LINES, PTRACE_SINGLESTEP, 100);
}

static void killed_at_any_instruction_of_a_freeze(void **state)
{
    (void)state;
    kill_at_any_step(FROZEN_LINES, FREEZE_STEP, FREEZE_TRIED_LEAST);
}

/* Leaves `done` bytes of the first line in the log, and the rest pending. */
static void tear_line(struct world *world, const char *wanted, size_t done)
{
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC), log = world->log.fd;

    world->log.fd = full;
    assert_int_equal(write_line(world, 1), -ENOSPC);
    assert_int_equal(world->state->writing, 0);
    world->log.fd = log;
    assert_int_equal(bh_write_all(log, wanted, done), 0);
    (void)close(full);
}

static void any_part_of_the_line_may_be_there(void **state)
{
    struct world plain = new_world(0);
    char wanted[LOG_MAX];
    size_t wanted_len, head = log_size(&plain), first;

    (void)state;
    assert_int_equal(write_line(&plain, 1), 0);
    first = log_size(&plain);
    carry_on(&plain, LINES);
    wanted_len = log_read(&plain, wanted);
    for (size_t done = head; done <= first; done++) {
        struct world world = new_world(0);

        tear_line(&world, wanted + head, done - head);
        succeed(&world, 0, LINES, wanted, wanted_len);
        succeed(&world, 1, LINES, wanted, wanted_len); /* what could not be written is kept */
        end_world(&world);
    }
    end_world(&plain);
}

static void strangers_bytes_are_noticed(void **state)
{
    struct world world = new_world(0);
    uint64_t size = world.state->now.size;
    char data[LOG_MAX];

    (void)state;
    memset(data, 'x', sizeof(data));
    tear_line(&world, data, 0);
    assert_int_equal(bh_write_all(world.log.fd, data, world.state->pending.len + 1), 0);
    assert_int_equal(bh_append_finish(world.state, &world.log), -EBADMSG);
    assert_int_equal(world.state->now.size, size); /* given up: it will be made again, in the next segment */
    assert_int_equal(world.state->last[SOURCE], 0);
    assert_int_equal(bh_append_finish(world.state, &world.log), 0);
    end_world(&world);
}

static void header_needs_an_empty_segment(void **state)
{
    struct world world = new_world(0);
    uint64_t steps = world.state->now.chain.steps;
    char data[LOG_MAX];

    (void)state;
    bh_audit_state_offer(world.state, 5);
    memset(data, 'x', sizeof(data));
    assert_int_equal(bh_write_all(world.log.fd, data, sizeof(data) - log_size(&world)), 0);
    assert_int_equal(bh_append_header(world.state, &world.log, 3), -EBADMSG);
    assert_int_equal(world.state->now.segment, 4);
    assert_int_equal(world.state->now.chain.steps, steps);
    end_world(&world);
}

/* A segment may be begun while file systems are frozen: its header is kept like any line. */
static void nothing_is_written_while_frozen(void **state)
{
    struct world plain = new_world(0), world = new_world(1);
    char wanted[LOG_MAX], data[LOG_MAX];
    size_t len;

    (void)state;
    carry_on(&plain, LINES);
    len = log_read(&plain, wanted);
    assert_int_equal(write_line(&world, 1), 0);
    assert_int_equal(bh_append_flush(world.state, &world.log), 1);
    assert_int_equal(log_size(&world), 0);
    assert_int_equal(world.state->now.kept, world.state->now.size);
    assert_int_equal(world.state->writing, 0);
    *world.frozen = 0;
    assert_int_equal(write_line(&world, 2), 0); /* no line overtakes another */
    assert_int_equal(log_size(&world), 0);
    carry_on(&world, LINES);
    assert_int_equal(log_read(&world, data), len);
    assert_memory_equal(data, wanted, len);
    end_world(&plain);
    end_world(&world);
}

/* Who has said that file systems are about to be frozen asks this: a write that is under way is seen. */
static void a_write_is_announced(void **state)
{
    struct world world = new_world(0);

    (void)state;
    assert_false(bh_audit_state_writes(world.state));
    world.state->writing = 1;
    assert_true(bh_audit_state_writes(world.state));
    assert_int_equal(write_line(&world, 1), 0);
    assert_false(bh_audit_state_writes(world.state));
    end_world(&world);
}

/* A line of always the same length, which is returned, behind `kept` bytes in memory. */
static size_t keep_behind(struct world *world, uint64_t kept, int wanted)
{
    const struct bh_audit_mark before = { .segment = 4, .size = 1000 + kept, .kept = kept };

    world->state->now.segment = before.segment;
    world->state->now.size = before.size;
    world->state->now.kept = before.kept;
    assert_int_equal(write_line(world, 1), wanted);
    assert_true(bh_append_check(world->state));
    assert_int_equal(world->state->phase, BH_AUDIT_IDLE);
    if (wanted < 0)
        assert_memory_equal(&world->state->now, &before, offsetof(struct bh_audit_mark, chain));
    return world->state->now.kept - kept;
}

static void memory_has_a_limit(void **state)
{
    struct world world = new_world(1);
    size_t len = keep_behind(&world, 0, 0);

    (void)state;
    assert_int_equal(keep_behind(&world, BH_AUDIT_KEPT_MAX - len - 1, 0), len);
    assert_int_equal(keep_behind(&world, BH_AUDIT_KEPT_MAX - len, 0), len);
    assert_int_equal(world.state->now.kept, BH_AUDIT_KEPT_MAX);
    assert_int_equal(keep_behind(&world, BH_AUDIT_KEPT_MAX - len + 1, -ENOBUFS), 0);
    assert_int_equal(keep_behind(&world, BH_AUDIT_KEPT_MAX, -ENOBUFS), 0);
    end_world(&world);
}

/* Keeps more than three pieces. */
static void fill(struct world *world)
{
    for (uint64_t sequence = 1; world->state->now.kept < 3 * BH_AUDIT_PIECE; sequence++)
        assert_int_equal(write_line(world, sequence), 0);
}

static void assert_same_log(const struct world *world, const struct world *wanted)
{
    const size_t size = log_size(wanted);
    void *memory[2];

    assert_int_equal(log_size(world), size);
    for (int i = 0; i < 2; i++) {
        char path[64];
        int fd;

        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", i ? world->log.fd : wanted->log.fd);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        memory[i] = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        assert_true(memory[i] != MAP_FAILED);
        (void)close(fd);
    }
    assert_memory_equal(memory[1], memory[0], size);
    (void)munmap(memory[0], size);
    (void)munmap(memory[1], size);
}

static void a_tail_is_written_in_pieces(void **state)
{
    struct world plain = new_world(0), world = new_world(1);
    size_t at = 0;

    (void)state;
    fill(&world);
    for (uint64_t sequence = 1; sequence <= world.state->last[SOURCE]; sequence++)
        assert_int_equal(write_line(&plain, sequence), 0);
    *world.frozen = 0;
    for (unsigned i = 1; i <= 3; i++, at = log_size(&world)) {
        assert_int_equal(bh_append_flush(world.state, &world.log), 1);
        assert_int_equal(log_size(&world), at + BH_AUDIT_PIECE);
    }
    *world.frozen = 1; /* again, in the midst of it */
    assert_int_equal(bh_append_flush(world.state, &world.log), 1);
    assert_int_equal(write_line(&world, plain.state->last[SOURCE] + 1), 0);
    assert_int_equal(log_size(&world), at);
    *world.frozen = 0;
    assert_int_equal(bh_append_flush(world.state, &world.log), 0);
    assert_int_equal(world.state->now.kept, 0);
    assert_int_equal(write_line(&plain, plain.state->last[SOURCE] + 1), 0);
    assert_same_log(&world, &plain);
    end_world(&plain);
    end_world(&world);
}

static void a_tail_waits_for_room(void **state)
{
    struct world world = new_world(1);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC), log = world.log.fd;
    uint64_t kept = world.state->now.kept;

    (void)state;
    *world.frozen = 0;
    world.log.fd = full;
    assert_int_equal(bh_append_flush(world.state, &world.log), -ENOSPC);
    assert_int_equal(world.state->now.kept, kept);
    assert_int_equal(world.state->writing, 0);
    world.log.fd = log;
    assert_int_equal(bh_append_flush(world.state, &world.log), 0);
    assert_int_equal(log_size(&world), kept);
    (void)close(full);
    end_world(&world);
}

/* Its records have left their queues: they are told, behind whatever somebody else has put there or cut off.
 */
static void a_tail_is_never_given_up(void **state)
{
    char data[LOG_MAX], wanted[LOG_MAX];

    (void)state;
    for (int more = 0; more < 2; more++) {
        struct world world = new_world(0);
        size_t before = log_size(&world), len;

        *world.frozen = 1;
        assert_int_equal(write_line(&world, 1), 0);
        len = world.state->now.kept;
        memcpy(wanted, world.state->tail, len);
        *world.frozen = 0;
        memset(data, 'x', sizeof(data));
        assert_int_equal(more ? bh_write_all(world.log.fd, data, len + 1)
                              : ftruncate(world.log.fd, (off_t)(before - 1)),
                         0);
        assert_int_equal(bh_append_flush(world.state, &world.log), -EBADMSG);
        assert_int_equal(world.state->now.kept, 0);
        assert_int_equal(log_read(&world, data), more ? before + len + 1 + len : before - 1 + len);
        assert_memory_equal(data + (more ? before + len + 1 : before - 1), wanted, len);
        assert_int_equal(bh_append_flush(world.state, &world.log), 0);
        end_world(&world);
    }
}

static void damaged_pages_are_refused(void **state)
{
    struct world world = new_world(0);
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
    page->pending.source = 0;
    page->pending.after.size = BH_AUDIT_KEPT_MAX + 1;
    page->pending.after.kept = page->pending.len = 2;
    assert_true(bh_append_check(page));
    page->pending.after.kept = 1;
    assert_false(bh_append_check(page));
    page->pending.after.kept = BH_AUDIT_KEPT_MAX + 1;
    assert_false(bh_append_check(page));
    page->phase = BH_AUDIT_IDLE;
    assert_true(bh_append_check(page));
    page->now.kept = page->now.size + 1;
    assert_false(bh_append_check(page));
    page->now.size = page->now.kept = BH_AUDIT_KEPT_MAX;
    assert_true(bh_append_check(page));
    page->now.size = page->now.kept = BH_AUDIT_KEPT_MAX + 1;
    assert_false(bh_append_check(page));
    page->now.kept = 1;
    page->now.segment--;
    assert_false(bh_append_check(page));
    page->now.kept = 0;
    assert_true(bh_append_check(page));
    page->magic++;
    assert_false(bh_append_check(page));
    end_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_any_instruction),
        cmocka_unit_test(killed_at_any_instruction_of_a_freeze),
        cmocka_unit_test(any_part_of_the_line_may_be_there),
        cmocka_unit_test(strangers_bytes_are_noticed),
        cmocka_unit_test(header_needs_an_empty_segment),
        cmocka_unit_test(nothing_is_written_while_frozen),
        cmocka_unit_test(a_write_is_announced),
        cmocka_unit_test(memory_has_a_limit),
        cmocka_unit_test(a_tail_is_written_in_pieces),
        cmocka_unit_test(a_tail_waits_for_room),
        cmocka_unit_test(a_tail_is_never_given_up),
        cmocka_unit_test(damaged_pages_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
