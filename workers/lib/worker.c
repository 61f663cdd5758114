/*
 * The worker loop: receive, decode, decide, record, act, record, answer.
 *
 * Nothing that a correct front can cause ends the process. A frame that breaks the protocol does, after a
 * record of it: the front may have been taken over, and there is nothing to negotiate.
 * The policy may change between two calls (renew.c); a call is decided under the newest when it is whole.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "policy/eval.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/codes.h"
#include "protocol/wire/codec.h"
#include "workers/lib/loop.h"

#define QUIET_MS 100        /* without a call: what large calls needed is given back */
#define FROZEN_TICK_MS 1000 /* to the next look whether what is due may be done: closing a file may write */

static int protocol_violation(struct bh_worker *worker, const struct bh_frame *frame, const char *what)
{
    struct bh_arena arena;
    struct bh_record record = { .kind = BH_RECORD_EVENT, .command = BH_NO_COMMAND };

    bh_arena_init(&arena, 1024);
    record.text =
        bh_arena_printf(&arena, "protocol violation by the front: %s (type %u, command %u, id %llu)", what,
                        frame->type, frame->command, (unsigned long long)frame->id);
    (void)bh_audit_send(&worker->audit, &record, NULL);
    bh_arena_deinit(&arena);
    return BH_EXIT_PROTOCOL;
}

static const struct bh_op *find_op(uint16_t command)
{
    for (unsigned i = 0; i < bh_n_ops; i++)
        if (bh_ops[i].command == command)
            return &bh_ops[i];
    return NULL;
}

static int refuse_frozen(struct bh_call *call)
{
    struct bh_record record = { 0 };

    return bh_call_refuse(call, BH_E_FROZEN, &record,
                          "Command %s has been disabled: the agent is in frozen state", call->command->name);
}

/* Are its conditions about an object that only its handler knows? It decides then. */
static bool is_judged_later(uint16_t command)
{
    return command == BH_CMD_GUEST_FILE_OPEN || command == BH_CMD_GUEST_EXEC;
}

/* Its handler writes its records, with what it knows of the object. bulkhead-exec has to be granted itself,
 * and what it runs besides. */
static bool records_itself(uint16_t command)
{
    return is_judged_later(command) || command == BH_CMD_BULKHEAD_EXEC;
}

static int decide(struct bh_call *call, uint16_t command)
{
    const struct bh_policy *policy = &call->worker->policy;
    enum bh_frozen_word word = bh_frozen_says(call->worker->frozen, policy->slice->channel, command);
    struct bh_record record = { 0 };
    struct bh_decision decision;

    if (word == BH_FROZEN_REFUSES)
        return refuse_frozen(call);
    if (is_judged_later(command) || word == BH_FROZEN_GRANTS)
        return 0;
    decision = bh_policy_command(policy, command, NULL);
    if (decision.verdict == BH_VERDICT_ALLOW)
        return 0;
    if (decision.rule != BH_NO_RULE) {
        const char *rule = bh_policy_string(policy, policy->rules[decision.rule].name);

        record.rule = bh_str_of(rule);
    }
    return bh_call_refuse(call, BH_E_NOT_GRANTED, &record, "Command %s has been disabled",
                          call->command->name);
}

/* An error names one record: that of the refusal if there was one, for it says what was refused and by which
 * rule. */
static void record_result(struct bh_call *call, int r)
{
    struct bh_record record = { .kind = BH_RECORD_RESULT,
                                .command = (uint16_t)(call->command - bh_commands),
                                .request = call->id,
                                .of = call->act,
                                .code = r ? call->error->code : 0 };

    if (r) {
        record.text = bh_str_of(call->error->text);
        (void)bh_audit_send(&call->worker->audit, &record, call->error->record ? NULL : &call->error->record);
    } else {
        (void)bh_audit_send(&call->worker->audit, &record, NULL);
    }
}

/* The handler with its records around it. A handler that judges its object writes its own. */
static int act(struct bh_call *call, const struct bh_op *op, const void *args, void *ret)
{
    bool each = call->command->audit == BH_AUDIT_EACH && !records_itself(op->command);
    struct bh_record record = { 0 };
    int r = 0;

    if (each && (call->command->flags & BH_COMMAND_MUTATES))
        r = bh_call_act(call, &record);
    if (r)
        return r;
    r = op->run(call, args, ret);
    if (r < 0)
        r = bh_fail_errno(call->error, BH_E_KERNEL, r, "%s failed", call->command->name);
    if (each)
        record_result(call, r);
    else if (call->command->audit == BH_AUDIT_COUNT)
        bh_audit_count(&call->worker->audit, op->command);
    if (r && call->error->code == BH_E_KERNEL)
        call->worker->state->failures++;
    return r;
}

