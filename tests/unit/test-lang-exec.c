/* The text of rules for guest-exec: what is wrong and where, every limit, what holds where nothing is said,
 * which rules meet, and the way back to text. */
#include "tests/unit/policy-fixture.h"

#include <stdlib.h>

#include "policy/paths.h"

#define X "policy 1\nallow guest-exec {\n program \"/x\"\n "
#define END "\n}\n"

static void check_error(const char *text, const char *says)
{
    struct fixture f;

    fixture_text(&f, text);
    if (f.result != BH_COMPILE_ERRORS || !fixture_says(&f, says))
        fail_msg("%s: %s", text, says);
    fixture_end(&f);
}

static void errors_say_where_and_what(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "policy 1\nallow guest-exec\n",
          "policy:2:1: guest-exec is granted program by program: give it a rule of its" },
        { "policy 1\nallow @info, @exec\n", "policy:2:1: guest-exec is granted program by program" },
        { "policy 1\nallow @exec {\n}\n", "policy:2:1: guest-exec is granted program by program" },
        { "policy 1\nallow @exec {\n user root\n}\n", "policy:2:1: this rule does not say what may be run" },
        { "policy 1\nallow @exec, @info {\n program any\n}\n",
          "policy:2:1: the settings of this rule speak of running" },
        { "policy 1\nallow @info {\n program any\n}\n",
          "policy:2:1: the settings of this rule speak of running" },
        { "policy 1\nallow guest-exec-status {\n program any\n}\n", "let it name guest-exec or @exec" },
        { "policy 1\nallow bulkhead-exec {\n program any\n}\n", "let it name guest-exec or @exec" },
        { "policy 1\nallow @exec, @file-read {\n program any\n path is \"/x\"\n}\n",
          "speak of running programs" },
        { "policy 1\nallow @exec {\n program\n}\n",
          "policy:3:9: one or more strings, or `any`, should stand here" },
        { "policy 1\nallow @exec {\n program \"x\"\n}\n", "policy:3:10: a path begins with '/'" },
        { "policy 1\nallow @exec {\n program \"/\"\n}\n", "policy:3:10: this is a folder and no program" },
        { "policy 1\nallow @exec {\n program \"/a\"\n program any\n}\n",
          "policy:4:10: `program any` leaves nothing to name" },
        { "policy 1\nallow @exec {\n program any\n program \"/a\"\n}\n",
          "policy:4:10: `program any` leaves nothing to name" },
        { X "args" END, "a string, a set in braces, `int`, `beneath`, `glob` or `any` should stand here" },
        { X "args what" END, "policy:4:7: a string, a set" },
        { X "args int" END, "a range of numbers such as 1..500 should stand here" },
        { X "args int 5..1" END, "policy:4:11: a range" },
        { X "args int 1.5" END, "policy:4:11: a range" },
        { X "args int 01..5" END, "policy:4:11: a range" },
        { X "args int 1..5x" END, "policy:4:11: a range" },
        { X "args int 0..9223372036854775808" END, "policy:4:11: a range" },
        { X "args beneath \"srv\"" END, "policy:4:15: a path begins" },
        { X "args glob x" END, "policy:4:12: a pattern in quotes" },
        { X "args { \"a\"\n \"b\" }" END, "policy:5:2: a comma or }" },
        { X "args { }" END, "policy:4:9: a string, a set" },
        { X "args \"a\" dash-ok" END, "policy:4:7: `dash-ok` has no meaning without a glob or `any`" },
        { X "args glob \"-x\"" END, "policy:4:7: this glob matches nothing" },
        { X "rest \"a\" \"b\"" END, "policy:4:11: the end of the line" },
        { X "rest any\n rest any" END, "policy:5:2: this rule says `rest` twice" },
        { X "env \"9\"" END, "policy:4:6: this is no name of a variable" },
        { X "env \"A=b\"" END, "policy:4:6: this is no name of a variable" },
        { X "env \"LD_PRELOAD\"" END, "policy:4:6: a client may never set this variable" },
        { X "env \"LANG\" any" END, "policy:4:13: the end of the line" },
        { X "sha256 \"ab\"" END, "policy:4:9: a digest has 64 hexadecimal digits" },
        { X "sha256 \"gggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg\"" END,
          "policy:4:9: a digest" },
        { "policy 1\nallow @exec {\n program any\n sha256 "
          "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"\n}\n",
          "policy:2:1: `sha256` is the digest of one program" },
        { X "argv0 \"\"" END, "policy:4:8: a program has a name" },
        { X "cwd \"x\"" END, "policy:4:6: a path begins" },
        { X "socket \"@x\"" END, "policy:4:9: a path begins" },
        { X "groups" END, "policy:4:8: names of groups, or `none`, should stand here" },
        { X "groups a/b" END, "policy:4:9: 'a/b' is no name of a group" },
        { X "user root\n sandbox none\n socket \"/x\"" END, "`socket` has no meaning in `sandbox plain`" },
        { X "sandbox plain" END, "policy:2:1: `sandbox plain` and `sandbox none` have no user" },
        { X "sandbox none" END, "policy:2:1: `sandbox plain` and `sandbox none` have no user" },
        { X "user root\n sandbox none\n net none" END, "policy:2:1: `sandbox none` has the guest's network" },
        { X "sandbox some" END, "policy:4:10: one of these words: minimal diag plain none" },
        { X "net yes" END, "policy:4:6: one of these words: none host" },
        { X "stdin maybe" END, "policy:4:8: one of these words: no yes" },
        { X "audit-output all" END, "policy:4:15: one of these words: digest full" },
        { X "timeout 31d" END,
          "policy:4:10: a time such as 30s, 10m, 2h or 1d (30d is the most; 0 for never)" },
        { X "timeout 5" END, "policy:4:10: a time" },
        { X "output 17M" END, "policy:4:9: a size such as 512K, 1M or 4096, not 0 (16M is the most)" },
        { X "memory 0" END, "policy:4:9: a size" },
        { X "pids -1" END, "policy:4:7: a number from 0 to 32768" },
        { X "cpu 0%" END, "policy:4:6: a number of CPUs such as 2" },
        { X "cpu %" END, "policy:4:6: a number of CPUs such as 2" },
        { X "cpu 5%%" END, "policy:4:6: a number of CPUs such as 2" },
        { X "rate 6" END, "policy:4:7: a number in a time, such as 6/min or 1/10s" },
        { X "rate 0/min" END, "policy:4:7: a number in a time" },
        { X "rate 6/0" END, "policy:4:7: a number in a time" },
        { X "rate 6/year" END, "policy:4:7: a number in a time" },
        { X "rate 6/31d" END, "policy:4:7: a number in a time" },
        { X "concurrent 0" END, "policy:4:13: a number from 1 to 1024" },
        { X "concurrent 1025" END, "policy:4:13: a number from 1 to 1024" },
        { "policy 1\ndeny @exec {\n program \"/x\"\n user root\n}\n", "policy:4:2: a deny grants nothing" },
        { "policy 1\ndeny @exec {\n args any\n}\n", "policy:3:2: a deny grants nothing" },
        { "policy 1\nset on-restart maybe\n", "policy:2:16: one of these words: kill keep" },
        { "policy 1\nset exec-idle 367d\n", "policy:2:15: a time" },
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_SIZE(cases); i++)
        check_error(cases[i].text, cases[i].says);
}

