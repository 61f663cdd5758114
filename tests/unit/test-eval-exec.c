/* Which executions are granted: each condition by itself, what cannot be known, and two names of one program.
 */
#include "tests/unit/policy-fixture.h"

#include "policy/environ.h"
#include "policy/evalexec.h"

#define TEXTS_MAX 8

struct asked {
    const char *path, *resolved; /* resolved NULL: as path */
    const char *args[TEXTS_MAX], *env[TEXTS_MAX];
    bool input;
};

static uint32_t strings(const char *const *from, struct bh_str *to)
{
    uint32_t n = 0;

    for (; n < TEXTS_MAX && from[n]; n++)
        to[n] = (struct bh_str){ from[n], (uint32_t)strlen(from[n]) };
    return n;
}

static struct bh_decision judge(const struct fixture *f, const struct asked *asked,
                                const struct bh_trace *trace)
{
    const char *resolved = asked->resolved ? asked->resolved : asked->path;
    struct bh_str args[TEXTS_MAX], env[TEXTS_MAX];
    struct bh_exec_object object = { .path = { asked->path, (uint32_t)strlen(asked->path) },
                                     .resolved = { resolved, (uint32_t)strlen(resolved) },
                                     .args = args,
                                     .env = env,
                                     .has_input = asked->input };

    object.n_args = strings(asked->args, args);
    object.n_env = strings(asked->env, env);
    return bh_policy_exec(&f->policy, &object, trace);
}

static void check(const struct fixture *f, struct asked asked, const char *rule)
{
    struct bh_decision decision = judge(f, &asked, NULL);

    if ((decision.verdict == BH_VERDICT_ALLOW) != (rule != NULL) ||
        (rule && strcmp(fixture_rule(f, decision), rule) != 0))
        fail_msg("%s %s: verdict %u by %s", asked.path, asked.args[0] ? asked.args[0] : "", decision.verdict,
                 fixture_rule(f, decision));
}

#define RUN(...) ((struct asked){ __VA_ARGS__ })

static void one_matcher(void **state)
{
    static const struct {
        const char *matcher, *yes, *no;
    } rows[] = {
        { "\"a\"", "a", "aa" },
        { "\"\"", "", "a" },
        { "\"-a\"", "-a", "a" },
        { "{ \"a\", \"b\" }", "b", "c" },
        { "int 1..5", "1", "0" },
        { "int 1..5", "5", "6" },
        { "int 1..5", "3", "03" },
        { "int 1..5", "3", "+3" },
        { "int 1..5", "3", "" },
        { "int 1..5", "3", "3 " },
        { "int 1..5", "3", "0x3" },
        { "int -2..0", "-2", "-3" },
        { "int -2..0", "0", "-0" },
        { "int 1..99999999999", "99999999999", "100000000000" },
        { "int 9223372036854775807..9223372036854775807", "9223372036854775807", "9223372036854775808" },
        { "int -9223372036854775808..0", "-9223372036854775808", "-9223372036854775809" },
        { "int 1..5", "3", "18446744073709551619" },
        { "beneath \"/s\"", "/s", "/" },
        { "beneath \"/s\"", "/s/a", "/sa" },
        { "beneath \"/s\"", "/s/a", "/s/../e" },
        { "beneath \"/s\"", "/s/a", "/s//a" },
        { "beneath \"/s\"", "/s/a", "/s/a/" },
        { "beneath \"/s\"", "/s/a", "/s/./a" },
        { "beneath \"/s\"", "/s/a", "s/a" },
        { "beneath \"/\"", "/x", "x" },
        { "glob \"a*z\"", "az", "a/z" },
        { "glob \"a*z\"", "a.-z", "zz" },
        { "glob \"?\"", "a", "" },
        { "glob \"?\"", "a", "/" },
        { "glob \"?\"", "a", "ab" },
        { "glob \"*\"", "", "-" },
        { "glob \"*\"", "a-", "-a" },
        { "glob \"/*/x\"", "/a/x", "/a/b/x" },
        { "any", "a/b", "-" },
        { "any", "", "-rf" },
        { "{ any, \"-v\" }", "-v", "-w" },
        { "glob \"-*\" dash-ok", "-x", "x" },
        { "{ any } dash-ok", "--x", NULL },
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_SIZE(rows); i++) {
        struct fixture f;
        char text[200];

        (void)snprintf(text, sizeof(text),
                       "policy 1\nrule r: allow guest-exec {\n program \"/x\"\n args %s\n}\n",
                       rows[i].matcher);
        fixture_good(&f, text);
        check(&f, RUN("/x", .args = { rows[i].yes }), "r");
        if (rows[i].no)
            check(&f, RUN("/x", .args = { rows[i].no }), NULL);
        check(&f, RUN("/x"), NULL);
        check(&f, RUN("/x", .args = { rows[i].yes, "" }), NULL);
        fixture_end(&f);
    }
}

