/*
 * Any bytes into the lexer, whole and in pieces: both must give the same events, and the
 * text of a request must be what json-c's strict parser accepts.
 *
 * The first byte of the input says where the cuts are. Runs of 0xFF are one event when they
 * come in one piece and several otherwise, so only the first of a run counts.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "protocol/base/mem.h"
#include "protocol/json/lexer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct events {
    char *text;
    size_t len;
    FILE *file;
    bool was_reset;
};

static void require(bool truth)
{
    if (!truth)
        abort();
}

static bool lift(void *context, unsigned which, const char *data, size_t len)
{
    struct events *events = context;

    require(which < bh_n_lifted && !memchr(data, 0, len));
    if (len == 0)
        fprintf(events->file, "<%u>", which);
    fwrite(data, 1, len, events->file);
    return true;
}

static void check_span(const struct bh_text *text, struct bh_span span)
{
    require(span.len <= text->len && (span.len == 0 || span.at + span.len <= text->len));
}

static void check_canonical(const struct bh_text *text)
{
    struct json_tokener *tokener = json_tokener_new_ex((int)BH_DEPTH_MAX + 1);
    struct json_object *object;

    require(text->len == strlen(text->text));
    check_span(text, text->id);
    check_span(text, text->arguments);
    check_span(text, text->unknown);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    object = json_tokener_parse_ex(tokener, text->text, (int)text->len + 1);
    /* Integers beyond 64 bits are an error to json-c alone. */
    require(json_tokener_get_error(tokener) == json_tokener_success ||
            json_tokener_get_error(tokener) == json_tokener_error_parse_number);
    json_object_put(object);
    json_tokener_free(tokener);
}

static void note(struct events *events, enum bh_lex_result result, const struct bh_text *text,
                 const struct bh_error *error, bool half)
{
    if (result == BH_LEX_REQUEST) {
        check_canonical(text);
        fprintf(events->file, "R%s %.*s %u,%u %u,%u %u %llx\n", text->text, (int)text->execute.len,
                text->text + text->execute.at, text->id.at, text->id.len, text->arguments.at,
                text->arguments.len, text->members, (unsigned long long)text->lifted);
    } else if (result == BH_LEX_ERROR) {
        fprintf(events->file, "E%d %s\n", error->code, error->text);
    } else if (!events->was_reset) {
        fprintf(events->file, "X%d\n", half);
    }
    events->was_reset = result == BH_LEX_RESET;
}

static void feed(struct bh_lexer *lexer, struct events *events, const char *data, size_t len)
{
    enum bh_lex_result result;
    struct bh_error error;
    struct bh_text text;
    unsigned stuck = 0;
    size_t eaten;
    bool half = false;

    while ((result = bh_lexer_feed(lexer, data, len, &eaten, &text, &error, &half)) != BH_LEX_MORE) {
        require(eaten <= len && (eaten > 0 || ++stuck < 3));
        if (eaten > 0)
            stuck = 0;
        events->was_reset &= eaten > 0 && (uint8_t)data[0] >= 0xfe;
        note(events, result, &text, &error, half);
        data += eaten;
        len -= eaten;
    }
    require(eaten == len);
    if (len > 0)
        events->was_reset = false;
}

/* Feeds pieces of `piece` bytes, each in memory of its own so that reading beyond it is seen. */
static char *play(const char *data, size_t len, size_t piece)
{
    struct events events = { 0 };
    struct bh_lexer *lexer = bh_lexer_new(lift, &events);
    size_t part;

    events.file = open_memstream(&events.text, &events.len);
    require(lexer && events.file);
    for (; len > 0; len -= part) {
        char *copy;

        part = len < piece ? len : piece;
        copy = malloc(part);
        require(copy);
        memcpy(copy, data, part);
        feed(lexer, &events, copy, part);
        free(copy);
        data += part;
    }
    bh_lexer_free(lexer);
    fclose(events.file);
    return events.text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *whole = NULL, *pieces = NULL;

    if (size < 1)
        return 0;
    whole = play((const char *)data + 1, size - 1, size);
    pieces = play((const char *)data + 1, size - 1, 1 + data[0] % 67);
    require(strcmp(whole, pieces) == 0);
    return 0;
}