/* `n` copies of a piece within a block, and whether that compiles. */
static void check_count(const char *before, const char *piece, unsigned n, const char *after,
                        const char *says)
{
    struct fixture f;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    (void)fprintf(out, X "%s", before);
    for (unsigned i = 0; i < n; i++)
        (void)fprintf(out, "%s%s", i && *after == '}' ? ", " : " ", piece);
    (void)fprintf(out, "%s" END, after);
    assert_int_equal(fclose(out), 0);
    fixture_text(&f, text);
    if (f.result != (says ? BH_COMPILE_ERRORS : 0) || (says && !fixture_says(&f, says)))
        fail_msg("%u of %s", n, piece);
    fixture_end(&f);
    free(text);
}

static void counts(void **state)
{
    static const struct {
        const char *before, *piece, *after;
        unsigned most;
        const char *says;
    } rows[] = {
        { "program", "\"/y\"", "", BH_EXEC_WORDS_MAX - 1, "one rule has at most 64 in `program`" },
        { "env", "\"LANG\"", "", BH_EXEC_WORDS_MAX, "one rule has at most 64 in `env`" },
        { "socket", "\"/run/s\"", "", BH_EXEC_WORDS_MAX, "one rule has at most 64 in `socket`" },
        { "groups", "adm", "", BH_GROUPS_MAX, "one rule has at most 64 in `groups`" },
        { "args", "any", "", BH_EXEC_ARGS_MAX, "`args` has at most 64 positions" },
        { "args {", "\"a\"", "}", BH_EXEC_MATCHES_MAX, "a set has at most 64 alternatives" },
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_SIZE(rows); i++) {
        check_count(rows[i].before, rows[i].piece, rows[i].most - 1, rows[i].after, NULL);
        check_count(rows[i].before, rows[i].piece, rows[i].most, rows[i].after, NULL);
        check_count(rows[i].before, rows[i].piece, rows[i].most + 1, rows[i].after, rows[i].says);
    }
}

