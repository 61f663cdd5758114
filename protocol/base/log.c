/* Lines of log.h: formatted into one buffer, cleaned into another, and written with one call. */
#include "protocol/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/clock.h"

static const char *log_program = "bulkhead";
static enum bh_log_level log_highest = BH_LOG_NOTICE;
static bool log_stamped;
static int log_echo_fd = -1;
static void (*log_last_act)(void);

void bh_log_init(const char *program, enum bh_log_level highest)
{
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

static void __attribute__((format(printf, 2, 0)))
log_line(enum bh_log_level level, const char *format, va_list args)
{
    char line[BH_LOG_LINE_MAX], text[BH_LOG_LINE_MAX];
    size_t len = put_head(line, level);

    if (vsnprintf(text, sizeof(text), format, args) < 0)
        return;
    len = put_clean(line, len, text);
    if (write(STDERR_FILENO, line, len) < 0 && log_echo_fd < 0)
        return; /* nowhere left to say it */
    if (log_echo_fd >= 0 && level <= BH_LOG_WARNING && write(log_echo_fd, line, len) < 0)
        log_echo_fd = -1; /* nobody waits any more */
}

void bh_log(enum bh_log_level level, const char *format, ...)
{
    va_list args;

    if (level > log_highest)
        return;
    va_start(args, format);
    log_line(level, format, args);
    va_end(args);
}

_Noreturn void bh_die(int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_line(BH_LOG_ERROR, format, args);
    va_end(args);
    if (log_last_act)
        log_last_act();
    _exit(status);
}
