/*
 * From a decision to a running program: a row, pipes, the keeper, the spool.
 *
 * Order: what can fail without a trace comes first (row, spool, pipes), then the ACT record, then the fork,
 * then the spool's OPEN. If the spool cannot be told, the execution is ended again: nothing runs that nobody
 * can ask about.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/match.h"
#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "protocol/codes.h"
#include "workers/exec/cgroup.h"
#include "workers/exec/engine.h"

/* The program's user may open what is his by name, as /dev/stderr; nobody executes what came as input. */
#define PIPE_MODE 0666
#define INPUT_MODE 0444
#define PIPE_BYTES (1024 * 1024) /* room in a pipe of output: fewer, larger reads */

/* The two sides of what is being started; -1: none. */
struct plumbing {
    int input, output, error;           /* the program's */
    int spool_out, spool_err, spool_in; /* the spool's */
    int end_spool[2], end_worker[2];    /* reading and writing ends */
};

static void unplumb(struct plumbing *p)
{
    int *all[] = { &p->input,    &p->output,       &p->error,        &p->spool_out,     &p->spool_err,
                   &p->spool_in, &p->end_spool[0], &p->end_spool[1], &p->end_worker[0], &p->end_worker[1] };

    for (size_t i = 0; i < BH_ARRAY_SIZE(all); i++)
        bh_close_p(all[i]);
}

static int make_pipe(int *reading, int *writing, int reading_flags)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    *reading = ends[0];
    *writing = ends[1];
    return fchmod(ends[0], PIPE_MODE) < 0 || fcntl(ends[0], F_SETFL, reading_flags) < 0 ? -errno : 0;
}

static int make_output(int *spool, int *program)
{
    int r = make_pipe(spool, program, O_NONBLOCK);

    if (r == 0)
        (void)fcntl(*program, F_SETPIPE_SZ, PIPE_BYTES); /* as much as we may */
    return r;
}

