/* Lines of log.h: formatted into one buffer, cleaned, and written with one call. */
#include "protocol/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *log_program = "bulkhead";
static enum bh_log_level log_highest = BH_LOG_NOTICE;

void bh_log_init(const char *program, enum bh_log_level highest)
{
    log_program = program;
    log_highest = highest;
}

static void __attribute__((format(printf, 2, 0)))
log_line(enum bh_log_level level, const char *format, va_list args)
{
    static const char *const names[] = { "error", "warning", "notice", "debug" };
    char line[BH_LOG_LINE_MAX];
    size_t start, end;
    int n;

    n = snprintf(line, sizeof(line), "%s[%d] %s: ", log_program, (int)getpid(), names[level]);
    start = n > 0 && (size_t)n < sizeof(line) ? (size_t)n : 0;
    n = vsnprintf(line + start, sizeof(line) - start - 1, format, args);
    end = start + (n > 0 ? (size_t)n : 0);
    if (end > sizeof(line) - 2)
        end = sizeof(line) - 2;
    for (size_t i = start; i < end; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[end++] = '\n';
    if (write(STDERR_FILENO, line, end) < 0)
        return; /* nowhere left to say it */
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
    _exit(status);
}
