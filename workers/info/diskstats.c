/*
 * guest-get-diskstats: /proc/diskstats, a line per block device. Kernels have added columns at the end of the
 * line: how many there are says which counters a device has.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "protocol/base/mem.h"
#include "protocol/handlers-info.h"
#include "protocol/wire/utf8.h"
#include "workers/info/inventory.h"
#include "workers/lib/procfile.h"

#define FILE_NAME "/proc/diskstats"

struct counter {
    size_t has, value; /* offsets */
};

#define COUNTER(member)                                                                                      \
    {                                                                                                        \
        offsetof(struct bh_guest_disk_stats, has_##member), offsetof(struct bh_guest_disk_stats, member)     \
    }

/* Partitions on old kernels. */
static const struct counter few[] = {
    COUNTER(read_ios),
    COUNTER(read_sectors),
    COUNTER(write_ios),
    COUNTER(write_sectors),
};

static const struct counter many[] = {
    COUNTER(read_ios),       COUNTER(read_merges),     COUNTER(read_sectors),  COUNTER(read_ticks),
    COUNTER(write_ios),      COUNTER(write_merges),    COUNTER(write_sectors), COUNTER(write_ticks),
    COUNTER(ios_pgr),        COUNTER(total_ticks),     COUNTER(weight_ticks),  COUNTER(discard_ios),
    COUNTER(discard_merges), COUNTER(discard_sectors), COUNTER(discard_ticks), COUNTER(flush_ios),
    COUNTER(flush_ticks),
};

/* Counters that a line has: whole groups, the largest first. `least` is how many there must be. */
static const struct layout {
    int least;
    const struct counter *counters;
} layouts[] = {
    { 17, many }, /* 5.5: and flushes */
    { 15, many }, /* 4.18: and discards */
    { 11, many }, /* 2.6 */
};

static const struct layout few_layout = { BH_ARRAY_SIZE(few), few };

static const struct layout *layout_of(int n)
{
    for (size_t i = 0; i < BH_ARRAY_SIZE(layouts); i++)
        if (n >= layouts[i].least)
            return &layouts[i];
    return n == few_layout.least ? &few_layout : NULL;
}

static void set_counters(const struct layout *layout, const uint64_t *values,
                         struct bh_guest_disk_stats *stats)
{
    const bool yes = true;

    for (int i = 0; i < layout->least; i++) {
        memcpy((char *)stats + layout->counters[i].has, &yes, sizeof(yes));
        memcpy((char *)stats + layout->counters[i].value, &values[i], sizeof(values[i]));
    }
}

/* 1 = `disk` is what the line tells, 0 = its shape is not known, or -ENOMEM. */
static int parse_line(const char *line, struct bh_arena *arena, struct bh_guest_disk_stats_info *disk)
{
    uint64_t values[BH_ARRAY_SIZE(many)];
    const struct layout *layout;
    size_t len;

    *disk = (struct bh_guest_disk_stats_info){ 0 };
    line += strspn(line, " ");
    if (!bh_parse_uint(&line, 10, &disk->major) || *line != ' ')
        return 0;
    line += strspn(line, " ");
    if (!bh_parse_uint(&line, 10, &disk->minor) || *line != ' ')
        return 0;
    line += strspn(line, " ");
    len = strcspn(line, " ");
    layout = layout_of(bh_parse_columns(line + len, values, BH_ARRAY_SIZE(many)));
    if (!layout || len == 0 || len > NAME_MAX || !bh_utf8_valid(line, len))
        return 0;
    set_counters(layout, values, &disk->stats);
    disk->name = bh_arena_str(arena, line, len);
    return disk->name.ptr ? 1 : -ENOMEM;
}

static int parse_lines(struct bh_lines *lines, uint32_t max, struct bh_arena *arena,
                       struct bh_guest_get_diskstats_ret *list)
{
    struct bh_guest_disk_stats_info disk;
    char *line;
    int r;

    while ((r = bh_lines_next(lines, &line)) > 0) {
        r = r == BH_LINE_CUT ? 0 : parse_line(line, arena, &disk);
        if (r < 0)
            return r;
        if (r == 0)
            continue;
        if (list->n_value == max)
            return -E2BIG;
        list->value = bh_arena_more(arena, list->value, list->n_value, sizeof(disk));
        if (!list->value)
            return -ENOMEM;
        list->value[list->n_value++] = disk;
    }
    return r;
}

int bh_diskstats_read(int folder, const char *name, uint32_t max, struct bh_arena *arena,
                      struct bh_guest_get_diskstats_ret *ret)
{
    struct bh_guest_get_diskstats_ret list = { 0 };
    struct bh_lines lines;
    int r = bh_lines_open(&lines, folder, name);

    if (r < 0)
        return r;
    r = parse_lines(&lines, max, arena, &list);
    bh_lines_close(&lines);
    if (r == 0)
        *ret = list;
    return r;
}

int bh_do_guest_get_diskstats(struct bh_call *call, struct bh_guest_get_diskstats_ret *ret)
{
    int r = bh_diskstats_read(AT_FDCWD, FILE_NAME, bh_most_items(call), call->arena, ret);

    return bh_procfile_done(call, FILE_NAME, r);
}