static void check_rates(unsigned n, int result)
{
    struct fixture f;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    (void)fputs("policy 1\n", out);
    for (unsigned i = 0; i < n; i++)
        (void)fprintf(out, "allow guest-exec {\n program \"/x%u\"\n rate 1/s\n}\n", i);
    assert_int_equal(fclose(out), 0);
    fixture_text(&f, text);
    assert_int_equal(f.result, result);
    if (result)
        assert_true(fixture_says(&f, "channel 'main' has more than 32 rules with a `rate`"));
    fixture_end(&f);
    free(text);
}

static void rates(void **state)
{
    (void)state;
    check_rates(BH_EXEC_RATES_MAX - 1, 0);
    check_rates(BH_EXEC_RATES_MAX, 0);
    check_rates(BH_EXEC_RATES_MAX + 1, BH_COMPILE_ERRORS);
}

static const struct bh_exec_rule *exec_of(struct fixture *f, const char *block)
{
    char text[600];

    (void)snprintf(text, sizeof(text), X "%s" END, block);
    fixture_good(f, text);
    return &f->policy.execs[f->policy.rules[0].exec];
}

static void what_holds_where_nothing_is_said(void **state)
{
    const struct bh_exec_rule *exec;
    struct fixture f;

    (void)state;
    exec = exec_of(&f, "");
    assert_int_equal(exec->flags, 0);
    assert_int_equal(exec->sandbox, BH_SANDBOX_MINIMAL);
    assert_int_equal(f.policy.rules[0].user, BH_NO_USER);
    assert_int_equal(exec->timeout_s, 600);
    assert_int_equal(exec->output, BH_EXEC_OUTPUT_MAX);
    assert_int_equal(exec->memory, 0);
    assert_int_equal(exec->pids, BH_EXEC_PIDS_INITIAL);
    assert_int_equal(exec->cpu + exec->rate + exec->rate_s + exec->concurrent + exec->n_args + exec->n_env,
                     0);
    assert_int_equal(f.policy.slice->settings[BH_SET_ON_RESTART], 0);
    assert_int_equal(f.policy.slice->settings[BH_SET_EXEC_IDLE_S], 600);
    fixture_end(&f);
    exec = exec_of(&f, "user www\n sandbox none");
    assert_int_equal(exec->flags, BH_EXEC_NET);
    assert_int_equal(exec->pids, 0);
    assert_int_equal(f.policy.users[f.policy.rules[0].user].uid, 33);
    fixture_end(&f);
    exec = exec_of(&f, "user www\n sandbox plain\n net none\n pids 7\n groups none");
    assert_int_equal(exec->flags, BH_EXEC_GROUPS);
    assert_int_equal(exec->pids, 7);
    assert_int_equal(exec->n_groups, 0);
    fixture_end(&f);
    exec = exec_of(&f, "sandbox diag\n net host\n pids 0\n groups web 9");
    assert_int_equal(exec->flags, BH_EXEC_NET | BH_EXEC_GROUPS);
    assert_int_equal(exec->pids, 0);
    assert_int_equal(f.policy.groups[exec->first_group], 7);
    assert_int_equal(f.policy.groups[exec->first_group + 1], 9);
    fixture_end(&f);
}

