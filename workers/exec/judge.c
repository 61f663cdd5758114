/*
 * The decision. The program is opened before anything is decided, since a policy speaks of what a name leads
 * to; what cannot be opened is judged by its name alone, and told of only to whom it is granted.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "protocol/base/clock.h"
#include "protocol/codes.h"
#include "workers/exec/engine.h"

static struct bh_str text_of(const char *text)
{
    return (struct bh_str){ text, (uint32_t)strlen(text) };
}

uint32_t bh_rule_key(const struct bh_policy *policy, uint32_t rule)
{
    const char *name = bh_policy_string(policy, policy->rules[rule].name);
    uint32_t key = 2166136261u;

    while (*name)
        key = (key ^ (uint8_t)*name++) * 16777619u;
    return key ? key : 1;
}

static struct bh_decision decide(const struct bh_request_to_run *request, const char *resolved)
{
    struct bh_exec_object object = { .path = request->path,
                                     .resolved = text_of(resolved),
                                     .args = request->args,
                                     .env = request->env,
                                     .n_args = request->n_args,
                                     .n_env = request->n_env,
                                     .has_input = request->has_input || request->pipe };

    return bh_policy_exec(&request->call->worker->policy, &object, NULL);
}

/* The full name of what a name without '/' stands for; or the name itself. */
static struct bh_str search(const struct bh_request_to_run *request)
{
    char found[PATH_MAX];
    struct bh_str path = request->path;

    if (path.len > 0 && !memchr(path.ptr, '/', path.len) &&
        bh_program_search(path.ptr, bh_search_path(request), found) == 0)
        path = bh_arena_str(request->call->arena, found, strlen(found));
    return path.ptr ? path : request->path;
}

/* The one of the rule's programs that was meant. */
static const char *argv0_of(const struct bh_policy *policy, const struct bh_exec_rule *exec,
                            struct bh_str path, const char *resolved)
{
    const char *argv0 = bh_policy_string(policy, exec->argv0);

    for (uint32_t i = 0; !argv0[0] && i < exec->n_programs; i++) {
        const char *program = bh_policy_string(policy, policy->words[exec->first_program + i].text);

        if (strcmp(program, path.ptr) == 0 || strcmp(program, resolved) == 0)
            argv0 = program;
    }
    return argv0[0] ? argv0 : path.ptr;
}

/* At most `rate` starts in rate_s seconds; kept where a successor finds it. False: one more is too many. */
static bool take_rate(struct bh_state *state, uint32_t key, const struct bh_exec_rule *exec)
{
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);
    struct bh_rate *row = NULL;

    for (unsigned i = 0; i < BH_EXEC_RATES_MAX && exec->rate; i++) {
        if (state->rates[i].key == key || (!row && state->rates[i].key == 0))
            row = &state->rates[i];
        if (state->rates[i].key == key)
            break;
    }
    if (!row)
        return !exec->rate; /* the compiler allows no more rules with a rate than there are rows */
    if (row->key != key || now < row->since_ms || now - row->since_ms >= exec->rate_s * UINT64_C(1000))
        *row = (struct bh_rate){ .since_ms = now, .key = key };
    if (row->used >= exec->rate)
        return false;
    row->used++;
    return true;
}

static int check_limits(const struct bh_request_to_run *request, const struct bh_judged *judged)
{
    struct bh_worker *worker = request->call->worker;
    uint32_t key = bh_rule_key(&worker->policy, judged->rule);
    const struct bh_exec_rule *exec = judged->exec;

    if (exec->concurrent && bh_engine_running(worker->context, key) >= exec->concurrent)
        return bh_refuse(request, BH_E_LIMIT, judged->rule, judged->program.name,
                         "as many executions of this rule run as its `concurrent` allows");
    if (!take_rate(worker->state, key, exec))
        return bh_refuse(request, BH_E_LIMIT, judged->rule, judged->program.name,
                         "this rule's `rate` is used up for now");
    return 0;
}

static bool digest_is(const struct bh_exec_rule *exec, const char *hex)
{
    for (unsigned i = 0; i < sizeof(exec->sha256); i++) {
        static const char digits[] = "0123456789abcdef";

        if (hex[2 * i] != digits[exec->sha256[i] >> 4] || hex[2 * i + 1] != digits[exec->sha256[i] & 15])
            return false;
    }
    return true;
}

/* The open file is what the rule wants it to be. */
static int check_program(const struct bh_request_to_run *request, struct bh_judged *judged)
{
    struct bh_program *program = &judged->program;
    bool pinned = judged->exec->flags & BH_EXEC_SHA256;
    int r = bh_program_digest(program, pinned);

    program->pinned = pinned;
    if (pinned && (r < 0 || !digest_is(judged->exec, program->sha256)))
        return bh_refuse(request, BH_E_DENIED, judged->rule, program->name,
                         r < 0 ? "the program cannot be read, so its sha256 is not known"
                               : "the program's sha256 is another one than the rule's");
    return 0;
}

/* Allowed; is it there, is it what the rule wants, and is it its turn? */
static int check(const struct bh_request_to_run *request, struct bh_judged *judged, int opened)
{
    int r;

    if (opened < 0)
        return bh_report_failure(request, judged, &(struct bh_start_failure){ .error = -opened });
    if (!(judged->exec->flags & BH_EXEC_ANY_PROGRAM) && judged->program.flaw[0])
        return bh_refuse(request, BH_E_DENIED, judged->rule, judged->program.name, judged->program.flaw);
    r = check_program(request, judged);
    return r ? r : check_limits(request, judged);
}

int bh_judge(const struct bh_request_to_run *request, struct bh_judged *ret)
{
    const struct bh_policy *policy = &request->call->worker->policy;
    const struct bh_engine *engine = request->call->worker->context;
    struct bh_decision decision;
    int opened, r;

    *ret = (struct bh_judged){ .rule = BH_NO_RULE, .path = search(request) };
    opened = bh_program_open(ret->path.ptr, &ret->program);
    decision = decide(request, opened == 0 ? ret->program.name : "");
    ret->rule = decision.rule;
    if (decision.verdict != BH_VERDICT_ALLOW) {
        r = bh_refuse(request, bh_verdict_code(decision.verdict), decision.rule, ret->path.ptr, "");
    } else {
        ret->exec = &policy->execs[policy->rules[decision.rule].exec];
        if (ret->exec->sandbox == BH_SANDBOX_NONE && !engine->spawns)
            return 0; /* judged again where it will run */
        ret->argv0 = argv0_of(policy, ret->exec, request->path, ret->program.name);
        r = check(request, ret, opened);
    }
    if (r)
        bh_program_close(&ret->program);
    return r;
}
