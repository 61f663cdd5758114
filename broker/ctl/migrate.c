/*
 * bulkheadctl policy migrate: a configuration of qemu-ga as a policy, on standard output.
 *
 * The text is compiled and compared with the configuration before it is printed: each
 * command is granted exactly if qemu-ga would serve it, and files are opened and programs run as the
 * shipped profile `open` has it, if at all. A text that does not stand this is not printed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "broker/ctl/compare.h"
#include "broker/ctl/ctl.h"
#include "broker/ctl/policysource.h"
#include "broker/ctl/qgaconf.h"
#include "broker/places.h"
#include "policy/eval.h"
#include "policy/profiles.h"
#include "protocol/base/mem.h"
#include "protocol/commands.h"

#define CONFIG_DEFAULT "/etc/qemu/qemu-ga.conf"
#define TEXT_NAME "migrated"
#define FILE_CLASSES (1u << BH_CLASS_FILE_READ | 1u << BH_CLASS_FILE_WRITE)
#define EXEC_CLASS (1u << BH_CLASS_EXEC)

/* The rules of a text, each with the classes that it speaks of: those whose rules have a block, and the
 * others. */
static const struct part {
    const char *suffix;
    uint32_t classes;
    unsigned command;  /* that needs the block */
    const char *block; /* as the shipped profile `open` has it */
} parts[] = {
    { "", 0, BH_CMD_COUNT, NULL },
    { "-files", FILE_CLASSES, BH_CMD_GUEST_FILE_OPEN,
      " {\n    verbs read write create truncate append\n    user root\n    types any\n    symlinks follow\n"
      "    create-mode 0666\n}\n" },
    { "-exec", EXEC_CLASS, BH_CMD_GUEST_EXEC,
      " {\n    program any\n    rest any dash-ok\n    env any\n    stdin yes\n    search yes\n    user root\n"
      "    sandbox none\n    timeout 0\n}\n" },
};

/* Where distributions keep what comes to qemu-ga's arguments. */
static const char *const places[] = { "/etc/sysconfig/qemu-ga", "/usr/etc/sysconfig/qemu-ga",
                                      "/etc/default/qemu-guest-agent", "/etc/conf.d/qemu-guest-agent" };

struct migration {
    const struct ctl *ctl;
    struct ctl_qga qga;
    char *text;
    size_t len;
};

static bool serves_class(const struct ctl_qga *qga, uint32_t class)
{
    bool any = false;

    for (unsigned i = 0; i < BH_CMD_COUNT; i++) {
        if (!(bh_commands[i].classes & class))
            continue;
        if (!ctl_qga_serves(qga, i))
            return false;
        any = true;
    }
    return any;
}

static void write_target(FILE *out, const char *name, unsigned *n)
{
    static const unsigned a_line = 4;

    (void)fprintf(out, "%s%s", *n == 0 ? "" : *n % a_line == 0 ? ",\n    " : ", ", name);
    ++*n;
}

/* Classes where all of a class is served, single commands otherwise. */
static unsigned write_targets(FILE *out, const struct ctl_qga *qga, const struct part *part)
{
    uint32_t others = FILE_CLASSES | EXEC_CLASS, done = others;
    unsigned n = 0;

    for (unsigned i = 0; i < BH_CLASS_COUNT && !part->classes; i++) {
        if ((1u << i) & others || !serves_class(qga, 1u << i))
            continue;
        write_target(out, bh_class_names[i], &n);
        done |= 1u << i;
    }
    for (unsigned i = 0; i < BH_CMD_COUNT; i++) {
        uint32_t classes = bh_commands[i].classes;

        if (ctl_qga_serves(qga, i) && (part->classes ? classes & part->classes : !(classes & done)))
            write_target(out, bh_commands[i].name, &n);
    }
    return n;
}

static int write_rule(FILE *out, const struct ctl_qga *qga, const struct part *part)
{
    _cleanup_free_ char *targets = NULL;
    bool has_block = part->block && ctl_qga_serves(qga, part->command);
    size_t len = 0;
    FILE *list = open_memstream(&targets, &len);
    unsigned n;

    if (!list)
        return -ENOMEM;
    n = write_targets(list, qga, part);
    if (fclose(list) != 0)
        return -ENOMEM;
    if (n > 0)
        (void)fprintf(out, "\nrule migrated%s: allow %s%s", part->suffix, targets,
                      has_block ? part->block : "\n");
    return 0;
}

static void write_findings(FILE *out, const struct ctl_qga *qga)
{
    (void)fputs("# What qemu-ga serves under this configuration, as a policy of Bulkhead:\n", out);
    for (unsigned i = 0; i < qga->n_findings; i++) {
        const struct ctl_finding *finding = &qga->findings[i];

        (void)fputs(finding->warning ? "#   WARNING " : "#   ", out);
        ctl_print_clean(out, finding->where);
        (void)fputs(": ", out);
        ctl_print_clean(out, finding->text);
        (void)fputc('\n', out);
    }
    if (qga->n_lost > 0)
        (void)fprintf(out, "#   WARNING and %u more of this kind\n", qga->n_lost);
}

