/* Paths of arguments and sentences about them. A path is as long as the tables are deep, so it fits. */
#include "protocol/json/place.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "protocol/codes.h"

#define PATH_MAX_BYTES 256

static const char *path_of(const struct bh_place *place, char path[PATH_MAX_BYTES])
{
    size_t used;

    path[0] = '\0';
    if (!place)
        return path;
    (void)path_of(place->up, path);
    used = strlen(path);
    if (place->name)
        (void)snprintf(path + used, PATH_MAX_BYTES - used, "%s%s", used ? "." : "", place->name);
    else
        (void)snprintf(path + used, PATH_MAX_BYTES - used, "[%" PRIu32 "]", place->index);
    return path;
}

int bh_place_missing(const struct bh_place *place, struct bh_error *reterr)
{
    char path[PATH_MAX_BYTES];

    return bh_fail(reterr, BH_E_ARG_MISSING, "Parameter '%s' is missing", path_of(place, path));
}

int bh_place_unexpected(const struct bh_place *object, const char *name, struct bh_error *reterr)
{
    char path[PATH_MAX_BYTES];

    return bh_fail(reterr, BH_E_ARG_UNEXPECTED, "Parameter '%s%s%s' is unexpected", path_of(object, path),
                   object ? "." : "", name);
}

int bh_place_type(const struct bh_place *place, const char *expected, struct bh_error *reterr)
{
    char path[PATH_MAX_BYTES];

    return bh_fail(reterr, BH_E_ARG_TYPE, "Invalid parameter type for '%s', expected: %s",
                   path_of(place, path), expected);
}

int bh_place_value(const struct bh_place *place, const char *value, struct bh_error *reterr)
{
    char path[PATH_MAX_BYTES];

    return bh_fail(reterr, BH_E_ARG_VALUE, "Parameter '%s' does not accept value '%s'", path_of(place, path),
                   value);
}

int bh_place_uint64(const struct bh_place *place, struct bh_error *reterr)
{
    char path[PATH_MAX_BYTES];

    return bh_fail(reterr, BH_E_ARG_TYPE, "Parameter '%s' expects uint64", path_of(place, path));
}

int bh_place_range(const struct bh_place *place, const char *value, struct bh_error *reterr)
{
    char path[PATH_MAX_BYTES];

    return bh_fail(reterr, BH_E_ARG_RANGE, "value '%s' is invalid for argument %s", value,
                   path_of(place, path));
}

int bh_place_long(const struct bh_place *place, uint32_t limit, const char *unit, struct bh_error *reterr)
{
    char path[PATH_MAX_BYTES];

    return bh_fail(reterr, BH_E_ARG_RANGE, "Parameter '%s' has more than %" PRIu32 " %s",
                   path_of(place, path), limit, unit);
}

int bh_place_base64(const struct bh_place *place, struct bh_error *reterr)
{
    char path[PATH_MAX_BYTES];

    return bh_fail(reterr, BH_E_BASE64, "Parameter '%s' is not valid base64", path_of(place, path));
}