static void positions_and_rest(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(
        &f,
        "policy 1\nrule r: allow guest-exec {\n program \"/x\"\n args \"a\"\n args \"b\"\n rest int 1..9\n}\n"
        "rule all: allow guest-exec {\n program \"/y\"\n rest any dash-ok\n}\n"
        "rule none: allow guest-exec {\n program \"/z\"\n rest none\n}\n");
    check(&f, RUN("/x", .args = { "a", "b" }), "r");
    check(&f, RUN("/x", .args = { "a", "b", "1", "2" }), "r");
    check(&f, RUN("/x", .args = { "a", "b", "1", "x" }), NULL);
    check(&f, RUN("/x", .args = { "b", "a" }), NULL);
    check(&f, RUN("/x", .args = { "a" }), NULL);
    check(&f, RUN("/y"), "all");
    check(&f, RUN("/y", .args = { "", "-x", "/" }), "all");
    check(&f, RUN("/z"), "none");
    check(&f, RUN("/z", .args = { "" }), NULL);
    fixture_end(&f);
}

static void names_of_the_program(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f, "policy 1\nrule second: allow guest-exec {\n program \"/usr/bin/a\"\n timeout 1m\n}\n"
                     "rule first: allow guest-exec {\n program \"/bin/a\"\n}\n"
                     "rule found: allow guest-exec {\n program \"/opt/t\"\n search yes\n}\n"
                     "rule no: deny guest-exec {\n program \"/bad\"\n}\n");
    check(&f, RUN("/bin/a", "/usr/bin/a"), "first"); /* whichever stands first in the text */
    check(&f, RUN("/usr/bin/a", "/bin/a"), "second");
    check(&f, RUN("/other", "/usr/bin/a"), "second");
    check(&f, RUN("/usr/bin/a", "/opt/unknown"), "second");
    check(&f, RUN("/usr/bin/A"), NULL);
    check(&f, RUN("a", "/usr/bin/a"), NULL);
    check(&f, RUN("t", "/opt/t"), "found");
    check(&f, RUN("/bin/a", "/bad"), NULL);
    check(&f, RUN("/bad", "/bin/a"), NULL);
    check(&f, RUN("/bin/a", ""), NULL); /* it might lead to what is denied */
    check(&f, RUN("", ""), NULL);
    fixture_end(&f);
    fixture_good(&f, "policy 1\nrule a: allow guest-exec {\n program \"/bin/a\"\n}\n");
    check(&f, RUN("/bin/a", ""), "a");
    check(&f, RUN("/bin/b", ""), NULL);
    fixture_end(&f);
}

