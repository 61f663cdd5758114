/* The language: limits at, below and above; what is an error and what it says; layers; packs and case files.
 */
#include "tests/unit/policy-fixture.h"

#include <errno.h>
#include <stdlib.h>

#include "policy/lang/cases.h"
#include "policy/listed.h"
#include "policy/paths.h"

/* Text that grows. */
struct text {
    char *bytes;
    size_t len;
    FILE *file;
};

static FILE *text_begin(struct text *text)
{
    *text = (struct text){ 0 };
    text->file = open_memstream(&text->bytes, &text->len);
    assert_non_null(text->file);
    return text->file;
}

/* Compiles the text and says what came of it. */
static int text_result(struct text *text, const char *says)
{
    struct fixture f;
    int result;

    (void)fclose(text->file);
    fixture_text(&f, text->bytes);
    free(text->bytes);
    result = f.result;
    if (says)
        assert_true(fixture_says(&f, says));
    fixture_end(&f);
    return result;
}

static int file_of(size_t size, const char *says)
{
    struct text text;
    FILE *out = text_begin(&text);
    int used = fprintf(out, "policy 1\nallow @info\n#");

    for (size_t i = (size_t)used; i < size; i++)
        (void)fputc('x', out);
    return text_result(&text, says);
}

static void file_size(void **state)
{
    (void)state;
    assert_int_equal(file_of(BH_POLICY_FILE_MAX - 1, NULL), 0);
    assert_int_equal(file_of(BH_POLICY_FILE_MAX, NULL), 0);
    assert_int_equal(file_of(BH_POLICY_FILE_MAX + 1, "262145 bytes"), BH_COMPILE_ERRORS);
}

static int number_of_files(size_t n)
{
    struct bh_pack_file files[BH_POLICY_FILES_MAX + 1];
    struct fixture f;
    int result;

    for (size_t i = 0; i < n; i++)
        files[i] =
            (struct bh_pack_file){ .name = BH_STR("policy"), .text = BH_STR("policy 1\n"), .drop_in = i > 0 };
    fixture_compile(&f, files, n);
    result = f.result;
    fixture_end(&f);
    return result;
}

static void file_count(void **state)
{
    (void)state;
    assert_int_equal(number_of_files(0), BH_COMPILE_ERRORS);
    assert_int_equal(number_of_files(1), 0);
    assert_int_equal(number_of_files(BH_POLICY_FILES_MAX), 0);
    assert_int_equal(number_of_files(BH_POLICY_FILES_MAX + 1), BH_COMPILE_ERRORS);
}

static int rules(unsigned n, const char *says)
{
    struct text text;
    FILE *out = text_begin(&text);

    (void)fputs("policy 1\n", out);
    for (unsigned i = 0; i < n; i++)
        (void)fputs("allow guest-ping\n", out);
    return text_result(&text, says);
}

static int channels(unsigned n, const char *says)
{
    struct text text;
    FILE *out = text_begin(&text);

    (void)fputs("policy 1\n", out);
    for (unsigned i = 0; i < n; i++)
        (void)fprintf(out, "channel c%u virtio:x%u\n", i, i);
    return text_result(&text, says);
}

static int users(unsigned n, const char *says)
{
    struct text text;
    FILE *out = text_begin(&text);

    (void)fputs("policy 1\n", out);
    for (unsigned i = 0; i < n; i++)
        (void)fprintf(out, "allow @file-write {\n path is \"/f%u\"\n user %s%c\n}\n", i, i < 8 ? "u" : "roo",
                      i < 8 ? (char)('1' + i) : 't');
    return text_result(&text, says);
}

static void counts(void **state)
{
    (void)state;
    assert_int_equal(rules(BH_RULES_MAX - 1, NULL), 0);
    assert_int_equal(rules(BH_RULES_MAX, NULL), 0);
    assert_int_equal(rules(BH_RULES_MAX + 1, "more than 2000 rules"), BH_COMPILE_ERRORS);
    assert_int_equal(channels(BH_CHANNELS_MAX, NULL), 0);
    assert_int_equal(channels(BH_CHANNELS_MAX + 1, "8 channels are the most"), BH_COMPILE_ERRORS);
    assert_int_equal(users(BH_USERS_MAX, NULL), 0);
    assert_int_equal(users(BH_USERS_MAX + 1, "may name 8 accounts"), BH_COMPILE_ERRORS);
}

static int name_of(int len)
{
    struct text text;
    FILE *out = text_begin(&text);

    (void)fprintf(out, "policy 1\nrule %0*d: allow @info\n", len, 0);
    (void)fflush(out);
    memset(text.bytes + strlen("policy 1\nrule "), 'n', (size_t)len);
    return text_result(&text, NULL);
}

static int path_of(size_t len, const char *says)
{
    struct text text;
    FILE *out = text_begin(&text);

    (void)fputs("policy 1\nallow @file-read {\n path is \"/", out);
    for (size_t i = 1; i < len; i++)
        (void)fputc('p', out);
    (void)fputs("\"\n}\n", out);
    return text_result(&text, says);
}

/* A rule with `n` patterns, the first of them of `len` bytes that are not stars, and as many stars. */
static int names_of(const char *target, const char *setting, unsigned n, size_t len, size_t stars,
                    const char *says)
{
    struct text text;
    FILE *out = text_begin(&text);

    (void)fprintf(out, "policy 1\nallow %s {\n %s \"", target, setting);
    for (size_t i = 0; i < len; i++)
        (void)fputc('n', out);
    for (size_t i = 0; i < stars; i++)
        (void)fputc('*', out);
    (void)fputc('"', out);
    for (unsigned i = 1; i < n; i++)
        (void)fprintf(out, "%s \"x*\"", i == 9 ? "\n interfaces" : "");
    (void)fputs("\n}\n", out);
    return text_result(&text, says);
}

