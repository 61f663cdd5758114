/* workers/storage/cover.h: one file system, mounted at several places, under policies that see them
 * differently. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "protocol/base/mem.h"
#include "protocol/codes.h"
#include "tests/unit/worker-fixture.h"
#include "workers/storage/cover.h"

#define HEAD "policy 1\ncommands 49\n"
#define DATA HEAD "rule data: allow @freeze {\n mount beneath \"/data\"\n required is \"/data/db\"\n}\n"
#define PLACES_MAX 4u

static struct bh_worker worker;
static struct records records;
static struct bh_arena arena;
static struct bh_error error;
static struct bh_call call = { .worker = &worker, .arena = &arena, .error = &error };
static struct bh_mount mounts[PLACES_MAX];
static struct bh_filesystem filesystem = { .mounts = mounts };
static struct bh_str named[PLACES_MAX];
static struct bh_places places = { named, 0 };
static struct bh_cover cover;

static void under(const char *policy, unsigned command)
{
    bh_arena_deinit(&arena);
    bh_arena_init(&arena, 1u << 16);
    worker_init(&worker, &records, policy, NULL);
    call.command = &bh_commands[command];
    error = (struct bh_error){ 0 };
}

static int teardown(void **state)
{
    (void)state;
    worker_deinit(&worker, &records);
    bh_arena_deinit(&arena);
    return 0;
}

/* Paths, split at blanks. */
static uint32_t split(const char *text, struct bh_str *ret)
{
    uint32_t n = 0;

    while (*text) {
        size_t len = strcspn(text, " ");

        ret[n++] = (struct bh_str){ text, (uint32_t)len };
        text += len + (text[len] == ' ');
    }
    return n;
}

/* The file system is mounted at `at`; the client names `names`, or nothing if NULL. */
static int ask(const char *at, const char *names)
{
    struct bh_str paths[PLACES_MAX];

    filesystem.n_mounts = split(at, paths);
    for (uint32_t i = 0; i < filesystem.n_mounts; i++)
        mounts[i] = (struct bh_mount){ .id = i, .path = paths[i] };
    places.n = names ? split(names, named) : 0;
    return bh_cover(&call, &filesystem, names ? &places : NULL, &cover);
}

static void assert_cover(const char *place, bool wanted, bool granted, bool required)
{
    assert_string_equal(cover.place, place);
    assert_int_equal(cover.wanted, wanted);
    assert_int_equal(cover.granted, granted);
    assert_int_equal(cover.required, required);
    assert_false(records_next(&records));
}

static void one_place_that_is_covered_is_enough(void **state)
{
    (void)state;
    under(DATA, BH_CMD_GUEST_FSFREEZE_FREEZE);
    assert_int_equal(ask("/srv", NULL), 0);
    assert_cover("/srv", true, false, false);
    assert_int_equal(ask("/data", NULL), 0);
    assert_cover("/data", true, true, false);
    assert_int_equal(ask("/srv /data/b /data/c /mnt", NULL), 0);
    assert_cover("/data/b", true, true, false);
    assert_int_equal(ask("/srv /data/db", NULL), 0);
    assert_cover("/data/db", true, true, true);
}

static void one_place_that_is_denied_strikes_it(void **state)
{
    static const char *const orders[] = { "/data/a /data/no", "/data/no /data/a", "/mnt /data/a /data/no" };

    (void)state;
    under(DATA "rule no: deny @freeze { mount is \"/data/no\" }\n", BH_CMD_GUEST_FSFREEZE_FREEZE);
    for (size_t i = 0; i < BH_ARRAY_SIZE(orders); i++) {
        assert_int_equal(ask(orders[i], NULL), 0);
        assert_false(cover.granted);
        assert_true(cover.wanted);
    }
    assert_int_equal(ask("/data/a /mnt", NULL), 0);
    assert_true(cover.granted);
}

/* A bind mount in a folder that is allowed does not take a file system out of one that is denied. */
static void a_deny_holds_where_no_allow_does(void **state)
{
    (void)state;
    under(DATA "rule no: deny @freeze { mount is \"/secret\" }\n", BH_CMD_GUEST_FSFREEZE_FREEZE);
    assert_int_equal(ask("/data/db /secret", NULL), 0);
    assert_cover("/data/db", true, false, false);
    worker_deinit(&worker, &records);
    under(DATA "rule no: deny @freeze except data { mount is \"/secret\" }\n", BH_CMD_GUEST_FSFREEZE_FREEZE);
    assert_int_equal(ask("/data/db /secret", NULL), 0);
    assert_cover("/data/db", true, true, true);
}

