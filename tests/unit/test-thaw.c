/*
 * workers/storage/thaw.h: each step of a freeze, each of its ends, and what a worker may do wrong; a guard
 * that is killed at each system call, and its successor (thaw_recover.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "tests/unit/fds.h"
#include "tests/unit/guard-fixture.h"
#include "workers/storage/thaw_record.h"
#include "workers/storage/thaw_recover.h"

#define TRIED_LEAST 60u /* moments at which a guard is killed */

static struct guard_scene s;
static int fds_before;

/* What is opened once is. */
static int prepare(void **state)
{
    (void)state;
    bh_log_init("test-thaw", BH_LOG_ERROR);
    guard_scene_begin(&s, -1);
    guard_scene_end(&s);
    return 0;
}

static int begin(void **state)
{
    (void)state;
    fds_before = count_fds();
    guard_scene_begin(&s, bh_memfd_new("record", NULL, 0));
    guard_scene_join(&s, 0);
    guard_scene_join(&s, 1);
    return 0;
}

/* Nothing that was opened stays open, whatever a test did. */
static int end(void **state)
{
    (void)state;
    guard_scene_end(&s);
    return count_fds() == fds_before ? 0 : -1;
}

/* --- short words -------------------------------------------------------------------- */

static int op(unsigned slot, enum bh_guard_op what)
{
    int r = guard_scene_op(&s, slot, what, 0, 0);

    if (s.page->began_ns)
        assert_true(guard_scene_recorded(&s));
    return r;
}

static void freeze(unsigned slot, uint32_t filesystem)
{
    assert_int_equal(guard_scene_freeze(&s, slot, filesystem), 0);
    assert_true(guard_scene_recorded(&s));
}

/* A freeze of `n` file systems, the first of them first; not committed. */
static void freeze_many(unsigned slot, uint32_t n)
{
    assert_int_equal(op(slot, BH_GUARD_BEGIN), 0);
    for (uint32_t i = 0; i < n; i++)
        freeze(slot, i);
}

static void freeze_whole(unsigned slot, uint32_t n)
{
    freeze_many(slot, n);
    assert_int_equal(op(slot, BH_GUARD_COMMIT), 0);
    assert_int_equal(s.page->state, BH_FROZEN);
    assert_int_equal(guard_scene_frozen(&s), n);
}

/* Nothing is frozen, in this order, and nothing is held any more. */
static void assert_thawed(uint32_t n, const uint32_t *order)
{
    assert_int_equal(s.page->state, BH_THAWED);
    assert_int_equal(guard_scene_frozen(&s), 0);
    assert_int_equal(s.kernel->n_order, n);
    assert_memory_equal(s.kernel->order, order, n * sizeof(*order));
    for (uint32_t i = 0; i < BH_FROZEN_MOUNTS_MAX; i++)
        assert_int_equal(s.guard.mounts[i], -1);
    assert_int_equal(s.guard.owner, -1);
    assert_int_equal(s.guard.hooks, -1);
    assert_true(guard_scene_recorded(&s));
}

static void assert_untold(enum bh_thaw_cause cause)
{
    uint64_t thawed_ns = s.page->thawed_ns;

    assert_int_equal(s.page->untold, 1);
    assert_int_equal(s.page->cause, cause);
    assert_int_equal(op(1, BH_GUARD_THAW), 0);
    assert_int_equal(s.reply.cause, cause);
    assert_int_equal(s.reply.count, 0);
    assert_true(s.reply.thawed_ns == thawed_ns && thawed_ns != 0);
    assert_int_equal(s.page->untold, 0);
    assert_int_equal(op(1, BH_GUARD_THAW), 0); /* once is enough */
    assert_int_equal(s.reply.cause, BH_THAW_ASKED);
}

static void assert_nothing_untold(void)
{
    assert_int_equal(s.page->untold, 0);
    assert_int_equal(op(1, BH_GUARD_THAW), 0);
    assert_int_equal(s.reply.cause, BH_THAW_ASKED);
    assert_int_equal(s.reply.count, 0);
}

static const uint32_t reverse[] = { 7, 6, 5, 4, 3, 2, 1, 0 };
#define REVERSE(n) (reverse + GUARD_FILESYSTEMS - (n))

/* --- a freeze ------------------------------------------------------------------------- */

static void a_whole_freeze_and_its_thaw(void **state)
{
    uint64_t before = bh_clock_ns(CLOCK_REALTIME);

    (void)state;
    s.page->lease_s = 60;
    freeze_whole(1, 3);
    assert_string_equal(s.page->channel, "c1");
    assert_true(s.page->began_ns >= before && s.page->frozen_ns >= s.page->began_ns);
    assert_int_equal(s.page->thawed_ns, 0);
    assert_int_equal(s.page->n_mounts, 3);
    assert_int_equal(s.page->mounts[2].fate, BH_MOUNT_FROZEN);
    assert_int_equal(s.page->mounts[2].minor, 2);
    assert_string_equal(s.page->mounts[2].path, "/mnt/2");
    assert_int_equal(op(1, BH_GUARD_THAW), 0);
    assert_int_equal(s.reply.count, 3);
    assert_int_equal(s.reply.cause, BH_THAW_ASKED);
    assert_thawed(3, REVERSE(3));
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(s.kernel->thaws[i], 1);
        assert_int_equal(s.page->mounts[i].fate, BH_MOUNT_THAWED);
    }
    assert_true(s.page->thawed_ns >= s.page->frozen_ns);
    assert_int_equal(s.page->lease_end_ms, 0);
    assert_nothing_untold();
    assert_false(guard_scene_said(&s, "undone"));
    freeze_whole(0, 2); /* and again, by another */
    assert_string_equal(s.page->channel, "c0");
    assert_int_equal(op(0, BH_GUARD_THAW), 0);
    assert_int_equal(s.reply.count, 2);
}

static void what_is_passed_over_is_told_and_not_thawed(void **state)
{
    static const uint32_t order[] = { 4, 2 };

    (void)state;
    s.kernel->frozen[1] = true; /* by somebody else */
    assert_int_equal(op(0, BH_GUARD_BEGIN), 0);
    assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_SKIP, 0, 0), 0);
    assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_SKIP, 5, EACCES), 0);
    freeze(0, 2);
    freeze(0, 1);
    freeze(0, 4);
    assert_int_equal(op(0, BH_GUARD_COMMIT), 0);
    assert_int_equal(s.page->n_mounts, 5);
    assert_int_equal(s.page->mounts[0].fate, BH_MOUNT_SKIPPED);
    assert_int_equal(s.page->mounts[0].error, 0);
    assert_int_equal(s.page->mounts[1].error, EACCES);
    assert_int_equal(s.page->mounts[3].fate, BH_MOUNT_SKIPPED);
    assert_int_equal(s.page->mounts[3].error, EBUSY);
    assert_int_equal(s.guard.mounts[3], -1);
    assert_int_equal(op(0, BH_GUARD_THAW), 0);
    assert_int_equal(s.reply.count, 2);
    assert_int_equal(guard_scene_frozen(&s), 1); /* that which is not ours */
    assert_int_equal(s.kernel->thaws[1] + s.kernel->thaws[0] + s.kernel->thaws[5], 0);
    s.kernel->frozen[1] = false;
    assert_thawed(2, order);
}

