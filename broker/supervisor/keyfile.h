/*
 * The grammar of qemu-ga.conf, which is GLib's key files as far as qemu-ga reads them:
 * lines of comments (#), groups ([name]) and key=value. Nothing here knows what a key means.
 *
 * Bytes in, entries out: no file, no allocation. Columns count bytes from 1.
 *
 * Trust: in = CONFIG (root's file, still not believed to be well-formed); out = CHECKED;
 *        called by = supervisor, bulkheadctl policy migrate
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define BH_KEYFILE_BYTES_MAX 65536u

/* Pointers into the text that was parsed. */
struct bh_keyfile_entry {
    const char *group, *key;
    char *value; /* without the white space before it; escapes stand as they were written */
    unsigned line, column;
};

struct bh_keyfile_error {
    unsigned line, column;
    const char *what; /* follows "FILE:LINE:COLUMN: " */
};

/*
 * Tells every entry of `text`, which has a NUL behind its `len` bytes and is cut into strings. Of entries
 * with the same group and key the last one counts. 0, or -EINVAL with the first error.
 */
int bh_keyfile_parse(char *text, size_t len,
                     void (*take)(void *context, const struct bh_keyfile_entry *entry), void *context,
                     struct bh_keyfile_error *ret);

/* The value as a string: undoes \s \n \t \r \\ in place. 0, or -EINVAL: another escape, or no UTF-8. */
int bh_keyfile_string(const struct bh_keyfile_entry *entry, struct bh_keyfile_error *ret);

/* The value as true, false, 1 or 0. 0 or -EINVAL. */
int bh_keyfile_boolean(const struct bh_keyfile_entry *entry, bool *ret, struct bh_keyfile_error *ret_error);

/* Writes a line that is read back as the same key and value. */
void bh_keyfile_print(FILE *out, const char *key, const char *value);
