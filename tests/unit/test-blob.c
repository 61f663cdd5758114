/* Compiled policies as hostile bytes: every table has its lie, and none is believed. */
#include "tests/unit/policy-fixture.h"

#include <errno.h>
#include <stdlib.h>

static const char text[] =
    "policy 1\ncommands 49\nchannel a virtio:x\nchannel b unix-listen:/run/b\n"
    "rule info: allow @info on a\n"
    "rule web: allow @file-read, @file-write on a {\n path beneath \"/web\"\n user www\n}\n"
    "rule more: allow @file-read on a {\n path is \"/log\"\n}\n"
    "rule net: allow @net on a {\n interfaces \"eth0\" \"en*\"\n}\n"
    "rule who: allow guest-get-users on a {\n users \"bob\"\n}\n"
    "rule ice: allow @freeze, @trim on a {\n mount beneath \"/data\"\n exclude is \"/data/a\"\n required is "
    "\"/data/b\"\n}\n"
    "rule trim: allow guest-fstrim on a {\n mount is \"/log\"\n exclude is \"/x\"\n}\n"
    "rule dry: deny @trim on a {\n mount is \"/data/b\"\n}\n"
    "deny @info except info\ndeny @file-read except web, more {\n path is \"/web/k\"\n}\n";

struct copy {
    struct bh_slice *slice;
    size_t size;
};

static struct copy copy_slice(void)
{
    struct copy copy;
    struct fixture f;

    fixture_good(&f, text);
    copy.size = f.policy.slice->size;
    copy.slice = malloc(copy.size);
    assert_non_null(copy.slice);
    memcpy(copy.slice, f.policy.slice, copy.size);
    fixture_end(&f);
    return copy;
}

static void *section(struct bh_slice *slice, enum bh_section which)
{
    return (char *)slice + slice->sections[which].offset;
}

static int open_copy(const struct copy *copy)
{
    struct bh_policy policy;

    return bh_policy_open(&policy, copy->slice, copy->size);
}

static void good_slice_opens(void **state)
{
    struct copy copy = copy_slice();
    struct bh_policy policy;

    (void)state;
    assert_int_equal(bh_policy_open(&policy, copy.slice, copy.size), 0);
    assert_int_equal(policy.n_rules, 10);
    assert_int_equal(policy.n_users, 1);
    assert_int_equal(policy.users[0].uid, 33);
    assert_int_equal(policy.users[0].gid, 34);
    assert_int_equal(policy.users[0].n_groups, 2);
    assert_int_equal(policy.groups[0], 4);
    assert_int_equal(policy.groups[1], 7);
    assert_int_equal(policy.slice->settings[BH_SET_HANDLE_IDLE_S], 600);
    free(copy.slice);
}

static void every_shorter_slice_is_refused(void **state)
{
    struct copy copy = copy_slice();
    struct bh_policy policy;

    (void)state;
    for (size_t size = 0; size < copy.size; size++) {
        copy.slice->size = size < sizeof(*copy.slice) ? copy.slice->size : (uint32_t)size;
        assert_int_equal(bh_policy_open(&policy, copy.slice, size), -EBADMSG);
    }
    free(copy.slice);
}

static void unaligned_memory_is_refused(void **state)
{
    struct copy copy = copy_slice();
    char *moved = malloc(copy.size + 4);
    struct bh_policy policy;

    (void)state;
    assert_non_null(moved);
    memcpy(moved + 4, copy.slice, copy.size);
    assert_int_equal(bh_policy_open(&policy, moved + 4, copy.size), -EBADMSG);
    free(moved);
    free(copy.slice);
}

