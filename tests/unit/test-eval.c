/* The decision: paths, verbs, what is found on the object, denies and what they spare. */
#include "tests/unit/policy-fixture.h"

#include "policy/listed.h"
#include "policy/match.h"
#include "protocol/codes.h"

static struct bh_decision open_as(const struct fixture *f, const char *path, uint32_t verbs)
{
    struct bh_file_object file = { .path = { path, (uint32_t)strlen(path) },
                                   .verbs = verbs,
                                   .user = BH_NO_USER };

    return bh_policy_file(&f->policy, &file, NULL);
}

static void check_open(const struct fixture *f, const char *path, uint32_t verbs, enum bh_verdict verdict,
                       const char *rule)
{
    struct bh_decision decision = open_as(f, path, verbs);

    assert_int_equal(decision.verdict, verdict);
    assert_string_equal(fixture_rule(f, decision), rule);
}

static void path_patterns(void **state)
{
    static const struct {
        enum bh_path_kind kind;
        const char *pattern, *path;
        bool matches;
    } cases[] = {
        { BH_PATH_IS, "/a/b", "/a/b", true },
        { BH_PATH_IS, "/a/b", "/a/b/c", false },
        { BH_PATH_IS, "/a/b", "/a/bc", false },
        { BH_PATH_BENEATH, "/a/b", "/a/b", true },
        { BH_PATH_BENEATH, "/a/b", "/a/b/c/d", true },
        { BH_PATH_BENEATH, "/a/b", "/a/bc", false },
        { BH_PATH_BENEATH, "/a/b", "/a", false },
        { BH_PATH_BENEATH, "/", "/a", true },
        { BH_PATH_BENEATH, "/", "/", true },
        { BH_PATH_BENEATH, "/", "a", false },
        { BH_PATH_GLOB, "/a/*", "/a/x", true },
        { BH_PATH_GLOB, "/a/*", "/a/x/y", false },
        { BH_PATH_GLOB, "/a/*", "/a", false },
        { BH_PATH_GLOB, "/a/*/c", "/a/b/c", true },
        { BH_PATH_GLOB, "/a/?", "/a/bb", false },
        { BH_PATH_GLOB, "/a/*.log", "/a/.log", true },
        { BH_PATH_GLOB, "/a/*a*b", "/a/xaab", true },
        { BH_PATH_GLOB, "/a/*a*b", "/a/xaba", false },
        { BH_PATH_GLOB, "/a/b*", "/a/b", true },
        { BH_PATH_GLOB, "/*/*", "/a/", true },
        { BH_PATH_GLOB, "/a", "/a/b", false },
        { BH_PATH_IS, "/a", "", false },
        { BH_PATH_GLOB, "/*", "/", false },
        { BH_PATH_GLOB, "/", "/", true },
        { BH_PATH_GLOB, "/**", "/", false },
        { BH_PATH_GLOB, "/*", "/a", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (bh_path_match(cases[i].kind, cases[i].pattern, strlen(cases[i].pattern), cases[i].path,
                          strlen(cases[i].path)) != cases[i].matches)
            fail_msg("%d %s %s", cases[i].kind, cases[i].pattern, cases[i].path);
}

static void stars_take_no_exponential_time(void **state)
{
    char pattern[600] = "/", path[4000] = "/";

    (void)state;
    for (unsigned i = 0; i < 100; i++)
        strcat(pattern, "a*");
    memset(path + 1, 'a', 3000);
    strcat(pattern, "b");
    assert_false(bh_path_match(BH_PATH_GLOB, pattern, strlen(pattern), path, strlen(path)));
}

static void clean_paths(void **state)
{
    static const char *const good[] = { "/", "/a", "/a/b", "/...", "/a/.b", "/a/..b" };
    static const char *const bad[] = { "",   "a",   "//",     "/a/",     "/a//b",
                                       "/.", "/..", "/a/./b", "/a/../b", "/a/.." };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(bh_path_is_clean(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(bh_path_is_clean(bad[i], strlen(bad[i])));
    assert_false(bh_path_is_clean("/a\0b", 4));
}

static void verdicts_of_commands(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f, "policy 1\nrule look: allow @info, @hotplug\nrule stop: deny @hotplug\n");
    assert_int_equal(bh_policy_command(&f.policy, BH_CMD_GUEST_GET_OSINFO, NULL).verdict, BH_VERDICT_ALLOW);
    assert_int_equal(bh_policy_command(&f.policy, BH_CMD_GUEST_PING, NULL).verdict, BH_VERDICT_NOT_GRANTED);
    assert_int_equal(bh_policy_command(&f.policy, BH_CMD_GUEST_SET_VCPUS, NULL).verdict, BH_VERDICT_DENIED);
    assert_string_equal(fixture_rule(&f, bh_policy_command(&f.policy, BH_CMD_GUEST_SET_VCPUS, NULL)), "stop");
    assert_int_equal(bh_policy_command(&f.policy, BH_CMD_COUNT, NULL).verdict, BH_VERDICT_NOT_GRANTED);
    assert_int_equal(bh_policy_command(&f.policy, UINT32_MAX, NULL).verdict, BH_VERDICT_NOT_GRANTED);
    assert_true(bh_policy_grants(&f.policy, BH_CMD_GUEST_GET_OSINFO));
    assert_false(bh_policy_grants(&f.policy, BH_CMD_GUEST_SET_VCPUS));
    assert_false(bh_policy_grants(&f.policy, BH_CMD_GUEST_FILE_OPEN));
    fixture_end(&f);
    assert_int_equal(bh_verdict_code(BH_VERDICT_NOT_GRANTED), BH_E_NOT_GRANTED);
    assert_int_equal(bh_verdict_code(BH_VERDICT_NO_RULE), BH_E_NO_RULE);
    assert_int_equal(bh_verdict_code(BH_VERDICT_DENIED), BH_E_DENIED);
}

static const char files_policy[] =
    "policy 1\n"
    "rule logs: allow @file-read {\n path beneath \"/log\"\n}\n"
    "rule web: allow @file-read, @file-write {\n path beneath \"/web\"\n user www\n}\n"
    "rule ghost: allow @file-write {\n path is \"/ghost\"\n user nobody-here\n}\n"
    "rule secret: deny @file-read {\n path glob \"/log/*.key\"\n}\n"
    "rule cut: deny @file-write {\n verbs truncate\n}\n";

static void files_by_path_and_verb(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f, files_policy);
    check_open(&f, "/log/a", BH_VERB_READ, BH_VERDICT_ALLOW, "logs");
    check_open(&f, "/log/a", BH_VERB_READ | BH_VERB_WRITE, BH_VERDICT_NO_RULE, "-");
    check_open(&f, "/logs", BH_VERB_READ, BH_VERDICT_NO_RULE, "-");
    check_open(&f, "/log/a.key", BH_VERB_READ, BH_VERDICT_DENIED, "secret");
    check_open(&f, "/log/d/a.key", BH_VERB_READ, BH_VERDICT_ALLOW, "logs");
    check_open(&f, "/web/x", BH_VERB_READ | BH_VERB_WRITE, BH_VERDICT_ALLOW, "web");
    check_open(&f, "/web/x", BH_VERB_WRITE | BH_VERB_CREATE | BH_VERB_TRUNCATE, BH_VERDICT_DENIED, "cut");
    check_open(&f, "/ghost", BH_VERB_WRITE, BH_VERDICT_NO_RULE, "-");
    check_open(&f, "/log/a", 0, BH_VERDICT_NO_RULE, "-");
    check_open(&f, "/log/../web/x", BH_VERB_READ, BH_VERDICT_NO_RULE, "-");
    check_open(&f, "log/a", BH_VERB_READ, BH_VERDICT_NO_RULE, "-");
    assert_int_equal(bh_policy_command(&f.policy, BH_CMD_GUEST_FILE_OPEN, NULL).verdict, BH_VERDICT_NO_RULE);
    assert_true(bh_policy_grants(&f.policy, BH_CMD_GUEST_FILE_OPEN));
    fixture_end(&f);
}

static void what_cannot_be_evaluated(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f,
                 "policy 1\nrule any: allow @file-read\nrule no: deny @file-read {\n path is \"/x\"\n}\n");
    check_open(&f, "/y", BH_VERB_READ, BH_VERDICT_ALLOW, "any");
    check_open(&f, "y", BH_VERB_READ, BH_VERDICT_DENIED, "no");
    check_open(&f, "/y/../x", BH_VERB_READ, BH_VERDICT_DENIED, "no");
    fixture_end(&f);
}

static void on_the_object(void **state)
{
    struct bh_file_object file = {
        .path = BH_STR("/web/x"), .verbs = BH_VERB_READ, .found = true, .regular = true
    };
    struct fixture f;

    (void)state;
    fixture_good(&f, files_policy);
    assert_string_equal(bh_policy_string(&f.policy, f.policy.users[0].name), "www");
    file.user = 0;
    assert_int_equal(bh_policy_file(&f.policy, &file, NULL).verdict, BH_VERDICT_ALLOW);
    file.user = 1;
    assert_int_equal(bh_policy_file(&f.policy, &file, NULL).verdict, BH_VERDICT_NO_RULE);
    file.user = BH_NO_USER;
    assert_int_equal(bh_policy_file(&f.policy, &file, NULL).verdict, BH_VERDICT_NO_RULE);
    file.user = 0;
    file.regular = false;
    assert_int_equal(bh_policy_file(&f.policy, &file, NULL).verdict, BH_VERDICT_NO_RULE);
    fixture_end(&f);
}

static void denies_and_what_they_spare(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(
        &f,
        "policy 1\nrule a: allow @hotplug, @info\nrule b: allow @info\n"
        "rule d1: deny @info except a, b\nrule d2: deny @info except b\nrule d3: deny @hotplug except b\n");
    assert_string_equal(fixture_rule(&f, bh_policy_command(&f.policy, BH_CMD_GUEST_GET_OSINFO, NULL)), "b");
    assert_int_equal(bh_policy_command(&f.policy, BH_CMD_GUEST_SET_VCPUS, NULL).verdict, BH_VERDICT_DENIED);
    fixture_end(&f);
    fixture_good(&f, "policy 1\nrule a: allow @info\nrule b: allow @info\n"
                     "rule d1: deny @info except a\nrule d2: deny @info except b\n");
    assert_int_equal(bh_policy_command(&f.policy, BH_CMD_GUEST_GET_OSINFO, NULL).verdict, BH_VERDICT_DENIED);
    fixture_end(&f);
}

static void a_class_denied_beside_the_other(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f, "policy 1\nrule r: allow @file-read\nrule w: deny @file-write\n");
    check_open(&f, "/x", BH_VERB_READ, BH_VERDICT_ALLOW, "r");
    assert_true(bh_policy_grants(&f.policy, BH_CMD_GUEST_FILE_OPEN));
    assert_true(bh_policy_grants(&f.policy, BH_CMD_GUEST_FILE_CLOSE));
    assert_false(bh_policy_grants(&f.policy, BH_CMD_GUEST_FILE_WRITE));
    fixture_end(&f);
    fixture_good(&f, "policy 1\nrule r: allow @file-read\nrule w: deny @file-read\n");
    assert_false(bh_policy_grants(&f.policy, BH_CMD_GUEST_FILE_OPEN));
    assert_false(bh_policy_grants(&f.policy, BH_CMD_GUEST_FILE_READ));
    fixture_end(&f);
}