static void variables_and_input(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f,
                 "policy 1\nrule some: allow guest-exec {\n program \"/s\"\n env \"LANG\" \"TZ\"\n}\n"
                 "rule in: allow guest-exec {\n program \"/i\"\n stdin yes\n}\n"
                 "rule any: allow guest-exec {\n program \"/a\"\n env any\n user root\n sandbox plain\n}\n"
                 "rule free: allow guest-exec {\n program \"/f\"\n env any\n user root\n sandbox none\n}\n");
    check(&f, RUN("/s", .env = { "LANG=", "TZ=a=b" }), "some");
    check(&f, RUN("/s", .env = { "LANG=C", "LANGUAGE=C" }), NULL);
    check(&f, RUN("/s", .env = { "lang=C" }), NULL);
    check(&f, RUN("/s", .env = { "LANG" }), NULL);
    check(&f, RUN("/s", .env = { "=LANG" }), NULL);
    check(&f, RUN("/s", .env = { "LANG=", "LANG=" }), NULL);
    check(&f, RUN("/s", .env = { "TZ=a", "LANG=", "TZ=" }), NULL);
    check(&f, RUN("/a", .env = { "A=", "A=" }), NULL);
    check(&f, RUN("/a", .env = { "A=", "AA=", "B=A=" }), "any");
    check(&f, RUN("/f", .env = { "A=", "A=" }), "free");
    check(&f, RUN("/s", .input = true), NULL);
    check(&f, RUN("/i", .input = true), "in");
    check(&f, RUN("/i", .env = { "LANG=C" }), NULL);
    check(&f, RUN("/a", .env = { "HOME=/" }), "any");
    check(&f, RUN("/a", .env = { "HOME" }), NULL);
    check(&f, RUN("/a", .env = { "" }), NULL);
    check(&f, RUN("/f", .env = { "LD_PRELOAD=/x", "HOME", "" }), "free");
    static const char *const never[] = { "LD_PRELOAD=x",    "LD_=",      "GCONV_PATH=x",   "BASH_ENV=x",
                                         "ENV=x",           "IFS=x",     "PS4=x",          "PYTHONSTARTUP=x",
                                         "PERL5OPT=x",      "RUBYOPT=x", "NODE_OPTIONS=x", "GLIBC_TUNABLES=x",
                                         "MALLOC_CHECK_=x", "GIT_SSH=x", "LESSOPEN=x",     "BASH_FUNC_ls%%=x",
                                         "LOCPATH=x",       "PAGER=x" };
    for (size_t i = 0; i < BH_ARRAY_SIZE(never); i++)
        check(&f, RUN("/a", .env = { "HOME=/", never[i] }), NULL);
    fixture_end(&f);
    assert_false(bh_env_is_refused("LD", 2));
    assert_false(bh_env_is_refused("ld_preload", 10));
    assert_false(bh_env_is_refused("", 0));
    assert_true(bh_env_name_ok("_A9", 3));
    assert_false(bh_env_name_ok("9A", 2));
    assert_false(bh_env_name_ok("", 0));
    assert_false(bh_env_name_ok("A\0", 2));
}

static void who_does_not_exist(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(
        &f, "policy 1\nrule ghost: allow guest-exec {\n program \"/x\"\n user nobody-here\n sandbox none\n}\n"
            "rule lost: allow guest-exec {\n program \"/y\"\n groups adm none-such\n}\n");
    check(&f, RUN("/x"), NULL);
    check(&f, RUN("/y"), NULL);
    assert_false(bh_policy_grants(&f.policy, BH_CMD_GUEST_EXEC));
    assert_true(bh_policy_grants(&f.policy, BH_CMD_GUEST_EXEC_STATUS));
    assert_false(bh_policy_has_sandbox(&f.policy, BH_SANDBOX_NONE));
    assert_false(bh_policy_has_sandbox(&f.policy, BH_SANDBOX_MINIMAL));
    fixture_end(&f);
    fixture_good(&f, "policy 1\nrule here: allow guest-exec {\n program \"/y\"\n groups adm 77\n}\n");
    check(&f, RUN("/y"), "here");
    fixture_end(&f);
}

