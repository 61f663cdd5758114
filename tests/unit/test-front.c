/*
 * broker/front as a whole, over socket pairs: the test is client, supervisor and worker.
 * Wordings are compared where clients compare them.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "protocol/codes.h"
#include "protocol/commands.h"
#include "protocol/types.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/control.h"
#include "tests/unit/frames.h"
#include "tests/unit/front-fixture.h"

#define ONE_FRAME (192u * 1024u) /* characters of base64: more than one frame, less than two */
#define HEARD_MAX (16u * 1024u * 1024u)

static struct fixture *f;
static char *heard; /* what the client has read, NUL-terminated */
static size_t n_heard;
static struct frames in; /* what the worker has got */
static uint8_t *const payload = in.room;

static int setup(void **state)
{
    (void)state;
    in.tail.frame.type = 0;
    f = calloc(1, sizeof(*f));
    heard = malloc(HEARD_MAX + 1);
    if (!f || !heard)
        return -1;
    fixture_init(f);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_deinit(f);
    free(f);
    free(heard);
    return 0;
}

/* --- the client ------------------------------------------------------------- */

static void say(const char *text)
{
    fixture_say(f, text, strlen(text));
}

static void say_fill(char c, size_t n)
{
    char block[4096];

    memset(block, c, sizeof(block));
    for (; n > sizeof(block); n -= sizeof(block))
        fixture_say(f, block, sizeof(block));
    fixture_say(f, block, n);
}

/* Reads until nothing comes any more, stepping the front meanwhile. */
static const char *hear(void)
{
    ssize_t n;

    n_heard = 0;
    do {
        fixture_settle(f);
        n = read(f->client, heard + n_heard, HEARD_MAX - n_heard);
        if (n > 0)
            n_heard += (size_t)n;
    } while (n > 0);
    heard[n_heard] = '\0';
    return heard;
}

static void assert_says(const char *request, const char *reply)
{
    say(request);
    assert_string_equal(hear(), reply);
}

static unsigned count_lines(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < n_heard; i++)
        n += heard[i] == '\n';
    return n;
}

/* --- the worker ------------------------------------------------------------- */

/* The next frame that the front has sent; its payload stands in `payload`. */
static struct bh_frame worker_gets(unsigned type)
{
    assert_int_equal(frames_next(f->worker, &in), 1);
    assert_int_equal(in.frame.type, type);
    return in.frame;
}

static void assert_worker_gets_nothing(void)
{
    assert_int_equal(frames_next(f->worker, &in), -EAGAIN);
}

static void worker_sends(const struct bh_frame *call, unsigned type, unsigned flags, const void *data,
                         size_t len)
{
    struct bh_frame frame = {
        .type = (uint16_t)type, .command = call->command, .flags = flags, .id = call->id
    };

    assert_int_equal(bh_frame_send(f->worker, &frame, data, len), 0);
    fixture_settle(f);
}

static void worker_returns(const struct bh_frame *call, const void *ret)
{
    struct bh_arena arena;
    struct bh_bytes bytes;

    bh_arena_init(&arena, 1 << 20);
    assert_int_equal(bh_encode(bh_commands[call->command].ret, ret, 1 << 20, &arena, &bytes), 0);
    worker_sends(call, BH_FRAME_REPLY, 0, bytes.ptr, bytes.len);
    bh_arena_deinit(&arena);
}

#define SOUGHT "{\"return\": {\"position\": 2, \"eof\": false}}\n"

/* The call is a SEEK. */
static void seek_is_answered(const struct bh_frame *call)
{
    const struct bh_guest_file_seek ret = { .position = 2 };

    worker_returns(call, &ret);
    assert_string_equal(hear(), SOUGHT);
}

static void worker_fails(const struct bh_frame *call, uint16_t code, uint64_t record, const char *text)
{
    struct bh_error error = { .code = code, .record = record };
    uint8_t packed[BH_ERROR_PAYLOAD_MAX];

    (void)snprintf(error.text, sizeof(error.text), "%s", text);
    worker_sends(call, BH_FRAME_ERROR, 0, packed, bh_error_pack(&error, packed));
}

/* Sends a request whose worker is not there yet, gives it, and takes the call. */
static struct bh_frame call_comes(const char *request, int worker)
{
    say(request);
    assert_int_equal(fixture_give_worker(f), worker);
    return worker_gets(BH_FRAME_CALL);
}

#define SEEK "{\"execute\":\"guest-file-seek\",\"arguments\":{\"handle\":1,\"offset\":2,\"whence\":\"set\"}}"
#define READ "{\"execute\":\"guest-file-read\",\"arguments\":{\"handle\":1}, \"id\": 5}"
#define PING "{\"execute\":\"guest-ping\"}"
#define PONG "{\"return\": {}}\n"

static void worker_ends(void)
{
    (void)close(f->worker);
    f->worker = -1;
    fixture_settle(f);
}

static int control_op(uint32_t *ret_arg)
{
    struct bh_control message;
    int fd;

    if (bh_control_recv(f->supervisor, &message, &fd) != 1)
        return 0;
    *ret_arg = message.arg;
    return message.op;
}

static void assert_killed(uint32_t worker)
{
    uint32_t arg = 0;

    assert_int_equal(control_op(&arg), BH_CONTROL_KILL);
    assert_int_equal(arg, worker);
}

/* --- local commands --------------------------------------------------------- */

static void test_ping_sync_and_id(void **state)
{
    (void)state;
    fixture_start(f);
    assert_says(PING, PONG);
    assert_says("{'execute':'guest-sync','arguments':{'id':-9223372036854775808}}\n",
                "{\"return\": -9223372036854775808}\n");
    assert_says("{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":9223372036854775807}}",
                "\xff{\"return\": 9223372036854775807}\n");
    assert_says("{\"execute\":\"guest-ping\",\"arguments\":{},\"id\":{\"a\":[null,1.5]}}",
                "{\"return\": {}, \"id\": {\"a\":[null,1.5]}}\n");
    assert_int_equal(f->page.requests, 4);
    assert_int_equal(f->page.counted[BH_CMD_GUEST_PING], 2);
}

static void test_sync_delimited_fails_without_sentinel(void **state)
{
    (void)state;
    fixture_start(f);
    assert_says("{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":1.0}}",
                "{\"error\": {\"class\": \"GenericError\", \"desc\": "
                "\"Invalid parameter type for 'id', expected: integer\"}}\n");
    assert_says(PING, PONG);
}

static void test_info(void **state)
{
    unsigned served = 0, entries = 0;
    const char *p;

    (void)state;
    fixture_deny(f, BH_CMD_GUEST_FILE_OPEN);
    fixture_start(f);
    say("{\"execute\":\"guest-info\"}");
    p = hear();
    assert_int_equal(strncmp(p, "{\"return\": {\"version\": \"" BH_PROTOCOL_LEVEL "\", ", 24), 0);
    assert_non_null(
        strstr(p, "{\"enabled\": false, \"name\": \"guest-file-open\", \"success-response\": true}"));
    assert_non_null(strstr(p, "{\"enabled\": true, \"name\": \"guest-ping\", \"success-response\": true}"));
    for (; (p = strstr(p, "{\"enabled\": ")); p++)
        entries++;
    for (unsigned i = 0; i < BH_CMD_COUNT; i++)
        served += bh_commands[i].served;
    assert_int_equal(entries, served);
}

static void test_envelope_errors(void **state)
{
    static const char *const cases[][2] = {
        { "[]", "QMP input must be a JSON object" },
        { "{\"execute\":\"guest-ping\",\"exec-oob\":1}", "QMP input member 'exec-oob' is unexpected" },
        { "{\"exec-oob\":\"guest-ping\"}", "QMP input member 'exec-oob' is unexpected" },
        { "{}", "QMP input lacks member 'execute'" },
        { "{\"execute\":1}", "QMP input member 'execute' must be a string" },
        { "{\"execute\":\"guest-ping\",\"arguments\":null}",
          "QMP input member 'arguments' must be an object" },
        { "{\"execute\":\"guest-ping\",\"arguments\":[]}", "QMP input member 'arguments' must be an object" },
        { "{\"execute\":\"guest-ping\",\"execute\":\"guest-ping\"}",
          "a member of the request stands in it twice" },
        { "{\"execute\":\"guest-ping\",\"arguments\":{\"foo\":1}}", "Parameter 'foo' is unexpected" },
        { "{\"execute\":\"guest-sync\"}", "Parameter 'id' is missing" },
    };
    char expected[512];

    (void)state;
    fixture_start(f);
    for (size_t i = 0; i < BH_ARRAY_SIZE(cases); i++) {
        (void)snprintf(expected, sizeof(expected),
                       "{\"error\": {\"class\": \"GenericError\", \"desc\": \"%s\"}}\n", cases[i][1]);
        assert_says(cases[i][0], expected);
    }
    assert_int_equal(f->page.failures, BH_ARRAY_SIZE(cases));
}

