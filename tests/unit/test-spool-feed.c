/* workers/spool between feeders: what they may say, what they may not, and that they come and go. */
#include "tests/unit/spool-play.h"

#include "protocol/base/mem.h"

#define EXITED(code) ((code) << 8)

static struct bh_guest_exec_status st;

static int teardown(void **state)
{
    (void)state;
    stop();
    return 0;
}

/* --- what ends a feeder -------------------------------------------------------------------- */

enum { OUT_PIPE, OUT_WRITER, IN_PIPE, END_PIPE, SOCKET, DEV_NULL, DEV_NULL_TO_READ };

/* A descriptor of this kind; `*ret_other` is its other end, or -1. */
static int make_fd(int kind, int *ret_other)
{
    int ends[2], pair[2];

    *ret_other = -1;
    if (kind == DEV_NULL || kind == DEV_NULL_TO_READ)
        return open("/dev/null", (kind == DEV_NULL ? O_RDWR : O_RDONLY) | O_CLOEXEC);
    if (kind == SOCKET) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        *ret_other = pair[1];
        return pair[0];
    }
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    *ret_other = ends[kind == OUT_WRITER || kind == IN_PIPE ? 0 : 1];
    return ends[kind == OUT_WRITER || kind == IN_PIPE ? 1 : 0];
}

/* Each of the other ends must see that the spool has closed what it was given: nothing leaks. */
static void assert_closed(int other)
{
    struct pollfd poller = { .fd = other, .events = POLLIN };

    assert_int_equal(poll(&poller, 1, SOON_MS), 1);
    assert_true(poller.revents & (POLLHUP | POLLERR));
}

static void check_dropped(const void *bytes, size_t len, const int *kinds, unsigned n)
{
    int socket = introduce(), fds[8], others[8];

    for (unsigned i = 0; i < n; i++)
        fds[i] = make_fd(kinds[i], &others[i]);
    feed_raw(socket, bytes, len, fds, n);
    for (unsigned i = 0; i < n; i++)
        (void)close(fds[i]);
    assert_feeder_dropped(socket);
    assert_true(next_record(BH_RECORD_EVENT));
    assert_non_null(strstr(records.last.text.ptr, "protocol violation"));
    for (unsigned i = 0; i < n; i++) {
        if (others[i] < 0)
            continue;
        assert_closed(others[i]);
        (void)close(others[i]);
    }
    (void)close(socket);
}

#define DROPPED(message, ...)                                                                                \
    check_dropped(&(message), sizeof(message), (const int[]){ __VA_ARGS__ },                                 \
                  sizeof((const int[]){ __VA_ARGS__ }) / sizeof(int))

static struct bh_spool_message good(uint16_t flags)
{
    return open_message(flags, 100);
}

static void test_malformed_messages(void **state)
{
    struct bh_spool_message message;

    (void)state;
    start(0);
#define WRONG(change)                                                                                        \
    do {                                                                                                     \
        message = good(BH_SPOOL_OUT);                                                                        \
        change;                                                                                              \
        DROPPED(message, OUT_PIPE, END_PIPE);                                                                \
    } while (0)
    WRONG(message.magic++);
    WRONG(message.op = 0);
    WRONG(message.op = BH_SPOOL_FORGOTTEN);
    WRONG(message.op = BH_SPOOL_OP_END);
    WRONG(message.op = BH_SPOOL_LOST);
    WRONG(message.flags |= BH_SPOOL_FLAGS_ALL + 1);
    WRONG(message.flags = BH_SPOOL_OUT | BH_SPOOL_ERR);
    WRONG(message.number = 0);
    WRONG(message.number = UINT64_C(1) << 63);
    WRONG(message.zero = 1);
    WRONG(message.output = 0);
    WRONG(message.output = BH_EXEC_OUTPUT_MAX + 1);
    WRONG(memset(message.program, 'x', sizeof(message.program)));
    WRONG(memset(message.rule, 'x', sizeof(message.rule)));
    WRONG(memset(message.user, 'x', sizeof(message.user)));
    message = good(BH_SPOOL_OUT);
    check_dropped(&message, sizeof(message) - 1, (const int[]){ OUT_PIPE, END_PIPE }, 2);
    check_dropped(&message, 1, NULL, 0);
    for (unsigned i = 0; i < 3; i++) {
        message = (struct bh_spool_message){ .magic = BH_SPOOL_MAGIC, .op = BH_SPOOL_LOST, .number = 5 };
        message.flags = i == 0 ? BH_SPOOL_WAITS : 0;
        message.act = i == 1;
        message.output = i == 2;
        check_dropped(&message, sizeof(message), NULL, 0);
    }
    message =
        (struct bh_spool_message){ .magic = BH_SPOOL_MAGIC, .op = BH_SPOOL_LOST, .number = 5, .user = "x" };
    check_dropped(&message, sizeof(message), NULL, 0);
}