static void what_somebody_else_thawed_is_not_counted(void **state)
{
    (void)state;
    freeze_whole(0, 3);
    s.kernel->frozen[1] = false;
    assert_int_equal(op(0, BH_GUARD_THAW), 0);
    assert_int_equal(s.reply.count, 2);
    assert_int_equal(s.page->mounts[1].fate, BH_MOUNT_THAWED);
    assert_int_equal(s.page->mounts[1].error, EINVAL);
    assert_thawed(2, (const uint32_t[]){ 2, 0 });
}

static void undone_before_it_was_complete(void **state)
{
    (void)state;
    freeze_many(0, 3);
    assert_int_equal(op(0, BH_GUARD_UNDO), 0);
    assert_int_equal(s.reply.count, 3);
    assert_thawed(3, REVERSE(3));
    assert_nothing_untold();
    assert_int_equal(op(0, BH_GUARD_UNDO), -ENOTCONN);
}

/* The duration, and the number, that were told. */
static void the_page_has_what_was_told(void **state)
{
    struct bh_guard_request request = {
        .magic = BH_GUARD_MAGIC, .op = BH_GUARD_HOLD, .major = UINT32_MAX, .minor = UINT32_MAX - 1
    };

    (void)state;
    assert_int_equal(op(0, BH_GUARD_BEGIN), 0);
    memset(request.path, 'x', sizeof(request.path) - 1); /* the longest */
    request.path[0] = '/';
    assert_int_equal(guard_scene_ask(&s, 0, &request, s.folders[0]), 0);
    assert_string_equal(s.page->mounts[0].path, request.path);
    assert_int_equal(s.page->mounts[0].fate, BH_MOUNT_ABOUT);
    assert_true(s.page->mounts[0].major == UINT32_MAX && s.page->mounts[0].minor == UINT32_MAX - 1);
    request.op = BH_GUARD_DONE;
    request.path[0] = '\0';
    request.ms = UINT32_MAX;
    assert_int_equal(guard_scene_ask(&s, 0, &request, -1), 0);
    assert_true(s.page->mounts[0].ms == UINT32_MAX);
    assert_int_equal(op(0, BH_GUARD_UNDO), 0);

    /* A shorter path in the same entry has nothing of the longer one. */
    assert_int_equal(op(0, BH_GUARD_BEGIN), 0);
    freeze(0, 0);
    for (size_t i = strlen("/mnt/0"); i < BH_FROZEN_PATH_MAX; i++)
        assert_int_equal(s.page->mounts[0].path[i], 0);
    assert_int_equal(op(0, BH_GUARD_UNDO), 0);
}

static void there_is_room_for_so_many(void **state)
{
    (void)state;
    assert_int_equal(op(0, BH_GUARD_BEGIN), 0);
    for (uint32_t i = 0; i < BH_FROZEN_MOUNTS_MAX - 1; i++)
        assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_SKIP, 0, 0), 0);
    freeze(0, 0);
    assert_int_equal(s.page->n_mounts, BH_FROZEN_MOUNTS_MAX);
    assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_HOLD, 1, 0), -E2BIG);
    assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_SKIP, 1, 0), -E2BIG);
    assert_int_equal(op(0, BH_GUARD_DONE), -EPROTO); /* the last one is done */
    assert_int_equal(op(0, BH_GUARD_COMMIT), 0);
    assert_int_equal(op(0, BH_GUARD_THAW), 0);
    assert_int_equal(s.reply.count, 1);
    assert_thawed(1, REVERSE(1));
}

/* --- somebody else's -------------------------------------------------------------------- */

static void another_channel_waits_while_a_freeze_is_made(void **state)
{
    static const enum bh_guard_op steps[] = { BH_GUARD_DONE, BH_GUARD_COMMIT, BH_GUARD_UNDO, BH_GUARD_HOLD,
                                              BH_GUARD_SKIP };

    (void)state;
    freeze_many(0, 1);
    assert_int_equal(op(1, BH_GUARD_BEGIN), -EBUSY);
    assert_int_equal(op(1, BH_GUARD_THAW), -EBUSY);
    assert_int_equal(op(0, BH_GUARD_THAW), -EBUSY); /* its own ends by UNDO */
    for (size_t i = 0; i < BH_ARRAY_SIZE(steps); i++)
        assert_int_equal(op(1, steps[i]), -ENOTCONN);
    assert_int_equal(s.page->n_mounts, 1);
    assert_int_equal(op(0, BH_GUARD_COMMIT), 0);
    assert_int_equal(op(0, BH_GUARD_BEGIN), -EBUSY);
    assert_int_equal(op(1, BH_GUARD_BEGIN), -EBUSY);
    assert_int_equal(guard_scene_frozen(&s), 1);
    assert_int_equal(op(1, BH_GUARD_THAW), 0); /* by the policy, which is asked before us */
    assert_int_equal(s.reply.count, 1);
    assert_thawed(1, REVERSE(1));
    assert_nothing_untold();
}

static void another_s_end_is_no_end(void **state)
{
    (void)state;
    freeze_whole(0, 2);
    guard_scene_leave(&s, 1);
    assert_int_equal(s.page->state, BH_FROZEN);
    assert_int_equal(guard_scene_frozen(&s), 2);
    guard_scene_join(&s, 1);
    guard_scene_join(&s, 1);
    assert_int_equal(guard_scene_frozen(&s), 2);
    assert_int_equal(op(0, BH_GUARD_THAW), 0);
    assert_thawed(2, REVERSE(2));
}

/* --- out of turn, and malformed ------------------------------------------------------------ */

static void each_step_out_of_turn_is_answered(void **state)
{
    (void)state;
    for (enum bh_guard_op what = BH_GUARD_SKIP; what < BH_GUARD_THAW; what++)
        assert_int_equal(op(0, what), -ENOTCONN);
    assert_int_equal(op(0, BH_GUARD_THAW), 0);
    assert_int_equal(op(0, BH_GUARD_BEGIN), 0);
    assert_int_equal(op(0, BH_GUARD_BEGIN), -EBUSY);
    assert_int_equal(op(0, BH_GUARD_DONE), -EPROTO);
    assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_SKIP, 0, 0), 0);
    assert_int_equal(op(0, BH_GUARD_DONE), -EPROTO);
    freeze(0, 1);
    assert_int_equal(op(0, BH_GUARD_DONE), -EPROTO);
    assert_int_equal(op(0, BH_GUARD_COMMIT), 0);
    for (enum bh_guard_op what = BH_GUARD_SKIP; what < BH_GUARD_THAW; what++)
        assert_int_equal(op(0, what), -ENOTCONN);
    assert_int_equal(s.page->n_mounts, 2);
    assert_int_equal(op(0, BH_GUARD_THAW), 0);
    assert_thawed(1, (const uint32_t[]){ 1 });
}

