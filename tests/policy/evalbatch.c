/*
 * The compiler and the evaluation behind a pipe, for the tests in Python. Standard input
 * is a sequence of jobs, each line but the texts a command:
 *
 *   file NAME DROP_IN LEN          then LEN bytes: a file of the next policy
 *   passwd LEN, group LEN          then LEN bytes: accounts
 *   compile                        prints "ok" or "refused", then the findings, then "."
 *   dump CHANNEL                   prints the length and the text of its dump
 *   slice CHANNEL                  prints the bytes of the slice in hex, the digest as zeros
 *   ask CHANNEL COMMAND            prints verdict and rule
 *   name CHANNEL COMMAND LEN       then LEN bytes: what is listed; prints verdict and rule
 *   mount CHANNEL COMMAND LEN      then LEN bytes: a mount point; prints verdict and rule
 *   required CHANNEL COMMAND LEN   the same, but prints "required" or "optional" for "allow", and no rule
 *   open CHANNEL VERBS FOUND REGULAR USER LEN   then LEN bytes: the path; prints verdict and rule
 *   exec CHANNEL INPUT ARGS ENV LEN...   then the bytes of all: path, resolved path, that many arguments and
 *                                        variables; prints verdict and rule
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/eval.h"
#include "policy/lang/lang.h"
#include "policy/profiles.h"
#include "protocol/base/mem.h"

#define FILES_MAX 80
#define CHANNELS BH_CHANNELS_MAX

struct batch {
    struct bh_arena arena;
    struct bh_pack_file files[FILES_MAX];
    struct bh_policy_input input;
    const struct bh_bundle *bundle;
    struct bh_policy policies[CHANNELS];
    bool compiled; /* files that follow belong to a new policy */
};

static _Noreturn void bad(const char *what)
{
    (void)fprintf(stderr, "evalbatch: %s\n", what);
    exit(2);
}

static struct bh_str read_bytes(struct bh_arena *arena, size_t len)
{
    char *bytes = bh_arena_alloc(arena, len + 1);

    if (!bytes || fread(bytes, 1, len, stdin) != len || getchar() != '\n')
        bad("the input ends");
    return (struct bh_str){ bytes, (uint32_t)len };
}

static size_t number(const char *text)
{
    char *end;
    unsigned long value;

    if (!text)
        bad("a number is missing");
    value = strtoul(text, &end, 10);
    if (*end)
        bad("this is no number");
    return value;
}

static char *word(char **line)
{
    return strtok_r(NULL, " \n", line);
}

static void begin(struct batch *batch)
{
    if (!batch->compiled)
        return;
    bh_arena_reset(&batch->arena);
    batch->input.n_files = 0;
    batch->input.passwd = batch->input.group = BH_STR("");
    batch->bundle = NULL;
    batch->compiled = false;
}

static void take_file(struct batch *batch, char **line)
{
    const char *name = word(line), *drop_in = word(line);
    struct bh_pack_file *file = &batch->files[batch->input.n_files];

    if (!name || !drop_in || batch->input.n_files++ == FILES_MAX)
        bad("`file` is not complete, or one too many");
    file->name = bh_arena_str(&batch->arena, name, strlen(name));
    file->drop_in = *drop_in == '1';
    file->text = read_bytes(&batch->arena, number(word(line)));
}

static void compile(struct batch *batch)
{
    struct bh_diags diags = { .arena = &batch->arena };
    struct bh_bytes bundle;
    int r = bh_policy_compile(&batch->input, &diags, &bundle);

    batch->compiled = true;
    if (r < 0)
        bad(strerror(-r));
    (void)puts(r == 0 ? "ok" : "refused");
    for (uint32_t i = 0; i < diags.n; i++)
        (void)puts(bh_diag_line(&diags, &diags.items[i]).ptr);
    (void)puts(".");
    if (r != 0)
        return;
    if (bh_bundle_open(&batch->bundle, bundle.ptr, bundle.len) < 0)
        bad("the compiler made a bundle that does not open");
    for (uint32_t i = 0; i < batch->bundle->count; i++)
        if (bh_policy_open(&batch->policies[i], bundle.ptr + batch->bundle->rows[i].offset,
                           batch->bundle->rows[i].size) < 0)
            bad("the compiler made a slice that does not open");
}

static uint32_t find_channel(const struct batch *batch, const char *name)
{
    for (uint32_t i = 0; batch->bundle && name && i < batch->bundle->count; i++)
        if (strcmp(batch->bundle->rows[i].name, name) == 0)
            return i;
    bad("there is no such channel, or no policy");
}

static void dump(struct batch *batch, uint32_t channel)
{
    struct bh_str text;

    if (bh_policy_dump(&batch->policies[channel], &batch->bundle->rows[channel], &batch->arena, &text) < 0)
        bad("the dump failed");
    (void)printf("%u\n", text.len);
    (void)fwrite(text.ptr, 1, text.len, stdout);
}

static void print_slice(const struct batch *batch, uint32_t channel)
{
    const struct bh_slice *slice = batch->policies[channel].slice;
    const unsigned char *bytes = (const unsigned char *)slice;

    for (size_t i = 0; i < slice->size; i++) {
        bool digest = i >= offsetof(struct bh_slice, digest) && i < offsetof(struct bh_slice, only);

        (void)printf("%02x", digest ? 0 : bytes[i]);
    }
    (void)putchar('\n');
}

static void print_decision(const struct bh_policy *policy, struct bh_decision decision)
{
    static const char *const names[] = { "allow", "not-granted", "no-rule", "denied" };
    const char *rule =
        decision.rule == BH_NO_RULE ? "-" : bh_policy_string(policy, policy->rules[decision.rule].name);

    (void)printf("%s %s\n", names[decision.verdict], rule);
}