static void test_wrong_descriptors(void **state)
{
    struct bh_spool_message message;

    (void)state;
    start(0);
    message = good(BH_SPOOL_OUT | BH_SPOOL_IN);
    DROPPED(message, OUT_PIPE, IN_PIPE);                     /* too few */
    DROPPED(message, OUT_PIPE, IN_PIPE, END_PIPE, END_PIPE); /* too many */
    DROPPED(message, OUT_PIPE, IN_PIPE, END_PIPE, END_PIPE, END_PIPE);
    DROPPED(message, OUT_PIPE, IN_PIPE, END_PIPE, END_PIPE, END_PIPE, SOCKET, SOCKET, SOCKET);
    DROPPED(message, OUT_WRITER, IN_PIPE, END_PIPE);
    DROPPED(message, SOCKET, IN_PIPE, END_PIPE);
    DROPPED(message, DEV_NULL, IN_PIPE, END_PIPE);
    DROPPED(message, DEV_NULL_TO_READ, IN_PIPE, END_PIPE);
    DROPPED(message, OUT_PIPE, OUT_PIPE, END_PIPE);
    DROPPED(message, OUT_PIPE, SOCKET, END_PIPE);
    DROPPED(message, OUT_PIPE, IN_PIPE, OUT_WRITER);
    DROPPED(message, OUT_PIPE, IN_PIPE, SOCKET);
    check_dropped(&message, sizeof(message), NULL, 0);
}

/* A number that is taken; and what ended its sender leaves the first one as it was. */
static void test_number_twice(void **state)
{
    struct bh_spool_message message;
    struct played played;

    (void)state;
    start(0);
    played = play(BH_SPOOL_OUT, 100);
    write_to(played.out, "x", 1);
    message = good(BH_SPOOL_OUT);
    message.number = played.number;
    assert_int_equal(ask_status(played.number, &st), 0);
    DROPPED(message, OUT_PIPE, END_PIPE);
    message =
        (struct bh_spool_message){ .magic = BH_SPOOL_MAGIC, .op = BH_SPOOL_LOST, .number = played.number };
    check_dropped(&message, sizeof(message), NULL, 0);
    end_played(&played, EXITED(0));
    assert_int_equal(fetch(played.number, &st), 0);
    assert_int_equal(data_len, 1);
    assert_int_equal(told_forgotten(SOON_MS), played.number);
}

static void test_names_that_are_no_text(void **state)
{
    struct bh_bulkhead_exec_list_ret ret = { 0 };
    struct bh_spool_message message = open_message(0, 100);
    int end, theirs;

    (void)state;
    start(0);
    end = new_pipe(true, &theirs);
    strcpy(message.program, "/bin/a\xff\xc3+");
    strcpy(message.rule, "r\xc3\xa4");
    memset(message.user, 'u', 300);
    feed_raw(feeder, &message, sizeof(message), &theirs, 1);
    (void)close(theirs);
    list(&ret);
    assert_int_equal(ret.n_value, 1);
    assert_string_equal(ret.value[0].program.ptr, "/bin/a??+");
    assert_string_equal(ret.value[0].rule.ptr, "r\xc3\xa4");
    assert_int_equal(ret.value[0].user.len, 256);
    (void)close(end);
}

/* --- feeders that come and go -------------------------------------------------------------- */

