/* workers/spool under load: its limits, floods, who does not read, and that memory comes back. */
#include "tests/unit/spool-play.h"

#include <sys/resource.h>

#include "policy/confine/profiles.h"
#include "protocol/base/mem.h"
#include "protocol/base/sha256.h"

#define EXITED(code) ((code) << 8)
#define WAITING (BH_SPOOL_OUT | BH_SPOOL_WAITS)
#define MIB (1024u * 1024u)
#define IDLE_MEMORY (4 * MIB) /* of a spool that keeps nothing: what it has touched once */

static struct bh_guest_exec_status st;
static uint8_t *pattern; /* 16 MiB and a bit */

static int setup(void **state)
{
    struct rlimit files = { 8192, 8192 };

    (void)state;
    pattern = malloc(16 * MIB + 4096);
    for (size_t i = 0; i < 16 * MIB + 4096; i++)
        pattern[i] = (uint8_t)(i * 2654435761u >> 13);
    return setrlimit(RLIMIT_NOFILE, &files);
}

static int free_pattern(void **state)
{
    (void)state;
    free(pattern);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stop();
    return 0;
}

/* A process that writes `len` bytes of the pattern, or for ever if 0, to the pipe; the parent's end is
 * closed. */
static pid_t writer(int *fd, size_t len)
{
    pid_t pid = fork();

    if (pid == 0) {
        if (len > 0)
            _exit(bh_write_all(*fd, pattern, len) < 0);
        while (bh_write_all(*fd, pattern, MIB) == 0)
            ;
        _exit(1);
    }
    close_end(fd);
    return pid;
}

static bool ended_in_time(pid_t pid, int ms)
{
    uint64_t until = bh_clock_ms(CLOCK_MONOTONIC) + (uint64_t)ms;

    while (bh_clock_ms(CLOCK_MONOTONIC) < until) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return true;
        (void)poll(NULL, 0, 1);
    }
    return false;
}

