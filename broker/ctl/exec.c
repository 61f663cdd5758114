/*
 * bulkheadctl exec: a program of the guest as if it ran here, as ssh does it.
 *
 * The loop: pass on a signal, take input and offer it, write output; then ask for more output only if none
 * waits to be written. So each side holds up the other no further than the program itself would be held up,
 * and nothing is kept without bound. A program that has been started is never left behind silently.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "broker/ctl/exec.h"
#include "protocol/base/clock.h"
#include "protocol/base/mem.h"

#define LOOK_MS 200 /* a signal that came just before a wait is seen so soon */

static int64_t now_ms(void)
{
    return (int64_t)bh_clock_ms(CLOCK_MONOTONIC);
}

static int cancel(struct ctl_exec *x, int signal)
{
    const char *word = ctl_cancel_next(&x->cancel, signal, now_ms());

    return word ? ctl_exec_signal(x, word) : CTL_OK;
}

static int flush(struct ctl_exec *x, struct ctl_out *out, const char *name)
{
    int r = ctl_out_flush(out);

    if (r == 0)
        return CTL_OK;
    if (r != -EPIPE) {
        x->own_fault = true;
        (void)ctl_fail(0, "standard %s cannot be written: %s", name, strerror(-r));
    }
    return x->over ? CTL_OK : cancel(x, SIGPIPE);
}

static int flush_both(struct ctl_exec *x)
{
    int status = flush(x, &x->out, "output");

    return status == CTL_OK ? flush(x, &x->err, "error") : status;
}

static bool waits(const struct ctl_exec *x)
{
    return ctl_out_waits(&x->out) || ctl_out_waits(&x->err);
}

static enum ctl_input input_of(const struct ctl_exec *x)
{
    if (!x->in.open)
        return CTL_INPUT_NONE;
    return x->in.at < x->in.len ? CTL_INPUT_WAITS : CTL_INPUT_OPEN;
}

/* More output, or a moment until what there is can be written. */
static int await(struct ctl_exec *x)
{
    const enum ctl_input input = input_of(x);
    const unsigned wait_ms = ctl_pace_wait(now_ms() - x->moved_ms, input);

    if (!waits(x))
        return ctl_exec_read(x, wait_ms);
    ctl_streams_wait(&x->in, &x->out, &x->err, input == CTL_INPUT_WAITS ? (int)wait_ms : LOOK_MS);
    return CTL_OK;
}

static int converse(struct ctl_exec *x)
{
    int status = CTL_OK;

    while (status == CTL_OK && !x->over) {
        status = cancel(x, ctl_signals_next());
        ctl_in_fill(&x->in);
        if (status == CTL_OK)
            status = ctl_exec_write(x);
        if (status == CTL_OK)
            status = flush_both(x);
        if (status == CTL_OK)
            status = await(x);
        if (status == CTL_OK && !x->over)
            status = ctl_exec_give_turn(x);
    }
    return status;
}

/* What the program has left; a signal ends the wait for who reads it. */
static void finish(struct ctl_exec *x)
{
    x->in.open = false;
    (void)flush_both(x);
    while (waits(x) && ctl_signals_next() == 0) {
        ctl_streams_wait(&x->in, &x->out, &x->err, LOOK_MS);
        (void)flush_both(x);
    }
}

static int exit_status(const struct ctl_exec *x)
{
    if (x->own_fault)
        return CTL_EXEC_OWN;
    if (x->cancel.first == SIGPIPE || x->out.gone || x->err.gone)
        return 128 + SIGPIPE;
    return x->status;
}

static int execute(struct ctl_exec *x)
{
    int status;

    if (ctl_in_open(&x->in, !x->no_input) < 0)
        return ctl_fail(CTL_EXEC_OWN, "out of memory");
    ctl_signals_catch();
    status = ctl_exec_start(x);
    if (status == CTL_OK) {
        status = converse(x);
        if (status != CTL_OK)
            (void)ctl_fail(
                0, "execution %" PRId64 " is out of sight, and may still run: bulkheadctl exec --list%s",
                x->number, status == CTL_NO_AGENT ? "; was the agent restarted?" : "");
    }
    ctl_agent_close(&x->agent);
    finish(x);
    return status == CTL_OK ? exit_status(x) : CTL_EXEC_OWN;
}

