/* Reading and parsing, for procfile.h. No stdio: a request should cost the calls it needs and no more. */
#include "workers/lib/procfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/mem.h"
#include "protocol/codes.h"

#define ROOM (BH_LINE_MAX + 1) /* a line and its LF */

static int open_text(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);

    return fd < 0 ? -errno : fd;
}

static ssize_t read_some(int fd, char *text, size_t len)
{
    ssize_t n;

    do
        n = read(fd, text, len);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

ssize_t bh_procfile_read(int dir, const char *name, char *text, size_t cap)
{
    _cleanup_close_ int fd = open_text(dir, name);
    ssize_t n = fd < 0 ? fd : read_some(fd, text, cap);

    if (n < 0)
        return n;
    if ((size_t)n == cap)
        return -EFBIG;
    text[n] = '\0';
    return memchr(text, '\0', (size_t)n) ? -EBADMSG : n;
}

int bh_lines_open(struct bh_lines *lines, int dir, const char *name)
{
    lines->fd = open_text(dir, name);
    lines->next = lines->end = 0;
    lines->cut = false;
    return lines->fd < 0 ? lines->fd : 0;
}

void bh_lines_close(struct bh_lines *lines)
{
    bh_close_p(&lines->fd);
    lines->fd = -1;
}

/* Where the line at `next` ends, reading on as long as there is room: its LF, or the end of what there is.
 * *ret_last: nothing follows. */
static int find_end(struct bh_lines *lines, char **ret, bool *ret_last)
{
    size_t seen = lines->next;

    for (*ret_last = false;;) {
        ssize_t n;

        *ret = memchr(lines->text + seen, '\n', lines->end - seen);
        if (*ret)
            return 0;
        memmove(lines->text, lines->text + lines->next, lines->end - lines->next);
        lines->end -= lines->next;
        lines->next = 0;
        seen = lines->end;
        *ret = lines->text + lines->end;
        if (lines->end == ROOM)
            return 0;
        n = read_some(lines->fd, lines->text + lines->end, ROOM - lines->end);
        if (n < 0)
            return (int)n;
        lines->end += (size_t)n;
        *ret_last = n == 0;
        if (n == 0)
            return 0;
    }
}

int bh_lines_next(struct bh_lines *lines, char **ret)
{
    for (;;) {
        bool cut = lines->cut, last, found;
        char *end;
        int r = find_end(lines, &end, &last);

        if (r < 0)
            return r;
        *ret = lines->text + lines->next;
        found = end < lines->text + lines->end;
        if (last && end == *ret)
            return BH_LINE_NONE;
        lines->next = (size_t)(end - lines->text) + found;
        lines->cut = !found && !last;
        *end = '\0';
        if (!cut)
            return lines->cut ? BH_LINE_CUT : BH_LINE_WHOLE;
    }
}

static unsigned digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (unsigned)(c - 'a') + 10;
    if (c >= 'A' && c <= 'F')
        return (unsigned)(c - 'A') + 10;
    return 16;
}

bool bh_parse_uint(const char **text, unsigned base, uint64_t *ret)
{
    const char *p = *text;
    uint64_t value = 0;

    for (; digit(*p) < base; p++)
        if (__builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, digit(*p), &value))
            return false;
    if (p == *text)
        return false;
    *text = p;
    *ret = value;
    return true;
}

bool bh_parse_whole_uint(const char *text, unsigned base, uint64_t *ret)
{
    uint64_t value;

    if (!bh_parse_uint(&text, base, &value) || strcmp(text, *text ? "\n" : "") != 0)
        return false;
    *ret = value;
    return true;
}

int bh_parse_columns(const char *text, uint64_t *ret, int max)
{
    int n = 0;

    for (;;) {
        size_t spaces = strspn(text, " ");

        text += spaces;
        if (*text == '\0' || n == max)
            return n;
        if (spaces == 0 || !bh_parse_uint(&text, 10, &ret[n]))
            return -1;
        n++;
    }
}

uint32_t bh_most_items(const struct bh_call *call)
{
    return call->command->ret->fields[0].items;
}

int bh_procfile_done(struct bh_call *call, const char *name, int r)
{
    if (r >= 0)
        return 0;
    if (r == -E2BIG)
        return bh_fail(call->error, BH_E_REPLY_TOO_LARGE,
                       "%s tells of more than the %u that an answer may hold", name, bh_most_items(call));
    return bh_fail_errno(call->error, BH_E_KERNEL, r, "cannot read %s", name);
}
