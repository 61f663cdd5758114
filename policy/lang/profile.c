/*
 * Finding a shipped profile by its name. Apart from the compiler, so that the supervisor, which needs only
 * this, links no parser.
 */
#include <string.h>

#include "policy/lang/lang.h"

const struct bh_profile_text *bh_profile_find(const struct bh_profile_text *profiles, size_t n,
                                              const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(profiles[i].name, name) == 0)
            return &profiles[i];
    return NULL;
}
