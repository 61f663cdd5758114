/* The start-up lines of lists.h. */
#include "broker/supervisor/lists.h"

#include <stdio.h>
#include <string.h>

#include "broker/supervisor/narrow.h"
#include "policy/eval.h"
#include "protocol/base/log.h"

struct names {
    const struct bh_supervisor *s;
    char text[512]; /* a line is not longer: what does not fit is counted */
    unsigned left_out;
};

static void add(struct names *names, const char *name, int len)
{
    size_t used = strlen(names->text), room = sizeof(names->text) - used;

    if ((size_t)len + sizeof(", ") > room)
        names->left_out++;
    else
        (void)snprintf(names->text + used, room, "%s%.*s", used ? ", " : "", len, name);
}

static void add_unknown(void *context, const char *name, int len, int command)
{
    if (command < 0)
        add(context, name, len);
}

static void find(void *context, const char *name, int len, int command)
{
    int *wanted = context;

    (void)name;
    (void)len;
    if (command == *wanted)
        *wanted = -1;
}

static bool is_blocked(const struct bh_supervisor *s, int command)
{
    bh_narrow_each(s->options.block_rpcs, find, &command);
    return command < 0;
}

static bool is_open(const struct bh_supervisor *s, int command)
{
    for (unsigned i = 0; i < s->n_channels; i++)
        if (bh_policy_grants(&s->channels[i].policy, (unsigned)command))
            return true;
    return false;
}

static void add_unopened(void *context, const char *name, int len, int command)
{
    struct names *names = context;

    if (command >= 0 && !is_open(names->s, command) && !is_blocked(names->s, command))
        add(names, name, len);
}

static void say(enum bh_log_level level, const char *what, const struct names *names)
{
    char more[40] = "";

    if (names->left_out)
        (void)snprintf(more, sizeof(more), ", and %u more", names->left_out);
    if (names->text[0])
        bh_log(level, "%s: %s%s", what, names->text, more);
}

void bh_lists_say(const struct bh_supervisor *s)
{
    struct names unknown = { .s = s }, unopened = { .s = s };

    bh_narrow_each(s->options.allow_rpcs, add_unknown, &unknown);
    bh_narrow_each(s->options.block_rpcs, add_unknown, &unknown);
    say(BH_LOG_WARNING, "-a and -b (allow-rpcs, block-rpcs) name what is no command", &unknown);
    bh_narrow_each(s->options.allow_rpcs, add_unopened, &unopened);
    say(BH_LOG_NOTICE, "-a (allow-rpcs) opens nothing by itself, and no policy allows", &unopened);
}
