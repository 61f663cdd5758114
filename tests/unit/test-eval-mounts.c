/* Rules of mounts: which text is good, what they cover and require, what is warned of. */
#include "tests/unit/policy-fixture.h"

#include "policy/lang/patterns.h"
#include "policy/mounts.h"

#define HEAD "policy 1\ncommands 49\n"
#define FREEZE BH_CMD_GUEST_FSFREEZE_FREEZE
#define LIST BH_CMD_GUEST_FSFREEZE_FREEZE_LIST
#define THAW BH_CMD_GUEST_FSFREEZE_THAW
#define STATUS BH_CMD_GUEST_FSFREEZE_STATUS
#define TRIM BH_CMD_GUEST_FSTRIM

static void check(const struct fixture *f, unsigned command, const char *mount, enum bh_verdict verdict,
                  const char *rule)
{
    struct bh_str asked = { mount, (uint32_t)strlen(mount) };
    struct bh_decision decision = bh_policy_mount(&f->policy, command, asked, NULL);

    if (decision.verdict != verdict || strcmp(fixture_rule(f, decision), rule) != 0)
        fail_msg("%s %s: verdict %d by %s", bh_commands[command].name, mount, decision.verdict,
                 fixture_rule(f, decision));
}

static bool is_required(const struct fixture *f, unsigned command, const char *mount)
{
    return bh_policy_mount_required(&f->policy, command, (struct bh_str){ mount, (uint32_t)strlen(mount) });
}

static void an_allow_covers_mounts(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f,
                 HEAD "rule data: allow @freeze {\n mount beneath \"/data\"\n mount glob { \"/srv/d?\" }\n"
                      " exclude beneath \"/data/scratch\"\n exclude is \"/srv/d2\"\n}\n"
                      "rule more: allow guest-fsfreeze-freeze-list { mount is \"/data/scratch\" }\n");
    check(&f, FREEZE, "/data", BH_VERDICT_ALLOW, "data");
    check(&f, FREEZE, "/data/db", BH_VERDICT_ALLOW, "data");
    check(&f, FREEZE, "/database", BH_VERDICT_NO_RULE, "-");
    check(&f, FREEZE, "/", BH_VERDICT_NO_RULE, "-");
    check(&f, FREEZE, "/srv/d1", BH_VERDICT_ALLOW, "data");
    check(&f, FREEZE, "/srv/d1/e", BH_VERDICT_NO_RULE, "-");
    check(&f, FREEZE, "/srv/d2", BH_VERDICT_NO_RULE, "-");
    check(&f, FREEZE, "/data/scratch", BH_VERDICT_NO_RULE, "-");
    check(&f, FREEZE, "/data/scratch/deep", BH_VERDICT_NO_RULE, "-");
    check(&f, LIST, "/data/scratch", BH_VERDICT_ALLOW, "more");
    check(&f, LIST, "/data/scratch/deep", BH_VERDICT_NO_RULE, "-");
    check(&f, TRIM, "/data", BH_VERDICT_NOT_GRANTED, "-");
    check(&f, BH_CMD_GUEST_EXEC, "/data", BH_VERDICT_NOT_GRANTED, "-");
    assert_int_equal(bh_policy_mount(&f.policy, BH_CMD_COUNT, (struct bh_str)BH_STR("/data"), NULL).verdict,
                     BH_VERDICT_NOT_GRANTED);
    fixture_end(&f);
}

/* The conditions open the commands that act on mounts, and are none of the others'. */
static void the_commands_are_granted(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f, HEAD "rule one: allow @freeze, @trim { mount is \"/data\" }\n"
                          "rule no: deny @freeze, @trim { mount beneath \"/\" }\n");
    for (unsigned command = 0; command < BH_CMD_COUNT; command++)
        assert_int_equal(bh_policy_grants(&f.policy, command),
                         bh_acts_on_mounts(command) || command == THAW || command == STATUS);
    assert_string_equal(fixture_rule(&f, bh_policy_command(&f.policy, FREEZE, NULL)), "one");
    check(&f, FREEZE, "/data", BH_VERDICT_DENIED, "no");
    check(&f, THAW, "/elsewhere", BH_VERDICT_ALLOW, "one");
    check(&f, STATUS, "not a path", BH_VERDICT_ALLOW, "one");
    fixture_end(&f);
    fixture_good(&f, HEAD "rule one: allow @freeze { mount is \"/data\" }\nrule no: deny @freeze\n");
    assert_false(bh_policy_grants(&f.policy, FREEZE));
    assert_false(bh_policy_grants(&f.policy, THAW));
    check(&f, FREEZE, "/data", BH_VERDICT_DENIED, "no");
    fixture_end(&f);
}

