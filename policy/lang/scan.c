/* The scanner of scan.h. */
#include "policy/lang/scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "protocol/wire/utf8.h"

#define MESSAGE_MAX 1024

void bh_report(struct bh_diags *diags, enum bh_severity severity, struct bh_pos pos, const char *format, ...)
{
    char text[MESSAGE_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    bh_diag_add(diags, severity, pos.file, pos.line, pos.column,
                bh_arena_str(diags->arena, text, strlen(text)));
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_./@:+=%-", c));
}

static void advance(struct bh_scan *scan)
{
    unsigned char c = (unsigned char)scan->text[scan->at++];

    if (c == '\n') {
        scan->pos.line++;
        scan->pos.column = 1;
    } else if ((scan->at < scan->len ? (unsigned char)scan->text[scan->at] & 0xc0 : 0) != 0x80) {
        scan->pos.column++;
    }
}

bool bh_scan_begin(struct bh_scan *scan, struct bh_diags *diags, struct bh_str file, struct bh_str text)
{
    *scan = (struct bh_scan){ .diags = diags, .text = text.ptr, .len = text.len, .pos = { file, 1, 1 } };
    if (text.len > BH_POLICY_FILE_MAX) {
        bh_error_at(diags, scan->pos, "the file has %u bytes, and %u are the most: split it into drop-ins",
                    text.len, BH_POLICY_FILE_MAX);
        return false;
    }
    if (text.len > 0 && !bh_utf8_valid(text.ptr, text.len)) {
        bh_error_at(diags, scan->pos, "the file is not UTF-8 text: save it as UTF-8");
        return false;
    }
    for (; scan->at < scan->len; advance(scan)) {
        unsigned char c = (unsigned char)text.ptr[scan->at];

        if ((c >= ' ' && c != 0x7f) || c == '\n' || c == '\t')
            continue;
        bh_error_at(diags, scan->pos, "a control character (code %u) stands here: %s", c,
                    c == '\r' ? "save the file with Unix line ends" : "remove it");
        return false;
    }
    scan->at = 0;
    scan->pos = (struct bh_pos){ file, 1, 1 };
    return true;
}

static void skip_blank(struct bh_scan *scan)
{
    bool comment = false;

    while (scan->at < scan->len && scan->text[scan->at] != '\n') {
        char c = scan->text[scan->at];

        comment = comment || c == '#';
        if (!comment && c != ' ' && c != '\t')
            return;
        advance(scan);
    }
}

static void scan_word(struct bh_scan *scan, struct bh_token *token)
{
    size_t start = scan->at;

    while (scan->at < scan->len && is_word(scan->text[scan->at]))
        advance(scan);
    token->kind = BH_TOKEN_WORD;
    token->text = bh_arena_str(scan->diags->arena, scan->text + start, scan->at - start);
    if (!token->text.ptr || token->text.len > BH_POLICY_STRING_MAX) {
        bh_error_at(scan->diags, token->pos, "this word is too long: %u bytes are the most",
                    BH_POLICY_STRING_MAX);
        token->kind = BH_TOKEN_BAD;
    }
}

/* The bytes up to the closing quote, escapes undone. Returns why not, or NULL. */
static const char *scan_string_bytes(struct bh_scan *scan, char *out, size_t *len)
{
    while (scan->at < scan->len && scan->text[scan->at] != '\n') {
        char c = scan->text[scan->at];

        advance(scan);
        if (c == '"')
            return NULL;
        if (c == '\\') {
            c = scan->at < scan->len ? scan->text[scan->at] : '\n';
            if (c != '"' && c != '\\')
                return "only \\\" and \\\\ may follow a backslash: write \\\\ for a backslash";
            advance(scan);
        }
        if (*len == BH_POLICY_STRING_MAX)
            return "this string is too long: 4095 bytes are the most";
        out[(*len)++] = c;
    }
    return "this string does not end on its line: close it with a quote";
}

static void scan_string(struct bh_scan *scan, struct bh_token *token)
{
    char bytes[BH_POLICY_STRING_MAX];
    const char *fails;
    size_t len = 0;

    advance(scan);
    fails = scan_string_bytes(scan, bytes, &len);
    token->kind = BH_TOKEN_STRING;
    token->text = bh_arena_str(scan->diags->arena, bytes, len);
    if (!fails && !token->text.ptr)
        fails = "the policy takes more memory than a policy may";
    if (fails) {
        bh_error_at(scan->diags, token->pos, "%s", fails);
        token->kind = BH_TOKEN_BAD;
    }
}

static void scan_mark(struct bh_scan *scan, struct bh_token *token)
{
    static const char marks[] = "\n,{}";
    static const enum bh_token_kind kinds[] = { BH_TOKEN_LINE, BH_TOKEN_COMMA, BH_TOKEN_OPEN,
                                                BH_TOKEN_CLOSE };
    const char *mark = strchr(marks, scan->text[scan->at]);

    if (mark) {
        token->kind = kinds[mark - marks];
    } else {
        bh_error_at(scan->diags, token->pos,
                    "this character has no meaning here: put it into a string or remove it");
        token->kind = BH_TOKEN_BAD;
    }
    do
        advance(scan);
    while (scan->at < scan->len && ((unsigned char)scan->text[scan->at] & 0xc0) == 0x80);
}

struct bh_token bh_scan_next(struct bh_scan *scan)
{
    struct bh_token token = { .kind = BH_TOKEN_END, .text = BH_STR("") };

    skip_blank(scan);
    token.pos = scan->pos;
    if (scan->at == scan->len)
        return token;
    if (is_word(scan->text[scan->at]))
        scan_word(scan, &token);
    else if (scan->text[scan->at] == '"')
        scan_string(scan, &token);
    else
        scan_mark(scan, &token);
    return token;
}