/* As long as nobody knows what became of one, there is no next one, and the freeze is not complete. */
static void one_is_held_at_a_time(void **state)
{
    (void)state;
    freeze_many(0, 1);
    assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_HOLD, 1, 0), 0);
    assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_HOLD, 2, 0), -EPROTO);
    assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_SKIP, 2, 0), -EPROTO);
    assert_int_equal(op(0, BH_GUARD_COMMIT), -EPROTO);
    assert_int_equal(s.page->n_mounts, 2);
    assert_int_equal(guard_scene_fifreeze(&s, 1), 0);
    assert_int_equal(op(0, BH_GUARD_UNDO), 0);
    assert_int_equal(s.reply.count, 2);
    assert_thawed(2, (const uint32_t[]){ 0, 1 });
}

struct wrong {
    const char *what;
    uint32_t magic, op;
    int32_t error;
    char first; /* of the path */
    bool endless;
    enum { NONE, FOLDER, NO_FOLDER } with;
};

static const struct wrong wrongs[] = {
    { "magic", BH_GUARD_MAGIC + 1, BH_GUARD_BEGIN, 0, '\0', false, NONE },
    { "op 0", BH_GUARD_MAGIC, 0, 0, '\0', false, NONE },
    { "op after the last", BH_GUARD_MAGIC, BH_GUARD_OP_END, 0, '\0', false, NONE },
    { "op far out", BH_GUARD_MAGIC, UINT32_MAX, 0, '\0', false, NONE },
    { "negative error", BH_GUARD_MAGIC, BH_GUARD_DONE, -1, '\0', false, NONE },
    { "least error", BH_GUARD_MAGIC, BH_GUARD_SKIP, INT32_MIN, '/', false, NONE },
    { "skip without path", BH_GUARD_MAGIC, BH_GUARD_SKIP, 0, '\0', false, NONE },
    { "skip with a name", BH_GUARD_MAGIC, BH_GUARD_SKIP, 0, 'x', false, NONE },
    { "skip with a folder", BH_GUARD_MAGIC, BH_GUARD_SKIP, 0, '/', false, FOLDER },
    { "hold without path", BH_GUARD_MAGIC, BH_GUARD_HOLD, 0, '\0', false, FOLDER },
    { "hold with a name", BH_GUARD_MAGIC, BH_GUARD_HOLD, 0, 'x', false, FOLDER },
    { "hold of a path without end", BH_GUARD_MAGIC, BH_GUARD_HOLD, 0, '/', true, FOLDER },
    { "hold without a folder", BH_GUARD_MAGIC, BH_GUARD_HOLD, 0, '/', false, NONE },
    { "hold of what is no folder", BH_GUARD_MAGIC, BH_GUARD_HOLD, 0, '/', false, NO_FOLDER },
    { "begin with a path", BH_GUARD_MAGIC, BH_GUARD_BEGIN, 0, '/', false, NONE },
    { "begin with a path without end", BH_GUARD_MAGIC, BH_GUARD_BEGIN, 0, 'x', true, NONE },
    { "done with a path", BH_GUARD_MAGIC, BH_GUARD_DONE, 0, '/', false, NONE },
    { "done with a folder", BH_GUARD_MAGIC, BH_GUARD_DONE, 0, '\0', false, FOLDER },
    { "commit with a folder", BH_GUARD_MAGIC, BH_GUARD_COMMIT, 0, '\0', false, FOLDER },
    { "undo with a folder", BH_GUARD_MAGIC, BH_GUARD_UNDO, 0, '\0', false, FOLDER },
    { "thaw with a folder", BH_GUARD_MAGIC, BH_GUARD_THAW, 0, '\0', false, FOLDER },
};

static int ask_wrongly(unsigned slot, const struct wrong *wrong, int no_folder)
{
    struct bh_guard_request request = { .magic = wrong->magic, .op = wrong->op, .error = wrong->error };

    if (wrong->endless)
        memset(request.path, 'x', sizeof(request.path));
    request.path[0] = wrong->first;
    return guard_scene_ask(&s, slot, &request,
                           wrong->with == NONE     ? -1
                           : wrong->with == FOLDER ? s.folders[0]
                                                   : no_folder);
}

/* From another's worker, in each state: who speaks so is heard no more, and nobody else notices. */
static void who_breaks_the_protocol_hurts_nobody_else(void **state)
{
    _cleanup_close_ int no_folder = bh_memfd_new("no folder", NULL, 0);

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_SIZE(wrongs); i++) {
        for (uint32_t n = 0; n < 3; n++) { /* thawed; freezing; frozen */
            if (n == 1)
                freeze_many(0, 2);
            if (n == 2)
                assert_int_equal(op(0, BH_GUARD_COMMIT), 0);
            if (ask_wrongly(1, &wrongs[i], no_folder) != GUARD_DROPPED)
                fail_msg("%s was answered", wrongs[i].what);
            assert_int_equal(s.guard.clients[1], -1);
            assert_true(guard_scene_said(&s, "broke the protocol"));
            assert_int_equal(guard_scene_frozen(&s), n ? 2 : 0);
            guard_scene_join(&s, 1);
        }
        assert_int_equal(op(0, BH_GUARD_THAW), 0);
        assert_int_equal(s.reply.count, 2);
    }
}

static void who_breaks_the_protocol_has_abandoned_its_freeze(void **state)
{
    _cleanup_close_ int no_folder = bh_memfd_new("no folder", NULL, 0);

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_SIZE(wrongs); i++) {
        freeze_many(0, 2);
        assert_int_equal(ask_wrongly(0, &wrongs[i], no_folder), GUARD_DROPPED);
        assert_int_equal(guard_scene_frozen(&s), 0);
        assert_int_equal(s.page->state, BH_THAWED);
        assert_nothing_untold();
        guard_scene_join(&s, 0);
        freeze_whole(0, 2);
        assert_int_equal(ask_wrongly(0, &wrongs[i], no_folder), GUARD_DROPPED);
        assert_int_equal(guard_scene_frozen(&s), 0);
        assert_untold(BH_THAW_ABANDONED);
        guard_scene_join(&s, 0);
    }
}

/* Too short, too long, nothing at all, or two descriptors. */
static void a_packet_of_another_shape_ends_its_sender(void **state)
{
    static const size_t sizes[] = { 0, 1, sizeof(struct bh_guard_request) - 1,
                                    sizeof(struct bh_guard_request) + 1 };
    static uint8_t bytes[sizeof(struct bh_guard_request) + 1];
    struct bh_guard_request request = { .magic = BH_GUARD_MAGIC, .op = BH_GUARD_BEGIN };
    char room[CMSG_SPACE(2 * sizeof(int))] = { 0 };
    struct iovec iov = { &request, sizeof(request) };
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)
    };
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);

    (void)state;
    memcpy(bytes, &request, sizeof(request));
    for (size_t i = 0; i < BH_ARRAY_SIZE(sizes); i++) {
        assert_int_equal(send(s.clients[1], bytes, sizes[i], 0), sizes[i]);
        assert_false(bh_guard_serve(&s.guard, 1));
        assert_int_equal(s.guard.clients[1], -1);
        guard_scene_join(&s, 1);
    }
    *head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                              .cmsg_type = SCM_RIGHTS,
                              .cmsg_len = CMSG_LEN(2 * sizeof(int)) };
    memcpy(CMSG_DATA(head), s.folders, 2 * sizeof(int));
    assert_int_equal(sendmsg(s.clients[1], &message, 0), sizeof(request));
    assert_false(bh_guard_serve(&s.guard, 1));
    assert_int_equal(s.page->state, BH_THAWED);
}

