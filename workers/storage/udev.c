/* udev's files have one fact a line: a letter, a colon, the fact. Properties are E:NAME=value. */
#include "workers/storage/udev.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "workers/lib/procfile.h"
#include "workers/lib/text.h"

#define SERIAL "E:ID_SERIAL="

/* 1, 0 or -ENOMEM, for a line of the file. */
static int take(const char *line, struct bh_arena *arena, struct bh_str *ret)
{
    const char *value = line + sizeof(SERIAL) - 1;
    struct bh_str text;

    if (strncmp(line, SERIAL, sizeof(SERIAL) - 1) != 0 || *value == '\0')
        return 0;
    text = bh_text_of(arena, value, strlen(value));
    if (!text.ptr)
        return -ENOMEM;
    if (text.len > BH_SERIAL_MAX)
        return 0;
    *ret = text;
    return 1;
}

int bh_udev_serial(int data, uint32_t major, uint32_t minor, struct bh_arena *arena, struct bh_str *ret)
{
    struct bh_lines lines;
    char name[32], *line;
    int r, found = 0;

    if (data < 0)
        return -ENOENT;
    (void)snprintf(name, sizeof(name), "b%u:%u", major, minor);
    r = bh_lines_open(&lines, data, name);
    if (r < 0)
        return r;
    while (found == 0 && (r = bh_lines_next(&lines, &line)) > 0)
        found = r == BH_LINE_WHOLE ? take(line, arena, ret) : 0;
    bh_lines_close(&lines);
    return found ? found : r;
}