static const char listing_policy[] = "policy 1\nrule all: allow @net, @info\n"
                                     "rule bridges: deny @net {\n interfaces \"docker*\" \"br-?\"\n}\n"
                                     "rule routes: deny guest-network-get-route {\n interfaces \"lo\"\n}\n"
                                     "rule services: deny guest-get-users {\n users \"svc-*\"\n}\n";

static enum bh_verdict listed(const struct fixture *f, unsigned command, const char *name)
{
    struct bh_str asked = { name, (uint32_t)strlen(name) };

    return bh_policy_name(&f->policy, command, asked, NULL).verdict;
}

static void a_deny_hides_names(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f, listing_policy);
    assert_int_equal(listed(&f, BH_CMD_GUEST_NETWORK_GET_INTERFACES, "eth0"), BH_VERDICT_ALLOW);
    assert_int_equal(listed(&f, BH_CMD_GUEST_NETWORK_GET_INTERFACES, "docker"), BH_VERDICT_DENIED);
    assert_int_equal(listed(&f, BH_CMD_GUEST_NETWORK_GET_INTERFACES, "docker0"), BH_VERDICT_DENIED);
    assert_int_equal(listed(&f, BH_CMD_GUEST_NETWORK_GET_INTERFACES, "br-1"), BH_VERDICT_DENIED);
    assert_int_equal(listed(&f, BH_CMD_GUEST_NETWORK_GET_INTERFACES, "br-12"), BH_VERDICT_ALLOW);
    assert_int_equal(listed(&f, BH_CMD_GUEST_NETWORK_GET_INTERFACES, "lo"), BH_VERDICT_ALLOW);
    assert_int_equal(listed(&f, BH_CMD_GUEST_NETWORK_GET_ROUTE, "lo"), BH_VERDICT_DENIED);
    assert_int_equal(listed(&f, BH_CMD_GUEST_NETWORK_GET_ROUTE, "docker0"), BH_VERDICT_DENIED);
    assert_int_equal(listed(&f, BH_CMD_GUEST_GET_USERS, "svc-web"), BH_VERDICT_DENIED);
    assert_int_equal(listed(&f, BH_CMD_GUEST_GET_USERS, "docker0"), BH_VERDICT_ALLOW);
    assert_int_equal(listed(&f, BH_CMD_GUEST_SET_VCPUS, "eth0"), BH_VERDICT_NOT_GRANTED);
    assert_int_equal(listed(&f, BH_CMD_COUNT, "eth0"), BH_VERDICT_NOT_GRANTED);
    for (unsigned command = 0; command < BH_CMD_COUNT; command++)
        if (bh_command_lists(command) != BH_LISTED_NOTHING)
            assert_true(bh_policy_grants(&f.policy, command));
    fixture_end(&f);
}

