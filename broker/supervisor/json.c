/* The pieces of json.h, written to a stream. */
#include "broker/supervisor/json.h"

#include <string.h>

#include "protocol/wire/utf8.h"

void bh_json_string(FILE *out, const char *text, size_t len)
{
    fputc('"', out);
    for (size_t i = 0; i < len;) {
        uint32_t character;
        unsigned n = bh_utf8_decode(text + i, len - i, &character);

        if (n == 0)
            fputc('?', out);
        else if (character == '"' || character == '\\')
            fprintf(out, "\\%c", (int)character);
        else if (character < 0x20 || character == 0x7f)
            fprintf(out, "\\u%04x", character);
        else
            (void)fwrite(text + i, 1, n, out);
        i += n ? n : 1;
    }
    fputc('"', out);
}

void bh_json_text(FILE *out, const char *text)
{
    bh_json_string(out, text, strlen(text));
}

void bh_json_member(FILE *out, const char *name, const char *value)
{
    fprintf(out, "\"%s\": ", name);
    bh_json_text(out, value);
    fputs(", ", out);
}