static void nothing_to_read_is_no_end(void **state)
{
    (void)state;
    freeze_whole(0, 1);
    assert_true(bh_guard_serve(&s.guard, 0));
    assert_true(bh_guard_serve(&s.guard, 1));
    assert_int_equal(guard_scene_frozen(&s), 1);
    assert_int_equal(op(0, BH_GUARD_THAW), 0);
}

/* It asks and does not read the answers, until there is no room for them. */
static void who_takes_no_answers_is_ended(void **state)
{
    struct bh_guard_request request = { .magic = BH_GUARD_MAGIC, .op = BH_GUARD_THAW };
    bool served = true;

    (void)state;
    freeze_whole(0, 1);
    assert_int_equal(op(0, BH_GUARD_THAW), 0);
    for (unsigned i = 0; i < 100000 && served; i++) {
        assert_int_equal(bh_fd_send(s.clients[1], &request, sizeof(request), -1), 0);
        served = bh_guard_serve(&s.guard, 1);
    }
    assert_false(served);
    assert_int_equal(s.guard.clients[1], -1);
}

/* --- its ends --------------------------------------------------------------------------- */

static void a_worker_that_ends_while_it_freezes_misleads_nobody(void **state)
{
    (void)state;
    freeze_many(0, 3);
    guard_scene_leave(&s, 0);
    assert_thawed(3, REVERSE(3));
    assert_true(
        guard_scene_said(&s, "freeze of channel c0 was undone because the worker that froze ended: 3 "));
    assert_int_equal(s.page->cause, BH_THAW_ABANDONED);
    assert_nothing_untold();
}

static void a_worker_that_ends_after_it_froze_is_told_of(void **state)
{
    (void)state;
    freeze_whole(0, 3);
    guard_scene_leave(&s, 0);
    assert_thawed(3, REVERSE(3));
    assert_untold(BH_THAW_ABANDONED);
}

/* In each state the same: its end is its end. */
static void a_worker_that_ends_before_or_afterwards(void **state)
{
    (void)state;
    guard_scene_leave(&s, 0);
    assert_int_equal(s.page->state, BH_THAWED);
    guard_scene_join(&s, 0);
    freeze_whole(0, 1);
    assert_int_equal(op(0, BH_GUARD_THAW), 0);
    guard_scene_leave(&s, 0);
    assert_nothing_untold();
    assert_int_equal(s.kernel->n_order, 1);
    assert_false(guard_scene_said(&s, "undone"));
}

static void a_successor_of_its_slot_takes_no_freeze_over(void **state)
{
    (void)state;
    freeze_whole(0, 2);
    guard_scene_join(&s, 0);
    assert_thawed(2, REVERSE(2));
    assert_untold(BH_THAW_ABANDONED);
    freeze_many(0, 2); /* it is served */
    guard_scene_join(&s, 0);
    assert_int_equal(guard_scene_frozen(&s), 0);
    assert_nothing_untold();
}

static void a_new_freeze_forgets_what_nobody_was_told(void **state)
{
    (void)state;
    freeze_whole(0, 1);
    guard_scene_leave(&s, 0);
    assert_int_equal(s.page->untold, 1);
    freeze_whole(1, 1);
    assert_int_equal(s.page->untold, 0);
    assert_int_equal(op(1, BH_GUARD_THAW), 0);
    assert_int_equal(s.reply.cause, BH_THAW_ASKED);
}

static void a_freeze_that_holds_outlives_its_worker(void **state)
{
    (void)state;
    s.page->hold = 1;
    freeze_whole(0, 2);
    guard_scene_leave(&s, 0);
    assert_int_equal(s.page->state, BH_FROZEN);
    assert_int_equal(guard_scene_frozen(&s), 2);
    assert_int_equal(s.guard.owner, -1);
    guard_scene_join(&s, 0);
    assert_int_equal(op(0, BH_GUARD_BEGIN), -EBUSY);
    assert_int_equal(op(0, BH_GUARD_THAW), 0);
    assert_int_equal(s.reply.count, 2);
    assert_thawed(2, REVERSE(2));

    freeze_many(0, 2); /* but not one that is not complete */
    guard_scene_leave(&s, 0);
    assert_int_equal(guard_scene_frozen(&s), 0);
}

/* What holds is what the policy said when the freeze began. */
static void hold_is_as_it_was_when_the_freeze_began(void **state)
{
    (void)state;
    freeze_whole(0, 1);
    s.page->hold = 1;
    guard_scene_leave(&s, 0);
    assert_int_equal(guard_scene_frozen(&s), 0);
    guard_scene_join(&s, 0);
    freeze_whole(0, 1);
    s.page->hold = 0;
    guard_scene_leave(&s, 0);
    assert_int_equal(guard_scene_frozen(&s), 1);
    bh_guard_end(&s.guard, true);
    assert_int_equal(guard_scene_frozen(&s), 0);
}

static void the_agent_s_end(void **state)
{
    (void)state;
    bh_guard_end(&s.guard, true);
    bh_guard_end(&s.guard, false);
    assert_int_equal(s.page->began_ns, 0);

    freeze_whole(0, 2);
    bh_guard_end(&s.guard, true); /* in order */
    assert_thawed(2, REVERSE(2));
    assert_untold(BH_THAW_STOPPED);

    freeze_many(0, 2);
    bh_guard_end(&s.guard, false); /* the supervisor died */
    assert_int_equal(guard_scene_frozen(&s), 0);
    assert_nothing_untold();

    freeze_whole(0, 2);
    bh_guard_end(&s.guard, false);
    assert_untold(BH_THAW_RECOVERED);

    s.page->hold = 1;
    freeze_whole(0, 2);
    bh_guard_end(&s.guard, false);
    assert_int_equal(guard_scene_frozen(&s), 2);
    bh_guard_end(&s.guard, true);
    assert_int_equal(guard_scene_frozen(&s), 0);
    assert_untold(BH_THAW_STOPPED);
    freeze_many(0, 2);
    bh_guard_end(&s.guard, false);
    assert_int_equal(guard_scene_frozen(&s), 0);
}

/* --- time ---------------------------------------------------------------------------------- */