static void values(void **state)
{
    const struct bh_exec_rule *exec;
    struct fixture f;

    (void)state;
    exec = exec_of(
        &f, "timeout 30d\n output 16M\n memory 1G\n pids 32768\n cpu 50%\n rate 6/min\n concurrent 1024");
    assert_int_equal(exec->timeout_s, BH_EXEC_TIMEOUT_MAX_S);
    assert_int_equal(exec->memory, 1u << 30);
    assert_int_equal(exec->pids, 32768);
    assert_int_equal(exec->cpu, 50);
    assert_int_equal(exec->rate, 6);
    assert_int_equal(exec->rate_s, 60);
    assert_int_equal(exec->concurrent, 1024);
    fixture_end(&f);
    exec = exec_of(&f, "timeout 0\n output 1\n cpu 2\n rate 100000/30d");
    assert_int_equal(exec->timeout_s, 0);
    assert_int_equal(exec->output, 1);
    assert_int_equal(exec->cpu, 200);
    assert_int_equal(exec->rate, BH_EXEC_RATE_MAX);
    assert_int_equal(exec->rate_s, BH_EXEC_TIMEOUT_MAX_S);
    fixture_end(&f);
    exec = exec_of(&f, "sha256 \"00FFaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa19\"");
    assert_int_equal(exec->flags, BH_EXEC_SHA256);
    assert_int_equal(exec->sha256[0], 0);
    assert_int_equal(exec->sha256[1], 255);
    assert_int_equal(exec->sha256[31], 0x19);
    fixture_end(&f);
}

/* Two rules of one program, of which the second says something else: do their arguments meet? */
static void check_meeting(const char *a, const char *b, bool meet)
{
    for (unsigned turn = 0; turn < 2; turn++) {
        struct fixture f;
        char text[400];

        (void)snprintf(text, sizeof(text),
                       X "%s" END "allow guest-exec {\n program \"/x\"\n timeout 1s\n %s" END, turn ? a : b,
                       turn ? b : a);
        fixture_text(&f, text);
        if ((f.result != 0) != meet)
            fail_msg("%s / %s", a, b);
        if (meet)
            assert_true(fixture_says(&f, "can both match one execution and differ in `timeout`"));
        fixture_end(&f);
    }
}

static void arguments_that_meet(void **state)
{
    static const struct {
        const char *a, *b;
        bool meet;
    } rows[] = {
        { "", "", true },
        { "", "args \"a\"", false },
        { "", "rest any", true },
        { "args \"a\"", "rest any", true },
        { "args \"-a\"", "rest any", false },
        { "args \"-a\"", "rest any dash-ok", true },
        { "args \"a\" \"b\"", "args \"a\"", false },
        { "args \"a\" \"b\"", "args \"a\"\n rest \"b\"", true },
        { "args \"a\" \"b\"", "args \"a\"\n rest \"c\"", false },
        { "args \"a\"\n rest \"x\"", "args \"a\"\n rest \"y\"", true }, /* neither has more */
        { "args \"a\"", "args \"b\"", false },
        { "args { \"a\", \"c\" }", "args { \"b\", \"c\" }", true },
        { "args int 1..5", "args int 5..9", true },
        { "args int 1..5", "args int 6..9", false },
        { "args int 1..5", "args \"3\"", true },
        { "args int 1..5", "args \"03\"", false },
        { "args int 1..5", "args beneath \"/\"", false },
        { "args int -5..-1", "args any", false },
        { "args int -5..0", "args any", true },
        { "args int 1..5", "args glob \"?\"", true },
        { "args int 1..5", "args glob \"??\"", false },
        { "args int 1..5", "args glob \"*6\"", false },
        { "args int 9223372036854775800..9223372036854775807", "args glob \"x*\"", false },
        { "args beneath \"/a\"", "args beneath \"/a/b\"", true },
        { "args beneath \"/a\"", "args beneath \"/ab\"", false },
        { "args beneath \"/a\"", "args \"/a/b\"", true },
        { "args beneath \"/a\"", "args \"/a/../b\"", false },
        { "args beneath \"/a\"", "args glob \"/?/b*\"", true },
        { "args beneath \"/a\"", "args glob \"/b/*\"", false },
        { "args beneath \"/a\"", "args glob \"a/*\"", false },
        { "args beneath \"/a\"", "args any", true },
        { "args beneath \"/\"", "args glob \"*/x\"", true },
        { "args glob \"a*\"", "args glob \"*b\"", true },
        { "args glob \"a*\"", "args glob \"b*\"", false },
        { "args glob \"*\"", "args glob \"*/*\"", false },
        { "args glob \"-*\" dash-ok", "args any", false },
        { "args glob \"-*\" dash-ok", "args any dash-ok", true },
        { "args glob \"a\"", "args \"a\"", true },
        { "env \"LANG\"", "stdin yes", true }, /* both match what has neither */
        { "search yes", "search no", true },
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_SIZE(rows); i++)
        check_meeting(rows[i].a, rows[i].b, rows[i].meet);
}

