/*
 * broker/audit/audit.h: a process that empties three queues is stopped after every single
 * instruction (see STEP); wherever its page, its log or a queue had just changed, a successor is given
 * copies of all of them, and must leave a log in which each record stands once, in its
 * source's order, under the name of its writer, in an unbroken chain. So it is when file systems are frozen
 * from before the first record to after the last, and the log's bytes are in memory meanwhile.
 *
 * The queues hold what is hard: a former owner's, at whose end nobody is left, with an empty packet
 * before the record; its successor's, with a number left out; and a third with what is no record.
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
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "broker/audit/audit.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "protocol/wire/record.h"

#define SOURCE 17u
#define OTHER 33u
#define QUEUES 3u
#define PACKETS_MAX 4u
#define PACKET_MAX 512u
#define LOG_MAX 16384

/* A sanitizer's checks make many instructions of each of ours, and are stepped through like them: minutes on
 * a busy machine. There, a step is one system call, half a step its beginning or its end. */
#ifdef __SANITIZE_ADDRESS__
#define STEP PTRACE_SYSCALL
#define TRIED_LEAST 10u
#else
#define STEP PTRACE_SINGLESTEP
#define TRIED_LEAST 100u
#endif

struct packet {
    size_t len;
    uint8_t data[PACKET_MAX];
};

/* A queue as it is filled; a copy of one that has been read from holds the last of its packets. */
struct script {
    uint32_t feed; /* as bh_feeds_add has it */
    struct packet packets[PACKETS_MAX];
    unsigned n;
};

struct world {
    struct bh_audit_process audit;
    struct script scripts[QUEUES];
    int queues[QUEUES], senders[QUEUES];
    uint32_t *frozen;
};

static const uint8_t first_key[BH_SHA256_SIZE] = { 1, 2, 3 };
static const struct bh_audit_names names = { .of[SOURCE] = "new",
                                             .of[OTHER] = "other",
                                             .former[SOURCE] = "old" };

/* What each log must hold, in this order per source; "" = the end. */
static const char *const of_source[] = {
    "\"src\":\"old\",\"kind\":\"event\",\"text\":\"a\"",
    "\"src\":\"new\",\"kind\":\"gap\"",
    "\"src\":\"new\",\"kind\":\"event\",\"text\":\"b\"",
    "",
};
static const char *const of_other[] = { "\"src\":\"other\",\"kind\":\"event\",\"text\":\"c\"", "" };

static void pair_of(int ret[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret), 0);
}