static void names(void **state)
{
    (void)state;
    assert_int_equal(names_of("@net", "interfaces", 1, BH_INTERFACE_MAX - 1, 0, NULL), 0);
    assert_int_equal(names_of("@net", "interfaces", 1, BH_INTERFACE_MAX, 16, NULL), 0);
    assert_int_equal(names_of("@net", "interfaces", 1, BH_INTERFACE_MAX, 17, "at most 15"),
                     BH_COMPILE_ERRORS);
    assert_int_equal(names_of("@net", "interfaces", 1, BH_INTERFACE_MAX + 1, 0, "at most 15"),
                     BH_COMPILE_ERRORS);
    assert_int_equal(names_of("guest-get-users", "users", 1, BH_USER_MAX - 1, 0, NULL), 0);
    assert_int_equal(names_of("guest-get-users", "users", 1, BH_USER_MAX, 1, NULL), 0);
    assert_int_equal(names_of("guest-get-users", "users", 1, BH_USER_MAX + 1, 0, "at most 256"),
                     BH_COMPILE_ERRORS);
    assert_int_equal(names_of("@net", "interfaces", BH_NAMES_MAX - 1, 1, 0, NULL), 0);
    assert_int_equal(names_of("@net", "interfaces", BH_NAMES_MAX, 1, 0, NULL), 0);
    assert_int_equal(names_of("@net", "interfaces", BH_NAMES_MAX + 1, 1, 0, "at most 64 patterns"),
                     BH_COMPILE_ERRORS);
}

static void lengths(void **state)
{
    (void)state;
    assert_int_equal(name_of(BH_POLICY_NAME_MAX - 1), 0);
    assert_int_equal(name_of(BH_POLICY_NAME_MAX), 0);
    assert_int_equal(name_of(BH_POLICY_NAME_MAX + 1), BH_COMPILE_ERRORS);
    assert_int_equal(path_of(BH_POLICY_STRING_MAX - 1, NULL), 0);
    assert_int_equal(path_of(BH_POLICY_STRING_MAX, NULL), 0);
    assert_int_equal(path_of(BH_POLICY_STRING_MAX + 1, "4095 bytes are the most"), BH_COMPILE_ERRORS);
}

static void compiled_size(void **state)
{
    struct text text;
    FILE *out = text_begin(&text);

    (void)state;
    (void)fputs("policy 1\n", out);
    for (unsigned i = 0; i < 8; i++)
        (void)fprintf(out, "channel c%u virtio:x%u\n", i, i);
    for (unsigned i = 0; i < BH_RULES_MAX; i++)
        (void)fputs("deny guest-ping\n", out);
    assert_int_equal(text_result(&text, "the compiled policy takes"), BH_COMPILE_ERRORS);
}

static void diagnostics_are_bounded(void **state)
{
    struct fixture f;
    char text[2000] = "policy 1\n";

    (void)state;
    for (unsigned i = 0; i < BH_DIAGS_MAX + 5; i++)
        strcat(text, "allow guest-nothing\n");
    fixture_text(&f, text);
    assert_int_equal(f.diags.n, BH_DIAGS_MAX);
    assert_int_equal(f.diags.n_errors, BH_DIAGS_MAX + 5);
    assert_int_equal(f.diags.n_lost, 5 + 1); /* and the warning about `commands` */
    assert_string_equal(
        bh_diag_line(&f.diags, &f.diags.items[1]).ptr,
        "error policy:3:7: there is no command 'guest-nothing': see the list in bulkhead-policy(5)");
    fixture_end(&f);
}

#define W "allow @file-write {\n user www\n"