/* What it has opened goes on without it; nobody is told then. */
static void test_feeder_that_dies(void **state)
{
    struct played played;
    int next;

    (void)state;
    start(0);
    played = play(BH_SPOOL_OUT, 100);
    write_to(played.out, "abc", 3);
    assert_int_equal(ask_status(played.number, &st), 0);
    (void)close(feeder);
    (void)poll(NULL, 0, 100); /* its place is free then, and the next one's */
    next = introduce();
    feeder = next;
    end_played(&played, EXITED(1));
    assert_int_equal(fetch(played.number, &st), 0);
    assert_int_equal(data_len, 3);
    assert_int_equal(told_forgotten(100), 0);
    played = play(0, 100);
    end_played(&played, EXITED(0));
    assert_int_equal(fetch(played.number, &st), 0);
    assert_int_equal(told_forgotten(SOON_MS), played.number);
}

static void test_as_many_feeders_as_may_be(void **state)
{
    int sockets[BH_SPOOL_FEEDERS_MAX];

    (void)state;
    start(0);
    for (unsigned i = 0; i < BH_SPOOL_FEEDERS_MAX; i++)
        sockets[i] = introduce();
    assert_feeder_dropped(sockets[BH_SPOOL_FEEDERS_MAX - 1]); /* `feeder` is the first */
    (void)close(sockets[0]);
    (void)poll(NULL, 0, 50);
    (void)close(sockets[BH_SPOOL_FEEDERS_MAX - 1]);
    sockets[0] = introduce();
    assert_int_equal(poll(&(struct pollfd){ .fd = sockets[0], .events = POLLIN }, 1, 100), 0);
    for (unsigned i = 0; i < BH_SPOOL_FEEDERS_MAX - 1; i++)
        (void)close(sockets[i]);
}

/* A feeder that does not listen is told everything when it does. */
static void test_feeder_that_does_not_listen(void **state)
{
    static struct played all[300];
    unsigned told = 0;

    (void)state;
    start(0);
    for (unsigned i = 0; i < BH_ARRAY_SIZE(all); i++) {
        all[i] = play(0, 100);
        end_played(&all[i], EXITED(0));
        assert_int_equal(fetch(all[i].number, &st), 0);
    }
    while (told < BH_ARRAY_SIZE(all)) {
        assert_int_equal(told_forgotten(SOON_MS), all[told].number);
        told++;
    }
    assert_int_equal(told_forgotten(50), 0);
    all[0] = play(0, 100);
    end_played(&all[0], EXITED(0));
    assert_int_equal(fetch(all[0].number, &st), 0);
    assert_int_equal(told_forgotten(SOON_MS), all[0].number);
}

static void test_lost(void **state)
{
    struct bh_spool_message message = { .magic = BH_SPOOL_MAGIC, .op = BH_SPOOL_LOST, .number = 12 };
    struct bh_bulkhead_exec_list_ret ret = { 0 };

    (void)state;
    start(0);
    feed_raw(feeder, &message, sizeof(message), NULL, 0);
    list(&ret);
    assert_int_equal(ret.n_value, 0);
    assert_int_equal(ask_status(12, &st), BH_E_WORKER_DIED);
    assert_non_null(strstr(error.text, "what PID 12 did is not known"));
    assert_int_equal(ask_status(12, &st), BH_E_BAD_PID);
    assert_int_equal(told_forgotten(SOON_MS), 12);
}