static void test_unknown_before_disabled_before_arguments(void **state)
{
    const char *desc;

    (void)state;
    fixture_deny(f, BH_CMD_GUEST_SYNC);
    fixture_start(f);
    assert_says("{\"execute\":\"guest-frob\",\"arguments\":{\"foo\":1},\"id\":\"x\"}",
                "{\"id\": \"x\", \"error\": {\"class\": \"CommandNotFound\", \"desc\": "
                "\"The command guest-frob has not been found\"}}\n");
    say("{\"execute\":\"guest-sync\",\"arguments\":{\"foo\":1}}");
    desc = hear();
    assert_non_null(
        strstr(desc, "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"Command guest-sync has been "
                     "disabled: the command is not allowed (BH1201, record "));
    assert_int_equal(f->page.denials, 1);
    assert_true(recv(f->audit, payload, BH_FRAME_PAYLOAD_MAX, 0) > 0);
}

static void test_commands_that_this_build_lacks_are_unknown(void **state)
{
    (void)state;
    fixture_start(f);
    assert_false(bh_commands[BH_CMD_GUEST_SET_USER_PASSWORD].served);
    assert_says(
        "{\"execute\":\"guest-set-user-password\",\"arguments\":{\"username\":\"x\",\"password\":\"AAAA\","
        "\"crypted\":false}}",
        "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"The command guest-set-user-password has "
        "not "
        "been found\"}}\n");
    assert_int_equal(fixture_give_worker(f), -1);
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
    char expected[4096] = "", line[64];
    _cleanup_free_ char *all = calloc(100, 64);

    (void)state;
    fixture_start(f);
    for (int i = 0; i < 100; i++) {
        (void)sprintf(all + strlen(all), "{\"execute\":\"guest-sync\",\"arguments\":{\"id\":%d}}", i);
        (void)snprintf(line, sizeof(line), "{\"return\": %d}\n", i);
        (void)strcat(expected, line);
    }
    assert_says(all, expected);
}

/* --- broken text and 0xFF ---------------------------------------------------- */

static void test_broken_text_gives_one_error(void **state)
{
    (void)state;
    fixture_start(f);
    say("{\"execute\": nonsense} }}}}]]] ,,,\n" PING);
    (void)hear();
    assert_int_equal(count_lines(), 2);
    assert_non_null(strstr(heard, "JSON parse error"));
    assert_string_equal(strchr(heard, '\n') + 1, PONG);
}

static void test_reset(void **state)
{
    (void)state;
    fixture_start(f);
    assert_says("\xff\xff\xff", "");
    assert_says("{\"execute\": \"guest-pi\xff\xff" PING,
                "{\"error\": {\"class\": \"GenericError\", \"desc\": "
                "\"JSON parse error, stray 0xFF: the request before it was dropped\"}}\n" PONG);
    say("{\"execute\": frob \xff" PING);
    (void)hear();
    assert_int_equal(count_lines(), 2);
    say_fill('\xff', 1000000);
    assert_says(PING, PONG);
}

static void test_floods_cost_one_error_each(void **state)
{
    (void)state;
    fixture_start(f);
    say("\"");
    say_fill('x', 8 * 1024 * 1024);
    (void)hear();
    assert_int_equal(count_lines(), 1);
    assert_true(n_heard < 1024);
    assert_says("\n" PING, PONG);
    say_fill('[', 1000000);
    (void)hear();
    assert_int_equal(count_lines(), 1);
    assert_says("\xff" PING, PONG);
    assert_true(f->front.client.out.cap <= 256 * 1024);
}

static void test_malformed_input_is_claimed_once_a_second(void **state)
{
    (void)state;
    fixture_start(f);
    for (int i = 0; i < 50; i++)
        say("]\n");
    assert_true(recv(f->audit, payload, BH_FRAME_PAYLOAD_MAX, 0) > 0);
    assert_true(recv(f->audit, payload, BH_FRAME_PAYLOAD_MAX, 0) < 0);
    assert_int_equal(f->front.claims, 49);
    assert_in_range(bh_claim_due(&f->front), 1, BH_CLAIM_MS);
}

/* --- calls ------------------------------------------------------------------ */

static void test_call_and_reply(void **state)
{
    struct bh_guest_file_seek_args args;
    struct bh_arena arena;
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(SEEK, BH_WORKER_FS);
    assert_int_equal(call.command, BH_CMD_GUEST_FILE_SEEK);
    assert_int_equal(call.id >> 32, FIXTURE_EPOCH);
    bh_arena_init(&arena, 4096);
    assert_int_equal(bh_decode(bh_commands[call.command].args, payload, call.length, &arena, &args), 0);
    bh_arena_deinit(&arena);
    assert_true(args.handle == 1 && args.offset == 2);
    assert_int_equal(f->page.owed, 1);
    seek_is_answered(&call);
    assert_int_equal(f->page.owed, 0);
    say(SEEK); /* the worker is there now */
    call = worker_gets(BH_FRAME_CALL);
    seek_is_answered(&call);
}

static void test_errors_of_a_worker(void **state)
{
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(SEEK, BH_WORKER_FS);
    worker_fails(&call, BH_E_NO_RULE, 48123, "denied by policy");
    assert_string_equal(hear(), "{\"error\": {\"class\": \"GenericError\", \"desc\": "
                                "\"denied by policy (BH1202, record 48123)\"}}\n");
    say(SEEK);
    call = worker_gets(BH_FRAME_CALL);
    worker_fails(&call, BH_E_KERNEL, 7, "seek: Illegal seek");
    assert_string_equal(hear(), "{\"error\": {\"class\": \"GenericError\", \"desc\": "
                                "\"seek: Illegal seek (allowed by policy; BH1301, record 7)\"}}\n");
    say(SEEK);
    call = worker_gets(BH_FRAME_CALL);
    worker_fails(&call, BH_E_BAD_HANDLE, 9, "handle '1' has not been found");
    assert_string_equal(hear(), "{\"error\": {\"class\": \"GenericError\", \"desc\": "
                                "\"handle '1' has not been found\"}}\n");
}

static void test_requests_behind_a_call_wait(void **state)
{
    struct bh_guest_file_seek ret = { .position = 2 };
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(PING SEEK PING, BH_WORKER_FS);
    assert_string_equal(hear(), PONG);
    assert_int_equal(f->page.behind, strlen(PING));
    worker_returns(&call, &ret);
    assert_string_equal(hear(), SOUGHT PONG);
    assert_int_equal(f->page.behind, 0);
}

static void test_read_ahead_is_bounded(void **state)
{
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(SEEK, BH_WORKER_FS);
    say_fill(' ', 4 * 1024 * 1024);
    assert_int_equal(bh_transport_held(&f->front.client), BH_READ_AHEAD_MAX);
    seek_is_answered(&call);
    assert_int_equal(bh_transport_held(&f->front.client), 0);
}

static void test_reset_drops_the_running_reply(void **state)
{
    struct bh_guest_file_seek ret = { .position = 2 };
    struct bh_frame call, next;

    (void)state;
    fixture_start(f);
    call = call_comes(SEEK, BH_WORKER_FS);
    assert_says(PING PING "\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":3}}",
                "\xff{\"return\": 3}\n");
    say(SEEK);
    next = worker_gets(BH_FRAME_CALL);
    worker_returns(&call, &ret);
    assert_string_equal(hear(), "");
    ret.position = 77;
    worker_returns(&next, &ret);
    assert_string_equal(hear(), "{\"return\": {\"position\": 77, \"eof\": false}}\n");
    assert_int_equal(fixture_give_worker(f), -1);
}

static void test_replies_in_several_frames(void **state)
{
    struct bh_guest_file_seek ret = { .position = 2 };
    struct bh_arena arena;
    struct bh_bytes bytes;
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(SEEK, BH_WORKER_FS);
    bh_arena_init(&arena, 4096);
    assert_int_equal(bh_encode(bh_commands[call.command].ret, &ret, 4096, &arena, &bytes), 0);
    worker_sends(&call, BH_FRAME_REPLY, BH_FRAME_MORE, bytes.ptr, 3);
    worker_sends(&call, BH_FRAME_REPLY, BH_FRAME_MORE, bytes.ptr + 3, 3);
    worker_sends(&call, BH_FRAME_REPLY, 0, bytes.ptr + 6, bytes.len - 6);
    bh_arena_deinit(&arena);
    assert_string_equal(hear(), SOUGHT);
}

/* --- workers that fail --------------------------------------------------------- */

static void test_worker_dies(void **state)
{
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    (void)call_comes(SEEK, BH_WORKER_FS);
    worker_ends();
    assert_non_null(
        strstr(hear(), "the fs worker ended while it served this request; nothing was retried (BH1401"));
    call = call_comes(SEEK, BH_WORKER_FS);
    seek_is_answered(&call);
}

