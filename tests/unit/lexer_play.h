/*
 * Feeding the lexer and writing down what comes out of it, for test-lexer.c.
 *
 * Trust: in = CHECKED (cases); out = CHECKED; called by = test-lexer.c
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "protocol/base/mem.h"
#include "protocol/codes.h"
#include "protocol/json/lexer.h"

/* What happened, as text: R = request, E = error, X = reset, and what was lifted between < and >. */
struct transcript {
    char *text;
    size_t len;
    FILE *file;
};

static bool lift(void *context, unsigned which, const char *data, size_t len)
{
    struct transcript *t = context;

    if (len == 0)
        fprintf(t->file, "<%s>", bh_lifted[which].name);
    fwrite(data, 1, len, t->file);
    return true;
}

static void note_span(FILE *file, const char *name, const struct bh_text *text, struct bh_span span)
{
    if (span.len)
        fprintf(file, " %s=%.*s", name, (int)span.len, text->text + span.at);
}

static void note_request(FILE *file, const struct bh_text *text)
{
    assert_int_equal(strlen(text->text), text->len);
    fprintf(file, "R %s", text->text);
    note_span(file, "execute", text, text->execute);
    note_span(file, "id", text, text->id);
    note_span(file, "arguments", text, text->arguments);
    note_span(file, "unknown", text, text->unknown);
    fprintf(file, " %s%s%s%s%s%s members=%u lifted=%llu\n", text->is_object ? "O" : "",
            text->has_execute ? "E" : "", text->execute_is_string ? "s" : "", text->has_id ? "I" : "",
            text->has_arguments ? "A" : "", text->repeated ? "r" : "", text->members,
            (unsigned long long)text->lifted);
}

static void feed(struct bh_lexer *lexer, struct transcript *t, const char *data, size_t len)
{
    struct bh_error error;
    struct bh_text text;
    size_t eaten;
    bool half;

    for (;;) {
        switch (bh_lexer_feed(lexer, data, len, &eaten, &text, &error, &half)) {
        case BH_LEX_MORE:
            assert_int_equal(eaten, len);
            return;
        case BH_LEX_REQUEST:
            note_request(t->file, &text);
            assert_true(bh_lexer_idle(lexer));
            break;
        case BH_LEX_ERROR:
            fprintf(t->file, "E%d %s\n", error.code, error.text);
            assert_false(bh_lexer_idle(lexer));
            break;
        case BH_LEX_RESET:
            fprintf(t->file, "X%d\n", half);
            assert_true(bh_lexer_idle(lexer));
            break;
        }
        assert_true(eaten <= len);
        data += eaten;
        len -= eaten;
    }
}

/* Feeds [0, cut) and [cut, len), or byte by byte if cut > len; the caller frees the text. */
static char *play(const char *data, size_t len, size_t cut, bool lifting)
{
    struct transcript t = { 0 };
    struct bh_lexer *lexer;
    size_t i;

    t.file = open_memstream(&t.text, &t.len);
    assert_non_null(t.file);
    lexer = bh_lexer_new(lifting ? lift : NULL, &t);
    assert_non_null(lexer);
    if (cut <= len) {
        feed(lexer, &t, data, cut);
        feed(lexer, &t, data + cut, len - cut);
    } else {
        for (i = 0; i < len; i++)
            feed(lexer, &t, data + i, 1);
    }
    bh_lexer_free(lexer);
    fclose(t.file);
    return t.text;
}

/* However it is cut, runs of 0xFF apart, the transcript is that of the whole. */
static void check_cuts(const char *data, size_t len)
{
    _cleanup_free_ char *whole = play(data, len, len, true);
    _cleanup_free_ char *bytes = play(data, len, len + 1, true);
    size_t cut;

    assert_string_equal(bytes, whole);
    for (cut = 0; cut < len; cut++) {
        _cleanup_free_ char *cuts = play(data, len, cut, true);

        assert_string_equal(cuts, whole);
    }
}

/* The canonical text of an accepted value, wrapped in an array so that it needs no following byte. */
static void check_value(const char *value, const char *canonical)
{
    _cleanup_free_ char *input = NULL, *expected = NULL, *got = NULL;

    assert_true(asprintf(&input, "[%s]", value) > 0);
    assert_true(asprintf(&expected, "R [%s]  members=0 lifted=0\n", canonical) > 0);
    got = play(input, strlen(input), strlen(input), true);
    assert_string_equal(got, expected);
    check_cuts(input, strlen(input));
}

/* One error of that code, then the next line is read as if nothing had been. */
static void check_refused(const char *text, size_t len, int code)
{
    _cleanup_free_ char *input = malloc(len + 16), *got = NULL;
    char *line;

    assert_non_null(input);
    memcpy(input, text, len);
    memcpy(input + len, " ]}\"',\n[1]", 11);
    got = play(input, len + 10, len + 10, true);
    assert_int_equal(got[0], 'E');
    assert_int_equal(atoi(got + 1), code);
    line = strchr(got, '\n');
    assert_non_null(line);
    assert_string_equal(line + 1, "R [1]  members=0 lifted=0\n");
    check_cuts(input, len + 10);
}
