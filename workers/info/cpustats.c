/*
 * guest-get-cpustats: the lines cpu0, cpu1, ... of /proc/stat, from ticks to milliseconds.
 *
 * On a large machine the file is long behind them (one number per interrupt): reading stops at their end.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/mem.h"
#include "protocol/handlers-info.h"
#include "workers/info/inventory.h"
#include "workers/lib/procfile.h"

#define FILE_NAME "/proc/stat"
#define COLUMNS_LEAST 4 /* the first kernels had these; the others came one by one, each behind the last */

struct column {
    size_t has, value; /* offsets; those that are always there have no `has` */
};

#define ALWAYS(member)                                                                                       \
    {                                                                                                        \
        SIZE_MAX, offsetof(struct bh_guest_cpu_stats, member)                                                \
    }
#define MAYBE(member)                                                                                        \
    {                                                                                                        \
        offsetof(struct bh_guest_cpu_stats, has_##member), offsetof(struct bh_guest_cpu_stats, member)       \
    }

static const struct column columns[] = {
    ALWAYS(user), ALWAYS(nice),   ALWAYS(system), ALWAYS(idle), MAYBE(iowait),
    MAYBE(irq),   MAYBE(softirq), MAYBE(steal),   MAYBE(guest), MAYBE(guestnice),
};

/* What 64 bits cannot hold is the most they can. */
static uint64_t milliseconds(uint64_t ticks, uint64_t per_second)
{
    uint64_t ms;

    if (__builtin_mul_overflow(ticks / per_second, 1000, &ms) ||
        __builtin_add_overflow(ms, ticks % per_second * 1000 / per_second, &ms))
        return UINT64_MAX;
    return ms;
}

/* True if the line is that of one CPU. */
static bool parse_line(const char *line, uint64_t per_second, struct bh_guest_cpu_stats *cpu)
{
    uint64_t ticks[BH_ARRAY_SIZE(columns)], number;
    const bool yes = true;
    int n;

    line += strlen("cpu");
    if (!bh_parse_uint(&line, 10, &number) || number > INT64_MAX)
        return false;
    n = bh_parse_columns(line, ticks, BH_ARRAY_SIZE(columns));
    if (n < COLUMNS_LEAST)
        return false;
    *cpu = (struct bh_guest_cpu_stats){ .type = BH_GUEST_CPU_STATS_TYPE_LINUX, .cpu = (int64_t)number };
    for (int i = 0; i < n; i++) {
        uint64_t ms = milliseconds(ticks[i], per_second);

        memcpy((char *)cpu + columns[i].value, &ms, sizeof(ms));
        if (columns[i].has != SIZE_MAX)
            memcpy((char *)cpu + columns[i].has, &yes, sizeof(yes));
    }
    return true;
}

/* All lines that begin with "cpu"; the sum of all CPUs is among them and is no CPU. */
static int parse_lines(struct bh_lines *lines, uint64_t per_second, uint32_t max, struct bh_arena *arena,
                       struct bh_guest_get_cpustats_ret *list)
{
    struct bh_guest_cpu_stats cpu;
    char *line;
    int r;

    while ((r = bh_lines_next(lines, &line)) > 0 && strncmp(line, "cpu", strlen("cpu")) == 0) {
        if (r == BH_LINE_CUT || !parse_line(line, per_second, &cpu))
            continue;
        if (list->n_value == max)
            return -E2BIG;
        list->value = bh_arena_more(arena, list->value, list->n_value, sizeof(cpu));
        if (!list->value)
            return -ENOMEM;
        list->value[list->n_value++] = cpu;
    }
    return r < 0 ? r : 0;
}

int bh_cpustats_read(int folder, const char *name, uint64_t per_second, uint32_t max, struct bh_arena *arena,
                     struct bh_guest_get_cpustats_ret *ret)
{
    struct bh_guest_get_cpustats_ret list = { 0 };
    struct bh_lines lines;
    int r = bh_lines_open(&lines, folder, name);

    if (r < 0)
        return r;
    r = parse_lines(&lines, per_second, max, arena, &list);
    bh_lines_close(&lines);
    if (r == 0)
        *ret = list;
    return r;
}

int bh_do_guest_get_cpustats(struct bh_call *call, struct bh_guest_get_cpustats_ret *ret)
{
    long per_second = sysconf(_SC_CLK_TCK);
    int r = per_second > 0 ? 0 : -EINVAL;

    if (r == 0)
        r = bh_cpustats_read(AT_FDCWD, FILE_NAME, (uint64_t)per_second, bh_most_items(call), call->arena,
                             ret);
    return bh_procfile_done(call, FILE_NAME, r);
}