static void test_idle_worker_dies_unnoticed_by_the_client(void **state)
{
    struct bh_guest_file_seek ret = { .position = 2 };
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(SEEK, BH_WORKER_FS);
    worker_returns(&call, &ret);
    (void)hear();
    worker_ends();
    call = call_comes(SEEK, BH_WORKER_FS);
    seek_is_answered(&call);
}

/* A socket that was dead when it came is asked for again, but not for ever. */
static void test_stale_sockets(void **state)
{
    (void)state;
    fixture_start(f);
    say(SEEK);
    for (int i = 0; i < 3; i++) {
        struct bh_control message;
        int fd, pair[2];

        assert_string_equal(hear(), "");
        assert_int_equal(bh_control_recv(f->supervisor, &message, &fd), 1);
        assert_int_equal(message.op, BH_CONTROL_START);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
        (void)close(pair[0]);
        assert_int_equal(bh_control_send(f->supervisor, BH_CONTROL_PEER, message.arg, pair[1]), 0);
        (void)close(pair[1]);
    }
    assert_non_null(strstr(hear(), "(BH1401"));
}

/* A worker that leaves gives the call back: its successor gets it, whole; but not for ever. */
static void test_call_given_back(void **state)
{
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(SEEK, BH_WORKER_FS);
    worker_sends(&call, BH_FRAME_AGAIN, 0, NULL, 0);
    assert_string_equal(hear(), "");
    assert_int_equal(fixture_give_worker(f), BH_WORKER_FS);
    call = worker_gets(BH_FRAME_CALL);
    seek_is_answered(&call);
    worker_ends();
    for (int i = 0; i < 3; i++) {
        if (i == 0)
            say(SEEK);
        assert_int_equal(fixture_give_worker(f), BH_WORKER_FS);
        call = worker_gets(BH_FRAME_CALL);
        worker_sends(&call, BH_FRAME_AGAIN, 0, NULL, 0);
        if (i < 2)
            assert_string_equal(hear(), "");
    }
    assert_non_null(strstr(hear(), "the fs worker gives every call back (BH1403"));
    assert_says(PING, PONG);
}

static void test_worker_refused(void **state)
{
    uint32_t arg = 0;

    (void)state;
    fixture_start(f);
    say(SEEK);
    assert_int_equal(control_op(&arg), BH_CONTROL_START);
    assert_int_equal(bh_control_send(f->supervisor, BH_CONTROL_REFUSED, arg, -1), 0);
    assert_non_null(strstr(hear(), "the fs worker cannot be started (BH1403"));
    assert_says(PING, PONG);
}

static void test_worker_is_not_started_in_time(void **state)
{
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    say(SEEK);
    assert_in_range(bh_route_due(&f->front), 1, BH_START_MS);
    f->front.progress_ms -= BH_START_MS;
    assert_non_null(strstr(hear(), "the fs worker could not be started in time (BH1403"));
    say(SEEK); /* it comes late, for the next request */
    assert_int_equal(fixture_give_worker(f), BH_WORKER_FS);
    call = worker_gets(BH_FRAME_CALL);
    seek_is_answered(&call);
    assert_int_equal(fixture_give_worker(f), -1);
}

static void test_deadline(void **state)
{
    (void)state;
    fixture_start(f);
    (void)call_comes(SEEK, BH_WORKER_FS);
    assert_in_range(bh_route_due(&f->front), 1, bh_commands[BH_CMD_GUEST_FILE_SEEK].deadline_ms);
    f->front.progress_ms -= bh_commands[BH_CMD_GUEST_FILE_SEEK].deadline_ms - 1000;
    assert_string_equal(hear(), "");
    f->front.progress_ms -= 1000;
    assert_non_null(strstr(hear(), "made no progress within the command's deadline and was ended (BH1402"));
    assert_killed(BH_WORKER_FS);
}

static void check_foul(const char *request, unsigned type, unsigned flags, int command, int64_t id_off,
                       size_t len)
{
    struct bh_frame call;

    memset(payload, 0xee, BH_FRAME_PAYLOAD_MAX);
    call = call_comes(request, BH_WORKER_FS);
    memset(payload, 0xee, BH_FRAME_PAYLOAD_MAX);
    call.id = (uint64_t)((int64_t)call.id + id_off);
    call.command = command < 0 ? call.command : (uint16_t)command;
    worker_sends(&call, type, flags, payload, len);
    assert_non_null(strstr(hear(), "the fs worker sent what is no answer and was ended (BH1401"));
    assert_int_equal(count_lines(), 1);
    assert_killed(BH_WORKER_FS);
    assert_says(PING, PONG);
}

static void test_hostile_worker(void **state)
{
    struct bh_frame frame = { .type = BH_FRAME_DATA, .id = 1 };

    (void)state;
    fixture_start(f);
    check_foul(SEEK, BH_FRAME_REPLY, 0, -1, 0, 3);              /* does not decode */
    check_foul(SEEK, BH_FRAME_REPLY, BH_FRAME_MORE, -1, 0, 0);  /* goes on for ever */
    check_foul(SEEK, BH_FRAME_REPLY, BH_FRAME_MORE, -1, 0, 65); /* over reply_max */
    check_foul(SEEK, BH_FRAME_ERROR, 0, -1, 0, 40);             /* no such code */
    check_foul(SEEK, BH_FRAME_ERROR, BH_FRAME_MORE, -1, 0, 40);
    check_foul(SEEK, BH_FRAME_DATA, BH_FRAME_MORE, -1, 0, 10); /* it streams nothing */
    check_foul(READ, BH_FRAME_DATA, BH_FRAME_MORE, -1, 0, 0);
    check_foul(SEEK, BH_FRAME_CALL, 0, -1, 0, 0); /* not its to send */
    check_foul(SEEK, BH_FRAME_WAKE, 0, -1, 0, 0);
    check_foul(SEEK, BH_FRAME_AGAIN, 0, -1, 0, 1);
    check_foul(SEEK, BH_FRAME_AGAIN, BH_FRAME_MORE, -1, 0, 0);
    check_foul(SEEK, BH_FRAME_AGAIN, 0, -1, 1, 0);
    check_foul(SEEK, BH_FRAME_REPLY, 0, BH_CMD_GUEST_FILE_READ, 0, 0);
    check_foul(SEEK, BH_FRAME_REPLY, 0, -1, 1, 0); /* an id to come */
    (void)call_comes(SEEK, BH_WORKER_FS);
    assert_true(write(f->worker, &frame, sizeof(frame)) > 0); /* another build's */
    assert_non_null(strstr(hear(), "was ended (BH1401"));
}

static void test_frames_of_another_epoch_are_dropped(void **state)
{
    struct bh_frame call, old;

    (void)state;
    fixture_start(f);
    old = call = call_comes(SEEK, BH_WORKER_FS);
    old.id -= 1ull << 32;
    worker_fails(&old, BH_E_KERNEL, 0, "of old");
    assert_string_equal(hear(), "");
    seek_is_answered(&call);
}

/* An idle worker has nothing to say. */
static void test_unasked_frame(void **state)
{
    struct bh_guest_file_seek ret = { .position = 2 };
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(SEEK, BH_WORKER_FS);
    worker_returns(&call, &ret);
    seek_is_answered(&call);
    assert_killed(BH_WORKER_FS);
}

/* --- bulk out ----------------------------------------------------------------- */

static void test_streamed_read(void **state)
{
    struct bh_guest_file_read ret = { .count = 10, .eof = true };
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(READ, BH_WORKER_FS);
    worker_sends(&call, BH_FRAME_DATA, BH_FRAME_MORE, "01234", 5);
    assert_string_equal(hear(), ""); /* so short a line is sent as a whole */
    worker_sends(&call, BH_FRAME_DATA, BH_FRAME_MORE, "56789", 5);
    worker_returns(&call, &ret);
    assert_string_equal(hear(),
                        "{\"return\": {\"buf-b64\": \"MDEyMzQ1Njc4OQ==\", \"count\": 10, \"eof\": true}, "
                        "\"id\": 5}\n");
}

static void test_long_line_is_sent_as_it_comes(void **state)
{
    struct bh_guest_file_read ret = { .count = BH_FRAME_PAYLOAD_MAX + 3, .eof = true };
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(READ, BH_WORKER_FS);
    worker_sends(&call, BH_FRAME_DATA, BH_FRAME_MORE, payload, BH_FRAME_PAYLOAD_MAX);
    assert_memory_equal(hear(), "{\"return\": {\"buf-b64\": \"", 24);
    assert_in_range(n_heard, BH_FRAME_PAYLOAD_MAX / 3 * 4, BH_BASE64_ENCODED_MAX(BH_FRAME_PAYLOAD_MAX) + 24);
    assert_int_equal(f->page.line_open, 1);
    worker_sends(&call, BH_FRAME_DATA, BH_FRAME_MORE, "xyz", 3);
    assert_int_equal(strlen(hear()), 4);
    worker_returns(&call, &ret);
    assert_non_null(strstr(hear(), "\"count\": 131075, \"eof\": true}, \"id\": 5}\n"));
    assert_int_equal(f->page.line_open, 0);
}