static void errors_say_where_and_what(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "", "policy:1:1: the file says nothing" },
        { "allow @info\n", "policy:1:1: `policy 1`" },
        { "policy 2\n", "policy:1:8: `1`" },
        { "policy 1\npolicy 1\n", "policy:2:1:" },
        { "policy 1\nallow @info @net\n", "policy:2:13: the end of the line" },
        { "policy 1\nallow @inf\xc3\xb6\n", "policy:2:11: this character" },
        { "policy 1\nallow \xff\n", "not UTF-8" },
        { "policy 1\r\n", "policy:1:9: a control character (code 13)" },
        { "policy 1\nallow\n", "policy:2:6: a command or a class should stand here, but here the line ends" },
        { "policy 1\nallow guest-file-open {\n path is \"/x\"\n}\n",
          "policy:2:1: this rule grants guest-file-open" },
        { "policy 1\nallow @file-read {\n verbs write\n}\n", "add `user NAME`" },
        { "policy 1\nallow @file-write\n", "add `user NAME`" },
        { "policy 1\nallow @file-read {\n path is \"/x\"\n",
          "policy:2:1: the block of this rule is not closed" },
        { "policy 1\nallow @file-read {\n path in \"/x\"\n}\n", "policy:3:7: `is`, `beneath` or `glob`" },
        { "policy 1\nallow @file-read {\n path is /x\n}\n", "policy:3:10: a path in quotes" },
        { "policy 1\nallow @file-read {\n path is \"/x/../y\"\n}\n", "policy:3:10: a path begins with" },
        { "policy 1\nallow @file-read {\n path is { \"/x\"\n \"/y\" }\n}\n", "policy:4:2: a comma or }" },
        { "policy 1\nallow @file-read {\n types odd\n}\n", "policy:3:8: one of these words: regular any" },
        { "policy 1\nallow @file-read {\n types any\n types any\n}\n",
          "policy:4:2: this rule says `types` twice" },
        { "policy 1\nallow @file-read {\n max-size 1M\n}\n", "`max-size` has no meaning" },
        { "policy 1\n" W " max-size 0\n}\n", "policy:4:11: a size" },
        { "policy 1\n" W " max-size 9999999999G\n}\n", "policy:4:11: a size" },
        { "policy 1\n" W " create-mode 640\n}\n", "policy:4:14: an octal mode" },
        { "policy 1\n" W " create-mode 01000\n}\n", "policy:4:14: an octal mode" },
        { "policy 1\nallow @info, @file-read {\n types any\n}\n",
          "write another rule for the other commands" },
        { "policy 1\nallow guest-file-read {\n types any\n}\n", "let it name guest-file-open" },
        { "policy 1\ndeny @file-read {\n user www\n}\n", "policy:3:2: a deny grants nothing" },
        { "policy 1\nallow @info except x\n", "policy:2:13: only a deny has exceptions" },
        { "policy 1\nrule a: deny @info\ndeny @net except a\n", "policy:3:18: 'a' is a deny" },
        { "policy 1\nrule a: allow @info\nrule a: allow @net\n",
          "policy:3:1: the name 'a' is taken by the rule at policy:2" },
        { "policy 1\nset explain-to-client maybe\n", "policy:2:23: one of these words: no yes" },
        { "policy 1\nset handle-idle 5\n", "policy:2:17: a time" },
        { "policy 1\nset handle-idle 367d\n",
          "policy:2:17: a time such as 30s, 10m, 2h or 1d (366d is the most; "
          "0 for never)" },
        { "policy 1\nset freeze-timeout 367d\n", "policy:2:20: a time" },
        { "policy 1\nset freeze-timeout 31622401s\n", "policy:2:20: a time" },
        { "policy 1\nset freeze-expired quiet\n", "policy:2:20: one of these words: error silent" },
        { "policy 1\nset freeze-on-restart keep\n", "policy:2:23: one of these words: thaw hold" },
        { "policy 1\nset nvme-smart on\n", "policy:2:16: one of these words: no yes" },
        { "policy 1\nset hook-timeout 0\n",
          "policy:2:18: a time such as 30s, 10m, 2h or 1d (1h is the most, 1s "
          "the least) should" },
        { "policy 1\nset hook-timeout 3601s\n", "policy:2:18: a time" },
        { "policy 1\nset handle-idle 1m\nset handle-idle 1m\n", "policy:3:5: `handle-idle` is set twice" },
        { "policy 1\nset fence-net off\nset fence-net preferred\n", "policy:3:5: `fence-net` is set twice" },
        { "policy 1\nset fence-moat off\n", "there is no setting 'fence-moat'" },
        { "policy 1\ncommands 50\n", "policy:2:10: this build knows 49 commands, not 50" },
        { "policy 1\ncommands 49\ncommands 49\n", "`commands` was said in line 2" },
        { "policy 1\nchannel Main virtio:x\n", "cannot be the name of a channel" },
        { "policy 1\nchannel a virtio:x\nchannel a virtio:y\n", "channel 'a' was opened in line 2" },
        { "policy 1\nchannel a virtio:\n", "policy:2:11: behind `virtio:` stands the name of a port" },
        { "policy 1\nchannel a tcp:1\n", "policy:2:11: a channel is opened by" },
        { "policy 1\nchannel a virtio\n", "policy:2:11: behind `virtio:` stands the name of a port" },
        { "policy 1\nchannel a\n", "policy:2:9: say how this channel is opened" },
        { "policy 1\nchannel a only @sync\n", "policy:2:9: say how this channel is opened" },
        { "policy 1\nchannel local unix-listen:/x\n", "policy:2:15: `local` is the name of root's own" },
        { "policy 1\nchannel local virtio:x only @sync\n", "policy:2:15: `local` is the name of root's own" },
        { "policy 1\nchannel local :\n", "policy:2:15: " },
        { "policy 1\nchannel main :/x\n", "policy:2:14: a channel is opened by" },
        { "policy 1\nchannel local\nchannel local\n", "policy:3:9: channel 'local' was opened in line 2" },
        { "policy 1\nchannel main\nchannel main virtio:x\n",
          "policy:3:9: channel 'main' was opened in line 2" },
        { "policy 1\nchannel a virtio:x\nchannel b virtio:x\n",
          "policy:3:9: channel 'a' in line 2 is opened by virtio:x already" },
        { "policy 1\nchannel a virtio:x onli @sync\n", "policy:2:20: the end of the line" },
        { "policy 1\nchannel a virtio:x only\n", "policy:2:24: a command or a class" },
        { "policy 1\nchannel a \"virtio:x\"\n", "policy:2:9: say how this channel is opened" },
        { "policy 1\nallow @info on b\n", "policy:2:16: there is no channel 'b'" },
        { "policy 1\nchannel a virtio:x\nchannel b virtio:y\nallow @info\n",
          "policy:4:1: there are 2 channels" },
        { "policy 1\nchannel a virtio:x\nchannel b virtio:y\nuse looking\n",
          "policy:4:5: there are 2 channels" },
        { "policy 1\nallow @net {\n interfaces\n}\n", "policy:3:12: a name or pattern in quotes" },
        { "policy 1\nallow @net {\n interfaces eth0\n}\n", "policy:3:13: a name or pattern in quotes" },
        { "policy 1\nallow @net {\n interfaces \"\"\n}\n",
          "policy:3:13: this pattern matches nothing: it is" },
        { "policy 1\nallow @net {\n interfaces \"a\" \"b/c\"\n}\n",
          "policy:3:17: this pattern matches nothing" },
        { "policy 1\nallow @net {\n users \"bob\"\n}\n",
          "policy:2:1: `users` chooses among what is listed by guest-get-users: let" },
        { "policy 1\ndeny @info {\n users \"bob\"\n}\n", "policy:2:1: `users` chooses among" },
        { "policy 1\nallow @net, @info {\n interfaces \"a\"\n}\n",
          "listed by guest-network-get-interfaces, guest-network-get-route: let the rule name nothing else" },
        { "policy 1\nallow @net, guest-get-users {\n interfaces \"a\"\n users \"b\"\n}\n",
          "policy:2:1: `interfaces` chooses among" },
        { "policy 1\nallow @net {\n interfaces \"a\"\n types any\n}\n", "let it name guest-file-open" },
        { "policy 1\nallow @file-read {\n interfaces \"a\"\n}\n", "policy:2:1: `interfaces` chooses among" },
        { "policy 1\nuse nothing\n", "policy:2:5: there is no profile 'nothing'" },
        { "policy 1\nuse denying\n", "profile:denying:2:1: profiles hold only allows" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture f;

        fixture_text(&f, cases[i].text);
        if (f.result != BH_COMPILE_ERRORS || !fixture_says(&f, cases[i].says))
            fail_msg("%s: %s", cases[i].text, cases[i].says);
        fixture_end(&f);
    }
}

