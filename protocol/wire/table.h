/*
 * The shape of every message, as const tables that the generator writes from
 * protocol/schema.json. One interpreter per direction reads them (codec.h for the
 * wire, json/convert.h for JSON): there is no code per message.
 *
 * Invariants: a row's member type is checked by the compiler (the BH_ROW macros
 * of the generated file); lists, strings and integers always have a bound.
 *
 * Trust: in = CHECKED (built from the schema); out = CHECKED; called by = every process
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum bh_kind {
    BH_KIND_BOOL,   /* bool */
    BH_KIND_INT,    /* int64_t, min..max */
    BH_KIND_UINT,   /* uint64_t, 0..max; JSON accepts -2^63..-1 too, reinterpreted (upstream does) */
    BH_KIND_NUMBER, /* double, finite */
    BH_KIND_STR,    /* struct bh_str, at most `limit` bytes */
    BH_KIND_BYTES,  /* struct bh_bytes, at most `limit` bytes; base64 in JSON */
    BH_KIND_ENUM,   /* uint8_t, index into `of.enumeration->values` */
    BH_KIND_STRUCT, /* embedded struct of `of.type` */
};

enum bh_field_flag {
    BH_FIELD_OPTIONAL = 1 << 0, /* has a `bool has_<member>` */
    BH_FIELD_LIST = 1 << 1,     /* `T *<member>; uint32_t n_<member>`, at most `items` */
    BH_FIELD_BULK = 1 << 2,     /* argument: arrives before the call as STAGE frames; return: streamed as DATA
                                   frames. In the codec's bytes stands at most whether it is there */
    BH_FIELD_SECRET = 1 << 3,   /* never logged, never in json-c, wiped after use */
};

/* Other JSON spellings of an enum value (aliases): `"rb"` for r, `true` for separated, `0` for set. */
struct bh_alias {
    const char *literal; /* JSON text: "\"rb\"", "true", "0" */
    uint8_t value;
};

struct bh_enumeration {
    const char *name;          /* "GuestFileMode" */
    const char *const *values; /* canonical names, by index */
    const struct bh_alias *aliases;
    uint8_t n_values, n_aliases;
};

struct bh_field {
    const char *name; /* JSON member: "buf-b64" */
    uint8_t kind;     /* enum bh_kind */
    uint8_t flags;    /* enum bh_field_flag */
    uint32_t offset;  /* of the member (of the pointer, for a list) */
    uint32_t has;     /* offset of has_<member>, if optional */
    uint32_t count;   /* offset of n_<member>, if a list */
    uint32_t limit;   /* strings, bytes: the most bytes of one */
    uint32_t items;   /* lists: the most elements */
    int64_t min;      /* INT */
    uint64_t max;     /* INT (as int64_t), UINT */
    union {
        const struct bh_enumeration *enumeration;
        const struct bh_type *type;
    } of;
};

struct bh_type {
    const char *name; /* "GuestFileRead" */
    uint32_t size;    /* sizeof the struct */
    uint32_t n_fields;
    const struct bh_field *fields;
};

enum bh_command_flag {
    BH_COMMAND_FROZEN_OK = 1 << 0, /* answered while file systems are frozen */
    BH_COMMAND_NO_REPLY = 1 << 1,  /* success is silent (guest-info: success-response false) */
    BH_COMMAND_MUTATES = 1 << 2,   /* changes the guest: its audit record must be queued before it acts */
    BH_COMMAND_SENTINEL = 1 << 3,  /* its reply is preceded by one 0xFF byte */
};

/* How a command is recorded; a refusal always is, singly. */
enum bh_audit_mode {
    BH_AUDIT_EACH,  /* each one: before it is done if it changes the guest, and what came of it */
    BH_AUDIT_OPEN,  /* with the handle that it works on: summed, and told when that is closed */
    BH_AUDIT_COUNT, /* counted: one summary a minute */
};

#define BH_BULK_RET_MAX 2u /* members that one command may return in pieces */

/* One command. The index in bh_commands[] is its number on the wire and in a policy (enum bh_command_id). */
struct bh_command {
    const char *name;
    const char *doc;                 /* one line */
    const char *since;               /* upstream version that introduced it */
    uint8_t worker;                  /* enum bh_worker_id */
    uint8_t flags;                   /* enum bh_command_flag */
    uint8_t audit;                   /* enum bh_audit_mode */
    bool served;                     /* this build has its worker: it is listed by guest-info */
    uint32_t deadline_ms;            /* without progress of the worker, the request fails */
    uint32_t reply_max;              /* bytes of an encoded reply without its bulk */
    uint32_t classes;                /* bit per enum bh_class_id */
    const struct bh_type *args;      /* NULL: takes none */
    const struct bh_type *ret;       /* NULL: answers {} */
    bool bare;                       /* ret has one member and is answered without its braces */
    const struct bh_field *bulk_arg; /* the one bulk argument, or NULL */
    const struct bh_field
        *bulk_ret[BH_BULK_RET_MAX]; /* the bulk return members in their order; NULL: no more */
};

/*
 * The generated header protocol/commands.h declares, from protocol/schema.json:
 *   enum bh_command_id { BH_CMD_GUEST_SYNC, ..., BH_CMD_COUNT };      order of the schema
 *   enum bh_worker_id  { BH_WORKER_FRONT, BH_WORKER_INFO, ..., BH_WORKER_COUNT };
 *   enum bh_class_id   { BH_CLASS_SYNC, ..., BH_CLASS_COUNT };
 *   extern const struct bh_command bh_commands[BH_CMD_COUNT];
 *   extern const char *const bh_worker_names[], *const bh_class_names[];   "fs", "@file-read"
 *   #define BH_SCHEMA_HASH 0x........u      first 32 bits of the SHA-256 of the schema file
 *   #define BH_PROTOCOL_LEVEL "10.2.0"
 *   int bh_command_find(const char *name, size_t len);   index or -1
 */