static void denies_strike_mounts(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f, HEAD "rule all: allow @freeze, @trim\nrule db: allow @freeze { mount is \"/data/db\" }\n"
                          "rule no: deny @freeze except db { mount beneath { \"/data\", \"/boot\" } }\n"
                          "rule dry: deny @trim { mount glob \"/t*\" }\n");
    check(&f, FREEZE, "/", BH_VERDICT_ALLOW, "all");
    check(&f, FREEZE, "/data", BH_VERDICT_DENIED, "no");
    check(&f, LIST, "/boot/efi", BH_VERDICT_DENIED, "no");
    check(&f, FREEZE, "/data/db", BH_VERDICT_ALLOW, "db");
    check(&f, TRIM, "/data", BH_VERDICT_ALLOW, "all");
    check(&f, TRIM, "/tmp", BH_VERDICT_DENIED, "dry");
    fixture_end(&f);
}

/* False in an allow, true in a deny. */
static void what_is_no_mount_point(void **state)
{
    static const char *const odd[] = { "", "data", "/data/", "/data/../data", "//data" };
    struct fixture f;

    (void)state;
    fixture_good(&f, HEAD "rule one: allow @freeze { mount beneath \"/\" }\nrule two: allow @trim\n"
                          "rule but: allow guest-fsfreeze-freeze { exclude is \"/x\" }\n"
                          "rule no: deny @trim { mount is \"/x\" }\n");
    for (size_t i = 0; i < BH_ARRAY_SIZE(odd); i++) {
        check(&f, FREEZE, odd[i], BH_VERDICT_NO_RULE, "-");
        check(&f, TRIM, odd[i], BH_VERDICT_DENIED, "no");
    }
    check(&f, FREEZE, "/\xff\n", BH_VERDICT_ALLOW, "one");
    check(&f, TRIM, "/\xff\n", BH_VERDICT_ALLOW, "two");
    fixture_end(&f);
}

static void what_must_be_frozen(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f,
                 HEAD "rule all: allow @freeze, @trim\n"
                      "rule db: allow @freeze, @trim {\n mount beneath \"/data\"\n exclude is \"/data/no\"\n"
                      " required is { \"/data/db\", \"/data/no\", \"/else\", \"/data/cut\" }\n}\n"
                      "rule cut: deny @freeze except all { mount is \"/data/cut\" }\n");
    assert_true(is_required(&f, FREEZE, "/data/db"));
    assert_true(is_required(&f, LIST, "/data/db"));
    assert_false(is_required(&f, TRIM, "/data/db"));
    assert_false(is_required(&f, THAW, "/data/db"));
    assert_false(is_required(&f, BH_CMD_COUNT, "/data/db"));
    assert_false(is_required(&f, FREEZE, "/data/db/x"));
    assert_false(is_required(&f, FREEZE, "data/db"));
    check(&f, FREEZE, "/data/no", BH_VERDICT_ALLOW, "all");
    assert_false(is_required(&f, FREEZE, "/data/no"));
    assert_false(is_required(&f, FREEZE, "/else"));
    check(&f, FREEZE, "/data/cut", BH_VERDICT_ALLOW, "all");
    assert_true(is_required(&f, FREEZE, "/data/cut"));
    fixture_end(&f);
    fixture_good(
        &f,
        HEAD "rule r: allow @freeze { required beneath \"/data\" }\ndeny @freeze { mount is \"/data\" }\n");
    assert_false(is_required(&f, FREEZE, "/data"));
    assert_true(is_required(&f, FREEZE, "/data/x"));
    assert_false(is_required(&f, FREEZE, "/"));
    check(&f, FREEZE, "/", BH_VERDICT_ALLOW, "r");
    ((struct bh_slice *)(uintptr_t)f.policy.slice)->withheld[FREEZE / 64] |= 1ull << (FREEZE % 64);
    check(&f, FREEZE, "/", BH_VERDICT_NOT_GRANTED, "-");
    assert_false(is_required(&f, FREEZE, "/data/x"));
    fixture_end(&f);
}