static void check_conflict(const char *a, const char *b, const char *setting)
{
    char text[600], says[80];
    struct fixture f;

    (void)snprintf(text, sizeof(text), X "%s" END X "%s" END, a, b);
    memmove(strstr(text + 9, "policy 1\n"), strstr(text + 9, "policy 1\n") + 9,
            strlen(strstr(text + 9, "policy 1\n") + 9) + 1);
    (void)snprintf(says, sizeof(says), "can both match one execution and differ in `%s`", setting);
    fixture_text(&f, text);
    if (f.result != (setting ? BH_COMPILE_ERRORS : 0) || (setting && !fixture_says(&f, says)))
        fail_msg("%s / %s", a, b);
    fixture_end(&f);
}

static void settings_that_differ(void **state)
{
    (void)state;
    check_conflict("user www", "user root", "user");
    check_conflict("", "user root", "user");
    check_conflict("groups adm", "", "groups");
    check_conflict("groups adm web", "groups web adm", NULL);
    check_conflict("groups none", "", "groups");
    check_conflict("cwd \"/a\"", "cwd \"/b\"", "cwd");
    check_conflict("cwd \"/\"", "", NULL);
    check_conflict("argv0 \"a\"", "", "argv0");
    check_conflict("sandbox diag", "", "sandbox");
    check_conflict("socket \"/a\" \"/b\"", "socket \"/b\" \"/a\"", NULL);
    check_conflict("socket \"/a\"", "", "socket");
    check_conflict("net host", "", "net");
    check_conflict("net none", "", NULL);
    check_conflict("timeout 10m", "", NULL);
    check_conflict("output 1M", "", "output");
    check_conflict("memory 1M", "", "memory");
    check_conflict("pids 256", "", NULL);
    check_conflict("pids 255", "", "pids");
    check_conflict("cpu 1", "cpu 100%", NULL);
    check_conflict("rate 6/min", "rate 6/1m", NULL);
    check_conflict("rate 6/min", "rate 12/2m", "rate");
    check_conflict("concurrent 1", "", "concurrent");
    check_conflict("audit-output full", "", "audit-output");
    check_conflict("sha256 \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"",
                   "sha256 \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"", NULL);
    check_conflict("sha256 \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", "",
                   "sha256");
    check_conflict("program \"/y\"\n timeout 1s", "program \"/z\"", "timeout");
    check_conflict("env \"A\"\n rest any\n stdin yes\n search yes", "", NULL);
}

static void programs_that_meet(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f, "policy 1\nallow guest-exec {\n program \"/x\" \"/y\"\n}\nallow guest-exec {\n program "
                     "\"/z\"\n timeout 1s\n}\n");
    fixture_end(&f);
    check_error("policy 1\nallow guest-exec {\n program \"/x\"\n}\nallow guest-exec {\n program any\n "
                "timeout 1s\n}\n",
                "differ in `timeout`");
    fixture_good(
        &f, "policy 1\nchannel a virtio:a\nchannel b virtio:b\nallow guest-exec on a {\n program any\n}\n"
            "allow guest-exec on b {\n program any\n timeout 1s\n}\n");
    fixture_end(&f);
    fixture_good(&f, "policy 1\nallow guest-exec {\n program any\n}\ndeny guest-exec {\n program any\n}\n");
    assert_false(bh_policy_grants(&f.policy, BH_CMD_GUEST_EXEC)); /* the same as without a block */
    assert_int_equal(f.policy.rules[1].exec, BH_NO_EXEC);
    fixture_end(&f);
}