static void release(struct ctl_exec *x)
{
    free(x->path);
    free(x->in.data);
    free(x->out.data);
    free(x->err.data);
    free(x->env.at);
}

/* --- the command line --------------------------------------------------------------- */

/* What stands behind the first "--" is the program's. */
static void take_words(struct ctl_exec *x, int *argc, char **argv)
{
    for (int i = 0; i < *argc; i++) {
        if (strcmp(argv[i], "--") != 0)
            continue;
        x->words = argv + i + 1;
        x->n_words = *argc - i - 1;
        *argc = i;
        return;
    }
}

static int check(const struct ctl_exec *x, int argc)
{
    if (x->list && (argc > 0 || x->n_words > 0))
        return ctl_usage(&ctl_exec, "--list takes no program");
    if (!x->list && (argc > 0 || x->n_words == 0))
        return ctl_usage(&ctl_exec, "it takes a program behind --, such as -- /usr/bin/id");
    for (int i = 0; i < x->env.n; i++)
        if (!strchr(x->env.at[i], '='))
            return ctl_usage(&ctl_exec, "--env takes NAME=VALUE, and '%s' is none", x->env.at[i]);
    return CTL_OK;
}

/* 0, or as ctl_options. */
static int parse(struct ctl_exec *x, int argc, char **argv, int *ret_status)
{
    const struct ctl_option options[] = {
        { "--socket", "-s", &x->socket, NULL },
        { "--channel", NULL, &x->channel, NULL },
        { "--no-input", "-n", NULL, &x->no_input },
        { "--merge", NULL, NULL, &x->merge },
        { "--list", NULL, NULL, &x->list },
        { .name = "--env", .values = &x->env },
        { 0 },
    };
    int r;

    take_words(x, &argc, argv);
    r = ctl_options(x->ctl, &ctl_exec, &argc, argv, options, ret_status);
    if (r < 0)
        return r;
    *ret_status = check(x, argc);
    return *ret_status == CTL_OK ? 0 : -EINVAL;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    struct ctl_exec x = { .ctl = ctl, .out.fd = STDOUT_FILENO, .err.fd = STDERR_FILENO, .agent.fd = -1 };
    int status;

    x.env.at = calloc((size_t)argc + 1, sizeof(*x.env.at));
    if (!x.env.at)
        status = ctl_fail(CTL_EXEC_OWN, "out of memory");
    else if (parse(&x, argc, argv, &status) < 0)
        status = status == CTL_OK ? CTL_OK : CTL_EXEC_OWN;
    else
        status = x.list ? ctl_exec_list(&x) : execute(&x);
    release(&x);
    return status;
}

const struct ctl_command ctl_exec = {
    .name = "exec",
    .summary = "run a program of the guest: its streams, its exit status",
    .usage =
        "[-s SOCKET] [--channel C] [--no-input] [--merge] [--env NAME=VALUE ...] -- PROGRAM [ARGUMENT ...]\n"
        "       bulkheadctl exec [-s SOCKET] [--channel C] --list\n"
        "What the policy grants the channel decides. ^C interrupts the program, a second one kills it.\n"
        "  -s SOCKET         the agent's unix socket (default: from its status file)\n"
        "  --channel C       the channel to use, where the agent has several\n"
        "  -n, --no-input    it reads nothing; else it reads standard input, which the rule must grant\n"
        "  --merge           its errors go to standard output too, in the order of its writes\n"
        "  --env NAME=VALUE  a variable that the rule lets it have; may be given often\n"
        "  --list            what runs or ran on the channel, instead\n"
        "Exit status: the program's; 128 and the signal's number if one ended it; 255 if it could not be\n"
        "started or was lost sight of. With --list as of call.",
    .run = run,
};