static void test_empty_read(void **state)
{
    struct bh_guest_file_read ret = { .count = 0, .eof = true };
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(READ, BH_WORKER_FS);
    worker_returns(&call, &ret);
    assert_string_equal(hear(),
                        "{\"return\": {\"buf-b64\": \"\", \"count\": 0, \"eof\": true}, \"id\": 5}\n");
}

static void check_short(const char *expected)
{
    assert_string_equal(hear(), expected);
    assert_says(PING, PONG);
}

static void test_stream_that_breaks_is_a_short_count(void **state)
{
    static const char expected[] =
        "{\"return\": {\"buf-b64\": \"MDEyMzQ=\", \"count\": 5, \"eof\": false}, \"id\": 5}\n";
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(READ, BH_WORKER_FS);
    worker_sends(&call, BH_FRAME_DATA, BH_FRAME_MORE, "01234", 5);
    worker_ends();
    check_short(expected);
    call = call_comes(READ, BH_WORKER_FS);
    worker_sends(&call, BH_FRAME_DATA, BH_FRAME_MORE, "01234", 5);
    worker_fails(&call, BH_E_KERNEL, 1, "read: I/O error");
    check_short(expected);
    say(READ);
    call = worker_gets(BH_FRAME_CALL);
    worker_sends(&call, BH_FRAME_DATA, BH_FRAME_MORE, "01234", 5);
    f->front.progress_ms -= bh_commands[BH_CMD_GUEST_FILE_READ].deadline_ms;
    check_short(expected);
    assert_killed(BH_WORKER_FS);
}

static void test_reset_ends_a_half_sent_line(void **state)
{
    struct bh_guest_file_read ret = { .count = 5 };
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(READ, BH_WORKER_FS);
    worker_sends(&call, BH_FRAME_DATA, BH_FRAME_MORE, payload, BH_FRAME_PAYLOAD_MAX);
    (void)hear();
    assert_int_equal(f->page.line_open, 1);
    assert_says("\xff" PING, "\n" PONG);
    worker_sends(&call, BH_FRAME_DATA, BH_FRAME_MORE, "34", 2);
    worker_returns(&call, &ret);
    assert_string_equal(hear(), "");
    assert_says(PING, PONG);
}

/* The client does not read: the worker is left alone, and its deadline does not run. */
static void test_stream_waits_for_the_client(void **state)
{
    struct bh_frame call, frame;
    unsigned sent = 0;

    (void)state;
    fixture_start(f);
    call = call_comes(READ, BH_WORKER_FS);
    frame = (struct bh_frame){
        .type = BH_FRAME_DATA, .flags = BH_FRAME_MORE, .command = call.command, .id = call.id
    };
    while (sent < 64 && bh_frame_send(f->worker, &frame, payload, BH_FRAME_PAYLOAD_MAX) == 0) {
        fixture_settle(f);
        sent++;
    }
    assert_in_range(sent, 2, 40);
    assert_true(bh_transport_pending(&f->front.client) > BH_STREAM_HIGH);
    assert_true(bh_transport_pending(&f->front.client) <=
                BH_STREAM_HIGH + BH_BASE64_ENCODED_MAX(BH_FRAME_PAYLOAD_MAX));
    assert_int_equal(bh_route_due(&f->front), -1);
    f->front.progress_ms -= bh_commands[BH_CMD_GUEST_FILE_READ].deadline_ms;
    fixture_settle(f);
    assert_int_equal(f->front.state, BH_STREAMING);
    (void)hear();
    assert_true(n_heard > (size_t)sent * BH_FRAME_PAYLOAD_MAX / 3 * 4);
}

static void test_replies_wait_for_the_client(void **state)
{
    (void)state;
    fixture_start(f);
    for (int i = 0; i < 3000; i++)
        say("{\"execute\":\"guest-info\"}");
    assert_int_equal(f->front.state, BH_FLUSHING);
    assert_true(bh_transport_pending(&f->front.client) < BH_OUT_HIGH + 16384);
    (void)hear();
    assert_int_equal(f->front.state, BH_READING);
}

static void test_reset_drops_replies_that_nobody_takes(void **state)
{
    (void)state;
    fixture_start(f);
    for (int i = 0; i < 3000 && f->front.state != BH_FLUSHING; i++)
        say("{\"execute\":\"guest-info\"}");
    assert_int_equal(f->front.state, BH_FLUSHING);
    say("\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":4}}");
    (void)hear();
    assert_non_null(strstr(heard, "\n\xff{\"return\": 4}\n"));
    assert_int_equal(f->front.state, BH_READING);
}

/* --- two bulk members out ------------------------------------------------------ */

#define STATUS "{\"execute\":\"guest-exec-status\",\"arguments\":{\"pid\":7}}"
#define SECOND (BH_FRAME_MORE | BH_FRAME_SECOND)

static const struct bh_guest_exec_status both_whole = {
    .exited = true, .has_exitcode = true, .has_out_truncated = true, .has_err_truncated = true
};

static void test_two_members(void **state)
{
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(STATUS, BH_WORKER_SPOOL);
    worker_sends(&call, BH_FRAME_DATA, BH_FRAME_MORE, "0123", 4);
    worker_sends(&call, BH_FRAME_DATA, BH_FRAME_MORE, "4", 1);
    worker_sends(&call, BH_FRAME_DATA, SECOND, "01", 2);
    worker_sends(&call, BH_FRAME_DATA, SECOND, "234", 3);
    worker_returns(&call, &both_whole);
    assert_string_equal(
        hear(), "{\"return\": {\"out-data\": \"MDEyMzQ=\", \"err-data\": \"MDEyMzQ=\", \"exited\": true, "
                "\"exitcode\": 0, \"out-truncated\": false, \"err-truncated\": false}}\n");
}

/* What is optional and has no bytes is left out, whichever it is. */
static void test_one_member_of_two(void **state)
{
    struct bh_guest_exec_status ret = {
        .exited = true, .has_signal = true, .signal = 9, .has_out_truncated = true
    };
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(STATUS, BH_WORKER_SPOOL);
    worker_sends(&call, BH_FRAME_DATA, BH_FRAME_MORE, "0", 1);
    worker_returns(&call, &ret);
    assert_string_equal(hear(), "{\"return\": {\"out-data\": \"MA==\", \"exited\": true, \"signal\": 9, "
                                "\"out-truncated\": false}}\n");
    say(STATUS);
    call = worker_gets(BH_FRAME_CALL);
    ret.has_out_truncated = false;
    ret.has_err_truncated = ret.err_truncated = true;
    worker_sends(&call, BH_FRAME_DATA, SECOND, "0", 1);
    worker_returns(&call, &ret);
    assert_string_equal(hear(), "{\"return\": {\"err-data\": \"MA==\", \"exited\": true, \"signal\": 9, "
                                "\"err-truncated\": true}}\n");
    say(STATUS);
    call = worker_gets(BH_FRAME_CALL);
    worker_returns(&call, &(struct bh_guest_exec_status){ 0 });
    assert_string_equal(hear(), "{\"return\": {\"exited\": false}}\n");
}

/* The reply of a worker that ends before it has said how the execution did. */
static void breaks_after(unsigned n_first, unsigned n_second, const char *expected)
{
    struct bh_frame call = call_comes(STATUS, BH_WORKER_SPOOL);

    for (unsigned i = 0; i < n_first; i++)
        worker_sends(&call, BH_FRAME_DATA, BH_FRAME_MORE, "0", 1);
    for (unsigned i = 0; i < n_second; i++)
        worker_sends(&call, BH_FRAME_DATA, SECOND, "0", 1);
    worker_ends();
    check_short(expected);
}

static void test_two_members_that_break_are_cut(void **state)
{
    (void)state;
    fixture_start(f);
    breaks_after(1, 0, "{\"return\": {\"out-data\": \"MA==\", \"exited\": true, \"out-truncated\": true}}\n");
    breaks_after(0, 2, "{\"return\": {\"err-data\": \"MDA=\", \"exited\": true, \"err-truncated\": true}}\n");
    breaks_after(2, 1,
                 "{\"return\": {\"out-data\": \"MDA=\", \"err-data\": \"MA==\", \"exited\": true, "
                 "\"out-truncated\": true, \"err-truncated\": true}}\n");
}

