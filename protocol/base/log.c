/*
 * Lines of log.h: formatted into one buffer, cleaned into another, and written with one call. Lines that are
 * held stand one behind the other in a third, each with its level before it.
 */
#include "protocol/base/log.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/clock.h"

static const char *log_program = "bulkhead";
static enum bh_log_level log_highest = BH_LOG_NOTICE;
static bool log_stamped;
static int log_echo_fd = -1;
static void (*log_last_act)(void);
static const uint32_t *log_hold;
static bool log_is_file; /* descriptor 2 is a regular file: a write to it cannot be had without waiting */

static struct {
    size_t len;
    unsigned dropped;
    char lines[BH_LOG_HELD_MAX];
} log_held;

void bh_log_init(const char *program, enum bh_log_level highest)
{
    log_held.len = log_held.dropped = 0;
    log_program = program;
    log_highest = highest;
}

void bh_log_style(bool verbose, bool stamped)
{
    if (verbose)
        log_highest = BH_LOG_DEBUG;
    log_stamped = stamped;
}

void bh_log_echo(int fd)
{
    log_echo_fd = fd;
}

void bh_log_last_act(void (*act)(void))
{
    log_last_act = act;
}

/* Bytes of the control character at `p`, or 0: C0 and DEL, and C1 as UTF-8 has it (0xC2 and one of
 * 0x80..0x9F). */
static size_t control(const char *p)
{
    unsigned char c = (unsigned char)p[0], next = c ? (unsigned char)p[1] : 0;

    if (c < 0x20 || c == 0x7f)
        return 1;
    return c == 0xc2 && next >= 0x80 && next < 0xa0 ? 2 : 0;
}

/* Appends `text`, cleaned, and the end of the line; what does not fit is cut. Returns the new length. */
static size_t put_clean(char line[BH_LOG_LINE_MAX], size_t len, const char *text)
{
    const size_t room = BH_LOG_LINE_MAX - sizeof("\\xNN\n");
    size_t escape = 0; /* bytes that are to be escaped from here on */

    for (; *text && len < room; text++) {
        escape = escape ? escape - 1 : 0;
        if (!escape)
            escape = control(text);
        if (escape)
            len += (size_t)snprintf(line + len, sizeof("\\xNN"), "\\x%02x", (unsigned char)*text);
        else
            line[len++] = *text;
    }
    line[len++] = '\n';
    return len;
}

static size_t put_head(char line[BH_LOG_LINE_MAX], enum bh_log_level level)
{
    static const char *const names[] = { "error", "warning", "notice", "debug" };
    char now[BH_CLOCK_TEXT_MAX + 1] = "";

    if (log_stamped) {
        bh_clock_text(bh_clock_ns(CLOCK_REALTIME), now);
        strcat(now, " ");
    }
    return (size_t)snprintf(line, BH_LOG_LINE_MAX, "%s%.64s[%d] %s: ", now, log_program, (int)getpid(),
                            names[level]);
}

static void write_line(enum bh_log_level level, const char *line, size_t len)
{
    if (write(STDERR_FILENO, line, len) < 0 && log_echo_fd < 0)
        return; /* nowhere left to say it */
    if (log_echo_fd >= 0 && level <= BH_LOG_WARNING && write(log_echo_fd, line, len) < 0)
        log_echo_fd = -1; /* nobody waits any more */
}

static bool must_hold(void)
{
    return log_hold && __atomic_load_n(log_hold, __ATOMIC_ACQUIRE) != 0;
}

static void hold(enum bh_log_level level, const char *line, size_t len)
{
    if (log_held.dropped || log_held.len + 1 + len > sizeof(log_held.lines)) {
        log_held.dropped++; /* and whatever comes after it: no line is missing between two others */
        return;
    }
    log_held.lines[log_held.len] = (char)level;
    memcpy(log_held.lines + log_held.len + 1, line, len);
    log_held.len += 1 + len;
}

/* Not for one that must not wait: a pipe or socket whose reader stands still, a file. */
static bool takes_at_once(void)
{
    struct pollfd fd = { .fd = STDERR_FILENO, .events = POLLOUT };

    return !log_is_file && poll(&fd, 1, 0) == 1 && (fd.revents & POLLOUT);
}

/* Writes the lines that are held, as long as it may. */
static void release(bool may(void))
{
    size_t at = 0;

    while (at < log_held.len && may()) {
        const char *line = log_held.lines + at + 1;
        size_t len = (size_t)((const char *)memchr(line, '\n', log_held.len - at - 1) + 1 - line);

        write_line((enum bh_log_level)line[-1], line, len);
        at += 1 + len;
    }
    log_held.len -= at;
    memmove(log_held.lines, log_held.lines + at, log_held.len);
}

/* Its length. */
static size_t __attribute__((format(printf, 3, 0)))
make_line(char line[BH_LOG_LINE_MAX], enum bh_log_level level, const char *format, va_list args)
{
    char text[BH_LOG_LINE_MAX];
    size_t len = put_head(line, level);

    if (vsnprintf(text, sizeof(text), format, args) < 0)
        text[0] = '\0';
    return put_clean(line, len, text);
}

static void __attribute__((format(printf, 2, 3))) say(enum bh_log_level level, const char *format, ...)
{
    char line[BH_LOG_LINE_MAX];
    va_list args;

    va_start(args, format);
    write_line(level, line, make_line(line, level, format, args));
    va_end(args);
}

static bool may_write(void)
{
    return !must_hold();
}

void bh_log_hold(const uint32_t *flag)
{
    struct stat st;

    log_hold = flag;
    log_is_file = fstat(STDERR_FILENO, &st) < 0 || S_ISREG(st.st_mode);
}

void bh_log_flush(void)
{
    unsigned dropped = log_held.dropped;

    if (bh_log_held())
        release(may_write);
    if (!dropped || log_held.len > 0 || must_hold())
        return;
    log_held.dropped = 0;
    say(BH_LOG_WARNING, "%u lines of the log were dropped while file systems were frozen", dropped);
}

bool bh_log_held(void)
{
    return log_held.len > 0 || log_held.dropped > 0;
}

void bh_log(enum bh_log_level level, const char *format, ...)
{
    char line[BH_LOG_LINE_MAX];
    va_list args;
    size_t len;

    if (level > log_highest)
        return;
    va_start(args, format);
    len = make_line(line, level, format, args);
    va_end(args);
    bh_log_flush();
    if (bh_log_held() || must_hold())
        hold(level, line, len);
    else
        write_line(level, line, len);
}

_Noreturn void bh_die(int status, const char *format, ...)
{
    bool (*may)(void) = must_hold() ? takes_at_once : may_write;
    char line[BH_LOG_LINE_MAX];
    va_list args;
    size_t len;

    va_start(args, format);
    len = make_line(line, BH_LOG_ERROR, format, args);
    va_end(args);
    release(may);
    if (may())
        write_line(BH_LOG_ERROR, line, len);
    if (log_last_act)
        log_last_act();
    _exit(status);
}