static void kill_writer(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* --- how much is kept ---------------------------------------------------------------------- */

static void test_sixteen_mebibytes(void **state)
{
    struct played played;
    pid_t pid;

    (void)state;
    start(0);
    played = play(BH_SPOOL_OUT | BH_SPOOL_ERR, 16 * MIB);
    (void)fcntl(played.out, F_SETPIPE_SZ, MIB);
    pid = writer(&played.out, 16 * MIB + 1);
    assert_true(ended_in_time(pid, SOON_MS));
    pid = writer(&played.err, 16 * MIB);
    assert_true(ended_in_time(pid, SOON_MS));
    end_played(&played, EXITED(0));
    assert_int_equal(fetch(played.number, &st), 0);
    assert_int_equal(data_len, 16 * MIB);
    assert_int_equal(second_len, 16 * MIB);
    assert_memory_equal(data, pattern, 16 * MIB);
    assert_memory_equal(second_data, pattern, 16 * MIB);
    assert_true(st.out_truncated && !st.err_truncated);
    assert_memory(0, IDLE_MEMORY);
}

/* All together may keep so much: what comes later is counted and cut; what is fetched makes room. */
static void test_all_output_of_a_channel(void **state)
{
    const unsigned n = BH_SPOOL_KEPT_MAX / (16 * MIB);
    struct played all[BH_SPOOL_KEPT_MAX / (16 * MIB)], last;

    (void)state;
    start(0);
    for (unsigned i = 0; i < n; i++) {
        all[i] = play(BH_SPOOL_OUT, 16 * MIB);
        write_to(all[i].out, pattern, i + 1 < n ? 16 * MIB : 16 * MIB - 1);
        await_bytes(all[i].number, i + 1 < n ? 16 * MIB : 16 * MIB - 1);
    }
    last = play(BH_SPOOL_OUT, 16 * MIB);
    write_to(last.out, pattern, 1);
    await_bytes(last.number, 1);
    assert_memory(BH_SPOOL_KEPT_MAX, BH_SPOOL_KEPT_MAX + IDLE_MEMORY);
    write_to(all[n - 1].out, pattern, 1);
    end_played(&all[n - 1], EXITED(0));
    assert_int_equal(fetch(all[n - 1].number, &st), 0);
    assert_int_equal(data_len, 16 * MIB - 1);
    assert_true(st.out_truncated);
    end_played(&last, EXITED(0));
    assert_int_equal(fetch(last.number, &st), 0);
    assert_int_equal(data_len, 1);
    assert_false(st.out_truncated);
    for (unsigned i = 0; i < n - 1; i++) {
        end_played(&all[i], EXITED(0));
        assert_int_equal(fetch(all[i].number, &st), 0);
        assert_int_equal(data_len, 16 * MIB);
        assert_false(st.out_truncated);
    }
    assert_memory(0, IDLE_MEMORY);
}

/* What is read bit by bit is never cut, and holds no more than it may. */
static void test_held_up_until_it_is_read(void **state)
{
    struct bh_sha256 sha, want;
    uint8_t digest[BH_SHA256_SIZE], wanted[BH_SHA256_SIZE];
    struct played played;
    size_t total = 0;
    pid_t pid;

    (void)state;
    start(0);
    played = play(WAITING, 1);
    pid = writer(&played.out, 16 * MIB);
    tell_end_of(&played, EXITED(0));
    assert_false(ended_in_time(pid, 100));
    bh_sha256_init(&sha);
    for (st.exited = false; !st.exited; total += data_len) {
        assert_int_equal(read_new(played.number, 1000, &st), 0);
        assert_in_range(data_len, 0, BH_SPOOL_WAIT_MAX);
        assert_false(st.out_truncated);
        bh_sha256_update(&sha, data, data_len);
    }
    assert_int_equal(total, 16 * MIB);
    bh_sha256_init(&want);
    bh_sha256_update(&want, pattern, 16 * MIB);
    bh_sha256_final(&want, wanted);
    bh_sha256_final(&sha, digest);
    assert_memory_equal(digest, wanted, sizeof(digest));
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static size_t held_at_once(size_t written)
{
    struct played played = play(WAITING, 1);
    pid_t pid = writer(&played.out, written);
    size_t held;

    await_bytes(played.number, written < BH_SPOOL_WAIT_MAX ? written : BH_SPOOL_WAIT_MAX);
    assert_true(ended_in_time(pid, SOON_MS)); /* the pipe has room for what is not read */
    assert_int_equal(read_new(played.number, 0, &st), 0);
    held = data_len;
    while (read_new(played.number, 100, &st) == 0 && data_len > 0)
        ;
    drop_played(&played);
    return held;
}

static void test_held_at_its_limit(void **state)
{
    (void)state;
    start(0);
    assert_int_equal(held_at_once(BH_SPOOL_WAIT_MAX - 1), BH_SPOOL_WAIT_MAX - 1);
    assert_int_equal(held_at_once(BH_SPOOL_WAIT_MAX), BH_SPOOL_WAIT_MAX);
    assert_int_equal(held_at_once(BH_SPOOL_WAIT_MAX + 1), BH_SPOOL_WAIT_MAX);
}

/* Results that nobody fetches do not stop who reads: a little of each stream is held whatever others keep. */
static void test_reader_goes_on_beside_unfetched_output(void **state)
{
    const unsigned n = BH_SPOOL_KEPT_MAX / (16 * MIB);
    struct played all[BH_SPOOL_KEPT_MAX / (16 * MIB)], played;
    size_t total = 0;
    pid_t pid;

    (void)state;
    start(0);
    for (unsigned i = 0; i < n; i++) {
        all[i] = play(BH_SPOOL_OUT, 16 * MIB);
        write_to(all[i].out, pattern, 16 * MIB);
        await_bytes(all[i].number, 16 * MIB);
    }
    played = play(WAITING, 1);
    pid = writer(&played.out, 100000);
    while (total < 100000) {
        assert_int_equal(read_new(played.number, 1000, &st), 0);
        assert_in_range(data_len, 1, BH_SPOOL_WAIT_MIN);
        total += data_len;
    }
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    drop_played(&played);
    for (unsigned i = 0; i < n; i++)
        drop_played(&all[i]);
}

/* --- how many ------------------------------------------------------------------------------ */

static void test_as_many_executions_as_may_be(void **state)
{
    static struct played all[BH_SPOOL_EXECUTIONS_MAX + 1];
    struct bh_bulkhead_exec_list_ret ret = { 0 };
    const unsigned max = BH_SPOOL_EXECUTIONS_MAX;
    struct rlimit memory, files;

    (void)state;
    start(0);
    memory.rlim_cur = memory.rlim_max = (rlim_t)bh_profile_spool.max_memory_mib * MIB;
    files.rlim_cur = files.rlim_max = bh_profile_spool.max_fds;
    if (!SANITIZED)
        assert_int_equal(prlimit(child, RLIMIT_AS, &memory, NULL), 0);
    assert_int_equal(prlimit(child, RLIMIT_NOFILE, &files, NULL), 0);
    for (unsigned i = 0; i <= max; i++) {
        all[i] = play(BH_SPOOL_OUT | BH_SPOOL_ERR | BH_SPOOL_IN, 16 * MIB);
        if (i == max)
            break;
        write_to(all[i].out, pattern + i, 1);
        write_to(all[i].err, pattern + i, 100);
    }
    assert_int_equal(told_forgotten(SOON_MS), all[max].number);
    assert_int_equal(ask_status(all[max].number, &st), BH_E_BAD_PID);
    drop_played(&all[max]);
    list(&ret);
    assert_int_equal(ret.n_value, max);
    assert_memory(0, IDLE_MEMORY + max * 16 * 1024); /* two pages of output, and the record */
    end_played(&all[7], EXITED(0));
    assert_int_equal(fetch(all[7].number, &st), 0);
    assert_int_equal(told_forgotten(SOON_MS), all[7].number);
    all[7] = play(BH_SPOOL_OUT, 16 * MIB);
    for (unsigned i = 0; i < max; i++) {
        end_played(&all[i], EXITED((int)i % 256));
        assert_int_equal(fetch(all[i].number, &st), 0);
        assert_int_equal(st.exitcode, i % 256);
        assert_int_equal(data_len, i == 7 ? 0 : 1);
    }
    list(&ret);
    assert_int_equal(ret.n_value, 0);
}

/* --- who takes too much, or too little ------------------------------------------------------- */

/* Floods without end on several pipes: others, and the front, have their turn. */
static void test_floods(void **state)
{
    struct played floods[8], played;
    pid_t pids[8];
    uint64_t worst = 0;

    (void)state;
    start(0);
    for (unsigned i = 0; i < 8; i++) {
        floods[i] = play(i < 6 ? BH_SPOOL_OUT : WAITING, 1000);
        (void)fcntl(floods[i].out, F_SETPIPE_SZ, MIB);
        pids[i] = writer(&floods[i].out, 0);
    }
    (void)poll(NULL, 0, 100);
    for (unsigned i = 0; i < 50; i++) {
        uint64_t begin = bh_clock_ms(CLOCK_MONOTONIC), took;

        played = play(BH_SPOOL_OUT, 100);
        write_to(played.out, "hello", 5);
        end_played(&played, EXITED(0));
        assert_int_equal(fetch(played.number, &st), 0);
        assert_int_equal(data_len, 5);
        took = bh_clock_ms(CLOCK_MONOTONIC) - begin;
        worst = took > worst ? took : worst;
    }
    assert_in_range(worst, 0, 1000);
    assert_memory(0, IDLE_MEMORY);
    for (unsigned i = 0; i < 8; i++) {
        kill_writer(pids[i]);
        drop_played(&floods[i]);
    }
}

/* A client that does not take a long reply: the pipes of others are read on, their feeders heard. */
static void test_front_that_does_not_read(void **state)
{
    struct bh_guest_exec_status_args args;
    struct played large, other;
    pid_t pid;

    (void)state;
    start(0);
    large = play(BH_SPOOL_OUT, 16 * MIB);
    write_to(large.out, pattern, 16 * MIB);
    end_played(&large, EXITED(0));
    (void)poll(NULL, 0, 50);
    args.pid = (int64_t)large.number;
    id++;
    send_call(STATUS, &args);
    (void)poll(NULL, 0, 50);
    other = play(BH_SPOOL_OUT, 1000);
    pid = writer(&other.out, 4 * MIB);
    assert_true(ended_in_time(pid, SOON_MS));
    assert_int_equal(receive(STATUS, &st), 0);
    assert_int_equal(data_len, 16 * MIB);
    assert_memory_equal(data, pattern, 16 * MIB);
    assert_true(st.exited);
    end_played(&other, EXITED(0));
    assert_int_equal(fetch(other.number, &st), 0);
    assert_int_equal(data_len, 1000);
    assert_memory(0, IDLE_MEMORY);
}

/* --- age ----------------------------------------------------------------------------------- */

static void test_results_that_nobody_fetches(void **state)
{
    struct played over, held, runs;

    (void)state;
    start(1);
    runs = play(BH_SPOOL_OUT, 100);
    over = play(BH_SPOOL_OUT, 100);
    write_to(over.out, "x", 1);
    end_played(&over, EXITED(0));
    assert_int_equal(told_forgotten(3000), over.number);
    assert_true(next_record(BH_RECORD_EVENT));
    assert_non_null(strstr(records.last.text.ptr, "nobody fetched it for 1 seconds"));
    assert_int_equal(records.last.of, 77);
    assert_int_equal(ask_status(over.number, &st), BH_E_BAD_PID);
    held = play(WAITING, 100);
    assert_int_equal(fcntl(held.out, F_SETFL, O_NONBLOCK), 0);
    while (write(held.out, pattern, MIB) > 0 || poll(NULL, 0, 10) != 0 || write(held.out, pattern, MIB) > 0)
        ;
    end_played(&held, EXITED(0)); /* ended, but not over: nobody reads */
    assert_int_equal(told_forgotten(3000), held.number);
    assert_true(next_record(BH_RECORD_RESULT));
    assert_int_equal(records.last.command, BH_CMD_BULKHEAD_EXEC);
    assert_true(records.last.bytes_written > 0);
    assert_int_equal(ask_status(runs.number, &st), 0); /* what runs is not forgotten */
    drop_played(&runs);
}

/* Who asks has come for it. */
static void test_age_counts_from_the_last_question(void **state)
{
    struct played played;
    uint64_t begin;

    (void)state;
    start(1);
    played = play(BH_SPOOL_OUT, 100);
    tell_end_of(&played, EXITED(0));
    for (begin = bh_clock_ms(CLOCK_MONOTONIC); bh_clock_ms(CLOCK_MONOTONIC) - begin < 1500;) {
        assert_int_equal(ask_status(played.number, &st), 0);
        assert_false(st.exited); /* a pipe is open */
        (void)poll(NULL, 0, 50);
    }
    close_end(&played.out);
    (void)poll(NULL, 0, 300); /* it is over since now, however long it ran */
    assert_int_equal(fetch(played.number, &st), 0);
    assert_true(st.exited);
}

static unsigned long switches(void)
{
    char path[64], text[4096], *at;
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)child);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = read(fd, text, sizeof(text) - 1);
    (void)close(fd);
    assert_true(n > 0);
    text[n] = '\0';
    at = strstr(text, "\nvoluntary_ctxt_switches:");
    assert_non_null(at);
    return strtoul(at + strlen("\nvoluntary_ctxt_switches:"), NULL, 10);
}