static void values_of_settings(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(
        &f,
        "policy 1 # c\nset handle-idle 366d\nset explain-to-client yes\nset audit-failure continue\n"
        "set fence-uid required\nset fence-rlimits off\nset fence-net preferred\nset vsock-peers local any\n"
        "rule a: allow @file-read,\n  @file-write {\n  path is { \"/a\",\n \"/b\" }\n path glob \"/c*\"\n"
        "  user www\n max-size 2G\n create-mode 0640\n types any\n symlinks trusted }\n");
    assert_int_equal(f.policy.slice->settings[BH_SET_HANDLE_IDLE_S], BH_IDLE_MAX_S);
    assert_int_equal(f.policy.slice->settings[BH_SET_EXPLAIN_TO_CLIENT], 1);
    assert_int_equal(f.policy.slice->settings[BH_SET_AUDIT_FAILURE], 1);
    assert_int_equal(f.policy.slice->settings[BH_SET_FENCES_REQUIRED], BH_FENCE_UID);
    assert_int_equal(f.policy.slice->settings[BH_SET_FENCES_OFF], BH_FENCE_RLIMITS);
    assert_int_equal(f.policy.slice->settings[BH_SET_COMMANDS], BH_CMD_COUNT);
    assert_int_equal(f.policy.slice->settings[BH_SET_VSOCK_PEERS], BH_VSOCK_LOCAL | BH_VSOCK_ANY);
    assert_int_equal(f.policy.rules[0].n_paths, 3);
    assert_int_equal(f.policy.rules[0].max_size, 2ull << 30);
    assert_int_equal(f.policy.rules[0].create_mode, 0640);
    assert_int_equal(f.policy.rules[0].types, BH_TYPES_ANY);
    assert_int_equal(f.policy.rules[0].symlinks, BH_SYMLINKS_TRUSTED);
    assert_int_equal(f.policy.rules[0].verbs, BH_VERB_ALL);
    fixture_end(&f);
}

static uint64_t value_of(const char *line, enum bh_setting setting)
{
    char text[200];
    struct fixture f;
    uint64_t value;

    (void)snprintf(text, sizeof(text), "policy 1\n%s\n", line);
    fixture_good(&f, text);
    value = f.policy.slice->settings[setting];
    fixture_end(&f);
    return value;
}

static void settings_of_freezing(void **state)
{
    (void)state;
    assert_int_equal(value_of("", BH_SET_FREEZE_TIMEOUT_S), 600);
    assert_int_equal(value_of("set freeze-timeout 0", BH_SET_FREEZE_TIMEOUT_S), 0);
    assert_int_equal(value_of("set freeze-timeout 1s", BH_SET_FREEZE_TIMEOUT_S), 1);
    assert_int_equal(value_of("set freeze-timeout 31622399s", BH_SET_FREEZE_TIMEOUT_S),
                     BH_FREEZE_TIMEOUT_MAX_S - 1);
    assert_int_equal(value_of("set freeze-timeout 366d", BH_SET_FREEZE_TIMEOUT_S), BH_FREEZE_TIMEOUT_MAX_S);
    assert_int_equal(value_of("", BH_SET_FREEZE_EXPIRED), 0);
    assert_int_equal(value_of("set freeze-expired silent", BH_SET_FREEZE_EXPIRED), 1);
    assert_int_equal(value_of("", BH_SET_FREEZE_ON_RESTART), 0);
    assert_int_equal(value_of("set freeze-on-restart hold", BH_SET_FREEZE_ON_RESTART), 1);
    assert_int_equal(value_of("", BH_SET_HOOK_TIMEOUT_S), 60);
    assert_int_equal(value_of("set hook-timeout 1s", BH_SET_HOOK_TIMEOUT_S), 1);
    assert_int_equal(value_of("set hook-timeout 3599s", BH_SET_HOOK_TIMEOUT_S), BH_HOOK_TIMEOUT_MAX_S - 1);
    assert_int_equal(value_of("set hook-timeout 1h", BH_SET_HOOK_TIMEOUT_S), BH_HOOK_TIMEOUT_MAX_S);
    assert_int_equal(value_of("", BH_SET_NVME_SMART), 0);
    assert_int_equal(value_of("set nvme-smart yes", BH_SET_NVME_SMART), 1);
}

static void peers_of_virtio_sockets(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f, "policy 1\n");
    assert_int_equal(f.policy.slice->settings[BH_SET_VSOCK_PEERS], BH_VSOCK_HOST);
    fixture_end(&f);
    fixture_text(&f, "policy 1\nset vsock-peers\n");
    assert_int_equal(f.result, BH_COMPILE_ERRORS);
    fixture_end(&f);
    fixture_text(&f, "policy 1\nset vsock-peers guest\n");
    assert_true(fixture_says(&f, "one of these words: host local any"));
    fixture_end(&f);
    fixture_text(&f, "policy 1\nset vsock-peers host\nset vsock-peers any\n");
    assert_true(fixture_says(&f, "`vsock-peers` is set twice"));
    fixture_end(&f);
}

static void missing_accounts_are_warned_of(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f, "policy 1\nallow @file-write {\n path is \"/a\"\n user gone\n}\n"
                     "allow @file-write {\n path is \"/b\"\n user broken\n}\n"
                     "allow @file-write {\n path is \"/c\"\n user root\n}\n");
    assert_true(fixture_says(&f, "warning policy:4:7: there is no account 'gone'"));
    assert_int_equal(f.policy.users[0].found, 0);
    assert_int_equal(f.policy.users[1].found, 0);
    assert_int_equal(f.policy.users[2].found, 1);
    assert_int_equal(f.policy.users[2].uid, 0);
    assert_int_equal(f.policy.users[2].n_groups, 1);
    fixture_end(&f);
}

static int many_groups(unsigned n, bool cut)
{
    struct bh_pack_file file = { .name = BH_STR("p"),
                                 .text = BH_STR("policy 1\nallow @file-write {\n user root\n}\n") };
    struct bh_policy_input input = { .files = &file, .n_files = 1, .passwd = BH_STR("root:x:0:0::/:\n") };
    struct bh_arena arena;
    struct bh_diags diags = { .arena = &arena };
    struct bh_bytes bundle;
    struct bh_policy policy;
    const struct bh_bundle *rows;
    char group[2000] = "";

    bh_arena_init(&arena, BH_POLICY_MEMORY_MAX);
    for (unsigned i = 0; i < n; i++)
        (void)snprintf(group + strlen(group), 20, "g%u:x:%u:root\n", i, i + 1);
    input.group = (struct bh_str){ group, (uint32_t)strlen(group) };
    assert_int_equal(bh_policy_compile(&input, &diags, &bundle), 0);
    assert_int_equal(bh_bundle_open(&rows, bundle.ptr, bundle.len), 0);
    assert_int_equal(bh_policy_open(&policy, bundle.ptr + rows->rows[0].offset, rows->rows[0].size), 0);
    assert_int_equal(diags.n, cut ? 2 : 1); /* the other one is about `commands` */
    n = policy.users[0].n_groups;
    bh_arena_deinit(&arena);
    return (int)n;
}

