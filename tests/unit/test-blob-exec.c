/* What compiled policies say of executions, as hostile bytes: every table has its lie, and none is believed.
 */
#include "tests/unit/policy-fixture.h"

#include <errno.h>
#include <stdlib.h>

static const char text[] =
    "policy 1\ncommands 49\n"
    "rule run: allow guest-exec {\n program \"/bin/a\" \"/bin/b\"\n args \"x\" int 1..5 { glob \"g*\", "
    "beneath \"/s\" } dash-ok\n"
    " rest any\n env \"LANG\"\n socket \"/run/s\"\n groups adm 7\n cwd \"/srv\"\n argv0 \"z\"\n rate "
    "6/min\n}\n"
    "rule free: allow @exec {\n program any\n args \"other\"\n env any\n user root\n sandbox none\n}\n"
    "rule no: deny guest-exec {\n program \"/bin/c\"\n}\n"
    "rule look: allow @info\n";

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

/* A statement over the copy's tables, and what becomes of it. */
#define TRY(what, result)                                                                                    \
    do {                                                                                                     \
        struct copy copy = copy_slice();                                                                     \
        struct bh_rule *rules = section(copy.slice, BH_SECTION_RULES);                                       \
        struct bh_exec_rule *execs = section(copy.slice, BH_SECTION_EXECS);                                  \
        struct bh_exec_arg *args = section(copy.slice, BH_SECTION_ARGS);                                     \
        struct bh_exec_match *matches = section(copy.slice, BH_SECTION_MATCHES);                             \
        struct bh_name *words = section(copy.slice, BH_SECTION_WORDS);                                       \
        uint64_t *settings = copy.slice->settings;                                                           \
        (void)rules, (void)execs, (void)args, (void)matches, (void)words, (void)settings;                    \
        what;                                                                                                \
        if (open_copy(&copy) != (result))                                                                    \
            fail_msg("%s: %s", (result) ? "believed" : "refused", #what);                                    \
        free(copy.slice);                                                                                    \
    } while (0)
#define REFUSED(what) TRY(what, -EBADMSG)
#define TAKEN(what) TRY(what, 0)

enum { RUN, FREE, NO, LOOK };

static void lies_of_rules(void **state)
{
    (void)state;
    TAKEN((void)0);
    REFUSED(rules[RUN].exec = 3);
    REFUSED(rules[RUN].exec = BH_NO_EXEC);
    REFUSED(rules[RUN].exec = NO);
    REFUSED(rules[NO].exec = RUN);
    REFUSED(rules[LOOK].exec = RUN);
    REFUSED(rules[RUN].zero = 1);
    REFUSED(rules[NO].user = 0);
    REFUSED(rules[FREE].user = BH_NO_USER);
    REFUSED(rules[FREE].user = 9);
    REFUSED(rules[RUN].effect = BH_EFFECT_DENY);
    REFUSED(settings[BH_SET_ON_RESTART] = 2);
    TAKEN(settings[BH_SET_ON_RESTART] = 1);
    REFUSED(settings[BH_SET_EXEC_IDLE_S] = BH_IDLE_MAX_S + 1);
    TAKEN(settings[BH_SET_EXEC_IDLE_S] = BH_IDLE_MAX_S);
}

static void lies_of_lists(void **state)
{
    (void)state;
    REFUSED(execs[RUN].n_programs = 0);
    REFUSED(execs[RUN].n_programs = BH_EXEC_WORDS_MAX + 1);
    REFUSED(execs[RUN].first_program = 1u << 31);
    REFUSED(execs[RUN].n_programs = 3);                       /* the third word is a variable, and no path */
    REFUSED(execs[RUN].first_env = execs[RUN].first_program); /* a path is no variable */
    REFUSED(execs[RUN].n_env = UINT32_MAX);
    REFUSED(execs[RUN].n_sockets = 1000);
    REFUSED(execs[RUN].n_groups = BH_GROUPS_MAX + 1);
    REFUSED(execs[RUN].first_group = UINT32_MAX);
    REFUSED(execs[RUN].n_args = BH_EXEC_ARGS_MAX + 1);
    REFUSED(execs[RUN].n_args = 5); /* `rest` would stand behind the table */
    REFUSED(execs[RUN].first_arg = 2);
    REFUSED(words[0].text++);
    REFUSED(words[0].len++);
    REFUSED(words[2].len--);
    REFUSED(words[0].text = UINT32_MAX);
}

static void lies_of_matchers(void **state)
{
    (void)state;
    REFUSED(args[0].n_matches = 0);
    REFUSED(args[0].n_matches = BH_EXEC_MATCHES_MAX + 1);
    REFUSED(args[0].first_match = 6);
    REFUSED(args[0].dash_ok = 2);
    REFUSED(matches[0].kind = BH_MATCH_ANY + 1);
    REFUSED(matches[0].zero = 1);
    REFUSED(matches[0].least = 1);
    REFUSED(matches[0].text++);
    REFUSED(matches[0].kind = BH_MATCH_ANY);
    REFUSED(matches[0].kind = BH_MATCH_BENEATH);
    REFUSED(matches[1].least = 6);
    REFUSED(matches[1].kind = BH_MATCH_ANY);
    REFUSED(matches[1].len = 1);
    TAKEN(matches[1].least = INT64_MIN);
    REFUSED(matches[3].kind = BH_MATCH_INT);
}

static void lies_of_settings(void **state)
{
    (void)state;
    REFUSED(execs[RUN].flags |= BH_EXEC_FLAGS_ALL + 1);
    REFUSED(execs[RUN].flags |= BH_EXEC_ANY_PROGRAM);
    REFUSED(execs[FREE].flags &= ~(uint32_t)BH_EXEC_ANY_PROGRAM);
    REFUSED(execs[RUN].flags |= BH_EXEC_ANY_ENV);
    REFUSED(execs[RUN].flags &= ~(uint32_t)BH_EXEC_GROUPS);
    REFUSED(execs[RUN].sha256[31] = 1);
    TAKEN(execs[RUN].flags |= BH_EXEC_SHA256);
    REFUSED(execs[FREE].flags |= BH_EXEC_SHA256);
    REFUSED(execs[FREE].flags &= ~(uint32_t)BH_EXEC_NET);
    REFUSED(execs[RUN].sandbox = BH_SANDBOX_NONE + 1);
    REFUSED(execs[RUN].sandbox = BH_SANDBOX_PLAIN); /* has sockets, and no user */
    REFUSED(execs[RUN].zero = 1);
    REFUSED(execs[RUN].argv0++);
    REFUSED(execs[RUN].cwd = execs[RUN].argv0);
    TAKEN(execs[RUN].cwd = 0);
    REFUSED(execs[RUN].cwd = UINT32_MAX);
    REFUSED(execs[NO].sandbox = BH_SANDBOX_DIAG);
    REFUSED(execs[NO].output = 1);
    REFUSED(execs[NO].n_programs = 0);
}

static void limits(void **state)
{
    (void)state;
    TAKEN(execs[RUN].timeout_s = BH_EXEC_TIMEOUT_MAX_S);
    REFUSED(execs[RUN].timeout_s = BH_EXEC_TIMEOUT_MAX_S + 1);
    TAKEN(execs[RUN].output = BH_EXEC_OUTPUT_MAX);
    REFUSED(execs[RUN].output = BH_EXEC_OUTPUT_MAX + 1);
    REFUSED(execs[RUN].output = 0);
    TAKEN(execs[RUN].memory = INT64_MAX);
    REFUSED(execs[RUN].memory = 1ull << 63);
    TAKEN(execs[RUN].pids = BH_EXEC_PIDS_MAX);
    REFUSED(execs[RUN].pids = BH_EXEC_PIDS_MAX + 1);
    TAKEN(execs[RUN].cpu = BH_EXEC_CPU_MAX);
    REFUSED(execs[RUN].cpu = BH_EXEC_CPU_MAX + 1);
    TAKEN(execs[RUN].concurrent = BH_EXEC_CONCURRENT_MAX);
    REFUSED(execs[RUN].concurrent = BH_EXEC_CONCURRENT_MAX + 1);
    TAKEN(execs[RUN].rate = BH_EXEC_RATE_MAX);
    REFUSED(execs[RUN].rate = BH_EXEC_RATE_MAX + 1);
    REFUSED(execs[RUN].rate_s = 0);
    REFUSED(execs[RUN].rate = 0);
    REFUSED(execs[RUN].rate_s = BH_EXEC_TIMEOUT_MAX_S + 1);
}

static void too_many_rates(void **state)
{
    struct fixture f;
    struct bh_exec_rule *execs;
    char *rules = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&rules, &len);

    (void)state;
    assert_non_null(out);
    (void)fputs("policy 1\n", out);
    for (unsigned i = 0; i <= BH_EXEC_RATES_MAX; i++)
        (void)fprintf(out, "allow guest-exec {\n program \"/x%u\"\n%s}\n", i, i ? " rate 1/s\n" : "");
    assert_int_equal(fclose(out), 0);
    fixture_good(&f, rules);
    execs = section((struct bh_slice *)(uintptr_t)f.policy.slice, BH_SECTION_EXECS);
    execs[0].rate = execs[0].rate_s = 1;
    assert_int_equal(bh_policy_open(&f.policy, f.policy.slice, f.policy.slice->size), -EBADMSG);
    fixture_end(&f);
    free(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lies_of_rules),    cmocka_unit_test(lies_of_lists),
        cmocka_unit_test(lies_of_matchers), cmocka_unit_test(lies_of_settings),
        cmocka_unit_test(limits),           cmocka_unit_test(too_many_rates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