/* True if the policy is another one by now, and the call could not even begin under the old one. */
static bool begins_anew(struct bh_call *call, const struct bh_worker_main *main, int r)
{
    return r == BH_E_WORKER_UNAVAILABLE && bh_is_outdated(call->worker) && bh_renew(call->worker, main) == 0;
}

/* `*ret_leaving`: not done, but a successor's, as a reload meanwhile made us leave. */
static int decide_and_act(struct bh_call *call, const struct bh_worker_main *main, const void *args,
                          void *ret, bool *ret_leaving)
{
    uint16_t command = (uint16_t)(call->command - bh_commands);
    int r;

    *ret_leaving = false;
    for (;;) {
        r = decide(call, command);
        if (r == 0)
            r = act(call, find_op(command), args, ret);
        if (!begins_anew(call, main, r))
            return r;
        *call->error = (struct bh_error){ 0 };
        *ret_leaving = call->worker->leaving;
        if (*ret_leaving)
            return 0;
    }
}

/* Serves the whole call in the intake. 0, -EPROTO (arguments), other -errno: the peer is gone. */
static int serve_call(struct bh_worker *worker, const struct bh_worker_main *main, struct bh_arena *arena,
                      struct bh_intake *intake)
{
    const struct bh_command *command = &bh_commands[intake->command];
    struct bh_error error = { 0 };
    struct bh_call call = { .worker = worker,
                            .command = command,
                            .arena = arena,
                            .error = &error,
                            .stage = { intake->base, (uint32_t)intake->staged },
                            .room = bh_intake_room(intake),
                            .id = intake->id };
    const struct bh_frame head = { .command = intake->command, .id = intake->id };
    void *args = bh_arena_alloc(arena, command->args ? command->args->size : 0);
    void *ret = bh_arena_alloc(arena, command->ret ? command->ret->size : 0);
    bool again = false;
    int r = args && ret ? 0 : -ENOMEM;

    if (r == 0 && command->args)
        r = bh_decode(command->args, intake->base + intake->staged, intake->args, arena, args);
    else if (r == 0 && intake->args > 0)
        r = -EPROTO;
    if (r == -ENOMEM)
        r = bh_fail(&error, BH_E_NO_MEMORY, "the arguments need more memory than one request may use");
    if (r < 0)
        return -EPROTO;
    if (r == 0 && intake->over)
        r = bh_fail(&error, BH_E_LIMIT, "more than %u bytes at once", BH_WORKER_STAGE_MAX);
    if (r == 0)
        r = decide_and_act(&call, main, args, ret, &again);
    if (again)
        return bh_answer_again(BH_FD_PEER, &head);
    worker->state->requests++;
    bh_intake_note(intake, call.room_used);
    return bh_answer(&call, BH_FD_PEER, r, ret);
}

/* The sooner of two timeouts, of which -1 is never. */
static int sooner(int a, int b)
{
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return a < b ? a : b;
}

/* Does what time demands. Milliseconds until it demands more, -1 = nothing is pending. */
static int keep_time(struct bh_worker *worker, const struct bh_worker_main *main,
                     const struct bh_intake *intake)
{
    bh_log_flush();
    for (;;) {
        int tick = main->next_tick ? main->next_tick(worker) : -1;
        int summary = bh_audit_summary_due(&worker->audit);
        int quiet = bh_intake_has_slack(intake) ? QUIET_MS : -1;
        int held = bh_log_held() ? BH_LOG_LOOK_MS : -1;

        if (tick == 0 && bh_frozen_state(worker->frozen) != BH_THAWED)
            tick = FROZEN_TICK_MS;
        if (tick == 0)
            main->tick(worker);
        if (summary == 0)
            (void)bh_audit_summary(&worker->audit);
        if (tick != 0 && summary != 0)
            return sooner(sooner(quiet, held), sooner(tick, summary));
    }
}

