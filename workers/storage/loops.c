/* /proc/partitions, for loops.h: "major minor blocks name", with spaces before each. */
#include "workers/storage/loops.h"

#include <errno.h>
#include <string.h>

#include "workers/lib/procfile.h"

static bool number_of(const char *name, uint64_t *ret)
{
    return strncmp(name, "loop", 4) == 0 && bh_parse_whole_uint(name + 4, 10, ret);
}

static int take(const char *line, struct bh_arena *arena, struct bh_loops *loops)
{
    const char *name = strrchr(line, ' ');
    uint64_t number;

    if (!name || !number_of(name + 1, &number))
        return 0;
    if (loops->n == BH_LOOPS_MAX)
        return -E2BIG;
    loops->number = bh_arena_more(arena, loops->number, loops->n, sizeof(*loops->number));
    if (!loops->number)
        return -ENOMEM;
    loops->number[loops->n++] = number;
    return 0;
}

int bh_loops_read(int dir, const char *file, struct bh_arena *arena, struct bh_loops *ret)
{
    struct bh_loops loops = { 0 };
    struct bh_lines lines;
    char *line;
    int r = bh_lines_open(&lines, dir, file);

    if (r == 0) {
        while ((r = bh_lines_next(&lines, &line)) > 0)
            if ((r = take(line, arena, &loops)) < 0)
                break;
        bh_lines_close(&lines);
    }
    if (r == -ENOMEM)
        return r;
    loops.known = r == 0;
    *ret = loops;
    return 0;
}

bool bh_loops_is_empty(const struct bh_loops *loops, const char *name)
{
    uint64_t number;

    if (!loops->known || !number_of(name, &number))
        return false;
    for (uint32_t i = 0; i < loops->n; i++)
        if (loops->number[i] == number)
            return false;
    return true;
}