#define REFUSED(what)                                                                                        \
    do {                                                                                                     \
        struct copy copy = copy_slice();                                                                     \
        struct bh_slice *slice = copy.slice;                                                                 \
        struct bh_rule *rules = section(slice, BH_SECTION_RULES);                                            \
        uint16_t *index = section(slice, BH_SECTION_INDEX);                                                  \
        struct bh_path *paths = section(slice, BH_SECTION_PATHS);                                            \
        struct bh_name *names = section(slice, BH_SECTION_NAMES);                                            \
        uint16_t *excepts = section(slice, BH_SECTION_EXCEPTS);                                              \
        struct bh_policy_user *users = section(slice, BH_SECTION_USERS);                                     \
        char *strings = section(slice, BH_SECTION_STRINGS);                                                  \
        (void)rules, (void)index, (void)paths, (void)names, (void)excepts, (void)users, (void)strings;       \
        what;                                                                                                \
        if (open_copy(&copy) != -EBADMSG)                                                                    \
            fail_msg("believed: %s", #what);                                                                 \
        free(copy.slice);                                                                                    \
    } while (0)

static void lies_in_the_head(void **state)
{
    (void)state;
    REFUSED(slice->magic ^= 1);
    REFUSED(slice->format++);
    REFUSED(slice->schema ^= 1);
    REFUSED(slice->size += 8);
    REFUSED(slice->channel[0] = '-');
    REFUSED(slice->channel[0] = '\0');
    REFUSED(slice->channel[5] = 'x');
    REFUSED(memset(slice->channel, 'a', sizeof(slice->channel)));
    REFUSED(slice->only[0] = 0);
    REFUSED(slice->only[1] = 1ull << 63);
    REFUSED(slice->settings[BH_SET_EXPLAIN_TO_CLIENT] = 2);
    REFUSED(slice->settings[BH_SET_HANDLE_IDLE_S] = BH_IDLE_MAX_S + 1);
    REFUSED(slice->settings[BH_SET_AUDIT_FAILURE] = 2);
    REFUSED(slice->settings[BH_SET_FENCES_REQUIRED] = 1ull << 12);
    REFUSED(slice->settings[BH_SET_FENCES_OFF] = 1ull << 40);
    REFUSED(slice->settings[BH_SET_FENCES_OFF] = slice->settings[BH_SET_FENCES_REQUIRED] = 1);
    REFUSED(slice->settings[BH_SET_COMMANDS] = BH_CMD_COUNT + 1);
    REFUSED(slice->settings[BH_SET_VSOCK_PEERS] = 0);
    REFUSED(slice->settings[BH_SET_VSOCK_PEERS] = BH_VSOCK_ALL + 1);
    REFUSED(slice->settings[BH_SET_FREEZE_TIMEOUT_S] = BH_FREEZE_TIMEOUT_MAX_S + 1);
    REFUSED(slice->settings[BH_SET_FREEZE_EXPIRED] = 2);
    REFUSED(slice->settings[BH_SET_FREEZE_ON_RESTART] = 2);
    REFUSED(slice->settings[BH_SET_HOOK_TIMEOUT_S] = 0);
    REFUSED(slice->settings[BH_SET_HOOK_TIMEOUT_S] = BH_HOOK_TIMEOUT_MAX_S + 1);
    REFUSED(slice->settings[BH_SET_NVME_SMART] = 2);
    REFUSED(slice->settings[BH_SET_END] = 1);
    REFUSED(slice->settings[BH_SET_COUNT - 1] = 1);
    REFUSED(slice->sections[BH_SECTION_RULES].offset += 8);
    REFUSED(slice->sections[BH_SECTION_RULES].count++);
    REFUSED(slice->sections[BH_SECTION_STRINGS].count--);
    REFUSED(slice->sections[BH_SECTION_GROUPS].count = UINT32_MAX);
}

static void lies_in_a_rule(void **state)
{
    (void)state;
    REFUSED(rules[0].effect = 2);
    REFUSED(rules[0].has_object = 2);
    REFUSED(rules[0].n_names = 1);
    REFUSED(rules[3].n_names = 4);
    REFUSED(rules[3].n_names = UINT32_MAX);
    REFUSED(rules[3].first_name = UINT32_MAX);
    REFUSED(rules[3].first_name = 4);
    REFUSED(rules[0].commands[1] |= 1ull << 40);
    REFUSED(rules[0].commands[0] |= 1ull << BH_CMD_GUEST_EXEC);
    REFUSED(rules[0].name++);
    REFUSED(rules[0].file = 1u << 20);
    REFUSED(rules[0].verbs = BH_VERB_READ);
    REFUSED(rules[1].verbs = 0);
    REFUSED(rules[1].verbs = BH_VERB_ALL + 1);
    REFUSED(rules[1].create_mode = 01000);
    REFUSED(rules[1].symlinks = 3);
    REFUSED(rules[1].types = 2);
    REFUSED(rules[1].user = 1);
    REFUSED(rules[1].user = BH_NO_USER);
    REFUSED(rules[1].has_object = 0);
    REFUSED(rules[1].n_paths = 9);
    REFUSED(rules[1].first_path = UINT32_MAX);
    REFUSED(rules[2].n_excepts = 1);
    REFUSED(rules[8].first_except = UINT32_MAX);
    REFUSED(rules[9].user = 0);
}

/* Paths 0 and 1 are of files, 2 to 4 of `ice`, 5 and 6 of `trim`, 7 of `dry`, 8 of the last deny. */
static void lies_about_mounts(void **state)
{
    (void)state;
    REFUSED(paths[2].use = BH_USE_REQUIRED + 1);
    REFUSED(paths[2].use = BH_USE_REQUIRED);
    REFUSED(paths[3].use = BH_USE_COVERED; paths[2].use = BH_USE_EXCLUDED);
    REFUSED(paths[6].use = BH_USE_REQUIRED);
    REFUSED(paths[7].use = BH_USE_EXCLUDED);
    REFUSED(paths[7].use = BH_USE_REQUIRED);
    REFUSED(paths[0].use = BH_USE_EXCLUDED);
    REFUSED(paths[1].use = BH_USE_REQUIRED);
    REFUSED(paths[8].use = BH_USE_EXCLUDED);
    REFUSED(paths[4].kind = BH_PATH_GLOB + 1);
    REFUSED(rules[5].n_paths = 100);
    REFUSED(rules[5].first_path = UINT32_MAX);
    REFUSED(rules[5].user = 0);
    REFUSED(rules[5].first_name = 0; rules[5].n_names = 1);
    REFUSED(rules[7].first_path = 3);
    REFUSED(rules[0].n_paths = 1);
    REFUSED(rules[3].n_paths = 1);
    REFUSED(rules[8].n_paths = 1);
    REFUSED(strings[paths[4].text + 1] = '/');
}

static void lies_in_the_tables(void **state)
{
    (void)state;
    REFUSED(index[0] = 10);
    REFUSED(index[0] = 1);
    REFUSED(slice->commands[0].count++);
    REFUSED(slice->commands[BH_CMD_COUNT - 1].first = UINT32_MAX);
    REFUSED(paths[0].kind = 3);
    REFUSED(paths[0].len++);
    REFUSED(paths[0].text++);
    REFUSED(strings[paths[0].text] = 'x');
    REFUSED(strings[paths[0].text + 1] = '/');
    REFUSED(strings[paths[0].text + 1] = (char)0xff);
    REFUSED(strings[slice->sections[BH_SECTION_STRINGS].count - 1] = 'x');
    REFUSED(excepts[1] = excepts[2]);
    REFUSED(excepts[1] = 8);
    REFUSED(names[0].len++);
    REFUSED(names[0].text++);
    REFUSED(strings[names[0].text + 1] = '/');
    REFUSED(strings[names[0].text + 1] = '\0');
    REFUSED((names[0] = (struct bh_name){ rules[0].file, 0 }));
    REFUSED(names[0].text = paths[0].text);
    REFUSED(excepts[1] = 77);
    REFUSED(users[0].name++);
    REFUSED(users[0].found = 2);
    REFUSED(users[0].uid = UINT32_MAX);
    REFUSED(users[0].n_groups = 65);
    REFUSED(users[0].first_group = 1);
}

/* Any changed byte: refused, or an evaluation that stays inside (the sanitizer build sees it). */
static void any_byte_changed(void **state)
{
    struct bh_file_object file = { .path = BH_STR("/web/k"), .verbs = BH_VERB_READ, .user = BH_NO_USER };
    struct copy copy = copy_slice();

    (void)state;
    for (size_t i = 0; i < copy.size; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            struct bh_policy policy;

            ((unsigned char *)copy.slice)[i] ^= (unsigned char)(1u << bit);
            if (bh_policy_open(&policy, copy.slice, copy.size) == 0) {
                (void)bh_policy_file(&policy, &file, NULL);
                (void)bh_policy_name(&policy, BH_CMD_GUEST_GET_USERS, (struct bh_str)BH_STR("bob"), NULL);
                for (unsigned command = 0; command < BH_CMD_COUNT; command++) {
                    (void)bh_policy_grants(&policy, command);
                    (void)bh_policy_mount(&policy, command, (struct bh_str)BH_STR("/data/b"), NULL);
                    (void)bh_policy_mount_required(&policy, command, (struct bh_str)BH_STR("/data/b"));
                }
            }
            ((unsigned char *)copy.slice)[i] ^= (unsigned char)(1u << bit);
        }
    free(copy.slice);
}

#define BUNDLE_REFUSED(what)                                                                                 \
    do {                                                                                                     \
        struct fixture f;                                                                                    \
        struct bh_bundle *bundle;                                                                            \
        const struct bh_bundle *out;                                                                         \
        fixture_good(&f, text);                                                                              \
        bundle = (struct bh_bundle *)(uintptr_t)f.bundle.ptr;                                                \
        what;                                                                                                \
        if (bh_bundle_open(&out, bundle, f.bundle.len) != -EBADMSG)                                          \
            fail_msg("believed: %s", #what);                                                                 \
        fixture_end(&f);                                                                                     \
    } while (0)

static void lies_in_a_bundle(void **state)
{
    (void)state;
    BUNDLE_REFUSED(bundle->magic ^= 1);
    BUNDLE_REFUSED(bundle->format++);
    BUNDLE_REFUSED(bundle->size--);
    BUNDLE_REFUSED(bundle->count = 0);
    BUNDLE_REFUSED(bundle->count = 1);
    BUNDLE_REFUSED(bundle->count = 9);
    BUNDLE_REFUSED(bundle->rows[0].offset += 8);
    BUNDLE_REFUSED(bundle->rows[0].size += 8);
    BUNDLE_REFUSED(bundle->rows[1].size -= 8);
    BUNDLE_REFUSED(bundle->rows[1].size = UINT32_MAX - 7);
    BUNDLE_REFUSED(bundle->rows[1].name[0] = 'a');
    BUNDLE_REFUSED(bundle->rows[1].name[0] = 'B');
    BUNDLE_REFUSED(bundle->rows[1].method[0] = 'B');
    BUNDLE_REFUSED(memset(bundle->rows[1].method, 0, 16));
    BUNDLE_REFUSED(memset(bundle->rows[1].path, 0, 128));
    BUNDLE_REFUSED(memset(bundle->rows[1].path, 'x', 128));
    BUNDLE_REFUSED(memcpy(bundle->rows[1].path, "a/b", 4));
    BUNDLE_REFUSED(memcpy(bundle->rows[1].name, "local", 6));
    BUNDLE_REFUSED(memcpy(bundle->rows[1].method, bundle->rows[0].method, 16);
                   memcpy(bundle->rows[1].path, bundle->rows[0].path, 128));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_slice_opens),
        cmocka_unit_test(every_shorter_slice_is_refused),
        cmocka_unit_test(unaligned_memory_is_refused),
        cmocka_unit_test(lies_in_the_head),
        cmocka_unit_test(lies_in_a_rule),
        cmocka_unit_test(lies_about_mounts),
        cmocka_unit_test(lies_in_the_tables),
        cmocka_unit_test(any_byte_changed),
        cmocka_unit_test(lies_in_a_bundle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