static void a_lease_runs_from_the_commit(void **state)
{
    uint64_t now;
    int due;

    (void)state;
    assert_int_equal(bh_guard_due(&s.guard), -1);
    s.page->lease_s = 3600;
    freeze_whole(0, 2);
    now = bh_clock_ms(CLOCK_BOOTTIME);
    assert_in_range(s.page->lease_end_ms, now + 3590000, now + 3600000);
    due = bh_guard_due(&s.guard);
    assert_in_range(due, 3590000, 3600000);
    bh_guard_tick(&s.guard);
    assert_int_equal(guard_scene_frozen(&s), 2);
    s.page->lease_end_ms = now + 50000;
    assert_in_range(bh_guard_due(&s.guard), 40000, 50000);
    bh_guard_tick(&s.guard);
    assert_int_equal(guard_scene_frozen(&s), 2);
    s.page->lease_end_ms = now - 1;
    assert_int_equal(bh_guard_due(&s.guard), 0);
    bh_guard_tick(&s.guard);
    assert_thawed(2, REVERSE(2));
    assert_int_equal(bh_guard_due(&s.guard), -1);
    assert_true(guard_scene_said(&s, "its lease ran out"));
    assert_untold(BH_THAW_EXPIRED);
    guard_scene_leave(&s, 0); /* nobody's any more */
    assert_nothing_untold();
}

static void a_freeze_without_a_lease_lasts(void **state)
{
    (void)state;
    s.page->lease_s = 0;
    freeze_whole(0, 1);
    assert_int_equal(s.page->lease_end_ms, 0);
    assert_int_equal(bh_guard_due(&s.guard), -1);
    bh_guard_tick(&s.guard);
    assert_int_equal(guard_scene_frozen(&s), 1);
    assert_int_equal(op(0, BH_GUARD_THAW), 0);
    s.page->lease_s = UINT32_MAX; /* is no more than the poll's longest */
    freeze_whole(0, 1);
    assert_int_equal(bh_guard_due(&s.guard), INT32_MAX);
    bh_guard_tick(&s.guard);
    assert_int_equal(guard_scene_frozen(&s), 1);
    assert_int_equal(op(0, BH_GUARD_THAW), 0);
}

/* A lease is short, and holds too: nothing is frozen for ever because a process died. */
static void a_lease_ends_what_holds(void **state)
{
    (void)state;
    s.page->hold = 1;
    s.page->lease_s = 60;
    freeze_whole(0, 1);
    guard_scene_leave(&s, 0);
    s.page->lease_end_ms = 1;
    bh_guard_tick(&s.guard);
    assert_int_equal(guard_scene_frozen(&s), 0);
    assert_untold(BH_THAW_EXPIRED);
}

/* Its FIFREEZE does not come back, and it stands at the last but one. */
static void stall(unsigned slot, uint32_t filesystem)
{
    assert_int_equal(guard_scene_op(&s, slot, BH_GUARD_HOLD, filesystem, 0), 0);
    s.kernel->slow[filesystem] = true;
    assert_in_range(bh_guard_due(&s.guard), BH_FREEZE_STALL_MS - 5000, BH_FREEZE_STALL_MS);
    bh_guard_tick(&s.guard);
    assert_int_equal(s.page->state, BH_FREEZING);
    s.guard.progress_ms -= BH_FREEZE_STALL_MS;
    assert_int_equal(bh_guard_due(&s.guard), 0);
    bh_guard_tick(&s.guard);
}

static void assert_lingers(void)
{
    assert_int_equal(s.page->state, BH_THAWED);
    assert_int_equal(guard_scene_frozen(&s), 0);
    assert_true(s.guard.lingering >= 0);
    assert_in_range(bh_guard_due(&s.guard), 0, BH_LINGER_MS);
}

static void what_stalls_is_undone_and_kept_in_sight(void **state)
{
    static const uint32_t order[] = { 1, 0, 2 };

    (void)state;
    freeze_many(0, 2);
    stall(0, 2);
    assert_true(guard_scene_said(&s, "took too long"));
    assert_lingers();
    assert_int_equal(s.page->mounts[2].fate, BH_MOUNT_SKIPPED);
    assert_nothing_untold();
    assert_int_equal(op(1, BH_GUARD_BEGIN), -EBUSY); /* it would not come through */
    for (unsigned i = 0; i < 3; i++) {
        s.guard.linger_ms = 1;
        bh_guard_tick(&s.guard);
        assert_lingers();
    }
    assert_int_equal(s.kernel->thaws[2], 4);
    s.kernel->slow[2] = false;
    s.kernel->frozen[2] = true; /* now it comes back */
    s.guard.linger_ms = 1;
    bh_guard_tick(&s.guard);
    assert_true(guard_scene_said(&s, "froze after its freeze had been undone"));
    assert_int_equal(bh_guard_due(&s.guard), -1);
    assert_thawed(3, order);
    assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_DONE, 0, 0), -ENOTCONN); /* late, and told so */
    freeze_whole(1, 1);
    assert_int_equal(op(1, BH_GUARD_THAW), 0);
}

static void each_step_is_progress(void **state)
{
    (void)state;
    freeze_many(0, 1);
    for (enum bh_guard_op what = BH_GUARD_SKIP; what <= BH_GUARD_DONE; what++) {
        s.guard.progress_ms -= BH_FREEZE_STALL_MS - 1000;
        assert_int_equal(guard_scene_op(&s, 0, what, 1, 0), 0);
        assert_in_range(bh_guard_due(&s.guard), BH_FREEZE_STALL_MS - 900, BH_FREEZE_STALL_MS);
    }
    assert_int_equal(op(0, BH_GUARD_UNDO), 0);
}

/* A process that has ended is in no system call: one attempt more, and that was it. */
static void what_lingers_ends_with_its_worker(void **state)
{
    (void)state;
    freeze_many(0, 1);
    stall(0, 3);
    s.kernel->slow[3] = false;
    s.kernel->frozen[3] = true;
    guard_scene_leave(&s, 0);
    assert_int_equal(bh_guard_due(&s.guard), 0);
    bh_guard_tick(&s.guard);
    assert_int_equal(guard_scene_frozen(&s), 0);
    assert_int_equal(s.guard.lingering, -1);

    guard_scene_join(&s, 0); /* and if it did not freeze */
    freeze_many(0, 1);
    stall(0, 3);
    guard_scene_leave(&s, 0);
    bh_guard_tick(&s.guard);
    assert_int_equal(s.guard.lingering, -1);
    assert_int_equal(bh_guard_due(&s.guard), -1);
    assert_int_equal(op(1, BH_GUARD_BEGIN), 0);
    assert_int_equal(op(1, BH_GUARD_UNDO), 0);
}

/* The next one begins before the clock was looked at. */
static void what_lingers_is_not_forgotten_for_a_new_freeze(void **state)
{
    (void)state;
    freeze_many(0, 1);
    stall(0, 3);
    s.kernel->slow[3] = false;
    s.kernel->frozen[3] = true;
    guard_scene_leave(&s, 0);
    assert_int_equal(op(1, BH_GUARD_BEGIN), 0);
    assert_int_equal(guard_scene_frozen(&s), 0);
    assert_int_equal(s.guard.lingering, -1);
    assert_int_equal(op(1, BH_GUARD_UNDO), 0);
}

