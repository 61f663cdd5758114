/* Generated from protocol/schema.json: the tables of types, commands and codes. Do not edit. */

#include "protocol/codes.h"
#include "protocol/commands.h"
#include "protocol/json/lexer.h"
#include "protocol/types.h"
#include "protocol/wire/row.h"

_Static_assert(BH_CLASS_COUNT <= 32, "classes are bits of a uint32_t");

static const char *const values_guest_colour[] = { "red", "red+" };
BH_SAME_LENGTH(values_guest_colour, BH_GUEST_COLOUR_COUNT);
static const struct bh_alias aliases_guest_colour[] = {
    { "true", BH_GUEST_COLOUR_RED },
    { "0", BH_GUEST_COLOUR_RED },
    { "\042r\042", BH_GUEST_COLOUR_RED },
};
static const struct bh_enumeration enum_guest_colour = { "GuestColour", values_guest_colour, aliases_guest_colour, 2, 3 };

static const struct bh_field fields_bh_guest_thing[] = {
    { BH_ROW("weight", struct bh_guest_thing, weight, double), .kind = BH_KIND_NUMBER },
    { BH_ROW("serial", struct bh_guest_thing, serial, uint64_t), .kind = BH_KIND_UINT, .max = UINT64_C(18446744073709551615) },
};
static const struct bh_type type_bh_guest_thing = { "GuestThing", sizeof(struct bh_guest_thing), 2, fields_bh_guest_thing };

static const struct bh_field fields_bh_guest_box[] = {
    { BH_ROW("inner", struct bh_guest_box, inner, struct bh_guest_thing), .kind = BH_KIND_STRUCT, .flags = BH_FIELD_OPTIONAL, .has = BH_AT(struct bh_guest_box, has_inner, bool), .of.type = &type_bh_guest_thing },
    { BH_ROW("labels", struct bh_guest_box, labels, struct bh_str *), .kind = BH_KIND_STR, .flags = BH_FIELD_LIST, .count = BH_AT(struct bh_guest_box, n_labels, uint32_t), .items = 3, .limit = 15 },
};
static const struct bh_type type_bh_guest_box = { "GuestBox", sizeof(struct bh_guest_box), 2, fields_bh_guest_box };

static const struct bh_field fields_bh_guest_echo_args[] = {
    { BH_ROW("id", struct bh_guest_echo_args, id, int64_t), .kind = BH_KIND_INT, .min = INT64_MIN, .max = (uint64_t)INT64_C(9223372036854775807) },
};
static const struct bh_type type_bh_guest_echo_args = { "guest-echo-args", sizeof(struct bh_guest_echo_args), 1, fields_bh_guest_echo_args };

static const struct bh_field fields_bh_guest_echo_ret[] = {
    { BH_ROW("value", struct bh_guest_echo_ret, value, int64_t), .kind = BH_KIND_INT, .min = INT64_MIN, .max = (uint64_t)INT64_C(9223372036854775807) },
};
static const struct bh_type type_bh_guest_echo_ret = { "guest-echo-ret", sizeof(struct bh_guest_echo_ret), 1, fields_bh_guest_echo_ret };

static const struct bh_field fields_bh_guest_paint_args[] = {
    { BH_ROW("boxes", struct bh_guest_paint_args, boxes, struct bh_guest_box *), .kind = BH_KIND_STRUCT, .flags = BH_FIELD_LIST, .count = BH_AT(struct bh_guest_paint_args, n_boxes, uint32_t), .items = 8, .of.type = &type_bh_guest_box },
    { BH_ROW("colour", struct bh_guest_paint_args, colour, uint8_t), .kind = BH_KIND_ENUM, .flags = BH_FIELD_OPTIONAL, .has = BH_AT(struct bh_guest_paint_args, has_colour, bool), .of.enumeration = &enum_guest_colour },
    { BH_ROW("coats", struct bh_guest_paint_args, coats, int64_t), .kind = BH_KIND_INT, .flags = BH_FIELD_OPTIONAL, .has = BH_AT(struct bh_guest_paint_args, has_coats, bool), .min = INT64_C(1), .max = (uint64_t)INT64_C(9) },
    { BH_ROW("picture", struct bh_guest_paint_args, picture, struct bh_bytes), .kind = BH_KIND_BYTES, .flags = BH_FIELD_BULK, .limit = 1024 },
    { BH_ROW("pin", struct bh_guest_paint_args, pin, struct bh_bytes), .kind = BH_KIND_BYTES, .flags = BH_FIELD_SECRET, .limit = 8 },
};
static const struct bh_type type_bh_guest_paint_args = { "guest-paint-args", sizeof(struct bh_guest_paint_args), 5, fields_bh_guest_paint_args };

