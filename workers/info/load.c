/*
 * guest-get-load: the first three numbers of /proc/loadavg, which the kernel rounds to hundredths. Hundredths
 * as an integer, divided by 100, is the very double that strtod would make of the text.
 */
#include <errno.h>
#include <fcntl.h>

#include "protocol/handlers-info.h"
#include "workers/info/inventory.h"
#include "workers/info/procfile.h"

#define FILE_NAME "/proc/loadavg"
#define LOAD_MAX 1000000000u /* far above what a kernel can have; below it hundredths are exact */

/* 12.34 and the space behind it. */
static bool parse_load(const char **text, double *ret)
{
    uint64_t whole, hundredths;
    const char *point;

    if (!bh_parse_uint(text, 10, &whole) || whole > LOAD_MAX || **text != '.')
        return false;
    point = (*text)++;
    if (!bh_parse_uint(text, 10, &hundredths) || *text != point + 3 || **text != ' ')
        return false;
    (*text)++;
    *ret = (double)(whole * 100 + hundredths) / 100;
    return true;
}

int bh_load_read(int folder, const char *name, struct bh_guest_load *ret)
{
    struct bh_guest_load load;
    const char *at;
    char text[128];
    ssize_t n = bh_procfile_read(folder, name, text, sizeof(text));

    if (n < 0)
        return (int)n;
    at = text;
    if (!parse_load(&at, &load.load1m) || !parse_load(&at, &load.load5m) || !parse_load(&at, &load.load15m))
        return -EBADMSG;
    *ret = load;
    return 0;
}

int bh_do_guest_get_load(struct bh_call *call, struct bh_guest_load *ret)
{
    return bh_procfile_done(call, FILE_NAME, bh_load_read(AT_FDCWD, FILE_NAME, ret));
}