/* The slice of a shipped profile. */
static bool open_shipped(const char *name, struct bh_policy *ret)
{
    const struct bh_profile_text *profile = bh_profile_find(bh_profiles, bh_n_profiles, name);
    const struct bh_bundle *bundle;

    return profile && bh_bundle_open(&bundle, profile->bundle, profile->bundle_len) == 0 &&
           bh_policy_open(ret, (const char *)bundle + bundle->rows[0].offset, bundle->rows[0].size) == 0;
}

static void write_advice(FILE *out, const struct ctl_qga *qga)
{
    struct bh_policy usual;
    bool known = open_shipped(BH_PROFILE_DEFAULT, &usual);
    unsigned n = 0;

    (void)fputs(
        "#\n# How to tighten it: take out what no host uses. The audit log counts what is used\n"
        "# (bulkheadctl audit show), `bulkheadctl policy check` names the rules that make a host equal\n"
        "# to root, and `bulkheadctl policy diff` says what an edit has changed.\n",
        out);
    for (unsigned i = 0; i < BH_CMD_COUNT; i++) {
        if (!known || !ctl_qga_serves(qga, i) || bh_policy_grants(&usual, i))
            continue;
        (void)fprintf(out, "%s%s",
                      n == 0  ? "# Served here, and not by `use " BH_PROFILE_DEFAULT "`:\n"
                      : n % 4 ? ", "
                              : "\n",
                      n % 4 ? "" : "#   ");
        (void)fputs(bh_commands[i].name, out);
        n++;
    }
    if (n > 0)
        (void)fputc('\n', out);
    if (ctl_qga_serves(qga, BH_CMD_GUEST_FILE_OPEN))
        (void)fputs("# Files: add `path beneath \"/a/folder\"` to the rule below, for any path is open.\n",
                    out);
    if (ctl_qga_serves(qga, BH_CMD_GUEST_EXEC))
        (void)fputs("# Programs: name those that a host runs in the rule below, with `program` and `args`, "
                    "and take a "
                    "sandbox.\n",
                    out);
}

/* The whole text, in m->text. */
static int write_text(struct migration *m)
{
    FILE *out = open_memstream(&m->text, &m->len);
    int r = 0;

    if (!out)
        return -ENOMEM;
    write_findings(out, &m->qga);
    write_advice(out, &m->qga);
    (void)fprintf(out, "policy 1\ncommands %u\n", (unsigned)BH_CMD_COUNT);
    for (size_t i = 0; i < BH_ARRAY_SIZE(parts) && r == 0; i++)
        r = write_rule(out, &m->qga, &parts[i]);
    if (ctl_qga_serves(&m->qga, BH_CMD_GUEST_EXEC) && !ctl_qga_serves(&m->qga, BH_CMD_GUEST_EXEC_STATUS))
        (void)fputs("\n# Whoever may start a program may ask about it, unless that is denied.\ndeny "
                    "guest-exec-status\n",
                    out);
    return fclose(out) != 0 ? -ENOMEM : r;
}

/* Is what the parts' blocks speak of settled as in `open`, which does as qemu-ga does? NULL, or what is not.
 */
static const char *settles_otherwise(const struct ctl_qga *qga, const struct bh_policy *policy)
{
    struct bh_policy open;

    for (size_t i = 0; i < BH_ARRAY_SIZE(parts); i++)
        if (parts[i].block && ctl_qga_serves(qga, parts[i].command) &&
            (!open_shipped("open", &open) || ctl_names_compare(&open, policy, parts[i].command) != CTL_SAME))
            return bh_commands[parts[i].command].name;
    return NULL;
}

/* The proof. NULL, or what does not agree. */
static const char *disagrees(const struct ctl_qga *qga, const struct bh_policy *policy)
{
    for (unsigned i = 0; i < BH_CMD_COUNT; i++)
        if (bh_policy_grants(policy, i) != ctl_qga_serves(qga, i))
            return bh_commands[i].name;
    return settles_otherwise(qga, policy);
}

static int prove(const struct migration *m)
{
    struct ctl_policy_source source;
    struct bh_policy policy;
    const char *name = NULL;
    int status = ctl_policy_open_text(&source, TEXT_NAME, m->text, m->len);

    if (status == CTL_OK)
        status = ctl_policy_slice(&source, 0, &policy);
    if (status == CTL_OK)
        name = disagrees(&m->qga, &policy);
    ctl_policy_findings(&source, stderr);
    if (status == CTL_OK && (name || (source.findings && *source.findings)))
        status = ctl_fail(CTL_FAILED, "the policy that was made is not what the configuration says: %s",
                          name ? name : "see above");
    ctl_policy_close(&source);
    return status == CTL_OK
               ? CTL_OK
               : ctl_fail(CTL_FAILED,
                          "this is an error of bulkheadctl: nothing is printed; please report it");
}