static void what_can_be_said(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "allow @freeze {\n mount \"/x\"\n}", "policy:4:8: `is`, `beneath` or `glob`" },
        { "allow @freeze {\n mount is \"x\"\n}", "policy:4:11: a path begins with" },
        { "allow @freeze {\n required is\n}", "policy:4:13: a path in quotes" },
        { "allow @info {\n mount is \"/x\"\n}",
          "policy:3:1: the settings of this rule speak of mounts: let it name guest-fsfreeze-freeze, "
          "guest-fsfreeze-freeze-list, guest-fstrim, @freeze or @trim" },
        { "allow @freeze, @sync {\n exclude is \"/x\"\n}", "policy:3:1: the settings of this rule speak" },
        { "allow guest-fsfreeze-thaw {\n mount is \"/x\"\n}", "policy:3:1: the settings of this rule speak" },
        { "deny guest-fsfreeze-status {\n mount is \"/x\"\n}",
          "policy:3:1: the settings of this rule speak" },
        { "deny @freeze {\n exclude is \"/x\"\n}", "policy:4:2: a deny grants nothing, so `exclude`" },
        { "deny @freeze {\n required is \"/x\"\n}", "policy:4:2: a deny grants nothing, so `required`" },
        { "allow @trim {\n required is \"/x\"\n}",
          "policy:3:1: this rule freezes nothing, so `required` has no meaning in it" },
        { "allow @freeze {\n path is \"/x\"\n}", "let it name guest-file-open" },
        { "allow @freeze {\n interfaces \"eth0\"\n}", "`interfaces` chooses among" },
        { "allow @freeze {\n mount is \"/x\"\n types any\n}", "let it name guest-file-open" },
        { "allow @file-read {\n mount is \"/x\"\n}", "the settings of this rule speak of mounts" },
        { "allow @freeze, @file-read {\n mount is \"/x\"\n}", "the settings of this rule speak of mounts" },
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_SIZE(cases); i++) {
        char text[300];
        struct fixture f;

        (void)snprintf(text, sizeof(text), HEAD "%s\n", cases[i].text);
        fixture_text(&f, text);
        if (f.result != BH_COMPILE_ERRORS || !fixture_says(&f, cases[i].says))
            fail_msg("%s: %s", cases[i].text, cases[i].says);
        fixture_end(&f);
    }
}

/* What a ceiling leaves without a meaning is not in the compiled form. */
static void under_a_ceiling(void **state)
{
    static const struct {
        const char *only;
        unsigned n_paths;
    } cases[] = {
        { "@freeze, @trim", 3 }, { "@trim", 2 }, { "guest-fsfreeze-freeze", 3 }, { "guest-fsfreeze-thaw", 0 }
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_SIZE(cases); i++) {
        char text[300];
        struct fixture f;

        (void)snprintf(text, sizeof(text),
                       HEAD "channel a virtio:x only %s\nallow @freeze, @trim { mount beneath \"/a\"\n"
                            "required is \"/a/r\"\nexclude is \"/a/e\" }\n",
                       cases[i].only);
        fixture_good(&f, text);
        assert_int_equal(f.policy.rules[0].n_paths, cases[i].n_paths);
        fixture_end(&f);
    }
}

static void check_warning(const char *text, const char *says)
{
    struct fixture f;

    fixture_good(&f, text);
    if (says ? f.diags.n != 1 || !fixture_says(&f, says) : f.diags.n > 0)
        fail_msg("%s", text);
    fixture_end(&f);
}

#define X HEAD "rule x: allow @freeze, @trim {\n mount beneath \"/a\"\n"