/* A worker that ended while it was about to freeze: its FIFREEZE has come back, one way or the other. */
static void a_worker_that_ends_with_one_held(void **state)
{
    (void)state;
    freeze_many(0, 1);
    assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_HOLD, 1, 0), 0);
    assert_int_equal(guard_scene_fifreeze(&s, 1), 0);
    guard_scene_leave(&s, 0);
    assert_thawed(2, (const uint32_t[]){ 0, 1 });
    guard_scene_join(&s, 0);
    freeze_many(0, 1);
    assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_HOLD, 1, 0), 0);
    guard_scene_leave(&s, 0);
    assert_int_equal(s.guard.lingering, -1);
    assert_int_equal(guard_scene_frozen(&s), 0);
}

/* Without a supervisor: as long as the worker that hangs is there; a short while if nobody tells when it
 * ends. */
static void alone_it_stays_for_what_lingers(void **state)
{
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);

    (void)state;
    assert_false(bh_guard_lingers(&s.guard));
    freeze_many(0, 1);
    stall(0, 3);
    bh_guard_end(&s.guard, false);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(bh_guard_lingers(&s.guard));
        s.guard.linger_ms = 1;
        bh_guard_tick(&s.guard);
    }
    assert_true(s.guard.linger_until_ms == UINT64_MAX);
    s.kernel->slow[3] = false;
    s.kernel->frozen[3] = true;
    guard_scene_leave(&s, 0);
    assert_true(bh_guard_lingers(&s.guard)); /* it has not been looked at yet */
    bh_guard_tick(&s.guard);
    assert_int_equal(guard_scene_frozen(&s), 0);
    assert_false(bh_guard_lingers(&s.guard));

    guard_scene_join(&s, 0);
    freeze_many(0, 1);
    stall(0, 3);
    s.guard.lingerer = -1; /* as a successor has it */
    s.guard.linger_until_ms = now + BH_LINGER_MAX_MS;
    assert_true(bh_guard_lingers(&s.guard));
    assert_in_range(s.guard.linger_until_ms, now, now + BH_LINGER_ALONE_MS + 10000);
    s.guard.linger_ms = s.guard.linger_until_ms = 1;
    assert_true(bh_guard_lingers(&s.guard));
    assert_int_equal(s.guard.linger_until_ms, 1); /* no longer than it was */
    bh_guard_tick(&s.guard);
    assert_false(bh_guard_lingers(&s.guard));
}

/* --- hooks ------------------------------------------------------------------------------------ */

static int begin_with_hooks(unsigned slot, int *ret_hook)
{
    struct bh_guard_request request = { .magic = BH_GUARD_MAGIC, .op = BH_GUARD_BEGIN };
    int pair[2], r;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    r = guard_scene_ask(&s, slot, &request, pair[0]);
    (void)close(pair[0]);
    *ret_hook = pair[1];
    return r;
}

/* Does nobody hold the other end of the hooks' socket? */
static bool is_let_go(int hook)
{
    char byte;

    return recv(hook, &byte, 1, MSG_DONTWAIT) == 0;
}

static void who_ends_a_freeze_gets_its_hooks(void **state)
{
    static const enum bh_guard_op ends[] = { BH_GUARD_UNDO, BH_GUARD_THAW };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_SIZE(ends); i++) {
        _cleanup_close_ int hook = -1;

        assert_int_equal(begin_with_hooks(0, &hook), 0);
        assert_int_equal(s.reply_fd, -1);
        freeze(0, 0);
        if (ends[i] == BH_GUARD_THAW)
            assert_int_equal(op(0, BH_GUARD_COMMIT), 0);
        assert_int_equal(s.reply_fd, -1);
        assert_false(is_let_go(hook));
        assert_int_equal(op(ends[i] == BH_GUARD_THAW ? 1 : 0, ends[i]), 0);
        assert_true(s.reply_fd >= 0);
        assert_int_equal(send(s.reply_fd, "x", 1, 0), 1);
        assert_int_equal(recv(hook, &(char){ 0 }, 1, 0), 1);
        bh_close_p(&s.reply_fd);
        assert_true(is_let_go(hook)); /* the guard has kept no copy */
        assert_int_equal(op(0, BH_GUARD_THAW), 0);
        assert_int_equal(s.reply_fd, -1);
    }
}

static void a_refused_freeze_leaves_its_hooks_to_whoever_began(void **state)
{
    _cleanup_close_ int hook = -1, other = -1;

    (void)state;
    assert_int_equal(begin_with_hooks(0, &hook), 0);
    assert_int_equal(begin_with_hooks(1, &other), -EBUSY);
    assert_int_equal(s.reply_fd, -1);
    assert_true(is_let_go(other));
    assert_false(is_let_go(hook));
    assert_int_equal(op(1, BH_GUARD_THAW), -EBUSY);
    assert_int_equal(s.reply_fd, -1);
    assert_int_equal(op(0, BH_GUARD_UNDO), 0);
    assert_true(s.reply_fd >= 0);
}

/* After the thaw, not before: that is what the hooks wait for. */
static void unasked_the_hooks_are_let_go(void **state)
{
    int hook = -1;

    (void)state;
    s.page->lease_s = 60;
    for (unsigned how = 0; how < 4; how++) {
        assert_int_equal(begin_with_hooks(0, &hook), 0);
        freeze(0, 0);
        assert_int_equal(op(0, BH_GUARD_COMMIT), 0);
        assert_false(is_let_go(hook));
        if (how == 0) {
            guard_scene_leave(&s, 0);
            guard_scene_join(&s, 0);
        } else if (how == 1) {
            s.page->lease_end_ms = 1;
            bh_guard_tick(&s.guard);
        } else {
            bh_guard_end(&s.guard, how == 2);
        }
        assert_int_equal(guard_scene_frozen(&s), 0);
        assert_true(is_let_go(hook));
        assert_int_equal(s.guard.hooks, -1);
        bh_close_p(&hook);
    }
}

/* --- the record -------------------------------------------------------------------------------- */

static int file_on_disk(struct stat *ret)
{
    static const char *const folders[] = { ".", "/var/tmp", "/tmp" };

    for (size_t i = 0; i < BH_ARRAY_SIZE(folders); i++) {
        int fd = open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

        if (fd >= 0 && fstat(fd, ret) == 0 && major(ret->st_dev) != 0)
            return fd;
        bh_close_p(&fd);
    }
    skip();
    return -1;
}

static int hold_device(const struct stat *st, uint32_t filesystem)
{
    struct bh_guard_request request = {
        .magic = BH_GUARD_MAGIC,
        .op = BH_GUARD_HOLD,
        .major = major(st->st_dev),
        .minor = minor(st->st_dev),
        .path = "/",
    };

    return guard_scene_ask(&s, 0, &request, s.folders[filesystem]);
}

static struct bh_frozen *read_record(void)
{
    static struct bh_frozen found;

    memset(&found, 0, sizeof(found));
    assert_true(pread(s.record, &found, sizeof(found), 0) > 0);
    return &found;
}

/*
 * It says what is about to be frozen, its own file system too, and is not touched from then on until that is
 * thawed; then it has all.
 */
