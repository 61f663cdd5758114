/*
 * Step 6 of a request (reply.h): struct or error to JSON, and the suffix by which an error is
 * found again: its code and the number of its audit record. Errors of a request's form carry
 * none: clients compare their texts.
 */
#include "broker/front/reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/front/transport.h"
#include "protocol/codes.h"

#define FIRST_SUFFIXED 1200u /* codes below are about the form of a request */
#define DESC_MAX (BH_ERROR_TEXT_MAX + 96)

static void put(struct bh_out *out, const char *text)
{
    bh_out_raw(out, text, strlen(text));
}

static void put_id(struct bh_out *out, struct bh_str id)
{
    put(out, "\"id\": ");
    bh_out_raw(out, id.ptr, id.len);
}

static void describe(const struct bh_error *error, char desc[DESC_MAX])
{
    const char *allowed = error->code == BH_E_KERNEL ? "allowed by policy; " : "";

    if (error->code < FIRST_SUFFIXED)
        (void)snprintf(desc, DESC_MAX, "%s", error->text);
    else if (error->record == 0)
        (void)snprintf(desc, DESC_MAX, "%s (%sBH%u)", error->text, allowed, error->code);
    else
        (void)snprintf(desc, DESC_MAX, "%s (%sBH%u, record %" PRIu64 ")", error->text, allowed, error->code,
                       error->record);
}

void bh_reply_error(struct bh_out *out, const struct bh_error *error, struct bh_str id)
{
    const struct bh_code *code = bh_code_find(error->code);
    char desc[DESC_MAX];

    describe(error, desc);
    put(out, "{");
    if (id.len) {
        put_id(out, id);
        put(out, ", ");
    }
    put(out, "\"error\": {\"class\": \"");
    put(out, code ? code->class : "GenericError");
    put(out, "\", \"desc\": ");
    bh_out_string(out, desc, strlen(desc));
    put(out, "}}\n");
}

static void end_line(struct bh_out *out, struct bh_str id)
{
    if (id.len) {
        put(out, ", ");
        put_id(out, id);
    }
    put(out, "}\n");
}

static void replace_with_error(struct bh_out *out, size_t start, struct bh_str id)
{
    struct bh_error error;

    out->failed = false;
    out->len = start;
    (void)bh_fail(&error, BH_E_REPLY_TOO_LARGE, "the answer is larger than a reply may be");
    bh_reply_error(out, &error, id);
}

void bh_reply_value(struct bh_out *out, const struct bh_command *command, const void *ret, struct bh_str id)
{
    size_t start = out->len;

    if (command->flags & BH_COMMAND_SENTINEL)
        put(out, "\xff");
    if (command->bulk_ret[0]) {
        struct bh_reply_stream nothing = { 0 };

        bh_reply_open(out);
        bh_reply_close(out, &nothing, command, ret, id);
    } else {
        put(out, "{\"return\": ");
        if (command->ret)
            bh_struct_to_json(command->ret, ret, command->bare, out);
        else
            put(out, "{}");
        end_line(out, id);
    }
    if (out->failed)
        replace_with_error(out, start, id);
}

void bh_reply_open(struct bh_out *out)
{
    put(out, "{\"return\": {");
}

static void begin_member(struct bh_out *out, struct bh_reply_stream *stream, const struct bh_field *field)
{
    put(out, stream->any ? ", \"" : "\"");
    put(out, field->name);
    put(out, "\": \"");
    stream->any = stream->open = true;
    stream->base64 = (struct bh_base64){ 0 };
}

static void end_member(struct bh_out *out, struct bh_reply_stream *stream)
{
    char last[BH_BASE64_ENCODED_MAX(0)];

    bh_out_raw(out, last, bh_base64_encode_end(&stream->base64, last));
    put(out, "\"");
    stream->open = false;
    stream->member++;
}

/* Is done with the members before `which`. */
static void advance(struct bh_out *out, struct bh_reply_stream *stream, const struct bh_command *command,
                    unsigned which)
{
    while (stream->member < which && command->bulk_ret[stream->member]) {
        const struct bh_field *field = command->bulk_ret[stream->member];

        if (!stream->open && (field->flags & BH_FIELD_OPTIONAL)) {
            stream->member++;
            continue;
        }
        if (!stream->open)
            begin_member(out, stream, field);
        end_member(out, stream);
    }
}

void bh_reply_bytes(struct bh_transport *client, struct bh_reply_stream *stream,
                    const struct bh_command *command, unsigned which, const uint8_t *data, size_t len)
{
    char *room;

    advance(&client->out, stream, command, which);
    if (!stream->open)
        begin_member(&client->out, stream, command->bulk_ret[which]);
    stream->bytes[which] += len;
    room = bh_transport_room(client, BH_BASE64_ENCODED_MAX(len));
    if (room)
        client->out.len += bh_base64_encode(&stream->base64, data, len, room);
    else
        client->out.failed = true;
}

void bh_reply_close(struct bh_out *out, struct bh_reply_stream *stream, const struct bh_command *command,
                    const void *ret, struct bh_str id)
{
    advance(out, stream, command, BH_BULK_RET_MAX);
    bh_members_to_json(command->ret, ret, !stream->any, out);
    put(out, "}");
    end_line(out, id);
}

/* True if `field` is the X-truncated of a member X-data that came. */
static bool tells_cut(const struct bh_field *field, const struct bh_command *command,
                      const struct bh_reply_stream *stream)
{
    for (unsigned i = 0; i < BH_BULK_RET_MAX; i++) {
        const char *bulk = command->bulk_ret[i] ? command->bulk_ret[i]->name : "";
        size_t stem = strcspn(bulk, "-") + 1;

        if (stream->bytes[i] > 0 && strcmp(bulk + stem - 1, "-data") == 0 &&
            strncmp(field->name, bulk, stem) == 0 && strcmp(field->name + stem, "truncated") == 0)
            return true;
    }
    return false;
}

void bh_reply_shorten(const struct bh_command *command, const struct bh_reply_stream *stream, void *ret)
{
    char *base = ret;

    for (uint32_t i = 0; i < command->ret->n_fields; i++) {
        const struct bh_field *field = &command->ret->fields[i];
        bool cut = field->kind == BH_KIND_BOOL && tells_cut(field, command, stream);

        if (field->kind == BH_KIND_INT && strcmp(field->name, "count") == 0)
            *(int64_t *)(void *)(base + field->offset) = (int64_t)stream->bytes[0];
        if (cut || (field->kind == BH_KIND_BOOL && strcmp(field->name, "exited") == 0))
            *(bool *)(void *)(base + field->offset) = true;
        if (cut && (field->flags & BH_FIELD_OPTIONAL))
            *(bool *)(void *)(base + field->has) = true;
    }
}