static void rules_that_do_not_do_what_they_say(void **state)
{
    static const char excludes[] =
        "policy:3:1: the rule 'x' covers no mount on channel 'main': it excludes all";
    static const char struck[] =
        "policy:3:1: the rule 'x' covers no mount on channel 'main': deny rules strike";
    static const char wide[] =
        "policy:3:1: the rule 'x' narrows nothing on channel 'main': the rule 'w' covers";

    (void)state;
    check_warning(X "}\n", NULL);
    check_warning(X " exclude is \"/a\"\n}\n", NULL);
    check_warning(X " exclude beneath \"/a\"\n}\n", excludes);
    check_warning(X " mount is \"/b\"\n exclude beneath \"/a\"\n}\n", NULL);
    check_warning(X " mount is \"/b\"\n exclude beneath { \"/a\", \"/b\" }\n}\n", excludes);
    check_warning(HEAD "rule x: allow @freeze { exclude beneath \"/\" }\n", excludes);
    check_warning(X "}\ndeny @freeze, @trim { mount beneath \"/\" }\n", struck);
    check_warning(X "}\ndeny @freeze { mount beneath \"/\" }\n", NULL);
    check_warning(X "}\ndeny @freeze, @trim { mount beneath \"/a/b\" }\n", NULL);
    check_warning(X "}\ndeny @freeze, @trim except x { mount beneath \"/\" }\n", NULL);
    check_warning(X " mount is \"/b\"\n exclude beneath \"/a\"\n}\ndeny @freeze, @trim { mount is \"/b\" }\n",
                  struck);
    check_warning(HEAD "rule x: allow @freeze\ndeny @freeze { mount beneath \"/\" }\n", struck);
    check_warning(X "}\nrule w: allow @sync, @freeze, @trim\n", wide);
    check_warning(X "}\nrule w: allow @freeze, @trim { required is \"/r\" }\n", wide);
    check_warning(X "}\nrule w: allow @freeze\n", NULL);
    check_warning(X "}\nrule w: allow @freeze, @trim { exclude is \"/e\" }\n", NULL);
    check_warning(HEAD "rule x: allow @freeze { required is \"/r\" }\nrule w: allow @freeze\n", NULL);
    check_warning(X "}\nrule w: allow @freeze, @trim\ndeny @freeze except x { mount is \"/a\" }\n", NULL);
}

static void what_is_required_and_not_covered(void **state)
{
    (void)state;
    check_warning(X " required is \"/a/r\"\n}\n", NULL);
    check_warning(
        X " required is \"/r\"\n}\n",
        "policy:5:14: the rule 'x' requires what it does not freeze: its `mount` covers nothing of that");
    check_warning(X " required glob \"/?\"\n}\n", NULL);
    check_warning(X " required is \"/a/r\"\n exclude glob \"/a/*\"\n}\n",
                  "policy:5:14: the rule 'x' requires what it does not freeze: it excludes");
    check_warning(X " required beneath \"/a/r\"\n exclude is \"/a/r\"\n}\n", NULL);
    check_warning(X " required is \"/a/r\"\n}\ndeny @freeze, @trim { mount is \"/a/r\" }\n",
                  "policy:5:14: the rule 'x' requires what it does not freeze: deny rules strike that");
    check_warning(
        HEAD
        "channel a virtio:x only @trim\nallow @freeze, @trim {\n mount is \"/a\"\n required is \"/r\"\n}\n",
        NULL);
}

/* What one rule requires may be frozen by another, which a deny spares. */
static void what_is_required_of_others(void **state)
{
    (void)state;
    check_warning(X " required is \"/a/r\"\n}\nrule y: allow @freeze { mount is \"/a/r\" }\n"
                    "deny @freeze, @trim except y { mount is \"/a/r\" }\n",
                  NULL);
}

