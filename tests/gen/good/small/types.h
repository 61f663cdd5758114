/* Generated from protocol/schema.json: the structs that commands take and return. Do not edit. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/arena.h"

/* A colour. */
enum bh_guest_colour {
    BH_GUEST_COLOUR_RED,
    BH_GUEST_COLOUR_RED_PLUS,
    BH_GUEST_COLOUR_COUNT,
};

/* A thing. */
struct bh_guest_thing {
    double weight; /* in kilograms */
    uint64_t serial; /* its number */
};

/* A box. */
struct bh_guest_box {
    bool has_inner;
    struct bh_guest_thing inner; /* what is in it */
    struct bh_str *labels; /* what it says */
    uint32_t n_labels;
};

/* guest-echo: arguments. */
struct bh_guest_echo_args {
    int64_t id; /* the number */
};

/* guest-echo: what it returns. */
struct bh_guest_echo_ret {
    int64_t value; /* the same */
};

/* guest-paint: arguments. */
struct bh_guest_paint_args {
    struct bh_guest_box *boxes; /* what to paint */
    uint32_t n_boxes;
    bool has_colour;
    uint8_t colour; /* how (enum bh_guest_colour) */
    bool has_coats;
    int64_t coats; /* how often */
    struct bh_bytes picture; /* what to draw */
    struct bh_bytes pin; /* who may */
};
#define BH_GUEST_PAINT_ARGS_COLOUR_DEFAULT BH_GUEST_COLOUR_RED_PLUS
#define BH_GUEST_PAINT_ARGS_COATS_DEFAULT INT64_C(2)

/* guest-paint: what it returns. */
struct bh_guest_paint_ret {
    struct bh_bytes sketch; /* what was drawn */
    bool done; /* whether it was */
    bool has_margin;
    struct bh_bytes margin; /* what was drawn beside it */
};