/* A packet as its writer makes it, with the number that `state` counts. */
static void add_record(struct script *script, struct bh_state *state, const char *text)
{
    int pair[2];
    struct bh_audit writer = { .source = script->feed % BH_SOURCES_MAX, .state = state };
    const struct bh_record record = { .kind = BH_RECORD_EVENT,
                                      .command = BH_NO_COMMAND,
                                      .text = { text, (uint32_t)strlen(text) } };
    struct packet *packet = &script->packets[script->n++];
    ssize_t n;

    pair_of(pair);
    writer.fd = pair[0];
    assert_int_equal(bh_audit_send(&writer, &record, NULL), 0);
    n = recv(pair[1], packet->data, sizeof(packet->data), MSG_TRUNC);
    assert_in_range(n, 1, sizeof(packet->data));
    packet->len = (size_t)n;
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void add_bytes(struct script *script, size_t len)
{
    script->packets[script->n++] = (struct packet){ .len = len };
}

static void write_scripts(struct script scripts[QUEUES])
{
    struct bh_state state = { 0 }, other = { 0 };

    memset(scripts, 0, QUEUES * sizeof(*scripts));
    scripts[0].feed = BH_SOURCES_MAX + SOURCE;
    add_bytes(&scripts[0], 0);
    add_record(&scripts[0], &state, "a");
    scripts[1].feed = SOURCE;
    state.sequence++;
    add_record(&scripts[1], &state, "b");
    scripts[2].feed = OTHER;
    add_bytes(&scripts[2], 5);
    add_record(&scripts[2], &other, "c");
}

/* What is left of a script when its queue holds `bytes`. An empty packet is skipped as well twice as once. */
static void keep_last(struct script *script, size_t bytes)
{
    unsigned from = script->n;

    while (from > 0 && (bytes > 0 || script->packets[from - 1].len == 0)) {
        assert_true(script->packets[from - 1].len <= bytes);
        bytes -= script->packets[--from].len;
    }
    assert_int_equal(bytes, 0);
    script->n -= from;
    memmove(script->packets, script->packets + from, script->n * sizeof(script->packets[0]));
}

/* The queues are filled as the scripts say; of a former owner's, nobody holds the other end. */
static void open_queues(struct world *world)
{
    world->audit.names = &names;
    for (unsigned i = 0; i < QUEUES; i++) {
        const struct script *script = &world->scripts[i];
        int pair[2];

        pair_of(pair);
        for (unsigned j = 0; j < script->n; j++)
            assert_int_equal(bh_fd_send(pair[0], script->packets[j].data, script->packets[j].len, -1), 0);
        world->queues[i] = pair[1];
        world->senders[i] = pair[0];
        if (script->feed >= BH_SOURCES_MAX)
            (void)close(bh_take_fd(&world->senders[i]));
        assert_true(bh_feeds_add(&world->audit, script->feed, fcntl(pair[1], F_DUPFD_CLOEXEC, 0)));
    }
}

static void close_world(struct world *world)
{
    for (unsigned i = 0; i < world->audit.n_feeds; i++)
        (void)close(world->audit.feeds[i].fd);
    for (unsigned i = 0; i < QUEUES; i++) {
        (void)close(world->queues[i]);
        if (world->senders[i] >= 0)
            (void)close(world->senders[i]);
    }
    (void)close(world->audit.log.fd);
}

static size_t queued(const struct world *world, unsigned which)
{
    int bytes = 0;

    assert_int_equal(ioctl(world->queues[which], FIONREAD, &bytes), 0);
    return (size_t)bytes;
}

static size_t log_size(const struct world *world)
{
    struct stat st;

    return fstat(world->audit.log.fd, &st) == 0 ? (size_t)st.st_size : 0;
}

static int new_log(const void *data, size_t size)
{
    int fd = memfd_create("log", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(bh_write_all(fd, data, size), 0);
    return fd;
}

static size_t log_read(const struct world *world, char data[LOG_MAX])
{
    ssize_t n = bh_read_file(world->audit.log.fd, data, LOG_MAX);

    assert_true(n >= 0);
    return (size_t)n;
}

static void *shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    assert_true(memory != MAP_FAILED);
    return memory;
}

static void new_world(struct world *world)
{
    const struct bh_audit_previous previous = { 0 };
    void *page = shared(BH_AUDIT_STATE_SIZE);

    *world = (struct world){ .audit.state = page, .frozen = shared(sizeof(*world->frozen)) };
    write_scripts(world->scripts);
    world->audit.log = (struct bh_append_log){ .fd = new_log("", 0), .frozen = world->frozen };
    bh_audit_state_init(page, &previous, first_key, 1);
    bh_audit_state_offer(page, 1);
    assert_int_equal(bh_append_header(page, &world->audit.log, 2), 0);
    open_queues(world);
}

/* What the main loop does, and a thaw when all is done. */
static void carry_on(struct world *world)
{
    struct bh_audit_state *state = world->audit.state;
    int r;

    assert_true(bh_append_check(state));
    assert_int_equal(bh_append_finish(state, &world->audit.log), 0);
    if (!*world->frozen)
        assert_int_equal(bh_append_flush(state, &world->audit.log), 0);
    bh_feeds_look(&world->audit);
    while ((r = bh_feeds_turn(&world->audit)) > 0)
        ;
    assert_int_equal(r, 0);
    *world->frozen = 0;
    assert_int_equal(bh_append_flush(state, &world->audit.log), 0);
}

/* Moves `expected` on if the line is of one of these names; then it must be the one that comes next. */
static void meet(const char *line, const char *const **expected, const char *name, const char *or_name)
{
    char src[2][32];

    (void)snprintf(src[0], sizeof(src[0]), "\"src\":\"%s\"", name);
    (void)snprintf(src[1], sizeof(src[1]), "\"src\":\"%s\"", or_name);
    if (!strstr(line, src[0]) && !strstr(line, src[1]))
        return;
    assert_true(***expected);
    if (strstr(**expected, "\"text\"")) {
        const char *text = strstr(**expected, "\"text\"");

        assert_non_null(strstr(line, text));
        assert_null(strstr(line, "\"note\""));
        assert_memory_equal(strstr(line, "\"src\""), **expected, (size_t)(text - **expected));
    } else {
        assert_non_null(strstr(line, **expected));
    }
    (*expected)++;
}

/* Each line is marked as the chain says, and the records are those of the scripts. */
static void check_log(const struct world *world)
{
    static char data[LOG_MAX + 1];
    struct bh_chain chain = { .mac = { 0 } };
    const char *const *source = of_source, *const *other = of_other;
    size_t len = log_read(world, data);
    unsigned malformed = 0;

    memcpy(chain.key, first_key, sizeof(chain.key));
    data[len] = '\0';
    for (char *line = data, *end; *line; line = end + 1) {
        uint8_t room[BH_CHAIN_ROOM + 1024], mac[BH_SHA256_SIZE];
        struct bh_chain next;
        size_t body;

        end = strchr(line, '\n');
        assert_non_null(end);
        assert_true(bh_chain_split(line, (size_t)(end + 1 - line), &body, mac));
        assert_in_range(body, 1, sizeof(room) - BH_CHAIN_ROOM);
        memcpy(room + BH_CHAIN_ROOM, line, body);
        bh_chain_step(&chain, room, body, &next);
        assert_memory_equal(next.mac, mac, sizeof(mac));
        chain = next;
        *end = '\0';
        meet(line, &source, "old", "new");
        meet(line, &other, "other", "other");
        malformed += strstr(line, "malformed record") != NULL;
    }
    assert_string_equal(*source, "");
    assert_string_equal(*other, "");
    assert_in_range(malformed, 1, 2); /* a remark of a process of its own may be made again by the next */
    for (unsigned i = 0; i < QUEUES; i++)
        assert_int_equal(queued(world, i), 0);
}

/* A successor, on copies. */
static void succeed(const struct world *world)
{
    static struct bh_audit_state *copy;
    static uint32_t frozen;
    static char data[LOG_MAX];
    static struct world next;

    copy = copy ? copy : shared(BH_AUDIT_STATE_SIZE);
    memcpy(copy, world->audit.state, sizeof(*copy) + LOG_MAX);
    frozen = *world->frozen;
    next = (struct world){ .audit.state = copy,
                           .audit.log = { .fd = new_log(data, log_read(world, data)), .frozen = &frozen },
                           .frozen = &frozen };
    memcpy(next.scripts, world->scripts, sizeof(next.scripts));
    for (unsigned i = 0; i < QUEUES; i++)
        keep_last(&next.scripts[i], queued(world, i));
    open_queues(&next);
    carry_on(&next);
    check_log(&next);
    close_world(&next);
}

static pid_t start_reader(struct world *world)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
        _exit(77);
    (void)raise(SIGSTOP);
    carry_on(world);
    _exit(0);
}

