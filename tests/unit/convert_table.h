/*
 * A table of all kinds of fields, as the generator would write it, for test-convert.c.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = test-convert.c
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/arena.h"
#include "protocol/base/mem.h"
#include "protocol/wire/table.h"

struct item {
    int64_t id;
    bool has_on;
    bool on;
};

struct all {
    bool has_b;
    bool b;
    bool has_i;
    int64_t i;
    bool has_u;
    uint64_t u;
    bool has_d;
    double d;
    bool has_s;
    struct bh_str s;
    bool has_y;
    struct bh_bytes y;
    bool has_e;
    uint8_t e;
    bool has_plain;
    uint8_t plain;
    bool has_in;
    struct item in;
    bool has_list;
    struct item *list;
    uint32_t n_list;
};

#define OPTIONAL(struct_, member)                                                                            \
    .name = #member, .offset = offsetof(struct_, member), .has = offsetof(struct_, has_##member),            \
    .flags = BH_FIELD_OPTIONAL

static const struct bh_field item_fields[] = {
    { .name = "id",
      .kind = BH_KIND_INT,
      .offset = offsetof(struct item, id),
      .min = INT64_MIN,
      .max = INT64_MAX },
    { OPTIONAL(struct item, on), .kind = BH_KIND_BOOL },
};
static const struct bh_type item_type = { "item", sizeof(struct item), 2, item_fields };
static const char *const modes[] = { "none", "both" };
static const struct bh_alias mode_aliases[] = {
    { "true", 1 }, { "false", 0 }, { "\"all\"", 1 }, { "7", 1 }, { "-1", 0 }
};
static const struct bh_enumeration mode = { "Mode", modes, mode_aliases, 2, 5 };
static const struct bh_alias plain_aliases[] = { { "\"x\"", 1 } };
static const struct bh_enumeration plain = { "Plain", modes, plain_aliases, 2, 1 };
static const struct bh_field all_fields[] = {
    { OPTIONAL(struct all, b), .kind = BH_KIND_BOOL },
    { OPTIONAL(struct all, i), .kind = BH_KIND_INT, .min = -5, .max = 10 },
    { OPTIONAL(struct all, u), .kind = BH_KIND_UINT, .max = UINT64_MAX },
    { OPTIONAL(struct all, d), .kind = BH_KIND_NUMBER },
    { OPTIONAL(struct all, s), .kind = BH_KIND_STR, .limit = 4 },
    { OPTIONAL(struct all, y), .kind = BH_KIND_BYTES, .limit = 3 },
    { OPTIONAL(struct all, e), .kind = BH_KIND_ENUM, .of.enumeration = &mode },
    { OPTIONAL(struct all, plain), .kind = BH_KIND_ENUM, .of.enumeration = &plain },
    { OPTIONAL(struct all, in), .kind = BH_KIND_STRUCT, .of.type = &item_type },
    { .name = "list",
      .kind = BH_KIND_STRUCT,
      .offset = offsetof(struct all, list),
      .has = offsetof(struct all, has_list),
      .count = offsetof(struct all, n_list),
      .flags = BH_FIELD_OPTIONAL | BH_FIELD_LIST,
      .items = 2,
      .of.type = &item_type },
};
static const struct bh_type all_type = { "all", sizeof(struct all), BH_ARRAY_SIZE(all_fields), all_fields };