/* Frames before the last one are accepted, that one ends the worker: the line is ended like a broken one. */
static void check_foul_member(const unsigned *flags, unsigned n, const char *expected)
{
    struct bh_frame call = call_comes(STATUS, BH_WORKER_SPOOL);

    for (unsigned i = 0; i < n; i++)
        worker_sends(&call, BH_FRAME_DATA, flags[i], "0", 1);
    assert_string_equal(hear(), expected);
    assert_killed(BH_WORKER_SPOOL);
    assert_says(PING, PONG);
}

static void test_members_in_disorder(void **state)
{
    static const unsigned back[] = { BH_FRAME_MORE, SECOND, BH_FRAME_MORE },
                          first_late[] = { SECOND, BH_FRAME_MORE };

    (void)state;
    fixture_start(f);
    check_foul_member(back, 3,
                      "{\"return\": {\"out-data\": \"MA==\", \"err-data\": \"MA==\", \"exited\": true, "
                      "\"out-truncated\": true, \"err-truncated\": true}}\n");
    check_foul_member(first_late, 2,
                      "{\"return\": {\"err-data\": \"MA==\", \"exited\": true, \"err-truncated\": true}}\n");
    check_foul(READ, BH_FRAME_DATA, SECOND, -1, 0, 10); /* it has one */
    check_foul(SEEK, BH_FRAME_DATA, SECOND, -1, 0, 10);
}

/* Each member has its own limit: both may be full, and one byte more ends the worker. */
static void test_limit_of_each_member(void **state)
{
    const uint32_t limit = bh_commands[BH_CMD_GUEST_EXEC_STATUS].bulk_ret[0]->limit;
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(STATUS, BH_WORKER_SPOOL);
    for (unsigned which = 0; which < 2; which++)
        for (uint32_t sent = 0; sent < limit; sent += BH_FRAME_PAYLOAD_MAX) {
            worker_sends(&call, BH_FRAME_DATA, which ? SECOND : BH_FRAME_MORE, payload, BH_FRAME_PAYLOAD_MAX);
            (void)hear();
            assert_true(bh_transport_pending(&f->front.client) < 2 * BH_FRAME_PAYLOAD_MAX);
        }
    assert_int_equal(f->front.way.stream.bytes[0], limit);
    assert_int_equal(f->front.way.stream.bytes[1], limit);
    worker_sends(&call, BH_FRAME_DATA, SECOND, "0", 1);
    assert_non_null(strstr(hear(), "\"exited\": true, \"out-truncated\": true, \"err-truncated\": true}}\n"));
    assert_killed(BH_WORKER_SPOOL);
}

/* --- bulk in ------------------------------------------------------------------ */

#define WRITE_HEAD "{\"execute\":\"guest-file-write\",\"arguments\":{\"handle\":1,\"buf-b64\":\""

static void test_small_write(void **state)
{
    struct bh_guest_file_write ret = { .count = 5 };
    struct bh_frame stage, call;

    (void)state;
    fixture_start(f);
    say(WRITE_HEAD "MDEy\\nMzQ=\"}}");
    assert_int_equal(fixture_give_worker(f), BH_WORKER_FS);
    stage = worker_gets(BH_FRAME_STAGE);
    assert_int_equal(stage.flags, BH_FRAME_MORE);
    assert_int_equal(stage.length, 5);
    assert_memory_equal(payload, "01234", 5);
    call = worker_gets(BH_FRAME_CALL);
    assert_true(call.id == stage.id && call.command == BH_CMD_GUEST_FILE_WRITE);
    worker_returns(&call, &ret);
    assert_string_equal(hear(), "{\"return\": {\"count\": 5, \"eof\": false}}\n");
}

/* The last of what is staged brings the call, as long as both fit into a packet. */
static void test_stage_and_call_are_one_packet(void **state)
{
    struct bh_guest_file_write ret = { .count = 5 };

    (void)state;
    fixture_start(f);
    say(WRITE_HEAD "MDEyMzQ=\"}}");
    assert_int_equal(fixture_give_worker(f), BH_WORKER_FS);
    (void)worker_gets(BH_FRAME_STAGE);
    assert_int_equal(in.tail.frame.type, BH_FRAME_CALL);
    (void)worker_gets(BH_FRAME_CALL);
    worker_returns(&in.frame, &ret);
    (void)hear();
    say(WRITE_HEAD);
    say_fill('A', 4 * (BH_FRAME_PAYLOAD_MAX / 3 + 1));
    (void)worker_gets(BH_FRAME_STAGE);
    assert_int_equal(in.tail.frame.type, 0);
    say("\"}}");
    assert_true(worker_gets(BH_FRAME_STAGE).length < 4);
    assert_int_equal(in.tail.frame.type, BH_FRAME_CALL);
}

/* A packet of two frames that are each right for `call`, or the second of which is not. */
static void worker_sends_pair(const struct bh_frame *call, unsigned type, const void *end, size_t len)
{
    struct bh_frame data = {
        .type = BH_FRAME_DATA, .flags = BH_FRAME_MORE, .command = call->command, .id = call->id
    };
    struct bh_frame tail = { .type = (uint16_t)type, .command = call->command, .id = call->id };

    assert_int_equal(bh_frame_send_pair(f->worker, &data, "01234", 5, &tail, end, len), 0);
    fixture_settle(f);
}

static void test_data_and_reply_in_one_packet(void **state)
{
    struct bh_error error = { .code = BH_E_KERNEL, .text = "no" };
    uint8_t packed[BH_ERROR_PAYLOAD_MAX];
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(READ, BH_WORKER_FS);
    worker_sends_pair(&call, BH_FRAME_ERROR, packed, bh_error_pack(&error, packed)); /* a short count */
    assert_string_equal(
        hear(), "{\"return\": {\"buf-b64\": \"MDEyMzQ=\", \"count\": 5, \"eof\": false}, \"id\": 5}\n");
    say(READ);
    call = worker_gets(BH_FRAME_CALL);
    worker_sends_pair(&call, BH_FRAME_REPLY, "xyz", 3); /* does not decode */
    assert_killed(BH_WORKER_FS);
    assert_string_equal(
        hear(), "{\"return\": {\"buf-b64\": \"MDEyMzQ=\", \"count\": 5, \"eof\": false}, \"id\": 5}\n");
    call = call_comes(SEEK, BH_WORKER_FS);
    worker_sends_pair(&call, BH_FRAME_REPLY, NULL, 0); /* it streams nothing */
    assert_killed(BH_WORKER_FS);
    assert_non_null(strstr(hear(), "was ended (BH1401"));
    assert_int_equal(count_lines(), 1);
}

static void test_empty_write_stages_nothing(void **state)
{
    struct bh_guest_file_write ret = { .count = 0 };
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(WRITE_HEAD "\"}}", BH_WORKER_FS);
    worker_returns(&call, &ret);
    assert_string_equal(hear(), "{\"return\": {\"count\": 0, \"eof\": false}}\n");
}

/* Base64 of zeros, so many that neither sockets nor buffers hold them; the worker takes one frame at a time.
 */
static void test_large_write_is_never_held(void **state)
{
    struct bh_guest_file_write ret = { .count = 6 * 1024 * 1024 };
    size_t left = 8 * 1024 * 1024, staged = 0;
    char block[4096];
    bool ended = false;

    (void)state;
    fixture_start(f);
    memset(block, 'A', sizeof(block));
    say(WRITE_HEAD);
    assert_int_equal(fixture_give_worker(f), BH_WORKER_FS);
    in.frame.type = BH_FRAME_STAGE;
    while (in.frame.type == BH_FRAME_STAGE) {
        ssize_t n = left ? write(f->client, block, left < sizeof(block) ? left : sizeof(block)) : 0;
        int r;

        left -= n > 0 ? (size_t)n : 0;
        if (left == 0 && !ended)
            ended = write(f->client, "\"}}", 3) == 3;
        (void)bh_front_step(&f->front, 0);
        assert_true(f->front.lift.len - f->front.lift.at <= sizeof(f->front.lift.bytes));
        r = n < 0 || ended ? frames_next(f->worker, &in) : -EAGAIN;
        if (r > 0 && in.frame.type == BH_FRAME_STAGE)
            staged += in.frame.length;
        if (r > 0 && in.frame.type == BH_FRAME_STAGE && staged < 6 * 1024 * 1024)
            assert_int_equal(in.frame.length, BH_FRAME_PAYLOAD_MAX);
    }
    assert_int_equal(in.frame.type, BH_FRAME_CALL);
    assert_int_equal(staged, 6 * 1024 * 1024);
    worker_returns(&in.frame, &ret);
    assert_string_equal(hear(), "{\"return\": {\"count\": 6291456, \"eof\": false}}\n");
}

#define NOT_BASE64                                                                                           \
    "{\"error\": {\"class\": \"GenericError\", \"desc\": \"Base64 data contains invalid characters\"}}\n"