/* Serves the whole call in the intake under the newest policy, or gives it back. 0, or what ends the loop. */
static int take_call(struct bh_worker *worker, const struct bh_worker_main *main, struct bh_arena *arena,
                     struct bh_intake *intake)
{
    const struct bh_frame head = { .command = intake->command, .id = intake->id };
    int r = bh_renew(worker, main);

    if (r == 0 && worker->leaving && intake->staged == 0)
        r = bh_answer_again(BH_FD_PEER, &head);
    else if (r == 0)
        r = serve_call(worker, main, arena, intake);
    bh_arena_reset(arena);
    bh_intake_reset(intake);
    bh_consider_leaving(worker, main);
    return r;
}

static int take_packet(struct bh_worker *worker, const struct bh_worker_main *main, struct bh_arena *arena,
                       struct bh_intake *intake, const struct bh_frame *frame, const struct bh_tail *tail)
{
    int r;

    if (frame->type == BH_FRAME_WAKE)
        return frame->length || frame->flags ? -EPROTO : bh_renew(worker, main);
    r = bh_intake_tail(intake, tail, bh_intake_frame(intake, frame));
    worker->receiving = r == 0 && intake->id;
    return r > 0 ? take_call(worker, main, arena, intake) : r;
}

/*
 * The front's frames are waited for where they are read: one call instead of two, and no timer that is set
 * for each. How long a read may last is the socket's option, which is changed only when it would wake us more
 * than twice too late, or (`woken`) has woken us for nothing.
 */
static void limit_read(struct bh_worker *worker, int due, bool woken)
{
    uint32_t want = due < 0 ? 0 : (uint32_t)due, now = worker->read_ms;
    struct timeval limit = { .tv_sec = want / 1000, .tv_usec = want % 1000 * 1000 };

    if (now == want || (!woken && now > 0 && (want == 0 || now / 2 <= want)))
        return;
    if (setsockopt(BH_FD_PEER, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0)
        worker->read_ms = want;
}

/* Waits for the front, and for what else the worker watches. 0: the front's socket can be read; -EAGAIN: it
 * is time for something else. */
static int wait_for_front(struct bh_worker *worker, const struct bh_worker_main *main, int due)
{
    struct pollfd fds[] = { { .fd = BH_FD_PEER, .events = POLLIN },
                            { .fd = main->watched(worker), .events = POLLIN } };

    if (poll(fds, 2, due) < 0 && errno != EINTR)
        return -errno;
    if (fds[1].revents)
        main->ready(worker);
    return fds[0].revents ? 0 : -EAGAIN;
}

/* 1 = a packet, 0 = the front is gone, or -errno. */
static int next_packet(struct bh_worker *worker, const struct bh_worker_main *main, struct bh_intake *intake,
                       struct bh_frame *frame, struct bh_tail *tail)
{
    int r = 0;

    do {
        int due = keep_time(worker, main, intake);

        if (main->watched)
            r = wait_for_front(worker, main, due);
        else
            limit_read(worker, due, r == -EAGAIN);
        if (!main->watched || r == 0)
            r = bh_frame_recv(BH_FD_PEER, frame, bh_intake_room(intake), tail);
        if (r == -EAGAIN)
            bh_intake_trim(intake);
    } while (r == -EAGAIN);
    return r;
}

int bh_worker_serve(struct bh_worker *worker, const struct bh_worker_main *main)
{
    struct bh_intake intake;
    struct bh_arena arena;
    struct bh_frame frame = { 0 };
    struct bh_tail tail = { 0 };
    int r = bh_intake_init(&intake);

    if (r < 0)
        return EXIT_FAILURE;
    intake.relayed = main->relayed;
    bh_arena_init(&arena, BH_WORKER_ARENA_MAX);
    do
        r = next_packet(worker, main, &intake, &frame, &tail);
    while (r > 0 && (r = take_packet(worker, main, &arena, &intake, &frame, &tail)) >= 0);
    bh_arena_deinit(&arena);
    bh_intake_deinit(&intake);
    return r == -EPROTO ? protocol_violation(worker, &frame, "malformed or out of order") : EXIT_SUCCESS;
}

_Noreturn void bh_worker_run(const struct bh_worker_main *main)
{
    static struct bh_worker worker;
    int status;

    bh_worker_start(&worker, main);
    status = bh_worker_serve(&worker, main);
    if (main->ended)
        main->ended(&worker);
    _exit(status);
}