static const struct bh_field fields_bh_guest_paint_ret[] = {
    { BH_ROW("sketch", struct bh_guest_paint_ret, sketch, struct bh_bytes), .kind = BH_KIND_BYTES, .flags = BH_FIELD_BULK, .limit = 512 },
    { BH_ROW("done", struct bh_guest_paint_ret, done, bool), .kind = BH_KIND_BOOL },
    { BH_ROW("margin", struct bh_guest_paint_ret, margin, struct bh_bytes), .kind = BH_KIND_BYTES, .flags = BH_FIELD_OPTIONAL | BH_FIELD_BULK, .has = BH_AT(struct bh_guest_paint_ret, has_margin, bool), .limit = 256 },
};
static const struct bh_type type_bh_guest_paint_ret = { "guest-paint-ret", sizeof(struct bh_guest_paint_ret), 3, fields_bh_guest_paint_ret };

const struct bh_type *const bh_wire_types[] = {
    &type_bh_guest_thing,
    &type_bh_guest_box,
    &type_bh_guest_echo_args,
    &type_bh_guest_echo_ret,
    &type_bh_guest_paint_args,
    &type_bh_guest_paint_ret,
};
const unsigned bh_n_wire_types = 6;

const struct bh_command bh_commands[BH_CMD_COUNT] = {
    [BH_CMD_GUEST_ECHO] = {
        .name = "guest-echo",
        .doc = "Echoes a number.",
        .since = "1.0",
        .worker = BH_WORKER_FRONT,
        .flags = BH_COMMAND_FROZEN_OK | BH_COMMAND_SENTINEL,
        .audit = BH_AUDIT_COUNT,
        .served = true,
        .deadline_ms = 1000,
        .reply_max = 64,
        .classes = 1u << BH_CLASS_TALK,
        .args = &type_bh_guest_echo_args,
        .ret = &type_bh_guest_echo_ret,
        .bare = true,
        .bulk_arg = NULL,
        .bulk_ret = { NULL },
    },
    [BH_CMD_GUEST_PAINT] = {
        .name = "guest-paint",
        .doc = "Paints boxes.",
        .since = "1.1",
        .worker = BH_WORKER_BACK,
        .flags = BH_COMMAND_MUTATES,
        .audit = BH_AUDIT_EACH,
        .served = false,
        .deadline_ms = 5000,
        .reply_max = 128,
        .classes = 1u << BH_CLASS_WORK | 1u << BH_CLASS_TALK,
        .args = &type_bh_guest_paint_args,
        .ret = &type_bh_guest_paint_ret,
        .bare = false,
        .bulk_arg = &fields_bh_guest_paint_args[3],
        .bulk_ret = { &fields_bh_guest_paint_ret[0], &fields_bh_guest_paint_ret[2] },
    },
    [BH_CMD_GUEST_LEAVE] = {
        .name = "guest-leave",
        .doc = "Leaves without a word.",
        .since = "1.1",
        .worker = BH_WORKER_BACK,
        .flags = BH_COMMAND_NO_REPLY,
        .audit = BH_AUDIT_OPEN,
        .served = false,
        .deadline_ms = 5000,
        .reply_max = 64,
        .classes = 1u << BH_CLASS_WORK,
        .args = NULL,
        .ret = NULL,
        .bare = false,
        .bulk_arg = NULL,
        .bulk_ret = { NULL },
    },
    [BH_CMD_GUEST_LOOK] = {
        .name = "guest-look",
        .doc = "Looks at a box, one day.",
        .since = "1.2",
        .worker = BH_WORKER_FRONT,
        .flags = 0,
        .audit = BH_AUDIT_COUNT,
        .served = false,
        .deadline_ms = 5000,
        .reply_max = 256,
        .classes = 1u << BH_CLASS_TALK,
        .args = NULL,
        .ret = &type_bh_guest_box,
        .bare = false,
        .bulk_arg = NULL,
        .bulk_ret = { NULL },
    },
};

const char *const bh_worker_names[BH_WORKER_COUNT] = {
    [BH_WORKER_FRONT] = "front",
    [BH_WORKER_BACK] = "back",
};

const char *const bh_class_names[BH_CLASS_COUNT] = {
    [BH_CLASS_TALK] = "@talk",
    [BH_CLASS_WORK] = "@work",
};

const struct bh_code bh_codes[] = {
    { BH_E_BROKEN, "broken", "GenericError", "It broke. Mend it." },
};
const unsigned bh_n_codes = 1;

const struct bh_lifted bh_lifted[] = {
    { "picture", BH_WORKER_BACK, false },
    { "pin", BH_WORKER_BACK, true },
};
const unsigned bh_n_lifted = 2;
