/* One rule, why it matched or not, and what it chooses among, for telling.h. */
#include "broker/ctl/telling.h"

#include <stdio.h>

static const char *const kinds[] = { "is", "beneath", "glob" };

/* What the rule lists, if it chooses. */
static void print_names(const struct bh_policy *policy, const struct bh_rule *rule)
{
    if (rule->n_names > 0)
        printf("        it %s", rule->effect == BH_EFFECT_ALLOW ? "shows" : "hides");
    for (uint32_t i = 0; i < rule->n_names; i++)
        printf(" \"%s\"", bh_policy_string(policy, policy->names[rule->first_name + i].text));
    if (rule->n_names > 0)
        putchar('\n');
}

/* What it says of mounts, one path a line. */
static void print_mounts(const struct bh_policy *policy, const struct bh_rule *rule)
{
    const char *const says[] = { rule->effect == BH_EFFECT_ALLOW ? "covers" : "strikes", "excludes",
                                 "requires" };

    for (uint32_t i = 0; i < rule->n_paths && !rule->has_object; i++) {
        const struct bh_path *path = &policy->paths[rule->first_path + i];

        printf("        it %s: %s \"%s\"\n", says[path->use], kinds[path->kind],
               bh_policy_string(policy, path->text));
    }
}

static struct json_object *names_of(const struct bh_policy *policy, const struct bh_rule *rule)
{
    struct json_object *names = json_object_new_array();

    for (uint32_t i = 0; i < rule->n_names; i++)
        json_object_array_add(names, json_object_new_string(
                                         bh_policy_string(policy, policy->names[rule->first_name + i].text)));
    return names;
}

/* "mounts": [ "beneath /data", ... ], and the other uses that there are. */
static void add_mounts(struct json_object *row, const struct bh_policy *policy, const struct bh_rule *rule)
{
    static const char *const uses[] = { "mounts", "excluded", "required" };

    for (uint32_t i = 0; i < rule->n_paths && !rule->has_object; i++) {
        const struct bh_path *path = &policy->paths[rule->first_path + i];
        char text[BH_POLICY_PATH_MAX + 16];
        struct json_object *list;

        if (!json_object_object_get_ex(row, uses[path->use], &list)) {
            list = json_object_new_array();
            json_object_object_add(row, uses[path->use], list);
        }
        (void)snprintf(text, sizeof(text), "%s %s", kinds[path->kind], bh_policy_string(policy, path->text));
        json_object_array_add(list, json_object_new_string(text));
    }
}

static struct json_object *as_json(const struct bh_policy *policy, const struct bh_rule *rule, bool matched,
                                   const char *why)
{
    struct json_object *row = json_object_new_object();

    json_object_object_add(row, "rule", json_object_new_string(bh_policy_string(policy, rule->name)));
    json_object_object_add(row, "effect",
                           json_object_new_string(rule->effect == BH_EFFECT_ALLOW ? "allow" : "deny"));
    json_object_object_add(row, "file", json_object_new_string(bh_policy_string(policy, rule->file)));
    json_object_object_add(row, "line", json_object_new_int64(rule->line));
    json_object_object_add(row, "matched", json_object_new_boolean(matched));
    json_object_object_add(row, "why", json_object_new_string(why));
    if (rule->n_names > 0)
        json_object_object_add(row, "names", names_of(policy, rule));
    add_mounts(row, policy, rule);
    return row;
}

void ctl_tell_rule(void *context, uint32_t number, bool matched, const char *why)
{
    struct ctl_telling *telling = context;
    const struct bh_policy *policy = telling->policy;
    const struct bh_rule *rule = &policy->rules[number];

    telling->n++;
    if (telling->tried) {
        json_object_array_add(telling->tried, as_json(policy, rule, matched, why));
        return;
    }
    printf("  %-5s rule %s (%s:%u): %s\n", rule->effect == BH_EFFECT_ALLOW ? "allow" : "deny",
           bh_policy_string(policy, rule->name), bh_policy_string(policy, rule->file), rule->line, why);
    print_names(policy, rule);
    print_mounts(policy, rule);
}