static void test_bad_base64(void **state)
{
    (void)state;
    fixture_start(f);
    assert_says(WRITE_HEAD "AA*A\"}}", NOT_BASE64);
    assert_says(WRITE_HEAD "AAA\"}}", NOT_BASE64);
    assert_int_equal(fixture_give_worker(f), BH_WORKER_FS); /* it was asked for when the argument began */
    assert_worker_gets_nothing();
    say(WRITE_HEAD);
    say_fill('A', ONE_FRAME);
    (void)worker_gets(BH_FRAME_STAGE);
    say("*");
    (void)worker_gets(BH_FRAME_ABANDON);
    say_fill('A', ONE_FRAME);
    assert_worker_gets_nothing();
    assert_says("\"}}", NOT_BASE64);
    assert_worker_gets_nothing();
}

static void stage_some(void)
{
    say(WRITE_HEAD);
    if (f->worker < 0)
        assert_int_equal(fixture_give_worker(f), BH_WORKER_FS);
    say_fill('A', ONE_FRAME);
    (void)worker_gets(BH_FRAME_STAGE);
    assert_worker_gets_nothing();
}

static void test_what_is_staged_is_abandoned(void **state)
{
    (void)state;
    fixture_start(f);
    stage_some();
    say("\x01\n");
    assert_non_null(strstr(hear(), "JSON parse error"));
    (void)worker_gets(BH_FRAME_ABANDON);
    stage_some();
    say("\",\"foo\":1}}");
    assert_non_null(strstr(hear(), "Parameter 'foo' is unexpected"));
    (void)worker_gets(BH_FRAME_ABANDON);
    stage_some();
    assert_says("\xff" PING, "{\"error\": {\"class\": \"GenericError\", \"desc\": "
                             "\"JSON parse error, stray 0xFF: the request before it was dropped\"}}\n" PONG);
    (void)worker_gets(BH_FRAME_ABANDON);
    stage_some();
    (void)close(f->client);
    fixture_settle(f);
    assert_true(f->over);
    (void)worker_gets(BH_FRAME_ABANDON);
}

static void test_two_bulk_arguments(void **state)
{
    (void)state;
    fixture_start(f);
    stage_some();
    say("\",\"buf-b64\":\"AAAA\"}}\n");
    (void)hear();
    assert_int_equal(count_lines(), 1);
    assert_non_null(strstr(heard, "\"error\""));
    (void)worker_gets(BH_FRAME_ABANDON);
    stage_some();
    say("\",\"input-data\":\"AAAA\"}}");
    assert_non_null(strstr(hear(), "Parameter 'input-data' is unexpected"));
    assert_int_equal(count_lines(), 1);
    (void)worker_gets(BH_FRAME_ABANDON);
    assert_worker_gets_nothing();
    assert_says(PING, PONG);
}

static void test_bulk_that_nobody_may_send_starts_no_worker(void **state)
{
    (void)state;
    fixture_deny(f, BH_CMD_GUEST_FILE_WRITE);
    fixture_start(f);
    say(WRITE_HEAD);
    say_fill('A', ONE_FRAME);
    assert_int_equal(fixture_give_worker(f), -1);
    say("*\"}}");
    assert_non_null(strstr(hear(), "has been disabled"));
}

static void test_worker_dies_while_staging(void **state)
{
    (void)state;
    fixture_start(f);
    stage_some();
    worker_ends();
    assert_string_equal(hear(), "");
    say_fill('A', ONE_FRAME);
    say("\"}}");
    assert_non_null(
        strstr(hear(), "the fs worker ended while it served this request; nothing was retried (BH1401"));
    assert_int_equal(count_lines(), 1);
}

/* A worker that takes nothing: the client is not read any more, 0xFF helps, and so does the deadline. */
static void test_worker_that_takes_nothing(void **state)
{
    (void)state;
    fixture_start(f);
    say(WRITE_HEAD);
    assert_int_equal(fixture_give_worker(f), BH_WORKER_FS);
    say_fill('A', 4 * 1024 * 1024);
    assert_int_equal(f->front.state, BH_HOLDING);
    f->front.progress_ms -= BH_STAGE_MS;
    fixture_settle(f);
    assert_killed(BH_WORKER_FS);
    assert_int_equal(f->front.state, BH_READING);
    say("\"}}");
    assert_non_null(strstr(hear(), "(BH1402"));
}

static void test_abandon_waits_for_room(void **state)
{

    (void)state;
    fixture_start(f);
    say(WRITE_HEAD);
    assert_int_equal(fixture_give_worker(f), BH_WORKER_FS);
    for (int i = 0; i < 1024 && f->front.state != BH_HOLDING; i++)
        say_fill('A', 4096);
    assert_int_equal(f->front.state, BH_HOLDING);
    say("\xff" PING);
    (void)hear();
    assert_int_equal(count_lines(), 2);
    do {
        assert_int_equal(frames_next(f->worker, &in), 1);
        fixture_settle(f);
    } while (in.frame.type == BH_FRAME_STAGE);
    assert_int_equal(in.frame.type, BH_FRAME_ABANDON);
}

/* --- rest ------------------------------------------------------------------- */

#define REST_MS 30

/* Nothing is ready, so a step takes as long as it may: a front that spins comes back at once. */
static void assert_rests(unsigned state)
{
    uint64_t before = bh_clock_ms(CLOCK_BOOTTIME);

    assert_int_equal(f->front.state, state);
    assert_true(bh_front_step(&f->front, REST_MS));
    assert_true(bh_clock_ms(CLOCK_BOOTTIME) - before >= REST_MS - 1);
}

static void test_rests_at_rest_and_during_a_call(void **state)
{
    (void)state;
    fixture_start(f);
    assert_rests(BH_READING);
    say("{\"execute\":");
    assert_rests(BH_READING);
    say("\xff" SEEK);
    assert_rests(BH_STARTING);
    assert_int_equal(fixture_give_worker(f), BH_WORKER_FS);
    assert_rests(BH_WAITING);
    say_fill(' ', BH_READ_AHEAD_MAX);
    say_fill(' ', BH_READ_AHEAD_MAX);
    assert_rests(BH_WAITING);
}

static void test_rests_while_a_half_closed_client_waits(void **state)
{
    (void)state;
    fixture_start(f);
    (void)call_comes(SEEK, BH_WORKER_FS);
    assert_int_equal(shutdown(f->client, SHUT_WR), 0);
    fixture_settle(f);
    assert_rests(BH_WAITING);
}

static void test_rests_while_nobody_takes_anything(void **state)
{
    struct bh_frame call, frame;

    (void)state;
    fixture_start(f);
    say(WRITE_HEAD);
    assert_int_equal(fixture_give_worker(f), BH_WORKER_FS);
    say_fill('A', 4 * 1024 * 1024);
    assert_rests(BH_HOLDING);
    fixture_deinit(f);
    fixture_init(f);
    fixture_start(f);
    call = call_comes(READ, BH_WORKER_FS);
    frame = (struct bh_frame){
        .type = BH_FRAME_DATA, .flags = BH_FRAME_MORE, .command = call.command, .id = call.id
    };
    while (bh_frame_send(f->worker, &frame, payload, BH_FRAME_PAYLOAD_MAX) == 0)
        fixture_settle(f);
    assert_rests(BH_STREAMING);
    (void)hear();
    fixture_deinit(f);
    fixture_init(f);
    fixture_start(f);
    for (int i = 0; i < 3000 && f->front.state != BH_FLUSHING; i++)
        say("{\"execute\":\"guest-info\"}");
    assert_rests(BH_FLUSHING);
}

/* Bytes of [at, at + len) that are in memory. */
static size_t resident(const void *at, size_t len)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = ((uintptr_t)at + page - 1) / page * page;
    size_t n = ((uintptr_t)at + len - from) / page, found = 0;
    unsigned char *in_core = calloc(n, 1);

    assert_non_null(in_core);
    assert_int_equal(mincore((void *)from, n * page, in_core), 0);
    for (size_t i = 0; i < n; i++)
        found += (in_core[i] & 1) * page;
    free(in_core);
    return found;
}

/* What large requests needed is given back when the client is quiet, and not before. */
static void test_memory_of_bulk_is_given_back(void **state)
{
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    stage_some();
    say("\"}}");
    (void)worker_gets(BH_FRAME_STAGE);
    call = worker_gets(BH_FRAME_CALL);
    worker_fails(&call, BH_E_KERNEL, 0, "no");
    say(READ);
    call = worker_gets(BH_FRAME_CALL);
    memset(payload, 1, BH_FRAME_PAYLOAD_MAX);
    worker_sends(&call, BH_FRAME_DATA, BH_FRAME_MORE, payload, BH_FRAME_PAYLOAD_MAX);
    assert_true(resident(f->front.room, sizeof(f->front.room)) >= BH_FRAME_PAYLOAD_MAX - 8192);
    assert_false(bh_front_has_slack(&f->front)); /* it is under way */
    worker_fails(&call, BH_E_KERNEL, 0, "no");
    (void)hear();
    if (bh_front_has_slack(&f->front))
        (void)bh_front_step(&f->front, BH_QUIET_MS * 2);
    assert_false(bh_front_has_slack(&f->front));
    assert_true(resident(f->front.room, sizeof(f->front.room)) <= 32 * 1024);
    assert_true(resident(f->front.lift.bytes, sizeof(f->front.lift.bytes)) <= 32 * 1024);
    assert_true(resident(f->front.client.in, BH_READ_AHEAD_MAX) <= 32 * 1024);
    assert_int_equal(f->front.client.out.cap, 0);
    assert_says(PING, PONG);
    assert_rests(BH_READING);
}