static void groups(void **state)
{
    (void)state;
    assert_int_equal(many_groups(BH_GROUPS_MAX - 1, false), BH_GROUPS_MAX - 1);
    assert_int_equal(many_groups(BH_GROUPS_MAX, false), BH_GROUPS_MAX);
    assert_int_equal(many_groups(BH_GROUPS_MAX + 1, true), BH_GROUPS_MAX);
}

/* Two rules for @file-read; do they conflict? */
static void check_conflict(const char *a, const char *b, const char *setting)
{
    struct fixture f;
    char text[500];

    (void)snprintf(text, sizeof(text),
                   "policy 1\nrule a: allow @file-read {\n%s\n}\nrule b: allow @file-read {\n%s\n}\n", a, b);
    fixture_text(&f, text);
    if (f.result != (setting ? BH_COMPILE_ERRORS : 0))
        fail_msg("%s / %s", a, b);
    (void)snprintf(text, sizeof(text), "the rules 'a' and 'b' can both match one file and differ in `%s`",
                   setting ? setting : "");
    if (setting)
        assert_true(fixture_says(&f, text));
    fixture_end(&f);
}

static void rules_that_disagree(void **state)
{
    (void)state;
    check_conflict("types any", "path is \"/x\"", "types");
    check_conflict("path is \"/x\"\nsymlinks follow", "path beneath \"/x\"", "symlinks");
    check_conflict("path is \"/x/y\"\nuser www", "path beneath \"/x\"", "user");
    check_conflict("path is \"/x\"\nuser www", "path beneath \"/x/y\"", NULL);
    check_conflict("path is \"/xy\"\nuser www", "path beneath \"/x\"", NULL);
    check_conflict("path beneath \"/\"\nuser www", "path glob \"/*/*\"", "user");
    check_conflict("path beneath \"/a/b\"\nuser www", "path glob \"/*/b*\"", "user");
    check_conflict("path beneath \"/a/b/c\"\nuser www", "path glob \"/*/b*\"", NULL);
    check_conflict("path glob \"/a*c\"\nuser www", "path glob \"/*b?\"", "user");
    check_conflict("path glob \"/a*c\"\nuser www", "path glob \"/*b\"", NULL);
    check_conflict("path glob \"/a?\"\nuser www", "path glob \"/a\"", NULL);
    check_conflict("path glob \"/a*\"\nuser www", "path glob \"/a*/b\"", NULL);
    check_conflict("path is \"/a*\"\nuser www", "path is \"/ab\"", NULL);
    check_conflict("path glob \"/a*\"\nuser www", "path is \"/ab\"", "user");
    check_conflict("user www", "user www", NULL);
    check_conflict("user www", "verbs write\nuser u1", NULL);
    check_conflict("user www\nverbs read write\nmax-size 1", "user www\nverbs read", NULL);
    check_conflict("user www\nverbs read write\nmax-size 1", "user www\nverbs write", "max-size");
    check_conflict("user www\nverbs read create\ncreate-mode 0640", "user www\nverbs read create",
                   "create-mode");
    check_conflict("user www\nverbs read create\ncreate-mode 0600", "user www\nverbs read create", NULL);
}

static void check_layers(const char *main_text, const char *drop_in, const char *says)
{
    struct bh_pack_file files[] = {
        { .name = BH_STR("site.policy"), .drop_in = true, .text = { drop_in, (uint32_t)strlen(drop_in) } },
        { .name = BH_STR("policy"), .text = { main_text, (uint32_t)strlen(main_text) } },
    };
    struct fixture f;

    fixture_compile(&f, files, 2);
    if (f.result != (says ? BH_COMPILE_ERRORS : 0) || (says && !fixture_says(&f, says)))
        fail_msg("%s / %s", main_text, drop_in);
    fixture_end(&f);
}

static void drop_ins(void **state)
{
    (void)state;
    check_layers("policy 1\nallow @info\n", "policy 1\ndeny @info\n", NULL);
    check_layers("policy 1\n", "policy 1\nallow @hotplug\n",
                 "site.policy:2:1: a drop-in may not allow guest-set-vcpus");
    check_layers("policy 1\ndrop-ins may allow @hotplug\n", "policy 1\nallow @hotplug\n", NULL);
    check_layers("policy 1\ndrop-ins may allow @hotplug, @net\n", "policy 1\nallow @hotplug, @info\n",
                 "guest-get-time");
    check_layers("policy 1\ndrop-ins may allow @file-read\n", "policy 1\nallow @file-read\n", NULL);
    check_layers("policy 1\ndrop-ins may allow @file-read\n",
                 "policy 1\nallow @file-read {\n verbs write\n user www\n}\n",
                 "may not allow guest-file-open");
    check_layers("policy 1\n", "policy 1\nuse looking\n", "site.policy:2:5: a drop-in has no `use`");
    check_layers("policy 1\n", "policy 1\nchannel x virtio:x\n", "has no `channel`");
    check_layers("policy 1\n", "policy 1\nset audit-failure continue\n", "has no `set`");
    check_layers("policy 1\n", "policy 1\ncommands 49\n", "has no `commands`");
    check_layers("policy 1\n", "policy 1\ndrop-ins may allow @hotplug\n", "has no `drop-ins`");
    check_layers("policy 1\n", "policy 1\norigin \"policy\" 1\n", "has no `origin`");
    check_layers("policy 1\ndeny @hotplug except x\n", "policy 1\nrule x: deny @info\n", "'x' is a deny");
}

static void ceilings(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f, "policy 1\ncommands 42\nallow @info, @net\n");
    assert_true(
        fixture_says(&f, "note policy:2:10: commands that were not reviewed and are denied: guest-get-load"));
    assert_false(bh_policy_grants(&f.policy, BH_CMD_GUEST_GET_LOAD));
    assert_true(bh_policy_grants(&f.policy, BH_CMD_GUEST_NETWORK_GET_ROUTE));
    fixture_end(&f);
    fixture_good(&f, "policy 1\nchannel a virtio:x only @file-read, @sync\n"
                     "use looking\nallow @sync, @hotplug\nallow @file-read, @file-write {\n user www\n}\n");
    assert_true(bh_policy_grants(&f.policy, BH_CMD_GUEST_PING));
    assert_false(bh_policy_grants(&f.policy, BH_CMD_GUEST_SET_VCPUS));
    assert_false(bh_policy_grants(&f.policy, BH_CMD_GUEST_GET_OSINFO));
    assert_int_equal(f.policy.n_rules, 2);
    assert_int_equal(f.policy.rules[1].verbs, BH_VERB_READ);
    fixture_end(&f);
}

