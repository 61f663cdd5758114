/* Can two file rules match one request? Exact for paths, as patterns.h says. */
#include <string.h>

#include "policy/lang/model.h"

static bool some_paths_meet(const struct bh_rule_line *a, const struct bh_rule_line *b)
{
    if (!a->paths || !b->paths)
        return true;
    for (const struct bh_path_line *pa = a->paths; pa; pa = pa->next)
        for (const struct bh_path_line *pb = b->paths; pb; pb = pb->next)
            if (bh_patterns_meet(bh_line_pattern(pa), bh_line_pattern(pb)))
                return true;
    return false;
}

static bool says_otherwise(const struct bh_setting_row *row, const struct bh_rule_line *a,
                           const struct bh_rule_line *b)
{
    return row->type == BH_TYPE_USER ? !bh_rules_same_user(a, b)
                                     : a->values[row->slot] != b->values[row->slot];
}

const char *bh_rules_conflict(const struct bh_rule_line *a, uint16_t a_verbs, const struct bh_rule_line *b,
                              uint16_t b_verbs)
{
    uint16_t both = a_verbs & b_verbs;

    for (unsigned i = 0; both && i < bh_n_settings; i++) {
        const struct bh_setting_row *row = &bh_settings[i];

        if (row->domain != BH_DOMAIN_FILE || row->merge != BH_MERGE_AGREE ||
            (row->verbs && !(row->verbs & both)))
            continue;
        if (says_otherwise(row, a, b))
            return some_paths_meet(a, b) ? row->name : NULL;
    }
    return NULL;
}
