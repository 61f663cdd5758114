/* Generated from protocol/schema.json: the numbers of commands, workers and classes. Do not edit. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "protocol/wire/table.h"

#define BH_PROTOCOL_LEVEL "1.2.3"
#define BH_SCHEMA_HASH 0x032dab30u

enum bh_command_id {
    BH_CMD_GUEST_ECHO,
    BH_CMD_GUEST_PAINT,
    BH_CMD_GUEST_LEAVE,
    BH_CMD_GUEST_LOOK,
    BH_CMD_COUNT,
};

enum bh_worker_id {
    BH_WORKER_FRONT,
    BH_WORKER_BACK,
    BH_WORKER_COUNT,
};

enum bh_class_id {
    BH_CLASS_TALK,
    BH_CLASS_WORK,
    BH_CLASS_COUNT,
};

extern const struct bh_command bh_commands[BH_CMD_COUNT];
extern const char *const bh_worker_names[BH_WORKER_COUNT];
extern const char *const bh_class_names[BH_CLASS_COUNT];

/* Every type that goes over the wire; tests and fuzzers walk it. */
extern const struct bh_type *const bh_wire_types[];
extern const unsigned bh_n_wire_types;

/* Index of the command of that name, or -1. */
int bh_command_find(const char *name, size_t len);

/* Is it one of our own, of class @extension and no other? qemu-ga has none, so it is shown only where it is granted. */
bool bh_command_is_extension(unsigned command);