/* `says` in one diagnostic of a good policy; NULL: nothing is said at all. */
static void check_warning(const char *text, const char *says)
{
    struct fixture f;

    fixture_good(&f, text);
    if (says ? !fixture_says(&f, says) : f.diags.n > 0)
        fail_msg("%s", text);
    fixture_end(&f);
}

static void a_profile_grants_only_what_was_there_when_it_was_written(void **state)
{
    struct fixture f;

    (void)state;
    fixture_good(&f, "policy 1\ncommands 49\nuse old\n");
    assert_true(bh_policy_grants(&f.policy, BH_CMD_GUEST_GET_OSINFO));
    assert_false(bh_policy_grants(&f.policy, BH_CMD_GUEST_GET_LOAD)); /* the 43rd */
    fixture_end(&f);
    fixture_good(&f, "policy 1\ncommands 49\nuse looking\n");
    assert_true(bh_policy_grants(&f.policy, BH_CMD_GUEST_GET_LOAD));
    fixture_end(&f);
}

#define HEAD "policy 1\ncommands 49\n"
#define TO_READ HEAD "channel a virtio:x only @file-read\n"

static void rules_that_never_match(void **state)
{
    (void)state;
    check_warning(
        TO_READ "rule x: allow @sync, @hotplug\n",
        "warning policy:4:1: the rule 'x' grants nothing on channel 'a': `only` or `commands` leaves");
    check_warning("policy 1\ncommands 42\nrule x: allow guest-get-load\n",
                  "warning policy:3:1: the rule 'x' grants nothing on channel 'main'");
    check_warning(TO_READ "rule x: allow @file-write { user www }\n",
                  "the rule 'x' lets no file be opened on channel 'a': `only`");
    check_warning(TO_READ "rule x: allow @file-read, @file-write { user www }\n", NULL);
    check_warning(TO_READ "rule x: deny @hotplug\nuse looking\n", NULL);
    check_warning(HEAD "rule x: allow @hotplug\ndeny @hotplug\n",
                  "the rule 'x' grants nothing on channel 'main': deny rules take all of that");
    check_warning(HEAD "rule x: allow @hotplug\ndeny guest-set-vcpus\ndeny guest-set-memory-blocks\n",
                  "deny rules take all");
    check_warning(HEAD "rule x: allow @hotplug\ndeny guest-set-vcpus\n", NULL);
    check_warning(HEAD "rule x: allow @hotplug\ndeny @hotplug except x\n", NULL);
    check_warning(HEAD
                  "channel a virtio:x\nchannel b virtio:y\nrule x: allow @hotplug on a\ndeny @hotplug on b\n",
                  NULL);
    check_warning(HEAD "rule x: allow @file-read\ndeny @file-read\n",
                  "'x' lets no file be opened on channel 'main'");
    check_warning(HEAD "rule x: allow @file-read\ndeny @file-read { path beneath \"/\" }\n", NULL);
    check_warning(HEAD "rule x: allow @file-read, @file-write { user www }\ndeny @file-read\n", NULL);
}

#define NET "rule x: allow @net { interfaces \"eth0\" \"en*\" }\n"

static void names_that_choose_nothing(void **state)
{
    static const char hidden[] = "the rule 'x' shows nothing on channel 'main': deny rules hide all of that";
    static const char wide[] =
        "the rule 'x' narrows nothing on channel 'main': the rule 'w' shows all of that";

    (void)state;
    check_warning(HEAD NET, NULL);
    check_warning(HEAD NET "deny @net { interfaces \"*\" }\n", hidden);
    check_warning(HEAD NET "deny @net { interfaces \"eth?\" }\n", NULL);
    check_warning(HEAD NET "deny @net { interfaces \"eth?\" }\ndeny @net { interfaces \"en*\" }\n", hidden);
    check_warning(HEAD NET "deny @net { interfaces \"eth?\" \"enp*\" }\n", NULL);
    check_warning(HEAD NET "deny @net except x { interfaces \"*\" }\n", NULL);
    check_warning(HEAD NET "deny guest-network-get-route { interfaces \"*\" }\n", NULL);
    check_warning(HEAD "rule x: allow @net\ndeny @net { interfaces \"**\" }\n", hidden);
    check_warning(HEAD "rule x: allow @net, @info\ndeny @net { interfaces \"*\" }\n", NULL);
    check_warning(HEAD "rule x: allow guest-get-users { users \"bob\" }\n"
                       "deny guest-get-users { users \"b*\" }\n",
                  hidden);
    check_warning(HEAD NET "rule w: allow @info, @net\n", wide);
    check_warning(HEAD NET "rule w: allow guest-network-get-route\n", NULL);
    check_warning(HEAD NET "rule w: allow @info, @net\ndeny @net except x { interfaces \"*\" }\n", NULL);
}

/* Compiles a rule with `n` paths, each in a folder of its own with a name of `len` characters. */
static void check_folders(unsigned n, unsigned len, const char *user, const char *says)
{
    static char text[BH_POLICY_FILE_MAX];
    size_t at = (size_t)snprintf(text, sizeof(text), HEAD "rule x: allow @file-read {\n%s\n", user);
    struct fixture f;

    for (unsigned i = 0; i < n; i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, "path beneath \"/%0*u\"\n", (int)len, i);
    (void)snprintf(text + at, sizeof(text) - at, "}\n");
    fixture_text(&f, text);
    assert_int_equal(f.result, says ? BH_COMPILE_ERRORS : 0);
    if (says)
        assert_true(fixture_says(&f, says));
    fixture_end(&f);
}