static void an_allow_shows_names(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f, "policy 1\nrule net: allow @net {\n interfaces \"eth0\" \"en*\"\n}\n"
                     "rule who: allow guest-get-users {\n users \"*\"\n}\n"
                     "rule other: allow guest-network-get-route {\n interfaces \"lo\"\n}\n"
                     "rule hide: deny @net except net {\n interfaces \"*\"\n}\n");
    assert_true(bh_policy_grants(&f.policy, BH_CMD_GUEST_NETWORK_GET_INTERFACES));
    assert_int_equal(listed(&f, BH_CMD_GUEST_NETWORK_GET_INTERFACES, "eth0"), BH_VERDICT_ALLOW);
    assert_int_equal(listed(&f, BH_CMD_GUEST_NETWORK_GET_INTERFACES, "enp1s0"), BH_VERDICT_ALLOW);
    assert_int_equal(listed(&f, BH_CMD_GUEST_NETWORK_GET_INTERFACES, "eth0:1"), BH_VERDICT_NO_RULE);
    assert_int_equal(listed(&f, BH_CMD_GUEST_NETWORK_GET_INTERFACES, ""), BH_VERDICT_NO_RULE);
    assert_int_equal(listed(&f, BH_CMD_GUEST_NETWORK_GET_ROUTE, "lo"), BH_VERDICT_DENIED);
    assert_int_equal(listed(&f, BH_CMD_GUEST_GET_USERS, "a/b\xff"), BH_VERDICT_ALLOW);
    fixture_end(&f);
}

