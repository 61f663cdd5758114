/* Lists numbered entries, for numbered.h. */
#include "workers/lib/numbered.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "workers/lib/entries.h"
#include "workers/lib/procfile.h"

struct listing {
    const char *word;
    uint32_t max;
    struct bh_arena *arena;
    struct bh_numbers numbers;
};

static int by_number(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* The kernel writes no leading zero. */
static bool number_of(const char *name, const char *word, uint64_t *ret)
{
    size_t len = strlen(word);

    if (strncmp(name, word, len) != 0)
        return false;
    name += len;
    if (name[0] == '0' && name[1] != '\0')
        return false;
    return bh_parse_uint(&name, 10, ret) && *name == '\0';
}

static int take(void *context, const char *name)
{
    struct listing *listing = context;
    struct bh_numbers *numbers = &listing->numbers;
    uint64_t number;

    if (!number_of(name, listing->word, &number))
        return 0;
    if (numbers->n == listing->max)
        return -E2BIG;
    numbers->number = bh_arena_more(listing->arena, numbers->number, numbers->n, sizeof(*numbers->number));
    if (!numbers->number)
        return -ENOMEM;
    numbers->number[numbers->n++] = number;
    return 0;
}

int bh_numbered_list(int dir, const char *word, uint32_t max, struct bh_arena *arena, struct bh_numbers *ret)
{
    struct listing listing = { .word = word, .max = max, .arena = arena };
    int r = bh_entries_each(dir, take, &listing);

    if (r < 0)
        return r;
    if (listing.numbers.n > 1)
        qsort(listing.numbers.number, listing.numbers.n, sizeof(*listing.numbers.number), by_number);
    *ret = listing.numbers;
    return 0;
}