/* --- secrets ---------------------------------------------------------------- */

static void test_secrets_are_wiped(void **state)
{
    static const char secret[] = "VGhlU2VjcmV0V29yZA==";

    (void)state;
    fixture_start(f);
    say("{\"execute\":\"guest-set-user-password\",\"arguments\":{\"username\":\"u\",\"password\":\"VGhlU2Vj");
    say("cmV0V29yZA==\",\"crypted\":false}}" PING);
    assert_non_null(strstr(hear(), PONG));
    assert_null(memmem(f->front.client.in, BH_READ_AHEAD_MAX, secret, 8));
    assert_null(memmem(f->front.client.in, BH_READ_AHEAD_MAX, secret + 8, 8));
}

/* The last of a request does not fit into the socket: what did is given up, and the worker lives on. */
static void test_reset_while_sending(void **state)
{

    (void)state;
    fixture_start(f);
    say(WRITE_HEAD);
    assert_int_equal(fixture_give_worker(f), BH_WORKER_FS);
    for (int i = 0; i < 1024 && f->front.state != BH_HOLDING; i++)
        say_fill('A', 4096);
    f->front.lift.at = f->front.lift.len - 1; /* as if all but the last frame had gone */
    bh_front_fire(&f->front, BH_ON_ROOM);
    say("\"}}");
    assert_int_equal(f->front.state, BH_SENDING);
    assert_rests(BH_SENDING);
    assert_says("\xff" PING, PONG);
    do {
        assert_int_equal(frames_next(f->worker, &in), 1);
        fixture_settle(f);
    } while (in.frame.type == BH_FRAME_STAGE);
    assert_int_equal(in.frame.type, BH_FRAME_ABANDON);
    assert_int_equal(f->front.links[BH_WORKER_FS].abandon, 0);
    assert_rests(BH_READING);
}

/* --- leaving and resetting in every state ------------------------------------ */

static void enter_reading(void)
{
    say("{\"execute\":\"guest-pi");
}

static void enter_holding(void)
{
    say(WRITE_HEAD);
    assert_int_equal(fixture_give_worker(f), BH_WORKER_FS);
    for (int i = 0; i < 1024 && f->front.state != BH_HOLDING; i++)
        say_fill('A', 4096);
}

static void enter_starting(void)
{
    say(SEEK);
}

static void enter_sending(void)
{
    enter_holding();
    f->front.lift.at = f->front.lift.len - 1; /* as if all but the last frame had gone */
    bh_front_fire(&f->front, BH_ON_ROOM);
    say("\"}}");
}

static void enter_waiting(void)
{
    (void)call_comes(SEEK, BH_WORKER_FS);
}

static void enter_streaming(void)
{
    struct bh_frame call = call_comes(READ, BH_WORKER_FS);

    worker_sends(&call, BH_FRAME_DATA, BH_FRAME_MORE, "01234", 5);
}

static void enter_flushing(void)
{
    for (int i = 0; i < 3000 && f->front.state != BH_FLUSHING; i++)
        say("{\"execute\":\"guest-info\"}");
}

static void (*const enter[BH_FRONT_STATES])(void) = {
    [BH_READING] = enter_reading,     [BH_STAGING] = stage_some,      [BH_HOLDING] = enter_holding,
    [BH_STARTING] = enter_starting,   [BH_SENDING] = enter_sending,   [BH_WAITING] = enter_waiting,
    [BH_STREAMING] = enter_streaming, [BH_FLUSHING] = enter_flushing,
};

/* What the worker has been sent is a whole call, or was given up. Takes it all; `open`: something was begun.
 */
static bool worker_has_half_a_call(bool open)
{
    while (f->worker >= 0 && frames_next(f->worker, &in) == 1) {
        open = in.frame.type == BH_FRAME_STAGE || (in.frame.flags & BH_FRAME_MORE);
        fixture_settle(f);
    }
    return open;
}

/* The client vanishes: the front ends, nobody is owed anything, the worker is left with no half of a call. */
static void test_client_leaves_in_every_state(void **state)
{
    for (unsigned s = 0; s < BH_FRONT_STATES; s++) {
        (void)teardown(state);
        (void)setup(state);
        fixture_start(f);
        enter[s]();
        assert_int_equal(f->front.state, s);
        (void)close(f->client);
        f->client = -1;
        fixture_settle(f);
        if (!f->over && f->worker < 0) /* what was whole is handed over first */
            assert_int_equal(fixture_give_worker(f), BH_WORKER_FS);
        assert_false(worker_has_half_a_call(s == BH_STAGING));
        fixture_settle(f);
        assert_true(f->over);
        bh_front_deinit(&f->front);
        assert_true(f->page.owed == 0 && f->page.line_open == 0 && f->page.behind == 0);
        f->started = false;
    }
}

/* A 0xFF: at most one error or the end of a line, then the next request is served as if nothing had been. */
static void test_reset_in_every_state(void **state)
{
    for (unsigned s = 0; s < BH_FRONT_STATES; s++) {
        (void)teardown(state);
        (void)setup(state);
        fixture_start(f);
        enter[s]();
        assert_int_equal(f->front.state, s);
        say("\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":7}}" PING);
        (void)hear();
        assert_non_null(strstr(heard, "\xff{\"return\": 7}\n" PONG));
        assert_string_equal(strchr(heard, '\xff'), "\xff{\"return\": 7}\n" PONG);
        assert_true(s == BH_FLUSHING || count_lines() <= 3);
        assert_int_equal(f->front.state, BH_READING);
        assert_false(worker_has_half_a_call(s == BH_STAGING));
        assert_rests(BH_READING);
    }
}

/* --- connections --------------------------------------------------------------- */

static void test_client_leaves(void **state)
{
    (void)state;
    fixture_start(f);
    say(PING);
    assert_int_equal(shutdown(f->client, SHUT_WR), 0);
    fixture_settle(f);
    assert_true(f->over);
    assert_string_equal(hear(), PONG);
}

static void test_half_closed_client_gets_its_reply(void **state)
{
    struct bh_guest_file_seek ret = { .position = 2 };
    struct bh_frame call;

    (void)state;
    fixture_start(f);
    call = call_comes(SEEK PING, BH_WORKER_FS);
    assert_int_equal(shutdown(f->client, SHUT_WR), 0);
    fixture_settle(f);
    assert_false(f->over);
    worker_returns(&call, &ret);
    assert_true(f->over);
    assert_string_equal(hear(), SOUGHT PONG);
}

/* What was sent before the client hung up is done; its replies are for nobody. */
static void test_client_hangs_up_behind_requests(void **state)
{
    (void)state;
    fixture_start(f);
    assert_int_equal(write(f->client, SEEK SEEK, strlen(SEEK SEEK)), (ssize_t)strlen(SEEK SEEK));
    (void)close(f->client);
    fixture_settle(f);
    assert_false(f->over);
    assert_int_equal(fixture_give_worker(f), BH_WORKER_FS);
    assert_false(f->over);
    worker_fails(&(struct bh_frame){ .command = BH_CMD_GUEST_FILE_SEEK, .id = worker_gets(BH_FRAME_CALL).id },
                 BH_E_KERNEL, 0, "no");
    (void)worker_gets(BH_FRAME_CALL);
    assert_true(f->over);
}

/* The reading end of a FIFO takes the place of the connection: like a port it says HUP while nobody is there,
 * and no more when somebody is again. It cannot be written to, so nothing is said that has an answer. */
static char port_name[64];

static int plug_port(void)
{
    int port;

    (void)snprintf(port_name, sizeof(port_name), "/tmp/bh-front-%d", (int)getpid());
    (void)unlink(port_name);
    assert_int_equal(mkfifo(port_name, 0600), 0);
    port = open(port_name, O_RDONLY | O_NONBLOCK);
    assert_int_equal(dup2(port, f->front.client.fd), f->front.client.fd);
    (void)close(port);
    f->front.client.returns = true;
    return open(port_name, O_WRONLY);
}

static void host_says_and_leaves(int host, const char *text)
{
    assert_int_equal(write(host, text, strlen(text)), (ssize_t)strlen(text));
    (void)close(host);
    fixture_settle(f);
}

