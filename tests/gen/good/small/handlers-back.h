/* Generated from protocol/schema.json: what the back process has to implement. Do not edit. */
#pragma once

#include "protocol/types.h"
#include "protocol/wire/op.h"

/* Paints boxes. */
int bh_do_guest_paint(struct bh_call *call, const struct bh_guest_paint_args *args, struct bh_guest_paint_ret *ret);

/* Leaves without a word. */
int bh_do_guest_leave(struct bh_call *call);
