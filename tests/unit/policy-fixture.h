/* Policies for the tests of policy/: compiled from text, with the accounts root, www (33, groups 4 and 7) and
 * eight more. */
#pragma once

#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/eval.h"
#include "policy/lang/lang.h"
#include "protocol/base/mem.h"
#include "protocol/commands.h"

#define PASSWD                                                                                               \
    "root:x:0:0:root:/root:/bin/sh\nwww:x:33:34::/:\nu1:x:101:1::/:\nu2:x:102:1::/:\nu3:x:103:1::/"          \
    ":\nu4:x:104:1::/:\n"                                                                                    \
    "u5:x:105:1::/:\nu6:x:106:1::/:\nu7:x:107:1::/:\nu8:x:108:1::/:\nbroken:x:-1:0::/:\n"
#define GROUP "adm:x:4:www,root\nempty:x:5:\nweb:x:7:u1,www\nwwwx:x:8:wwwx\n"

struct fixture {
    struct bh_arena arena;
    struct bh_diags diags;
    struct bh_bytes bundle;
    const struct bh_bundle *rows;
    struct bh_policy policy; /* of the first channel */
    int result;
};

static inline void fixture_end(struct fixture *f)
{
    bh_arena_deinit(&f->arena);
}

static inline void fixture_compile(struct fixture *f, const struct bh_pack_file *files, size_t n)
{
    struct bh_profile_text profiles[] = {
        { .name = "looking",
          .text = "policy 1\nallow @info\n",
          .text_len = strlen("policy 1\nallow @info\n") },
        { .name = "old",
          .text = "policy 1\ncommands 42\nallow @info\n",
          .text_len = strlen("policy 1\ncommands 42\nallow @info\n") },
        { .name = "denying", .text = "policy 1\ndeny @info\n", .text_len = strlen("policy 1\ndeny @info\n") },
    };
    struct bh_policy_input input = { .files = files,
                                     .n_files = n,
                                     .profiles = profiles,
                                     .n_profiles = BH_ARRAY_SIZE(profiles),
                                     .passwd = BH_STR(PASSWD),
                                     .group = BH_STR(GROUP) };

    *f = (struct fixture){ .diags = { 0 } };
    bh_arena_init(&f->arena, BH_POLICY_MEMORY_MAX);
    f->diags.arena = &f->arena;
    f->result = bh_policy_compile(&input, &f->diags, &f->bundle);
    if (f->result != 0)
        return;
    assert_int_equal(bh_bundle_open(&f->rows, f->bundle.ptr, f->bundle.len), 0);
    for (uint32_t i = f->rows->count; i-- > 0;)
        assert_int_equal(
            bh_policy_open(&f->policy, f->bundle.ptr + f->rows->rows[i].offset, f->rows->rows[i].size), 0);
}

static inline void fixture_text(struct fixture *f, const char *text)
{
    struct bh_pack_file file = { .name = BH_STR("policy"), .text = { text, (uint32_t)strlen(text) } };

    fixture_compile(f, &file, 1);
}

/* Compiles, and shows what is wrong where it should not be. */
static inline void fixture_good(struct fixture *f, const char *text)
{
    fixture_text(f, text);
    for (uint32_t i = 0; f->result != 0 && i < f->diags.n; i++)
        print_message("%s\n", bh_diag_line(&f->diags, &f->diags.items[i]).ptr);
    assert_int_equal(f->result, 0);
}

static inline const char *fixture_rule(const struct fixture *f, struct bh_decision decision)
{
    return decision.rule == BH_NO_RULE ? "-"
                                       : bh_policy_string(&f->policy, f->policy.rules[decision.rule].name);
}

/* Is there a diagnostic whose line has this text in it? */
static inline int fixture_says(struct fixture *f, const char *text)
{
    for (uint32_t i = 0; i < f->diags.n; i++)
        if (strstr(bh_diag_line(&f->diags, &f->diags.items[i]).ptr, text))
            return 1;
    for (uint32_t i = 0; i < f->diags.n; i++)
        print_message("said: %s\n", bh_diag_line(&f->diags, &f->diags.items[i]).ptr);
    return 0;
}