static void ask(struct batch *batch, char **line)
{
    const struct bh_policy *policy = &batch->policies[find_channel(batch, word(line))];
    const char *name = word(line);
    int command = name ? bh_command_find(name, strlen(name)) : -1;

    print_decision(policy, bh_policy_command(policy, command < 0 ? BH_CMD_COUNT : (unsigned)command, NULL));
}

static void judge_name(struct batch *batch, char **line)
{
    const struct bh_policy *policy = &batch->policies[find_channel(batch, word(line))];
    const char *name = word(line);
    int command = name ? bh_command_find(name, strlen(name)) : -1;
    struct bh_str listed = read_bytes(&batch->arena, number(word(line)));

    if (command < 0)
        bad("there is no such command");
    print_decision(policy, bh_policy_name(policy, (unsigned)command, listed, NULL));
}

static void judge_mount(struct batch *batch, char **line, bool required)
{
    const struct bh_policy *policy = &batch->policies[find_channel(batch, word(line))];
    const char *name = word(line);
    int command = name ? bh_command_find(name, strlen(name)) : -1;
    struct bh_str mount = read_bytes(&batch->arena, number(word(line)));
    struct bh_decision decision;

    if (command < 0)
        bad("there is no such command");
    decision = bh_policy_mount(policy, (unsigned)command, mount, NULL);
    if (decision.verdict == BH_VERDICT_ALLOW && required)
        (void)puts(bh_policy_mount_required(policy, (unsigned)command, mount) ? "required -" : "optional -");
    else
        print_decision(policy, decision);
}

/* The index of a user's name in the slice; "-" is nobody. */
static uint32_t find_user(const struct bh_policy *policy, const char *name)
{
    for (uint32_t i = 0; name && i < policy->n_users; i++)
        if (strcmp(bh_policy_string(policy, policy->users[i].name), name) == 0)
            return i;
    return BH_NO_USER;
}

static void open_file(struct batch *batch, char **line)
{
    const struct bh_policy *policy = &batch->policies[find_channel(batch, word(line))];
    struct bh_file_object file = { .verbs = (uint32_t)number(word(line)) };

    file.found = number(word(line));
    file.regular = number(word(line));
    file.user = find_user(policy, word(line));
    file.path = read_bytes(&batch->arena, number(word(line)));
    print_decision(policy, bh_policy_file(policy, &file, NULL));
}

#define TEXTS_MAX 64

static void judge_exec(struct batch *batch, char **line)
{
    const struct bh_policy *policy = &batch->policies[find_channel(batch, word(line))];
    struct bh_exec_object object = { .has_input = number(word(line)) };
    struct bh_str texts[TEXTS_MAX], all;
    size_t n = 0, bytes = 0;

    object.n_args = (uint32_t)number(word(line));
    object.n_env = (uint32_t)number(word(line));
    for (const char *len; (len = word(line)) != NULL; bytes += texts[n++].len) {
        if (n == TEXTS_MAX)
            bad("too many texts");
        texts[n].len = (uint32_t)number(len);
    }
    all = read_bytes(&batch->arena, bytes);
    for (size_t i = 0, at = 0; i < n; at += texts[i++].len)
        texts[i].ptr = all.ptr + at;
    if (n != 2 + object.n_args + object.n_env)
        bad("another number of texts");
    object.path = texts[0];
    object.resolved = texts[1];
    object.args = texts + 2;
    object.env = texts + 2 + object.n_args;
    print_decision(policy, bh_policy_exec(policy, &object, NULL));
}

static void run(struct batch *batch, const char *command, char **line)
{
    if (strcmp(command, "compile") == 0)
        compile(batch);
    else if (strcmp(command, "dump") == 0)
        dump(batch, find_channel(batch, word(line)));
    else if (strcmp(command, "slice") == 0)
        print_slice(batch, find_channel(batch, word(line)));
    else if (strcmp(command, "ask") == 0)
        ask(batch, line);
    else if (strcmp(command, "name") == 0)
        judge_name(batch, line);
    else if (strcmp(command, "mount") == 0 || strcmp(command, "required") == 0)
        judge_mount(batch, line, *command == 'r');
    else if (strcmp(command, "open") == 0)
        open_file(batch, line);
    else if (strcmp(command, "exec") == 0)
        judge_exec(batch, line);
    else
        bad("an unknown job");
}

int main(void)
{
    struct batch batch = { .input = { .profiles = bh_profiles, .n_profiles = bh_n_profiles } };
    _cleanup_free_ char *text = NULL;
    size_t room = 0;

    batch.input.files = batch.files;
    bh_arena_init(&batch.arena, BH_POLICY_MEMORY_MAX);
    while (getline(&text, &room, stdin) > 0) {
        char *line, *command = strtok_r(text, " \n", &line);

        if (!command)
            continue;
        if (strcmp(command, "file") == 0 || strcmp(command, "passwd") == 0 || strcmp(command, "group") == 0)
            begin(&batch);
        if (strcmp(command, "file") == 0)
            take_file(&batch, &line);
        else if (strcmp(command, "passwd") == 0)
            batch.input.passwd = read_bytes(&batch.arena, number(word(&line)));
        else if (strcmp(command, "group") == 0)
            batch.input.group = read_bytes(&batch.arena, number(word(&line)));
        else
            run(&batch, command, &line);
        (void)fflush(stdout);
    }
    bh_arena_deinit(&batch.arena);
    return 0;
}
