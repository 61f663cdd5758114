/* Generated from protocol/schema.json: what the front process has to implement. Do not edit. */
#pragma once

#include "protocol/types.h"
#include "protocol/wire/op.h"

/* Echoes a number. */
int bh_do_guest_echo(struct bh_call *call, const struct bh_guest_echo_args *args, struct bh_guest_echo_ret *ret);