static void the_place_that_was_named_is_told(void **state)
{
    (void)state;
    under(DATA, BH_CMD_GUEST_FSFREEZE_FREEZE_LIST);
    assert_int_equal(ask("/data/a /data/b /data/c", "/data/b"), 0);
    assert_cover("/data/b", true, true, false);
    assert_int_equal(ask("/mnt /data/b", "/data/b /data/zzz"), 0);
    assert_cover("/data/b", true, true, false);
    assert_int_equal(ask("/data/a", ""), 0); /* a list that is empty */
    assert_cover("/data/a", false, true, false);
    assert_int_equal(ask("/data/a", "/data /data/ab /data/a/ data/a"), 0); /* none of these */
    assert_cover("/data/a", false, true, false);
}

/* What is named and not granted fails, and is recorded; what is not named is nobody's business. */
static void a_named_place_that_is_not_granted_is_refused(void **state)
{
    (void)state;
    under(DATA "rule no: deny @freeze { mount is \"/data/no\" }\n", BH_CMD_GUEST_FSFREEZE_FREEZE_LIST);
    assert_int_equal(ask("/mnt", "/data/a"), 0);
    assert_cover("/mnt", false, false, false);
    assert_int_equal(ask("/data/a /mnt", "/mnt"), BH_E_NO_RULE);
    assert_true(records_next(&records));
    assert_int_equal(records.last.kind, BH_RECORD_REFUSED);
    assert_int_equal(records.last.code, BH_E_NO_RULE);
    assert_memory_equal(records.last.object.ptr, "/mnt", 4);
    assert_int_equal(records.last.rule.len, 0);
    assert_non_null(strstr(error.text, "/mnt"));

    assert_int_equal(ask("/data/no", "/data/no"), BH_E_DENIED);
    assert_true(records_next(&records));
    assert_int_equal(records.last.code, BH_E_DENIED);
    assert_memory_equal(records.last.rule.ptr, "no", 2);
    assert_false(records_next(&records));

    assert_int_equal(ask("/data/a /data/no", "/data/a"),
                     BH_E_DENIED); /* it is mounted where it is denied, too */
    assert_true(records_next(&records));
    assert_memory_equal(records.last.object.ptr, "/data/a", 7);
    assert_memory_equal(records.last.rule.ptr, "no", 2);
}

/* What a client was told is text; it is judged as that, and named so. */
static void bytes_that_are_no_text(void **state)
{
    (void)state;
    under(DATA, BH_CMD_GUEST_FSFREEZE_FREEZE_LIST);
    assert_int_equal(ask("/data/\377", "/data/\357\277\275"), 0);
    assert_cover("/data/\357\277\275", true, true, false);
    assert_int_equal(ask("/data/\377", "/data/\377"), 0);
    assert_false(cover.wanted);
}

static void each_command_has_its_own_rules(void **state)
{
    (void)state;
    under(HEAD "rule data: allow @trim { mount is \"/data\" }\n"
               "rule more: allow guest-fsfreeze-freeze-list { mount is \"/\" }\n",
          BH_CMD_GUEST_FSTRIM);
    assert_int_equal(ask("/data", NULL), 0);
    assert_true(cover.granted);
    assert_int_equal(ask("/", NULL), 0);
    assert_false(cover.granted);
    call.command = &bh_commands[BH_CMD_GUEST_FSFREEZE_FREEZE_LIST];
    assert_int_equal(ask("/", NULL), 0);
    assert_true(cover.granted);
}

static void without_memory_nothing_is_said(void **state)
{
    (void)state;
    under(DATA, BH_CMD_GUEST_FSFREEZE_FREEZE);
    bh_arena_deinit(&arena);
    bh_arena_init(&arena, 8);
    assert_int_equal(ask("/data/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL), -ENOMEM);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_place_that_is_covered_is_enough),
        TEST(one_place_that_is_denied_strikes_it),
        TEST(a_deny_holds_where_no_allow_does),
        TEST(the_place_that_was_named_is_told),
        TEST(a_named_place_that_is_not_granted_is_refused),
        TEST(bytes_that_are_no_text),
        TEST(each_command_has_its_own_rules),
        TEST(without_memory_nothing_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
