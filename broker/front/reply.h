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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* How far a reply with bulk members is: they come first, in their order. Zeroed at its beginning. */
struct bh_reply_stream {
    uint64_t bytes[BH_BULK_RET_MAX]; /* of each member so far */
    unsigned member;                 /* the one that bytes may come of; later ones may follow */
    bool open;                       /* its string has begun */
    bool any;                        /* a member was written */
    struct bh_base64 base64;
};

/*
 * A reply whose bulk members are streamed: beginning; bytes of the member `which`, never of one before the
 * last one's; end with the other members of `ret`. A bulk member that no bytes came of is left out if it is
 * optional, and else empty.
 */
void bh_reply_open(struct bh_out *out);
void bh_reply_bytes(struct bh_transport *client, struct bh_reply_stream *stream,
                    const struct bh_command *command, unsigned which, const uint8_t *data, size_t len);
void bh_reply_close(struct bh_out *out, struct bh_reply_stream *stream, const struct bh_command *command,
                    const void *ret, struct bh_str id);

/*
 * Fills a zeroed return value for a stream that ended early. A `count` is what came, and `eof` stays false:
 * the client asks again, and learns more. What is fetched once is gone: `exited` is true, and of each bulk
 * member X-data that came X-truncated is.
 */
void bh_reply_shorten(const struct bh_command *command, const struct bh_reply_stream *stream, void *ret);
