/* The decisions of exec_pace.h. */
#include "broker/ctl/exec_pace.h"

#include <signal.h>

unsigned ctl_pace_wait(int64_t idle_ms, enum ctl_input input)
{
    const unsigned most = input == CTL_INPUT_NONE ? CTL_WAIT_CLOSED_MS : CTL_WAIT_OPEN_MS;
    const unsigned least = input == CTL_INPUT_WAITS ? 0 : CTL_WAIT_MIN_MS;

    if (idle_ms / 4 >= most)
        return most;
    return idle_ms / 4 > least ? (unsigned)(idle_ms / 4) : least;
}

size_t ctl_pace_chunk(size_t offered, size_t taken, size_t chunk)
{
    if (taken == offered && offered >= chunk)
        return chunk < CTL_CHUNK_MAX / 2 ? 2 * chunk : CTL_CHUNK_MAX;
    if (taken == offered)
        return chunk; /* there was no more to offer: nothing is known */
    return taken > CTL_CHUNK_MIN ? taken : CTL_CHUNK_MIN;
}

static const char *word_of(int signal)
{
    switch (signal) {
    case SIGINT:
        return "int";
    case SIGQUIT:
        return "quit";
    case SIGHUP:
        return "hup";
    default:
        return "term";
    }
}

/* Somebody at a terminal sees whether it ends, and can ask again. */
static bool is_watched(int signal)
{
    return signal == SIGINT || signal == SIGQUIT;
}

const char *ctl_cancel_next(struct ctl_cancel *cancel, int signal, int64_t now_ms)
{
    if (cancel->killed)
        return NULL;
    if (signal && !cancel->first) {
        cancel->first = signal;
        cancel->since_ms = now_ms;
        return word_of(signal);
    }
    if (!signal &&
        (!cancel->first || is_watched(cancel->first) || now_ms - cancel->since_ms < CTL_KILL_AFTER_MS))
        return NULL;
    cancel->killed = true;
    return "kill";
}