static void warnings(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f, X "groups adm none-such\n user nobody-here" END);
    assert_true(
        fixture_says(&f, "warning policy:4:13: there is no group 'none-such' here: the rule grants nothing"));
    assert_true(fixture_says(&f, "warning policy:5:7: there is no account 'nobody-here' here"));
    fixture_end(&f);
    fixture_good(&f, "policy 1\ncommands 49\nrule x: allow @exec {\n program \"/x\"\n}\ndeny @exec\n");
    assert_true(
        fixture_says(&f, "the rule 'x' grants nothing on channel 'main': deny rules take all of that"));
    fixture_end(&f);
    fixture_good(&f, "policy 1\ncommands 49\nrule x: allow @exec {\n program \"/x\"\n}\ndeny @exec {\n "
                     "program \"/x\"\n}\n");
    assert_int_equal(f.diags.n, 0);
    fixture_end(&f);
    fixture_good(
        &f,
        "policy 1\ncommands 49\nchannel a virtio:x only @sync\nrule x: allow @exec {\n program \"/x\"\n}\n");
    assert_true(fixture_says(&f, "the rule 'x' grants nothing on channel 'a': `only` or `commands` leaves"));
    assert_int_equal(f.policy.n_rules, 0);
    fixture_end(&f);
}

static void users_of_both_kinds_of_rules(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f, "policy 1\nallow guest-exec {\n program \"/x\"\n user www\n}\n"
                     "allow @file-read {\n user u1\n}\nallow guest-exec {\n program \"/y\"\n user u1\n}\n");
    assert_int_equal(f.policy.n_users, 2);
    assert_int_equal(f.policy.rules[0].user, 0);
    assert_int_equal(f.policy.rules[1].user, 1);
    assert_int_equal(f.policy.rules[2].user, 1);
    assert_false(bh_policy_opens_as(&f.policy, 0)); /* an account that runs programs only needs no opener */
    assert_true(bh_policy_opens_as(&f.policy, 1));
    fixture_end(&f);
}

/* Text, compiled, as text: the same as the canonical text. */
static void and_back_to_text(void **state)
{
    static const char block[] =
        "    program \"/bin/a\" \"/bin/b\"\n"
        "    sha256 \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"\n"
        "    argv0 \"a \\\"b\\\\\"\n"
        "    args \"x\" { int -5..500, beneath \"/s\", any } dash-ok \"\"\n"
        "    rest glob \"a*\"\n"
        "    env \"LANG\" \"TZ\"\n    stdin yes\n    search yes\n    user www\n    groups 4 9\n    cwd "
        "\"/srv\"\n"
        "    sandbox plain\n    net none\n    timeout 0s\n    output 65536\n    memory 67108864\n    pids "
        "20\n"
        "    cpu 50%\n    rate 6/60s\n    concurrent 3\n    audit-output full\n}\n";
    char text[1200];
    struct bh_str dumped;
    struct fixture f;

    (void)state;
    (void)snprintf(
        text, sizeof(text),
        "policy 1\ncommands 49\nchannel main\nset on-restart keep\nset exec-idle 0s\n\norigin \"policy\" 8\n"
        "rule a: allow guest-exec-status, guest-exec {\n%s\norigin \"policy\" 33\ndeny guest-exec {\n"
        "    program \"/bin/c\"\n}\n",
        block);
    fixture_good(&f, text);
    assert_int_equal(bh_policy_dump(&f.policy, &f.rows->rows[0], &f.arena, &dumped), 0);
    assert_string_equal(dumped.ptr, text);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_say_where_and_what),
        cmocka_unit_test(counts),
        cmocka_unit_test(rates),
        cmocka_unit_test(what_holds_where_nothing_is_said),
        cmocka_unit_test(values),
        cmocka_unit_test(arguments_that_meet),
        cmocka_unit_test(settings_that_differ),
        cmocka_unit_test(programs_that_meet),
        cmocka_unit_test(warnings),
        cmocka_unit_test(users_of_both_kinds_of_rules),
        cmocka_unit_test(and_back_to_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