static void print_json(const struct migration *m)
{
    struct json_object *all = json_object_new_object(), *granted = json_object_new_array(),
                       *withheld = json_object_new_array(), *findings = json_object_new_array();

    for (unsigned i = 0; i < BH_CMD_COUNT; i++)
        if (!bh_command_is_extension(i)) /* qemu-ga has none to withhold */
            json_object_array_add(ctl_qga_serves(&m->qga, i) ? granted : withheld,
                                  json_object_new_string(bh_commands[i].name));
    for (unsigned i = 0; i < m->qga.n_findings; i++) {
        const struct ctl_finding *finding = &m->qga.findings[i];
        struct json_object *row = json_object_new_object();

        json_object_object_add(row, "severity",
                               json_object_new_string(finding->warning ? "warning" : "note"));
        json_object_object_add(row, "where", json_object_new_string(finding->where));
        json_object_object_add(row, "text", json_object_new_string(finding->text));
        json_object_array_add(findings, row);
    }
    json_object_object_add(all, "policy", json_object_new_string_len(m->text, (int)m->len));
    json_object_object_add(all, "granted", granted);
    json_object_object_add(all, "withheld", withheld);
    json_object_object_add(all, "findings", findings);
    json_object_object_add(all, "lost", json_object_new_int64(m->qga.n_lost));
    puts(json_object_to_json_string_ext(all, JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(all);
}

/* The configuration file: the one that is named, else the one that the arguments name, else the usual one. */
static int read_config(struct migration *m, const char *path)
{
    if (path && m->qga.config && strcmp(path, m->qga.config) != 0)
        ctl_qga_say(&m->qga, true, "the arguments", "--config=%s: not read, for %s was named instead",
                    m->qga.config, path);
    if (!path)
        path = m->qga.config;
    if (path || access(CONFIG_DEFAULT, F_OK) == 0)
        return ctl_qga_config(&m->qga, path ? path : CONFIG_DEFAULT);
    ctl_qga_say(&m->qga, false, CONFIG_DEFAULT, "there is no such file, which is as good as an empty one");
    return CTL_OK;
}

static int read_sources(struct migration *m, const char *config, const char *sysconfig, int argc, char **argv)
{
    int status = sysconfig ? ctl_qga_sysconfig(&m->qga, sysconfig) : CTL_OK;

    if (status == CTL_OK)
        status = ctl_qga_arguments(&m->qga, "the arguments", argc, argv);
    if (status == CTL_OK)
        status = read_config(m, config);
    for (size_t i = 0; i < BH_ARRAY_SIZE(places) && !sysconfig; i++)
        if (access(places[i], F_OK) == 0)
            ctl_qga_say(&m->qga, true, places[i],
                        "not read: if this file governs qemu-ga here, name it with --sysconfig");
    if (status == CTL_OK)
        ctl_qga_judge(&m->qga);
    return status;
}

static int migrate(struct migration *m)
{
    int status;

    if (write_text(m) < 0)
        return ctl_fail(CTL_FAILED, "out of memory");
    status = prove(m);
    if (status == CTL_OK && m->ctl->json)
        print_json(m);
    else if (status == CTL_OK)
        (void)fwrite(m->text, 1, m->len, stdout);
    return status;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
    const char *config = NULL, *sysconfig = NULL;
    const struct ctl_option options[] = { { "--config", NULL, &config, NULL },
                                          { "--sysconfig", NULL, &sysconfig, NULL },
                                          { 0 } };
    struct migration m = { .ctl = ctl };
    int own = 0, theirs, status;

    while (own < argc && strcmp(argv[own], "--") != 0)
        own++;
    theirs = own < argc ? own + 1 : argc; /* qemu-ga's arguments begin there */
    if (ctl_options(ctl, &ctl_policy_migrate, &own, argv, options, &status) < 0)
        return status;
    if (own > 0)
        return ctl_usage(&ctl_policy_migrate, "%s is one word too many; qemu-ga's arguments stand behind --",
                         argv[0]);
    status = read_sources(&m, config, sysconfig, argc - theirs, argv + theirs);
    if (status == CTL_OK)
        status = migrate(&m);
    ctl_qga_free(&m.qga);
    free(m.text);
    return status;
}

const struct ctl_command ctl_policy_migrate = {
    .name = "policy migrate",
    .summary = "a configuration of qemu-ga as a policy",
    .usage =
        "[--config FILE] [--sysconfig FILE] [-- ARGUMENT ...]\n"
        "Prints a policy that grants exactly what qemu-ga serves under that configuration, and says in\n"
        "comments what was found; it is compiled and compared before it is printed. Writes no file.\n"
        "  --config FILE     qemu-ga's key file (default: -c of the arguments, else\n"
        "                    " CONFIG_DEFAULT " if it exists)\n"
        "  --sysconfig FILE  NAME=VALUE lines, such as /etc/sysconfig/qemu-ga; parsed, never executed\n"
        "  -- ARGUMENT ...   the arguments that qemu-ga is started with\n"
        "  --json            policy, granted and withheld commands, findings\n"
        "Exit status: 0 done, 1 qemu-ga would not start with this, or it cannot be told what it would do.",
    .run = run,
};