/* Nothing was read when he was gone: what the next one says is for the next front. */
static void test_host_leaves_a_port(void **state)
{
    int host;

    (void)state;
    fixture_start(f);
    host = plug_port();
    assert_int_equal(write(host, "{\"exe", 5), 5);
    fixture_settle(f);
    assert_false(f->over);
    (void)close(host);
    fixture_settle(f);
    assert_true(f->over);
    (void)unlink(port_name);
}

/* Something was: it may be the next one's, if he is there at once. */
static void test_host_returns_to_a_port(void **state)
{
    int host;

    (void)state;
    fixture_start(f);
    host_says_and_leaves(plug_port(), "{\"exe");
    assert_false(f->over);
    assert_true(f->front.client.left_ms > 0);
    host = open(port_name, O_WRONLY);
    fixture_settle(f);
    assert_false(f->over);
    assert_int_equal(f->front.client.left_ms, 0);
    assert_int_equal(write(host, "cute", 4), 4);
    fixture_settle(f);
    assert_false(f->over);
    (void)close(host);
    fixture_settle(f);
    assert_true(f->over);
    (void)unlink(port_name);
}

static void test_host_does_not_return_to_a_port(void **state)
{
    (void)state;
    fixture_start(f);
    host_says_and_leaves(plug_port(), "{\"exe");
    f->front.client.left_ms -= BH_RETURN_MS / 2;
    fixture_settle(f);
    assert_false(f->over);
    f->front.client.left_ms -= BH_RETURN_MS / 2;
    fixture_settle(f);
    assert_true(f->over);
    (void)unlink(port_name);
}

static void test_supervisor_ends(void **state)
{
    (void)state;
    fixture_start(f);
    assert_int_equal(shutdown(f->supervisor, SHUT_RDWR), 0);
    fixture_settle(f);
    assert_true(f->over);
}

static void test_successor_mends_the_connection(void **state)
{
    (void)state;
    f->page.owed = 1;
    f->page.line_open = 1;
    fixture_start(f);
    (void)hear();
    assert_int_equal(heard[0], '\n');
    assert_int_equal(count_lines(), 2);
    assert_non_null(
        strstr(heard, "the front ended while it served this request; nothing was retried (BH1401"));
    assert_false(f->over);
    assert_says(PING, PONG);
}

static void test_successor_closes_what_it_cannot_mend(void **state)
{
    (void)state;
    f->page.owed = 1;
    f->page.behind = 1;
    fixture_start(f);
    (void)hear();
    assert_int_equal(count_lines(), 1);
    assert_true(f->over);
}

/* Nobody can know what of the bytes went out: a port, which cannot be closed, gets a line feed and an error.
 */
static void test_successor_of_one_that_died_with_bytes_under_way(void **state)
{
    (void)state;
    f->page.unsettled = 1;
    fixture_start(f);
    (void)hear();
    assert_int_equal(heard[0], '\n');
    assert_int_equal(count_lines(), 2);
    assert_int_equal(f->page.unsettled, 0);
    assert_false(f->over);
    assert_says(PING, PONG);
}

static volatile sig_atomic_t unsettled_in_write = -1;

static void note_the_page(int number)
{
    (void)number;
    unsettled_in_write = (sig_atomic_t)f->page.unsettled;
}

/* A write to a client that reads no more raises the signal while it is made. */
static void test_page_is_unsettled_while_bytes_move(void **state)
{
    void (*before)(int) = signal(SIGPIPE, note_the_page);

    (void)state;
    fixture_start(f);
    assert_int_equal(f->page.unsettled, 0);
    assert_int_equal(shutdown(f->client, SHUT_RD), 0);
    say(PING);
    (void)signal(SIGPIPE, before);
    assert_int_equal(unsettled_in_write, 1);
    assert_int_equal(f->page.unsettled, 0);
}

/* The next host of a port must not take its own reply for the end of this one. */
static void test_half_a_line_is_remembered_when_the_client_leaves(void **state)
{
    (void)state;
    fixture_start(f);
    f->front.client.line_open = true;
    f->page.owed = 1;
    (void)shutdown(f->client, SHUT_RDWR);
    fixture_settle(f);
    assert_true(f->over);
    bh_front_deinit(&f->front);
    assert_int_equal(f->page.line_open, 1);
    assert_int_equal(f->page.owed, 0);
    assert_int_equal(f->page.behind, 0);
    f->started = false;
}

static void test_counts_outlive_the_front_and_are_told_once_a_minute(void **state)
{
    (void)state;
    fixture_start(f);
    say(PING);
    assert_in_range(bh_claim_due(&f->front), 1, 60000);
    bh_claim_report(&f->front, true);
    assert_true(recv(f->audit, payload, BH_FRAME_PAYLOAD_MAX, 0) < 0);
    assert_int_equal(f->page.counted[BH_CMD_GUEST_PING], 1);
    f->page.counted_since_ms = 1; /* long ago */
    bh_claim_report(&f->front, false);
    assert_true(recv(f->audit, payload, BH_FRAME_PAYLOAD_MAX, 0) > 0);
    assert_int_equal(f->page.counted[BH_CMD_GUEST_PING], 0);
    assert_int_equal(bh_claim_due(&f->front), -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_ping_sync_and_id),
        TEST(test_sync_delimited_fails_without_sentinel),
        TEST(test_info),
        TEST(test_envelope_errors),
        TEST(test_unknown_before_disabled_before_arguments),
        TEST(test_commands_that_this_build_lacks_are_unknown),
        TEST(test_pipelined_requests_are_answered_in_order),
        TEST(test_broken_text_gives_one_error),
        TEST(test_reset),
        TEST(test_floods_cost_one_error_each),
        TEST(test_malformed_input_is_claimed_once_a_second),
        TEST(test_call_and_reply),
        TEST(test_errors_of_a_worker),
        TEST(test_requests_behind_a_call_wait),
        TEST(test_read_ahead_is_bounded),
        TEST(test_reset_drops_the_running_reply),
        TEST(test_replies_in_several_frames),
        TEST(test_worker_dies),
        TEST(test_idle_worker_dies_unnoticed_by_the_client),
        TEST(test_stale_sockets),
        TEST(test_call_given_back),
        TEST(test_worker_refused),
        TEST(test_worker_is_not_started_in_time),
        TEST(test_deadline),
        TEST(test_hostile_worker),
        TEST(test_frames_of_another_epoch_are_dropped),
        TEST(test_unasked_frame),
        TEST(test_streamed_read),
        TEST(test_long_line_is_sent_as_it_comes),
        TEST(test_empty_read),
        TEST(test_stream_that_breaks_is_a_short_count),
        TEST(test_reset_ends_a_half_sent_line),
        TEST(test_stream_waits_for_the_client),
        TEST(test_two_members),
        TEST(test_one_member_of_two),
        TEST(test_two_members_that_break_are_cut),
        TEST(test_members_in_disorder),
        TEST(test_limit_of_each_member),
        TEST(test_replies_wait_for_the_client),
        TEST(test_reset_drops_replies_that_nobody_takes),
        TEST(test_small_write),
        TEST(test_stage_and_call_are_one_packet),
        TEST(test_data_and_reply_in_one_packet),
        TEST(test_empty_write_stages_nothing),
        TEST(test_large_write_is_never_held),
        TEST(test_bad_base64),
        TEST(test_what_is_staged_is_abandoned),
        TEST(test_two_bulk_arguments),
        TEST(test_bulk_that_nobody_may_send_starts_no_worker),
        TEST(test_worker_dies_while_staging),
        TEST(test_worker_that_takes_nothing),
        TEST(test_abandon_waits_for_room),
        TEST(test_rests_at_rest_and_during_a_call),
        TEST(test_rests_while_a_half_closed_client_waits),
        TEST(test_rests_while_nobody_takes_anything),
        TEST(test_reset_while_sending),
        TEST(test_memory_of_bulk_is_given_back),
        TEST(test_secrets_are_wiped),
        TEST(test_client_leaves_in_every_state),
        TEST(test_reset_in_every_state),
        TEST(test_client_leaves),
        TEST(test_half_closed_client_gets_its_reply),
        TEST(test_client_hangs_up_behind_requests),
        TEST(test_host_leaves_a_port),
        TEST(test_host_returns_to_a_port),
        TEST(test_host_does_not_return_to_a_port),
        TEST(test_supervisor_ends),
        TEST(test_successor_mends_the_connection),
        TEST(test_successor_closes_what_it_cannot_mend),
        TEST(test_successor_of_one_that_died_with_bytes_under_way),
        TEST(test_page_is_unsettled_while_bytes_move),
        TEST(test_half_a_line_is_remembered_when_the_client_leaves),
        TEST(test_counts_outlive_the_front_and_are_told_once_a_minute),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
