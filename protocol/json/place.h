/*
 * Where in the arguments a value stands, as clients know it (`vcpus[1].online`), and the
 * sentences about it that clients rely on.
 *
 * Trust: in = CHECKED (names of tables), HOST (values quoted in sentences); out = CHECKED;
 *        called by = convert.c
 */
#pragma once

#include <stdint.h>

#include "protocol/base/err.h"

/* One step of the way; lives on the stack of the walk. */
struct bh_place {
    const struct bh_place *up; /* NULL: a member of `arguments` itself */
    const char *name;          /* of a member; NULL: element `index` of the list above */
    uint32_t index;
};

/* Each fills the error and returns its code. */
int bh_place_missing(const struct bh_place *place, struct bh_error *reterr);
int bh_place_unexpected(const struct bh_place *object, const char *name, struct bh_error *reterr);
int bh_place_type(const struct bh_place *place, const char *expected, struct bh_error *reterr);
int bh_place_value(const struct bh_place *place, const char *value, struct bh_error *reterr);
int bh_place_uint64(const struct bh_place *place, struct bh_error *reterr);
int bh_place_range(const struct bh_place *place, const char *value, struct bh_error *reterr);
int bh_place_long(const struct bh_place *place, uint32_t limit, const char *unit, struct bh_error *reterr);
int bh_place_base64(const struct bh_place *place, struct bh_error *reterr);