static void folders_fit(void **state)
{
    (void)state;
    check_folders(BH_PATHS_MAX - 1, 3, "", NULL);
    check_folders(BH_PATHS_MAX, 3, "", NULL);
    check_folders(BH_PATHS_MAX + 1, 3, "",
                  "error policy:3:1: the rules of channel 'main' open files without a user");
    check_folders(BH_PATHS_MAX, 3, "user www", NULL);
    check_folders(BH_PATHS_MAX + 1, 3, "user www", "open files as www in more than 64 folders");
    check_folders(BH_PATHS_MAX / 2, 2 * BH_PATHS_STORAGE / BH_PATHS_MAX - 2, "", NULL);
    check_folders(BH_PATHS_MAX / 2, 2 * BH_PATHS_STORAGE / BH_PATHS_MAX - 1, "",
                  "folders with very long names");
}

/* `channel c WAY`: good if `says` is NULL, else an error at the way with these words. */
static void check_way(const char *way, const char *says)
{
    struct text text;
    FILE *out = text_begin(&text);
    char error[256];

    (void)fprintf(out, "policy 1\nchannel c %s\n", way);
    (void)snprintf(error, sizeof(error), "policy:2:11: %s", says ? says : "");
    if (text_result(&text, says ? error : NULL) != (says ? BH_COMPILE_ERRORS : 0))
        fail_msg("%s", way);
}

/* METHOD:/dev/xxx... of so many bytes behind the colon. */
static const char *long_way(const char *method, const char *start, size_t len)
{
    static char way[256];
    size_t at = (size_t)snprintf(way, sizeof(way), "%s:", method) + len;

    (void)snprintf(way, sizeof(way), "%s:%s", method, start);
    memset(way + strlen(way), 'x', at - strlen(way));
    way[at] = '\0';
    return way;
}

static void ways_to_open_a_channel(void **state)
{
    (void)state;
    check_way("unix-listen:/run/a.sock", NULL);
    check_way(long_way("unix-listen", "/", BH_SOCKET_PATH_MAX - 1), NULL);
    check_way(long_way("unix-listen", "/", BH_SOCKET_PATH_MAX), NULL);
    check_way(long_way("unix-listen", "/", BH_SOCKET_PATH_MAX + 1),
              "the path of a unix socket has at most 107");
    check_way("unix-listen:run/a.sock", "behind `unix-listen:`");
    check_way("unix-listen:/", "behind `unix-listen:`");
    check_way("unix-listen:", "behind `unix-listen:`");
    check_way("unix-listen", "behind `unix-listen:`");
    check_way("unix-listen:/run//a", "behind `unix-listen:`");
    check_way("unix-listen:/run/../a", "behind `unix-listen:`");
    check_way("unix-listen:@a", "behind `unix-listen:`");
    check_way("virtio:org.qemu.guest_agent.0", NULL);
    check_way("virtio:/dev/virtio-ports/org.qemu.guest_agent.0", NULL);
    check_way("virtio:/dev/vport1p1", NULL);
    check_way(long_way("virtio", "", 126), NULL);
    check_way(long_way("virtio", "", 127), NULL);
    check_way(long_way("virtio", "", 128), "what stands behind the method is too long: 127");
    check_way("virtio:/etc/passwd", "behind `virtio:`");
    check_way("virtio:/dev/../etc/passwd", "behind `virtio:`");
    check_way("virtio:a/b", "behind `virtio:`");
    check_way("virtio:..", "behind `virtio:`");
    check_way("virtio:.", "behind `virtio:`");
    check_way("isa-serial:/dev/ttyS0", NULL);
    check_way("isa-serial:ttyS0", "behind `isa-serial:`");
    check_way("isa-serial:/tmp/ttyS0", "behind `isa-serial:`");
    check_way("isa-serial:/dev/", "behind `isa-serial:`");
    check_way("isa-serial:/dev/./ttyS0", "behind `isa-serial:`");
}

static void ways_over_vsock(void **state)
{
    static const char *const bad[] = { "4294967296:1",
                                       "1:4294967296",
                                       "-1:1",
                                       "1:-1",
                                       "0x3:1",
                                       "3",
                                       "3:",
                                       ":3",
                                       "3:1:1",
                                       "03:1",
                                       "3:01",
                                       "3:1x",
                                       "any:1",
                                       "+3:1",
                                       "99999999999999999999:1",
                                       "",
                                       "3,1" };
    char way[64];

    (void)state;
    check_way("vsock-listen:3:1234", NULL);
    check_way("vsock-listen:0:0", NULL);
    check_way("vsock-listen:4294967295:4294967295", NULL);
    check_way("vsock-listen:4294967294:1", NULL);
    for (size_t i = 0; i < BH_ARRAY_SIZE(bad); i++) {
        (void)snprintf(way, sizeof(way), "vsock-listen:%s", bad[i]);
        check_way(way, strchr(bad[i], ',') ? "behind" : "behind `vsock-listen:` stand CID:PORT");
    }
}

/* Rows without a method are `main` and `local`; main alone governs local too. */
static void channels_without_a_way(void **state)
{
    static const struct {
        const char *text, *names;
        bool governs;
    } cases[] = {
        { "policy 1\n", "main", true },
        { "policy 1\nchannel main\n", "main", true },
        { "policy 1\nchannel main only @sync\n", "main", true },
        { "policy 1\nchannel main virtio:x\n", "main", false },
        { "policy 1\nchannel local\n", "local", false },
        { "policy 1\nchannel local only @sync\nchannel main\n", "local main", false },
        { "policy 1\nchannel a virtio:x\n", "a", false },
    };

    (void)state;
    for (size_t i = 0; i < BH_ARRAY_SIZE(cases); i++) {
        char names[64] = "";
        struct fixture f;

        fixture_good(&f, cases[i].text);
        for (uint32_t k = 0; k < f.rows->count; k++)
            (void)snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", k ? " " : "",
                           f.rows->rows[k].name);
        assert_string_equal(names, cases[i].names);
        assert_int_equal(bh_bundle_governs_local(f.rows), cases[i].governs);
        fixture_end(&f);
    }
}

static void profiles_hold_where_they_are_used(void **state)
{
    struct bh_policy other;
    struct fixture f;

    (void)state;
    fixture_good(&f, "policy 1\nchannel a virtio:x\nchannel b virtio:y\nchannel c virtio:z\n"
                     "use looking on a\nuse looking on c\n");
    assert_int_equal(f.rows->count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(bh_policy_open(&other, f.bundle.ptr + f.rows->rows[i].offset, f.rows->rows[i].size),
                         0);
        assert_int_equal(bh_policy_grants(&other, BH_CMD_GUEST_GET_OSINFO), i != 1);
    }
    assert_string_equal(bh_policy_string(&f.policy, f.policy.rules[0].name), "profile:looking:2");
    fixture_end(&f);
}

