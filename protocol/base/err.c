/* Filling struct bh_error. Text that does not fit is cut where a UTF-8 character begins. */
#include "protocol/base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Drops the last character if the cut went through it. */
static void drop_partial(char *text, size_t len)
{
    size_t lead = len - 1, need;
    unsigned char c;

    while (len - lead < 4 && ((unsigned char)text[lead] & 0xc0) == 0x80)
        lead--;
    c = (unsigned char)text[lead];
    need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
    if (need > len - lead)
        text[lead] = '\0';
}

static void __attribute__((format(printf, 3, 0)))
set_text(struct bh_error *error, uint16_t code, const char *format, va_list args)
{
    error->code = code;
    error->record = 0;
    if (vsnprintf(error->text, sizeof(error->text), format, args) >= (int)sizeof(error->text))
        drop_partial(error->text, sizeof(error->text) - 1);
}

int bh_fail(struct bh_error *reterr, uint16_t code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_text(reterr, code, format, args);
    va_end(args);
    return code;
}

int bh_fail_errno(struct bh_error *reterr, uint16_t code, int err, const char *format, ...)
{
    va_list args;
    size_t used;

    va_start(args, format);
    set_text(reterr, code, format, args);
    va_end(args);
    used = strlen(reterr->text);
    (void)snprintf(reterr->text + used, sizeof(reterr->text) - used, ": %s", strerror(abs(err)));
    return code;
}