/* What came with the call, as a file that cannot change any more, to be read from its beginning. */
static int make_input_file(const struct bh_bytes *data, int *ret)
{
    _cleanup_close_ int fd = memfd_create("input", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    char link[64];
    int r = fd < 0 ? -errno : bh_write_all(fd, data->ptr, data->len);

    if (r == 0 && fchmod(fd, INPUT_MODE) < 0)
        r = -errno;
    if (r == 0)
        r = bh_memfd_seal(fd);
    if (r < 0)
        return r;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    *ret = open(link, O_RDONLY | O_CLOEXEC);
    return *ret < 0 ? -errno : 0;
}

static int plumb_input(const struct bh_request_to_run *request, struct plumbing *p)
{
    if (request->pipe) {
        int r = make_pipe(&p->input, &p->spool_in, 0);

        return r == 0 && fcntl(p->spool_in, F_SETFL, O_NONBLOCK) < 0 ? -errno : r;
    }
    return request->has_input ? make_input_file(&request->call->stage, &p->input) : 0;
}

static int plumb(const struct bh_request_to_run *request, struct plumbing *p)
{
    uint8_t capture = request->capture;
    bool out = capture == BH_GUEST_EXEC_CAPTURE_STDOUT || capture == BH_GUEST_EXEC_CAPTURE_SEPARATED ||
               capture == BH_GUEST_EXEC_CAPTURE_MERGED;
    bool err = capture == BH_GUEST_EXEC_CAPTURE_STDERR || capture == BH_GUEST_EXEC_CAPTURE_SEPARATED;
    int r = plumb_input(request, p);

    if (r == 0 && out)
        r = make_output(&p->spool_out, &p->output);
    if (r == 0 && err)
        r = make_output(&p->spool_err, &p->error);
    if (r == 0 && capture == BH_GUEST_EXEC_CAPTURE_MERGED)
        r = p->error = fcntl(p->output, F_DUPFD_CLOEXEC, 0);
    if (r >= 0)
        r = make_pipe(&p->end_spool[0], &p->end_spool[1], O_NONBLOCK);
    if (r == 0)
        r = make_pipe(&p->end_worker[0], &p->end_worker[1], O_NONBLOCK);
    return r;
}

/* Folders that the rule's arguments may name: a sandbox that shows only what it must shows them. */
static uint32_t argument_paths(const struct bh_policy *policy, const struct bh_exec_rule *exec,
                               struct bh_view_path *ret, uint32_t cap)
{
    uint32_t n = 0, n_args = exec->n_args + !!(exec->flags & BH_EXEC_REST);

    for (uint32_t i = 0; i < n_args; i++) {
        const struct bh_exec_arg *arg = &policy->exec_args[exec->first_arg + i];

        for (uint32_t k = 0; k < arg->n_matches && n < cap; k++) {
            const struct bh_exec_match *match = &policy->exec_matches[arg->first_match + k];
            const char *text = bh_policy_string(policy, match->text);

            if (match->kind == BH_MATCH_BENEATH ||
                (match->kind == BH_MATCH_LITERAL && bh_path_is_clean(text, match->len)))
                ret[n++] = (struct bh_view_path){ text, BH_ACCESS_READ, .optional = true };
        }
    }
    return n;
}

static int plan_sandbox(const struct bh_request_to_run *request, struct bh_judged *judged,
                        struct bh_sandbox_plan *plan)
{
    const struct bh_policy *policy = &request->call->worker->policy;
    const struct bh_exec_rule *exec = judged->exec;
    const char *cwd = bh_policy_string(policy, exec->cwd);
    struct bh_view_path *paths = bh_arena_array(request->call->arena, BH_EXEC_MATCHES_MAX, sizeof(*paths));
    const char **sockets = bh_arena_array(request->call->arena, exec->n_sockets, sizeof(*sockets));

    if (!paths || !sockets)
        return -ENOMEM;
    *plan = (struct bh_sandbox_plan){ .kind = (enum bh_sandbox)exec->sandbox,
                                      .privileged =
                                          ((struct bh_engine *)request->call->worker->context)->privileged,
                                      .host_net = exec->flags & BH_EXEC_NET,
                                      .program = judged->program.name,
                                      .cwd = cwd[0] ? cwd : "/",
                                      .paths = paths,
                                      .n_paths = argument_paths(policy, exec, paths, BH_EXEC_MATCHES_MAX),
                                      .sockets = sockets,
                                      .n_sockets = exec->n_sockets,
                                      .memory = exec->memory,
                                      .pids = exec->pids,
                                      .cpu = exec->cpu,
                                      .cgroup = -1,
                                      .required = (uint32_t)policy->slice->settings[BH_SET_FENCES_REQUIRED],
                                      .off = (uint32_t)policy->slice->settings[BH_SET_FENCES_OFF] };
    for (uint32_t i = 0; i < exec->n_sockets; i++)
        sockets[i] = bh_policy_string(policy, policy->words[exec->first_socket + i].text);
    return bh_identity_of(policy, judged, plan);
}

static char *const *argv_of(const struct bh_request_to_run *request, const struct bh_judged *judged)
{
    char **argv = bh_arena_array(request->call->arena, request->n_args + 2, sizeof(*argv));

    if (!argv)
        return NULL;
    argv[0] = (char *)(uintptr_t)judged->argv0;
    for (uint32_t i = 0; i < request->n_args; i++)
        argv[1 + i] = (char *)(uintptr_t)request->args[i].ptr;
    return argv;
}

/* Tells the spool of what runs; what cannot be told is ended. */
static int announce(struct bh_engine *engine, const struct bh_request_to_run *request,
                    const struct bh_judged *judged, struct bh_execution *execution, const struct plumbing *p)
{
    const struct bh_policy *policy = &engine->worker->policy;
    struct bh_spool_message message = { .magic = BH_SPOOL_MAGIC,
                                        .op = BH_SPOOL_OPEN,
                                        .flags = BH_SPOOL_END,
                                        .number = execution->number,
                                        .act = execution->act,
                                        .started_ms = execution->started_ms,
                                        .output = judged->exec->output };
    const int fds[BH_SPOOL_FDS_MAX] = { p->spool_out, p->spool_err, p->spool_in, p->end_spool[0] };

    for (unsigned i = 0; i < BH_SPOOL_FDS_MAX; i++)
        message.flags |= fds[i] >= 0 ? (uint16_t)(1u << i) : 0;
    message.flags |= request->waits ? BH_SPOOL_WAITS : 0;
    message.flags |= judged->exec->flags & BH_EXEC_AUDIT_FULL ? BH_SPOOL_RECORD : 0;
    (void)snprintf(message.program, sizeof(message.program), "%.1023s", judged->program.name);
    (void)snprintf(message.rule, sizeof(message.rule), "%s",
                   bh_policy_string(policy, policy->rules[judged->rule].name));
    (void)snprintf(message.user, sizeof(message.user), "%s", bh_identity_name(policy, judged->rule));
    return bh_feed_open(engine, &message, fds);
}

static int run(struct bh_engine *engine, const struct bh_request_to_run *request, struct bh_judged *judged,
               struct bh_execution *execution, struct plumbing *p, char *const *argv)
{
    bool keep = engine->worker->policy.slice->settings[BH_SET_ON_RESTART] &&
                judged->exec->sandbox >= BH_SANDBOX_PLAIN;
    struct bh_start_failure failure = { 0 };
    struct bh_start start = { .program = &judged->program,
                              .by_path = judged->exec->flags & BH_EXEC_ANY_PROGRAM,
                              .path = judged->path.ptr,
                              .argv = argv,
                              .input = p->input,
                              .output = p->output,
                              .error = p->error,
                              .ends = { p->end_spool[1], p->end_worker[1] },
                              .drains = { p->spool_out, p->spool_err },
                              .timeout_s = judged->exec->timeout_s,
                              .keep = keep };
    int r = plan_sandbox(request, judged, &start.sandbox);

    if (r == 0 && engine->groups >= 0 &&
        bh_cgroup_make(engine->groups, execution->number, &start.sandbox) == 0)
        execution->group = start.sandbox.cgroup;
    start.environment = r == 0 ? bh_environment(request, judged) : NULL;
    if (r == 0 && !start.environment)
        r = -ENOMEM;
    execution->kept = keep;
    execution->keeper = r == 0 ? bh_keeper_start(&start, &failure) : 0;
    if (r == 0 && execution->keeper < 0)
        r = (int)execution->keeper;
    if (r < 0 && failure.error == 0)
        failure = (struct bh_start_failure){ -r, "prepare it" };
    execution->keeper = r < 0 ? 0 : execution->keeper;
    if (r < 0)
        bh_engine_ungroup(engine, execution);
    engine->worker->state->executions += execution->keeper > 0;
    return r < 0 ? bh_report_failure(request, judged, &failure) : 0;
}

/* It runs: whoever asks will be answered, or it does not run on. */
static int settle(struct bh_engine *engine, const struct bh_request_to_run *request,
                  const struct bh_judged *judged, struct bh_execution *execution, struct plumbing *p)
{
    int watched, r;

    execution->end = bh_take_fd(&p->end_worker[0]);
    watched = r = bh_engine_watch(engine, execution->end, execution);
    if (r == 0)
        r = announce(engine, request, judged, execution, p);
    execution->told = r == 0;
    if (r == 0)
        return 0;
    (void)kill(execution->keeper, SIGTERM);
    if (watched < 0)
        bh_engine_keeper_ended(engine, execution); /* nobody else would notice */
    return bh_fail_errno(request->call->error, BH_E_WORKER_UNAVAILABLE, r,
                         "the process that keeps output cannot be told of the execution, which was ended");
}

static int prepare(struct bh_engine *engine, const struct bh_request_to_run *request, struct plumbing *p)
{
    int r = bh_feed_connect(engine);

    if (r < 0)
        return bh_fail_errno(request->call->error, BH_E_WORKER_UNAVAILABLE, r,
                             "the process that keeps output is not available");
    r = plumb(request, p);
    return r < 0 ? bh_fail_errno(request->call->error, BH_E_KERNEL, r, "pipes cannot be made") : 0;
}

int bh_engine_start(struct bh_engine *engine, const struct bh_request_to_run *request,
                    struct bh_judged *judged, int64_t *ret_number)
{
    struct plumbing p = { -1, -1, -1, -1, -1, -1, { -1, -1 }, { -1, -1 } };
    struct bh_execution *execution = bh_engine_new(engine);
    char *const *argv = argv_of(request, judged);
    int r;

    if (!execution)
        return bh_refuse(request, BH_E_LIMIT, judged->rule, judged->program.name,
                         "too many executions run, or wait for their result to be fetched");
    r = argv ? prepare(engine, request, &p)
             : bh_fail(request->call->error, BH_E_NO_MEMORY, "too many arguments");
    if (r == 0)
        r = bh_report_start(request, judged, argv);
    if (r == 0) {
        execution->act = request->call->act;
        execution->command = (uint16_t)(request->call->command - bh_commands);
        execution->request = request->call->id;
        execution->rule_key = bh_rule_key(&engine->worker->policy, judged->rule);
        execution->started_ms = bh_clock_ms(CLOCK_BOOTTIME);
        r = run(engine, request, judged, execution, &p, argv);
    }
    if (r == 0)
        r = settle(engine, request, judged, execution, &p);
    *ret_number = (int64_t)execution->number;
    unplumb(&p);
    bh_engine_settle(engine, execution);
    return r;
}