static void patterns_beside_each_other(void **state)
{
    static const struct {
        enum bh_path_kind a_kind;
        const char *a;
        enum bh_path_kind b_kind;
        const char *b;
        bool meet, covers;
    } cases[] = {
        { BH_PATH_IS, "/a", BH_PATH_IS, "/a", true, true },
        { BH_PATH_IS, "/a", BH_PATH_IS, "/b", false, false },
        { BH_PATH_IS, "/a", BH_PATH_BENEATH, "/a", true, false },
        { BH_PATH_BENEATH, "/a", BH_PATH_IS, "/a", true, true },
        { BH_PATH_BENEATH, "/a", BH_PATH_IS, "/ab", false, false },
        { BH_PATH_BENEATH, "/", BH_PATH_GLOB, "/*", true, true },
        { BH_PATH_BENEATH, "/", BH_PATH_IS, "/", true, true },
        { BH_PATH_BENEATH, "/a", BH_PATH_BENEATH, "/a/b", true, true },
        { BH_PATH_BENEATH, "/a/b", BH_PATH_BENEATH, "/a", true, false },
        { BH_PATH_BENEATH, "/a", BH_PATH_GLOB, "/a/*", true, true },
        { BH_PATH_BENEATH, "/a", BH_PATH_GLOB, "/a*", true, false },
        { BH_PATH_GLOB, "/a/*", BH_PATH_IS, "/a/b", true, true },
        { BH_PATH_GLOB, "/a/*", BH_PATH_IS, "/a/b/c", false, false },
        { BH_PATH_GLOB, "/*b", BH_PATH_GLOB, "/a*", true, false },
        { BH_PATH_GLOB, "/*", BH_PATH_IS, "/", false, false },
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_SIZE(cases); i++) {
        struct bh_pattern a = { cases[i].a_kind, cases[i].a, strlen(cases[i].a) };
        struct bh_pattern b = { cases[i].b_kind, cases[i].b, strlen(cases[i].b) };

        if (bh_patterns_meet(a, b) != cases[i].meet || bh_patterns_meet(b, a) != cases[i].meet ||
            bh_pattern_covers(a, b) != cases[i].covers)
            fail_msg("%s %s", a.text, b.text);
    }
}

struct trail {
    unsigned n, matched;
    char whys[400];
};

static void follow(void *context, uint32_t rule, bool matched, const char *why)
{
    struct trail *trail = context;

    (void)rule;
    trail->n++;
    trail->matched += matched;
    (void)snprintf(trail->whys + strlen(trail->whys), sizeof(trail->whys) - strlen(trail->whys), "%s;", why);
}

static void every_rule_is_explained(void **state)
{
    struct trail trail = { 0 }, other = { 0 };
    struct bh_trace trace = { follow, &trail }, command = { follow, &other };
    struct fixture f;

    (void)state;
    fixture_good(
        &f,
        HEAD "allow @freeze { mount is \"/a\" }\nallow @freeze { mount beneath \"/\"\n exclude is \"/b\" }\n"
             "allow @freeze { exclude is \"/c\" }\ndeny @freeze { mount is \"/d\" }\n");
    assert_int_equal(bh_policy_mount(&f.policy, FREEZE, (struct bh_str)BH_STR("/b"), &trace).verdict,
                     BH_VERDICT_ALLOW);
    assert_string_equal(trail.whys,
                        "no mount of it matches;it excludes this mount;it matches;no mount of it matches;");
    assert_int_equal(bh_policy_command(&f.policy, FREEZE, &command).verdict, BH_VERDICT_ALLOW);
    assert_int_equal(other.matched, 3);
    assert_non_null(strstr(other.whys, "it strikes some mounts and refuses nothing;"));
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_allow_covers_mounts),
        cmocka_unit_test(the_commands_are_granted),
        cmocka_unit_test(denies_strike_mounts),
        cmocka_unit_test(what_is_no_mount_point),
        cmocka_unit_test(what_must_be_frozen),
        cmocka_unit_test(what_can_be_said),
        cmocka_unit_test(under_a_ceiling),
        cmocka_unit_test(rules_that_do_not_do_what_they_say),
        cmocka_unit_test(what_is_required_and_not_covered),
        cmocka_unit_test(what_is_required_of_others),
        cmocka_unit_test(patterns_beside_each_other),
        cmocka_unit_test(every_rule_is_explained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
