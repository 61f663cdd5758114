/*
 * Any bytes as a configuration file: refused with a place inside it, or entries whose values,
 * printed, are read back as they were.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/supervisor/keyfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
    if (!truth)
        abort();
}

static void require_place(const struct bh_keyfile_error *error, size_t size)
{
    require(error->line >= 1 && error->line <= size + 1);
    require(error->column >= 1 && error->column <= size + 1);
    require(error->what != NULL);
}

struct again {
    const char *value;
    unsigned count;
};

static void compare(void *context, const struct bh_keyfile_entry *entry)
{
    struct again *again = context;
    struct bh_keyfile_error error;

    require(!strcmp(entry->group, "g") && !strcmp(entry->key, "k"));
    require(bh_keyfile_string(entry, &error) == 0 && !strcmp(entry->value, again->value));
    again->count++;
}

static void print_and_read(const char *value)
{
    struct again again = { value, 0 };
    struct bh_keyfile_error error;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    require(out != NULL);
    fputs("[g]\n", out);
    bh_keyfile_print(out, "k", value);
    require(fclose(out) == 0);
    require(bh_keyfile_parse(text, size, compare, &again, &error) == 0 && again.count == 1);
    free(text);
}

static void take(void *context, const struct bh_keyfile_entry *entry)
{
    const size_t *size = context;
    struct bh_keyfile_error error;
    bool truth;

    require(*entry->key && *entry->group);
    if (bh_keyfile_boolean(entry, &truth, &error) < 0)
        require_place(&error, *size);
    if (bh_keyfile_string(entry, &error) < 0)
        require_place(&error, *size);
    else
        print_and_read(entry->value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bh_keyfile_error error;
    char *text = malloc(size + 1);

    require(text != NULL);
    memcpy(text, data, size);
    text[size] = '\0';
    if (bh_keyfile_parse(text, size, take, &size, &error) < 0)
        require_place(&error, size);
    free(text);
    return 0;
}
