/* bh_policy_compile: the steps of lang.h, one after the other. */
#include <errno.h>
#include <string.h>

#include "policy/lang/model.h"
#include "protocol/base/sha256.h"

/* Names, kinds and bytes of the files, each with its length before it: no two policies run together. */
static void digest_files(const struct bh_policy_input *input, uint8_t digest[BH_SHA256_SIZE])
{
    struct bh_sha256 sha;

    bh_sha256_init(&sha);
    for (size_t i = 0; i < input->n_files; i++) {
        const struct bh_pack_file *file = &input->files[i];
        uint32_t head[3] = { file->name.len, file->text.len, file->drop_in };

        bh_sha256_update(&sha, head, sizeof(head));
        bh_sha256_update(&sha, file->name.ptr, file->name.len);
        bh_sha256_update(&sha, file->text.ptr, file->text.len);
    }
    bh_sha256_final(&sha, digest);
}

static void init_model(struct bh_model *model, const struct bh_policy_input *input, struct bh_diags *diags)
{
    *model = (struct bh_model){ .input = input, .diags = diags, .arena = diags->arena };
    model->rules_end = &model->rules;
    model->uses_end = &model->uses;
    for (unsigned i = 0; i < bh_n_settings; i++)
        if (bh_settings[i].domain == BH_DOMAIN_SET)
            model->settings[bh_settings[i].slot] = bh_settings[i].initial;
}

static void parse_files(struct bh_model *model)
{
    const struct bh_policy_input *input = model->input;

    if (input->n_files == 0 || input->n_files > BH_POLICY_FILES_MAX) {
        struct bh_pos pos = { BH_STR("policy"), 1, 1 };

        bh_error_at(model->diags, pos, "a policy has 1 to %u files, not %zu", BH_POLICY_FILES_MAX,
                    input->n_files);
        return;
    }
    for (size_t i = 0; i < input->n_files; i++) {
        const struct bh_pack_file *file = &input->files[i];
        struct bh_str name = bh_arena_str(model->arena, file->name.ptr, file->name.len);

        if (name.ptr)
            bh_model_parse(model, name, file->text, file->drop_in ? BH_FILE_DROP_IN : BH_FILE_MAIN);
    }
}

/* Reads a profile once, for all its uses; `use` is the first of them. */
static void load_profile(struct bh_model *model, struct bh_use_line *use)
{
    const struct bh_profile_text *profile =
        bh_profile_find(model->input->profiles, model->input->n_profiles, use->name.ptr);
    struct bh_str file = bh_arena_printf(model->arena, "profile:%s", use->name.ptr);
    struct bh_rule_line **first = model->rules_end;

    if (!profile)
        bh_error_at(model->diags, use->pos, "there is no profile '%s': see the list in bulkhead-policy(5)",
                    use->name.ptr);
    if (!profile || !file.ptr)
        return;
    for (struct bh_use_line *again = use->next; again; again = again->next)
        if (strcmp(again->name.ptr, use->name.ptr) == 0)
            use->channels |= again->channels;
    bh_model_parse(model, file, (struct bh_str){ profile->text, (uint32_t)profile->text_len },
                   BH_FILE_PROFILE);
    for (struct bh_rule_line *rule = *first; rule; rule = rule->next)
        rule->channels = use->channels;
}

static void load_profiles(struct bh_model *model)
{
    for (struct bh_use_line *use = model->uses; use; use = use->next) {
        struct bh_use_line *first = model->uses;

        while (strcmp(first->name.ptr, use->name.ptr) != 0)
            first = first->next;
        if (first == use)
            load_profile(model, use);
    }
}

int bh_policy_compile(const struct bh_policy_input *input, struct bh_diags *diags,
                      struct bh_bytes *ret_bundle)
{
    uint8_t digest[BH_SHA256_SIZE];
    struct bh_bytes bundle = { 0 };
    struct bh_model model;
    int r;

    init_model(&model, input, diags);
    parse_files(&model);
    bh_model_resolve_channels(&model);
    load_profiles(&model);
    bh_model_check(&model);
    if (diags->n_errors > 0)
        return BH_COMPILE_ERRORS;
    digest_files(input, digest);
    r = bh_model_emit(&model, digest, &bundle);
    if (r < 0)
        return r;
    if (diags->n_errors > 0)
        return BH_COMPILE_ERRORS;
    *ret_bundle = bundle;
    return 0;
}