static void digest_is_of_names_and_bytes(void **state)
{
    struct bh_pack_file one = { .name = BH_STR("p"), .text = BH_STR("policy 1\n") };
    struct bh_pack_file renamed = { .name = BH_STR("q"), .text = BH_STR("policy 1\n") };
    struct bh_pack_file longer = { .name = BH_STR("p"), .text = BH_STR("policy 1\n\n") };
    const struct bh_pack_file *files[] = { &one, &renamed, &longer, &one };
    struct fixture f[4];

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        fixture_compile(&f[i], files[i], 1);
    assert_int_equal(f[0].bundle.len, f[3].bundle.len);
    assert_memory_equal(f[0].bundle.ptr, f[3].bundle.ptr, f[0].bundle.len);
    assert_memory_not_equal(f[0].policy.slice->digest, f[1].policy.slice->digest, 32);
    assert_memory_not_equal(f[0].policy.slice->digest, f[2].policy.slice->digest, 32);
    for (unsigned i = 0; i < 4; i++)
        fixture_end(&f[i]);
}

static void little_memory_is_an_error(void **state)
{
    struct bh_pack_file file = { .name = BH_STR("p"),
                                 .text = BH_STR("policy 1\nallow @file-read {\n path is \"/x\"\n}\n") };
    struct bh_policy_input input = {
        .files = &file, .n_files = 1, .passwd = BH_STR(""), .group = BH_STR("")
    };

    (void)state;
    for (size_t limit = 0; limit < 100000; limit += 13) {
        struct bh_arena arena;
        struct bh_diags diags = { .arena = &arena };
        struct bh_bytes bundle;
        int r;

        bh_arena_init(&arena, limit);
        r = bh_policy_compile(&input, &diags, &bundle);
        assert_true(r == 0 || r == -ENOMEM || (r == BH_COMPILE_ERRORS && diags.n_errors > 0));
        assert_true(limit < 90000 || r == 0);
        bh_arena_deinit(&arena);
    }
}

static void packs(void **state)
{
    struct bh_pack_file files[] = {
        { .name = BH_STR("/etc/bulkhead/policy"), .text = BH_STR("policy 1\n") },
        { .name = BH_STR("x"), .drop_in = true, .text = BH_STR("") },
    };
    struct bh_pack_file bad_names[] = { { .name = BH_STR("a b") },
                                        { .name = BH_STR("") },
                                        { .name = BH_STR("a:b") } };
    size_t size = bh_pack_size(files, 2), n = 0;
    unsigned char *data = malloc(size);
    struct bh_pack_file *read;
    struct bh_arena arena;

    (void)state;
    assert_non_null(data);
    bh_arena_init(&arena, 1u << 20);
    bh_pack_write(files, 2, data);
    assert_int_equal(bh_pack_read(data, size, &arena, &read, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(read[0].text.len, 9);
    assert_memory_equal(read[0].name.ptr, "/etc/bulkhead/policy", 20);
    assert_true(read[1].drop_in);
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(bh_pack_read(data, cut, &arena, &read, &n), -EBADMSG);
    data[size - 1] = 1;
    assert_int_equal(bh_pack_read(data, size, &arena, &read, &n), -EBADMSG);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(bh_pack_size(&bad_names[i], 1), 0);
    bh_arena_deinit(&arena);
    free(data);
}

static void case_files(void **state)
{
    static const char text[] =
        "# c\n\nallow guest-ping\n deny guest-exec {\"path\": \"}#\\\"\"} on a rule r # x\n"
        "permit guest-ping\ndeny\nallow x {\nallow x y\nallow x on\nallow x on a on b\nallow x rule r object "
        "o";
    static const int results[] = { 1, 1, -EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG, -EBADMSG, 1, 0 };
    struct bh_cases cases;
    struct bh_arena arena;
    struct bh_case got;
    const char *why;

    (void)state;
    bh_arena_init(&arena, 1u << 20);
    bh_cases_begin(&cases, text, strlen(text));
    for (unsigned i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
        assert_int_equal(bh_cases_next(&cases, &arena, &got, &why), results[i]);
        if (results[i] == 1)
            assert_string_equal(got.object.ptr, i == 8 ? "o" : "");
        if (i != 1)
            continue;
        assert_int_equal(got.line, 4);
        assert_false(got.allow);
        assert_string_equal(got.command.ptr, "guest-exec");
        assert_string_equal(got.json.ptr, "{\"path\": \"}#\\\"\"}");
        assert_string_equal(got.channel.ptr, "a");
        assert_string_equal(got.rule.ptr, "r");
    }
    bh_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(file_size),
        cmocka_unit_test(file_count),
        cmocka_unit_test(counts),
        cmocka_unit_test(names),
        cmocka_unit_test(lengths),
        cmocka_unit_test(compiled_size),
        cmocka_unit_test(diagnostics_are_bounded),
        cmocka_unit_test(errors_say_where_and_what),
        cmocka_unit_test(values_of_settings),
        cmocka_unit_test(settings_of_freezing),
        cmocka_unit_test(peers_of_virtio_sockets),
        cmocka_unit_test(missing_accounts_are_warned_of),
        cmocka_unit_test(groups),
        cmocka_unit_test(rules_that_disagree),
        cmocka_unit_test(drop_ins),
        cmocka_unit_test(ceilings),
        cmocka_unit_test(rules_that_never_match),
        cmocka_unit_test(names_that_choose_nothing),
        cmocka_unit_test(folders_fit),
        cmocka_unit_test(ways_to_open_a_channel),
        cmocka_unit_test(ways_over_vsock),
        cmocka_unit_test(channels_without_a_way),
        cmocka_unit_test(profiles_hold_where_they_are_used),
        cmocka_unit_test(a_profile_grants_only_what_was_there_when_it_was_written),
        cmocka_unit_test(digest_is_of_names_and_bytes),
        cmocka_unit_test(little_memory_is_an_error),
        cmocka_unit_test(packs),
        cmocka_unit_test(case_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
