/*
 * Where a table's field lies in its struct, for both directions of convert.h.
 *
 * Trust: in = CHECKED (tables); out = CHECKED; called by = convert.c, out.c
 */
#pragma once

#include <stdint.h>

#include "protocol/wire/walk.h"

static inline const void *bh_at(const void *base, uint32_t offset)
{
    return (const char *)base + offset;
}

static inline void *bh_at_mut(void *base, uint32_t offset)
{
    return (char *)base + offset;
}