static void a_record_on_what_is_frozen(void **state)
{
    const struct bh_frozen *record;
    struct stat st;

    (void)state;
    guard_scene_end(&s);
    guard_scene_begin(&s, file_on_disk(&st));
    guard_scene_join(&s, 0);
    guard_scene_join(&s, 1);
    freeze_many(0, 1);
    assert_int_equal(hold_device(&st, 1), 0);
    record = read_record();
    assert_true(bh_frozen_check(record, GUARD_BOOT));
    assert_int_equal(record->state, BH_FREEZING);
    assert_int_equal(record->n_mounts, 2);
    assert_int_equal(record->mounts[1].fate, BH_MOUNT_ABOUT);
    assert_int_equal(record->mounts[1].major, major(st.st_dev));
    assert_true(bh_thaw_record_is_cut(&s.guard));

    assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_DONE, 0, guard_scene_fifreeze(&s, 1)), 0);
    assert_int_equal(guard_scene_freeze(&s, 0, 2), 0);
    assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_COMMIT, 0, 0), 0);
    record = read_record();
    assert_int_equal(record->state, BH_FREEZING);
    assert_int_equal(record->n_mounts, 2);
    assert_int_equal(record->mounts[1].fate, BH_MOUNT_ABOUT);
    assert_int_equal(record->mounts[2].fate, 0);

    assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_THAW, 0, 0), 0);
    assert_int_equal(s.reply.count, 3);
    assert_false(bh_thaw_record_is_cut(&s.guard));
    assert_thawed(3, REVERSE(3)); /* which compares the record as well */
}

static void no_record_is_no_hindrance(void **state)
{
    (void)state;
    guard_scene_end(&s);
    for (unsigned i = 0; i < 2; i++) {
        guard_scene_begin(&s, i == 0 ? -1 : open("/proc/self/mem", O_RDONLY | O_CLOEXEC));
        guard_scene_join(&s, 0);
        assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_BEGIN, 0, 0), 0);
        assert_int_equal(guard_scene_freeze(&s, 0, 0), 0);
        assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_COMMIT, 0, 0), 0);
        assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_THAW, 0, 0), 0);
        assert_int_equal(s.reply.count, 1);
        if (i == 0)
            guard_scene_end(&s);
    }
}

/* --- a successor --------------------------------------------------------------------------------- */

/* A guard that finds these bytes as its page. What the kernel has frozen is the scene's. */
static struct bh_frozen *succeed(const struct bh_frozen *left)
{
    static struct bh_frozen page;
    static struct bh_guard next;
    _cleanup_close_ int mountinfo = guard_scene_mountinfo(&s);

    memcpy(&page, left, sizeof(page));
    bh_guard_init(&next, &page, -1, &s.audit);
    next.thaw = s.guard.thaw;
    bh_guard_recover(&next, mountinfo);
    for (uint32_t i = 0; i < page.n_mounts; i++)
        bh_close_p(&next.mounts[i]);
    bh_close_p(&next.lingering);
    return &page;
}

static void a_successor_thaws_by_its_predecessor_s_word(void **state)
{
    struct bh_frozen *page;

    (void)state;
    freeze_whole(0, 3);
    assert_int_equal(guard_scene_frozen(&s), 3);
    page = succeed(s.page);
    assert_int_equal(page->state, BH_THAWED);
    assert_int_equal(page->cause, BH_THAW_RECOVERED);
    assert_int_equal(page->untold, 1);
    assert_int_equal(guard_scene_frozen(&s), 0);
    assert_memory_equal(s.kernel->order, REVERSE(3), 3 * sizeof(uint32_t));
    assert_true(guard_scene_said(&s, "the process that guarded it ended: 3 file systems"));
}

static void a_successor_misleads_nobody_about_half_a_freeze(void **state)
{
    struct bh_frozen *page;

    (void)state;
    freeze_many(0, 2);
    assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_HOLD, 2, 0), 0);
    assert_int_equal(guard_scene_fifreeze(&s, 2), 0);
    s.page->hold = 1; /* not for half a freeze */
    page = succeed(s.page);
    assert_int_equal(page->untold, 0);
    assert_int_equal(guard_scene_frozen(&s), 0);
    assert_memory_equal(s.kernel->order, ((const uint32_t[]){ 1, 0, 2 }), 3 * sizeof(uint32_t));
}

static void a_successor_holds_if_the_policy_says_so(void **state)
{
    static struct bh_guard next;
    _cleanup_close_ int mountinfo = guard_scene_mountinfo(&s);

    (void)state;
    s.page->hold = 1;
    s.page->lease_s = 60;
    freeze_whole(0, 3);
    bh_guard_init(&next, s.page, -1, &s.audit);
    next.thaw = s.guard.thaw;
    bh_guard_recover(&next, mountinfo);
    assert_true(guard_scene_said(&s, "stay so"));
    assert_int_equal(s.page->state, BH_FROZEN);
    assert_int_equal(guard_scene_frozen(&s), 3);
    assert_in_range(bh_guard_due(&next), 1, 60000);
    s.page->lease_end_ms = 1;
    bh_guard_tick(&next);
    assert_int_equal(s.page->state, BH_THAWED);
    assert_int_equal(guard_scene_frozen(&s), 0);
    assert_memory_equal(s.kernel->order, REVERSE(3), 3 * sizeof(uint32_t));
}

/* What is not mounted any more is passed over; what cannot be listed at all is no reason to hang. */
static void a_successor_without_all_of_the_mounts(void **state)
{
    _cleanup_close_ int nothing = bh_memfd_new("mountinfo", NULL, 0);
    static struct bh_guard next;
    static struct bh_frozen page;

    (void)state;
    freeze_whole(0, 3);
    memcpy(&page, s.page, sizeof(page));
    page.mounts[1].minor = 77;
    assert_int_equal(succeed(&page)->state, BH_THAWED);
    assert_int_equal(guard_scene_frozen(&s), 1);
    assert_true(s.kernel->frozen[1]);

    memcpy(&page, s.page, sizeof(page));
    bh_guard_init(&next, &page, -1, &s.audit);
    next.thaw = s.guard.thaw;
    bh_guard_recover(&next, nothing);
    assert_int_equal(page.state, BH_THAWED);
    memcpy(&page, s.page, sizeof(page));
    bh_guard_init(&next, &page, -1, &s.audit);
    next.thaw = s.guard.thaw;
    bh_guard_recover(&next, -1);
    assert_int_equal(page.state, BH_THAWED);
    assert_true(s.kernel->frozen[1]);
}

/* A mount that was about to be frozen by a process that hangs: looked at for a while, though nobody says when
 * it ends. */