static void sandboxes_that_there_are(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f, "policy 1\nrule n: allow guest-exec {\n program \"/n\"\n user root\n sandbox none\n}\n"
                     "rule d: allow guest-exec {\n program \"/d\"\n sandbox diag\n}\n"
                     "deny guest-exec {\n program \"/n\"\n}\n");
    assert_true(bh_policy_has_sandbox(&f.policy, BH_SANDBOX_NONE));
    assert_true(bh_policy_has_sandbox(&f.policy, BH_SANDBOX_DIAG));
    assert_false(bh_policy_has_sandbox(&f.policy, BH_SANDBOX_PLAIN));
    assert_false(bh_policy_has_sandbox(&f.policy, 99));
    fixture_end(&f);
    fixture_good(&f, "policy 1\nrule n: allow guest-exec {\n program \"/n\"\n user root\n sandbox none\n}\n"
                     "rule d: allow guest-exec {\n program \"/d\"\n sandbox diag\n}\ndeny @exec except d\n");
    assert_false(bh_policy_has_sandbox(&f.policy, BH_SANDBOX_NONE));
    assert_true(bh_policy_has_sandbox(&f.policy, BH_SANDBOX_DIAG));
    check(&f, RUN("/n"), NULL);
    check(&f, RUN("/d"), "d");
    ((struct bh_slice *)(uintptr_t)f.policy.slice)->withheld[BH_CMD_GUEST_EXEC / 64] |=
        1ull << (BH_CMD_GUEST_EXEC % 64);
    assert_false(bh_policy_has_sandbox(&f.policy, BH_SANDBOX_DIAG));
    check(&f, RUN("/d"), NULL);
    fixture_end(&f);
}

static void commands_that_are_granted(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(
        &f,
        "policy 1\nrule r: allow guest-exec {\n program \"/x\"\n}\ndeny guest-exec {\n program \"/x\"\n}\n");
    assert_true(bh_policy_grants(&f.policy, BH_CMD_GUEST_EXEC)); /* a deny of programs strikes some */
    assert_true(bh_policy_grants(&f.policy, BH_CMD_GUEST_EXEC_STATUS));
    assert_false(bh_policy_grants(&f.policy, BH_CMD_BULKHEAD_EXEC));
    check(&f, RUN("/x"), NULL);
    fixture_end(&f);
    fixture_good(&f, "policy 1\nallow guest-exec-status\n");
    assert_int_equal(bh_policy_exec(&f.policy, &(struct bh_exec_object){ 0 }, NULL).verdict,
                     BH_VERDICT_NOT_GRANTED);
    fixture_end(&f);
}

static void remember(void *context, uint32_t rule, bool matched, const char *why)
{
    (void)rule;
    (void)snprintf(context, 100, "%d %s", matched, why);
}

static void why_not(void **state)
{
    struct fixture f;
    char said[100] = "";
    const struct bh_trace trace = { remember, said };

    (void)state;
    fixture_good(
        &f, "policy 1\nrule r: allow guest-exec {\n program \"/x\"\n args \"a\" any\n env \"LANG\"\n}\n");
    (void)judge(&f, &RUN("/x", .args = { "a", "-b" }), &trace);
    assert_string_equal(said, "0 argument 2 begins with a dash");
    (void)judge(&f, &RUN("/x", .args = { "b", "b" }), &trace);
    assert_string_equal(said, "0 argument 1 is not among those it allows");
    (void)judge(&f, &RUN("/x", .args = { "a", "b" }, .env = { "LANG=", "LD_AUDIT=" }), &trace);
    assert_string_equal(said, "0 variable 2 may never be set");
    (void)judge(&f, &RUN("/x", .args = { "a", "b" }), &trace);
    assert_string_equal(said, "1 it matches");
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_matcher),
        cmocka_unit_test(positions_and_rest),
        cmocka_unit_test(names_of_the_program),
        cmocka_unit_test(variables_and_input),
        cmocka_unit_test(who_does_not_exist),
        cmocka_unit_test(sandboxes_that_there_are),
        cmocka_unit_test(commands_that_are_granted),
        cmocka_unit_test(why_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
