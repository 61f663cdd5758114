/*
 * What the client reads: one line per reply, written from the tables.
 *
 * Member order and separators are the protocol's: `{"return": V, "id": I}`, and
 * `{"id": I, "error": {"class": C, "desc": D}}`.
 *
 * Trust: in = CHECKED (decoded values, ids that the lexer made canonical); out = text
 *        for HOST; called by = front
 */
#pragma once

#include "protocol/base/arena.h"
#include "protocol/base/err.h"
#include "protocol/json/base64.h"
#include "protocol/json/convert.h"
#include "protocol/wire/table.h"

struct bh_transport;

/* `id`: canonical text, len 0 = none. */
void bh_reply_error(struct bh_out *out, const struct bh_error *error, struct bh_str id);

/* A whole reply. If it is too large for the output, an error stands in its place. */
void bh_reply_value(struct bh_out *out, const struct bh_command *command, const void *ret, struct bh_str id);

/* A reply whose first member is streamed: beginning, bytes, end with the other members of `ret`. */
void bh_reply_open(struct bh_out *out, const struct bh_command *command);
void bh_reply_bytes(struct bh_transport *client, struct bh_base64 *base64, const uint8_t *data, size_t len);
void bh_reply_close(struct bh_out *out, struct bh_base64 *base64, const struct bh_command *command,
                    const void *ret, struct bh_str id);

/*
 * Sets the member `count` of a zeroed return value, for a stream that ended early: its other members say that
 * there may be more.
 */
void bh_reply_set_count(const struct bh_command *command, void *ret, uint64_t count);