static void commands_that_list_the_same(void **state)
{
    uint64_t mask[2] = { 0 };

    (void)state;
    assert_int_equal(bh_mask_lists(mask), BH_LISTED_NOTHING);
    mask[BH_CMD_GUEST_NETWORK_GET_ROUTE / 64] |= 1ull << (BH_CMD_GUEST_NETWORK_GET_ROUTE % 64);
    assert_int_equal(bh_mask_lists(mask), BH_LISTED_INTERFACES);
    mask[BH_CMD_GUEST_NETWORK_GET_INTERFACES / 64] |= 1ull << (BH_CMD_GUEST_NETWORK_GET_INTERFACES % 64);
    assert_int_equal(bh_mask_lists(mask), BH_LISTED_INTERFACES);
    mask[BH_CMD_GUEST_GET_USERS / 64] |= 1ull << (BH_CMD_GUEST_GET_USERS % 64);
    assert_int_equal(bh_mask_lists(mask), BH_LISTED_NOTHING);
}

struct trail {
    unsigned n, matched;
    char last[128];
};

static void follow(void *context, uint32_t rule, bool matched, const char *why)
{
    struct trail *trail = context;

    (void)rule;
    trail->n++;
    trail->matched += matched;
    (void)snprintf(trail->last, sizeof(trail->last), "%s", why);
}

static void every_rule_is_explained(void **state)
{
    struct bh_file_object file = { .path = BH_STR("/log/a"), .verbs = BH_VERB_READ, .user = BH_NO_USER };
    struct trail trail = { 0 };
    struct bh_trace trace = { follow, &trail };
    struct fixture f;

    (void)state;
    fixture_good(&f, files_policy);
    assert_int_equal(bh_policy_file(&f.policy, &file, &trace).verdict, BH_VERDICT_ALLOW);
    assert_int_equal(trail.n, 5);
    assert_int_equal(trail.matched, 1);
    assert_string_equal(trail.last, "it speaks of other verbs");
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_patterns),
        cmocka_unit_test(stars_take_no_exponential_time),
        cmocka_unit_test(clean_paths),
        cmocka_unit_test(verdicts_of_commands),
        cmocka_unit_test(files_by_path_and_verb),
        cmocka_unit_test(what_cannot_be_evaluated),
        cmocka_unit_test(on_the_object),
        cmocka_unit_test(denies_and_what_they_spare),
        cmocka_unit_test(a_class_denied_beside_the_other),
        cmocka_unit_test(a_deny_hides_names),
        cmocka_unit_test(an_allow_shows_names),
        cmocka_unit_test(commands_that_list_the_same),
        cmocka_unit_test(every_rule_is_explained),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