/* A feeder is introduced while a new policy is waited for. */
static void test_feeder_that_comes_with_a_policy(void **state)
{
    const struct bh_slice *slice;
    struct bh_control message;
    struct played played;
    int fd, none, first;

    (void)state;
    start(0);
    slice = worker.policy.slice;
    assert_int_equal(ask_status(1, &st), BH_E_BAD_PID);
    worker.state->edition++;
    id++;
    send_call(STATUS, &(struct bh_guest_exec_status_args){ .pid = 1 });
    assert_int_equal(bh_control_recv(supervisor, &message, &none), 1);
    assert_int_equal(message.op, BH_CONTROL_POLICY);
    first = feeder;
    feeder = introduce();
    fd = bh_memfd_new("slice", slice, slice->size);
    assert_int_equal(bh_memfd_seal(fd), 0);
    assert_int_equal(bh_control_send(supervisor, BH_CONTROL_POLICY, slice->size, fd), 0);
    assert_int_equal(receive(STATUS, &st), BH_E_BAD_PID);
    played = play(BH_SPOOL_OUT, 10);
    end_played(&played, EXITED(4));
    assert_int_equal(fetch(played.number, &st), 0);
    assert_int_equal(st.exitcode, 4);
    assert_int_equal(told_forgotten(SOON_MS), played.number);
    (void)close(first);
    (void)close(fd);
}

/* Its feeder has let go of the spool only, which was slow: nothing is lost, and who comes back is told of the
 * end. */
static void test_feeder_that_comes_back(void **state)
{
    struct bh_spool_message lost = { .magic = BH_SPOOL_MAGIC, .op = BH_SPOOL_LOST };
    struct bh_bulkhead_exec_list_ret ret = { 0 };
    struct played heard, unheard;

    (void)state;
    start(0);
    heard = play(BH_SPOOL_OUT, 100);
    write_to(heard.out, "abc", 3);
    await_bytes(heard.number, 3);
    assert_int_equal(kill(child, SIGSTOP), 0);
    unheard = play(BH_SPOOL_OUT, 100);
    (void)close(feeder);
    feeder = introduce();
    lost.number = heard.number;
    feed_raw(feeder, &lost, sizeof(lost), NULL, 0);
    lost.number = unheard.number;
    feed_raw(feeder, &lost, sizeof(lost), NULL, 0);
    assert_int_equal(kill(child, SIGCONT), 0);
    list(&ret); /* which hears all feeders out */
    assert_int_equal(ret.n_value, 2);
    end_played(&heard, EXITED(1));
    end_played(&unheard, EXITED(2));
    assert_int_equal(fetch(heard.number, &st), 0);
    assert_int_equal(data_len, 3);
    assert_int_equal(told_forgotten(SOON_MS), heard.number);
    assert_int_equal(fetch(unheard.number, &st), 0);
    assert_int_equal(st.exitcode, 2);
    assert_int_equal(told_forgotten(SOON_MS), unheard.number);
}

/* A keeper that is to go on without us sees by its pipe that we still read what the program has left behind.
 */
static void test_end_stays_open_until_all_is_over(void **state)
{
    struct played played;
    struct pollfd keeper = { .events = 0 };
    struct bh_ending ending = { .status = EXITED(0) };

    (void)state;
    start(0);
    played = play(BH_SPOOL_OUT, 100);
    write_to(played.end, &ending, sizeof(ending));
    keeper.fd = played.end;
    assert_int_equal(poll(&keeper, 1, 100), 0);
    write_to(played.out, "abc", 3);
    await_bytes(played.number, 3);
    close_end(&played.out);
    assert_int_equal(poll(&keeper, 1, SOON_MS), 1);
    drop_played(&played);
    assert_int_equal(fetch(played.number, &st), 0);
    assert_int_equal(data_len, 3);
}

/* The supervisor speaks out of place: there is nothing to negotiate. */
static void test_control_message_out_of_place(void **state)
{
    (void)state;
    start(0);
    assert_int_equal(bh_control_send(supervisor, BH_CONTROL_REFUSED, 1, -1), 0);
    assert_int_equal(end_of(child), EXIT_FAILURE);
    child = fork();
    if (child == 0)
        _exit(0);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_malformed_messages),
        TEST(test_wrong_descriptors),
        TEST(test_number_twice),
        TEST(test_names_that_are_no_text),
        TEST(test_feeder_that_dies),
        TEST(test_as_many_feeders_as_may_be),
        TEST(test_feeder_that_does_not_listen),
        TEST(test_lost),
        TEST(test_feeder_that_comes_with_a_policy),
        TEST(test_feeder_that_comes_back),
        TEST(test_end_stays_open_until_all_is_over),
        TEST(test_control_message_out_of_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