/* All that a successor goes by, but for the text of a line, which counts only when it is complete. */
struct trace {
    uint8_t page[offsetof(struct bh_audit_state, pending) + offsetof(struct bh_audit_pending, text)];
    size_t sizes[1 + QUEUES]; /* of the log, and of what is queued */
};

/* True if it has changed. */
static bool look(const struct world *world, struct trace *seen)
{
    size_t sizes[1 + QUEUES] = { log_size(world) };

    for (unsigned i = 0; i < QUEUES; i++)
        sizes[1 + i] = queued(world, i);
    if (memcmp(seen->page, world->audit.state, sizeof(seen->page)) == 0 &&
        memcmp(seen->sizes, sizes, sizeof(sizes)) == 0)
        return false;
    memcpy(seen->page, world->audit.state, sizeof(seen->page));
    memcpy(seen->sizes, sizes, sizeof(sizes));
    return true;
}

static void kill_at_any_instruction(uint32_t frozen)
{
    static struct world world;
    static struct trace seen;
    size_t tried = 0;
    int status;
    pid_t pid;

    new_world(&world);
    *world.frozen = frozen;
    pid = start_reader(&world);
    assert_true(pid > 0);
    for (;;) {
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFSTOPPED(status))
            break;
        if (look(&world, &seen)) {
            succeed(&world);
            tried++;
        }
        assert_int_equal(ptrace(STEP, pid, NULL, NULL), 0);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip(); /* nobody may trace here */
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(tried > TRIED_LEAST);
    check_log(&world);
    close_world(&world);
}

static void killed_at_any_instruction(void **state)
{
    (void)state;
    kill_at_any_instruction(0);
}

static void killed_at_any_instruction_of_a_freeze(void **state)
{
    (void)state;
    kill_at_any_instruction(1);
}

/* Memory is full: the record stays in its queue, and is told after the thaw. */
static void what_memory_cannot_keep_stays_queued(void **state)
{
    static struct world world;
    struct bh_audit_mark mark;
    size_t bytes;

    (void)state;
    new_world(&world);
    bytes = queued(&world, 0);
    mark = world.audit.state->now;
    *world.frozen = 1;
    world.audit.state->now.kept = world.audit.state->now.size = BH_AUDIT_KEPT_MAX - 10;
    assert_int_equal(bh_feeds_turn(&world.audit), -ENOBUFS);
    assert_int_equal(queued(&world, 0), bytes);
    world.audit.state->now = mark;
    carry_on(&world);
    check_log(&world);
    close_world(&world);
}

/*
 * A process dies between taking the last record of a writer out and noting that it has; the writer, taken
 * over, has counted back, so that its successor's first record has the same number.
 */
static void the_same_number_is_not_the_same_record(void **state)
{
    static struct world world;
    static char data[LOG_MAX + 1];
    struct bh_state counter = { 0 };

    (void)state;
    new_world(&world);
    carry_on(&world);
    world.audit.state->held[SOURCE] = 1;
    counter.sequence = world.audit.state->last[SOURCE] - 1;
    world.scripts[1].n = 0;
    add_record(&world.scripts[1], &counter, "e");
    assert_int_equal(
        bh_fd_send(world.senders[1], world.scripts[1].packets[0].data, world.scripts[1].packets[0].len, -1),
        0);
    carry_on(&world);
    data[log_read(&world, data)] = '\0';
    assert_non_null(strstr(data, "\"text\":\"e\""));
    assert_int_equal(queued(&world, 1), 0);
    close_world(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_any_instruction),
        cmocka_unit_test(killed_at_any_instruction_of_a_freeze),
        cmocka_unit_test(what_memory_cannot_keep_stays_queued),
        cmocka_unit_test(the_same_number_is_not_the_same_record),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