static void a_successor_keeps_in_sight_what_hangs(void **state)
{
    static struct bh_guard next;
    _cleanup_close_ int mountinfo = guard_scene_mountinfo(&s);
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);

    (void)state;
    freeze_many(0, 1);
    assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_HOLD, 2, 0), 0);
    bh_guard_init(&next, s.page, -1, &s.audit);
    next.thaw = s.guard.thaw;
    bh_guard_recover(&next, mountinfo);
    assert_true(next.lingering >= 0);
    assert_in_range(next.linger_until_ms, now + BH_LINGER_MAX_MS, now + BH_LINGER_MAX_MS + 10000);
    assert_int_equal(guard_scene_fifreeze(&s, 2), 0);
    next.linger_ms = 1;
    bh_guard_tick(&next);
    assert_int_equal(guard_scene_frozen(&s), 0);
    assert_int_equal(next.lingering, -1);
}

/* The record ends where its own file system froze: all that is mounted is thawed. */
static void a_successor_of_a_record_that_is_cut(void **state)
{
    static struct bh_frozen page;
    static struct bh_guard next;
    _cleanup_close_ int mountinfo = -1;
    struct stat st;

    (void)state;
    guard_scene_end(&s);
    guard_scene_begin(&s, file_on_disk(&st));
    guard_scene_join(&s, 0);
    freeze_many(0, 1);
    assert_int_equal(hold_device(&st, 1), 0);
    assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_DONE, 0, guard_scene_fifreeze(&s, 1)), 0);
    assert_int_equal(guard_scene_freeze(&s, 0, 2), 0);
    assert_int_equal(guard_scene_op(&s, 0, BH_GUARD_COMMIT, 0, 0), 0);
    memcpy(&page, read_record(), sizeof(page)); /* all that the whole agent has left */
    mountinfo = guard_scene_mountinfo(&s);
    bh_guard_init(&next, &page, s.record, &s.audit);
    next.thaw = s.guard.thaw;
    bh_guard_recover(&next, mountinfo);
    assert_int_equal(guard_scene_frozen(&s), 0);
    bh_close_p(&next.lingering);
}

/* --- killed ------------------------------------------------------------------------------------- */

/* What the process that is killed does: guard and worker in one, so that a system call is a step of either.
 */
static void play(void)
{
    (void)guard_scene_op(&s, 0, BH_GUARD_BEGIN, 0, 0);
    (void)guard_scene_freeze(&s, 0, 0);
    (void)guard_scene_op(&s, 0, BH_GUARD_SKIP, 5, EACCES);
    (void)guard_scene_freeze(&s, 0, 1);
    (void)guard_scene_freeze(&s, 0, 2);
    (void)guard_scene_op(&s, 0, BH_GUARD_COMMIT, 0, 0);
    (void)guard_scene_op(&s, 0, BH_GUARD_THAW, 0, 0);
    (void)guard_scene_op(&s, 0, BH_GUARD_BEGIN, 0, 0);
    (void)guard_scene_freeze(&s, 0, 3);
    (void)guard_scene_freeze(&s, 0, 0);
    bh_guard_end(&s.guard, true);
}

static pid_t start_player(void)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(77);
    (void)raise(SIGSTOP);
    play();
    _exit(0);
}

/* The kernel as it stands, for a successor that goes by `left`: nothing of ours stays frozen, and nothing
 * else is thawed. */
static void try_successor(const struct bh_frozen *left)
{
    struct kernel before = *s.kernel;

    assert_true(bh_frozen_check(left, GUARD_BOOT) || guard_scene_frozen(&s) == 1);
    assert_int_equal(succeed(left)->state, BH_THAWED);
    for (uint32_t i = 0; i < GUARD_FILESYSTEMS; i++)
        assert_int_equal(s.kernel->frozen[i], i == 5);
    assert_int_equal(s.kernel->thaws[5], 0);
    *s.kernel = before;
}

static void killed_at_each_system_call(void **state)
{
    static struct bh_frozen left;
    size_t tried = 0;
    int status;
    pid_t pid;

    (void)state;
    s.kernel->frozen[5] = true; /* by somebody else */
    pid = start_player();
    assert_true(pid > 0);
    for (;;) {
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFSTOPPED(status))
            break;
        try_successor(s.page);
        memset(&left, 0, sizeof(left)); /* and by the record, where the whole agent was killed */
        if (pread(s.record, &left, sizeof(left), 0) > 0)
            try_successor(&left);
        else
            assert_int_equal(guard_scene_frozen(&s), 1);
        tried++;
        assert_int_equal(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip(); /* nobody may trace here */
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(tried > TRIED_LEAST);
    assert_int_equal(guard_scene_frozen(&s), 1);
    assert_int_equal(s.kernel->n_order, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_whole_freeze_and_its_thaw),
        TEST(what_is_passed_over_is_told_and_not_thawed),
        TEST(what_somebody_else_thawed_is_not_counted),
        TEST(undone_before_it_was_complete),
        TEST(the_page_has_what_was_told),
        TEST(there_is_room_for_so_many),
        TEST(another_channel_waits_while_a_freeze_is_made),
        TEST(another_s_end_is_no_end),
        TEST(each_step_out_of_turn_is_answered),
        TEST(one_is_held_at_a_time),
        TEST(who_breaks_the_protocol_hurts_nobody_else),
        TEST(who_breaks_the_protocol_has_abandoned_its_freeze),
        TEST(a_packet_of_another_shape_ends_its_sender),
        TEST(nothing_to_read_is_no_end),
        TEST(who_takes_no_answers_is_ended),
        TEST(a_worker_that_ends_while_it_freezes_misleads_nobody),
        TEST(a_worker_that_ends_after_it_froze_is_told_of),
        TEST(a_worker_that_ends_before_or_afterwards),
        TEST(a_successor_of_its_slot_takes_no_freeze_over),
        TEST(a_new_freeze_forgets_what_nobody_was_told),
        TEST(a_freeze_that_holds_outlives_its_worker),
        TEST(hold_is_as_it_was_when_the_freeze_began),
        TEST(the_agent_s_end),
        TEST(a_lease_runs_from_the_commit),
        TEST(a_freeze_without_a_lease_lasts),
        TEST(a_lease_ends_what_holds),
        TEST(what_stalls_is_undone_and_kept_in_sight),
        TEST(each_step_is_progress),
        TEST(what_lingers_ends_with_its_worker),
        TEST(what_lingers_is_not_forgotten_for_a_new_freeze),
        TEST(a_worker_that_ends_with_one_held),
        TEST(alone_it_stays_for_what_lingers),
        TEST(who_ends_a_freeze_gets_its_hooks),
        TEST(a_refused_freeze_leaves_its_hooks_to_whoever_began),
        TEST(unasked_the_hooks_are_let_go),
        TEST(a_record_on_what_is_frozen),
        TEST(no_record_is_no_hindrance),
        TEST(a_successor_thaws_by_its_predecessor_s_word),
        TEST(a_successor_misleads_nobody_about_half_a_freeze),
        TEST(a_successor_holds_if_the_policy_says_so),
        TEST(a_successor_without_all_of_the_mounts),
        TEST(a_successor_keeps_in_sight_what_hangs),
        TEST(a_successor_of_a_record_that_is_cut),
        TEST(killed_at_each_system_call),
    };

    return cmocka_run_group_tests(tests, prepare, NULL);
}