/* Something runs, something waits to be read, a result waits to be fetched for ever: nothing wakes us. */
static void test_sleeps_while_nothing_happens(void **state)
{
    struct played runs, held, over;
    unsigned long before;

    (void)state;
    start(0);
    runs = play(BH_SPOOL_OUT | BH_SPOOL_IN, 100);
    over = play(BH_SPOOL_OUT, 100);
    end_played(&over, EXITED(0));
    held = play(WAITING, 100);
    assert_int_equal(fcntl(held.out, F_SETFL, O_NONBLOCK), 0);
    while (write(held.out, pattern, MIB) > 0 || poll(NULL, 0, 10) != 0 || write(held.out, pattern, MIB) > 0)
        ;
    close_end(&held.out); /* its hang-up waits behind what is not read */
    (void)poll(NULL, 0, 300);
    before = switches();
    (void)poll(NULL, 0, 500);
    assert_int_equal(switches(), before);
    drop_played(&runs);
    drop_played(&held);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_sixteen_mebibytes),
        TEST(test_all_output_of_a_channel),
        TEST(test_held_up_until_it_is_read),
        TEST(test_held_at_its_limit),
        TEST(test_reader_goes_on_beside_unfetched_output),
        TEST(test_as_many_executions_as_may_be),
        TEST(test_floods),
        TEST(test_front_that_does_not_read),
        TEST(test_results_that_nobody_fetches),
        TEST(test_age_counts_from_the_last_question),
        TEST(test_sleeps_while_nothing_happens),
    };

    return cmocka_run_group_tests(tests, setup, free_pattern);
}
