/* The names of smart.h. */
#include "protocol/wire/smart.h"

#include <string.h>

#define DIGITS "0123456789"

static const char *skip(const char *at, const char *word)
{
    size_t len = strlen(word), digits;

    if (strncmp(at, word, len) != 0)
        return NULL;
    digits = strspn(at + len, DIGITS);
    return digits ? at + len + digits : NULL;
}

bool bh_smart_name_ok(const char *name)
{
    const char *at = strnlen(name, BH_SMART_NAME_MAX) < BH_SMART_NAME_MAX ? skip(name, "nvme") : NULL;

    at = at ? skip(at, "n") : NULL;
    return at && *at == '\0';
}
