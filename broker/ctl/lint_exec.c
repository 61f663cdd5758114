/*
 * The part of lint.h about running programs: what an allow for guest-exec comes to beside what it seems to
 * say. Each finding is one line about one rule. Names of programs are taken for what they usually are; what a
 * program does is not looked at.
 */
#include "broker/ctl/lint.h"

#include <stdarg.h>
#include <string.h>

#include "policy/eval.h"
#include "policy/lang/patterns.h"
#include "policy/lang/settings.h"
#include "policy/match.h"
#include "protocol/base/mem.h"

struct looking {
    const struct bh_policy *policy;
    const struct bh_rule *rule;
    const struct bh_exec_rule *exec;
    FILE *out;
};

static void __attribute__((format(printf, 2, 3))) say(const struct looking *l, const char *format, ...)
{
    va_list args;

    (void)fprintf(l->out, "warning %s:%u: the rule '%s' ", bh_policy_string(l->policy, l->rule->file),
                  l->rule->line, bh_policy_string(l->policy, l->rule->name));
    va_start(args, format);
    (void)vfprintf(l->out, format, args);
    va_end(args);
    (void)fputc('\n', l->out);
}

static const char *text_of(const struct looking *l, uint32_t word)
{
    return bh_policy_string(l->policy, l->policy->words[word].text);
}

static bool is_root(const struct looking *l)
{
    return l->rule->user != BH_NO_USER && l->policy->users[l->rule->user].uid == 0;
}

static const char *user_of(const struct looking *l)
{
    return l->rule->user == BH_NO_USER ? "the sandbox's own user"
                                       : bh_policy_string(l->policy, l->policy->users[l->rule->user].name);
}

/* "equal to root without a sandbox" */
static const char *power_of(const struct looking *l, char ret[160])
{
    if (l->exec->sandbox == BH_SANDBOX_NONE && is_root(l))
        return "equal to root without a sandbox";
    (void)snprintf(ret, 160, "equal to %s, in the sandbox %s", user_of(l),
                   bh_setting_of_rule("sandbox", true)->words[l->exec->sandbox]);
    return ret;
}

static void look_at_sandbox(const struct looking *l)
{
    if (l->exec->sandbox != BH_SANDBOX_NONE)
        return;
    if (l->exec->flags & BH_EXEC_ANY_PROGRAM && is_root(l))
        say(l, "makes whoever holds channel '%s' equal to root, without limit: it runs every program",
            l->policy->slice->channel);
    else
        say(l,
            "runs programs as %s without a sandbox: whatever they can be brought to do, whoever holds "
            "channel '%s' "
            "can do; take `sandbox plain` if they can work in it",
            user_of(l), l->policy->slice->channel);
}

/* Sockets on which whoever may connect as root can have anything done. */
static const struct {
    const char *path, *whose;
} root_sockets[] = {
    { "/run/systemd/private", "systemd" },
    { "/run/systemd/notify", "systemd" },
    { "/run/dbus/system_bus_socket", "D-Bus" },
    { "/run/docker.sock", "Docker" },
    { "/run/containerd/containerd.sock", "containerd" },
    { "/run/podman/podman.sock", "Podman" },
    { "/run/crio/crio.sock", "CRI-O" },
    { "/run/libvirt/libvirt-sock", "libvirt" },
    { "/run/libvirt/virtqemud-sock", "libvirt" },
    { "/run/snapd.socket", "snapd" },
    { "/var/lib/lxd/unix.socket", "LXD" },
    { "/var/lib/incus/unix.socket", "Incus" },
    { "/run/udev/control", "udev" },
};

static void look_at_sockets(const struct looking *l)
{
    for (uint32_t i = 0; i < l->exec->n_sockets; i++) {
        const char *socket = text_of(l, l->exec->first_socket + i);
        const char *name = strncmp(socket, "/var/run/", 9) == 0 ? socket + 4 : socket;

        for (size_t k = 0; k < BH_ARRAY_SIZE(root_sockets); k++)
            if (strcmp(root_sockets[k].path, name) == 0)
                say(l,
                    "gives its program the socket %s: with what %s does for it there it is equal to root, if "
                    "it "
                    "runs as root or as one that %s trusts; only its arguments keep the client from that",
                    socket, root_sockets[k].whose, root_sockets[k].whose);
    }
}

enum kind { KIND_INTERPRETER, KIND_SHELL_OUT, KIND_MULTI };

/* By the name of its file. Interpreters run what an argument or their input says, the others can be told to.
 */
static const struct {
    const char *pattern;
    enum kind kind;
} programs[] = {
    { "busybox*", KIND_MULTI },        { "toybox*", KIND_MULTI },        { "sh", KIND_INTERPRETER },
    { "*bash", KIND_INTERPRETER },     { "dash", KIND_INTERPRETER },     { "zsh*", KIND_INTERPRETER },
    { "ksh*", KIND_INTERPRETER },      { "*csh", KIND_INTERPRETER },     { "fish", KIND_INTERPRETER },
    { "ash", KIND_INTERPRETER },       { "python*", KIND_INTERPRETER },  { "perl*", KIND_INTERPRETER },
    { "ruby*", KIND_INTERPRETER },     { "node*", KIND_INTERPRETER },    { "php*", KIND_INTERPRETER },
    { "lua*", KIND_INTERPRETER },      { "tclsh*", KIND_INTERPRETER },   { "expect", KIND_INTERPRETER },
    { "*awk", KIND_INTERPRETER },      { "ed", KIND_INTERPRETER },       { "sed", KIND_SHELL_OUT },
    { "find", KIND_SHELL_OUT },        { "tar", KIND_SHELL_OUT },        { "rsync", KIND_SHELL_OUT },
    { "ssh*", KIND_SHELL_OUT },        { "scp", KIND_SHELL_OUT },        { "sftp", KIND_SHELL_OUT },
    { "vi", KIND_SHELL_OUT },          { "vim*", KIND_SHELL_OUT },       { "nano", KIND_SHELL_OUT },
    { "emacs*", KIND_SHELL_OUT },      { "less", KIND_SHELL_OUT },       { "more", KIND_SHELL_OUT },
    { "man", KIND_SHELL_OUT },         { "git*", KIND_SHELL_OUT },       { "env", KIND_SHELL_OUT },
    { "xargs", KIND_SHELL_OUT },       { "nsenter", KIND_SHELL_OUT },    { "unshare", KIND_SHELL_OUT },
    { "setpriv", KIND_SHELL_OUT },     { "chroot", KIND_SHELL_OUT },     { "sudo", KIND_SHELL_OUT },
    { "su", KIND_SHELL_OUT },          { "runuser", KIND_SHELL_OUT },    { "doas", KIND_SHELL_OUT },
    { "docker", KIND_SHELL_OUT },      { "podman", KIND_SHELL_OUT },     { "nerdctl", KIND_SHELL_OUT },
    { "ctr", KIND_SHELL_OUT },         { "kubectl", KIND_SHELL_OUT },    { "systemctl", KIND_SHELL_OUT },
    { "systemd-run", KIND_SHELL_OUT }, { "journalctl", KIND_SHELL_OUT }, { "timeout", KIND_SHELL_OUT },
    { "nice", KIND_SHELL_OUT },        { "ionice", KIND_SHELL_OUT },     { "nohup", KIND_SHELL_OUT },
    { "setsid", KIND_SHELL_OUT },      { "stdbuf", KIND_SHELL_OUT },     { "watch", KIND_SHELL_OUT },
    { "script", KIND_SHELL_OUT },      { "strace", KIND_SHELL_OUT },     { "ltrace", KIND_SHELL_OUT },
    { "gdb*", KIND_SHELL_OUT },        { "make", KIND_SHELL_OUT },       { "zip", KIND_SHELL_OUT },
    { "tcpdump", KIND_SHELL_OUT },     { "nmap", KIND_SHELL_OUT },       { "apt*", KIND_SHELL_OUT },
    { "dpkg", KIND_SHELL_OUT },        { "rpm", KIND_SHELL_OUT },        { "dnf*", KIND_SHELL_OUT },
    { "yum", KIND_SHELL_OUT },         { "zypper", KIND_SHELL_OUT },     { "apk", KIND_SHELL_OUT },
    { "pip*", KIND_SHELL_OUT },        { "npm", KIND_SHELL_OUT },        { "crontab", KIND_SHELL_OUT },
    { "at", KIND_SHELL_OUT },          { "mysql", KIND_SHELL_OUT },      { "psql", KIND_SHELL_OUT },
    { "sqlite3", KIND_SHELL_OUT },     { "ld.so*", KIND_SHELL_OUT },     { "ld-linux*", KIND_SHELL_OUT },
    { "cp", KIND_SHELL_OUT },          { "dd", KIND_SHELL_OUT },         { "tee", KIND_SHELL_OUT },
    { "install", KIND_SHELL_OUT },
};

/* Does the client choose some of it: a glob, a path or anything, at a position or behind them? */
static bool is_free(const struct looking *l, uint32_t position)
{
    const struct bh_exec_arg *arg = &l->policy->exec_args[l->exec->first_arg + position];

    for (uint32_t i = 0; i < arg->n_matches; i++) {
        uint32_t kind = l->policy->exec_matches[arg->first_match + i].kind;

        if (kind == BH_MATCH_ANY || kind == BH_MATCH_GLOB || kind == BH_MATCH_BENEATH)
            return true;
    }
    return false;
}

static bool has_free_arguments(const struct looking *l)
{
    uint32_t n = l->exec->n_args + (l->exec->flags & BH_EXEC_REST ? 1 : 0);

    for (uint32_t i = 0; i < n; i++)
        if (is_free(l, i))
            return true;
    return false;
}

static void look_at_program(const struct looking *l, const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    bool free = has_free_arguments(l), input = l->exec->flags & BH_EXEC_STDIN;
    char power[160];
    size_t i = 0;

    while (i < BH_ARRAY_SIZE(programs) &&
           !bh_name_match(programs[i].pattern, strlen(programs[i].pattern), name, strlen(name)))
        i++;
    if (i == BH_ARRAY_SIZE(programs))
        return;
    if (programs[i].kind == KIND_MULTI && !(l->exec->n_args > 0 && !is_free(l, 0)))
        say(l,
            "runs %s, which is many programs: what it is called, or its first argument, says which, a shell "
            "among "
            "them; let `args` begin with the one that is meant",
            path);
    else if (free && programs[i].kind != KIND_MULTI)
        say(l,
            "runs %s with arguments that the client chooses, and these can make it run or write anything: "
            "whoever "
            "holds channel '%s' is %s",
            path, l->policy->slice->channel, power_of(l, power));
    else if (input && programs[i].kind == KIND_INTERPRETER)
        say(l, "runs %s with the client's input, which it runs: whoever holds channel '%s' is %s", path,
            l->policy->slice->channel, power_of(l, power));
}

static bool writes(const struct bh_policy *policy, const struct bh_rule *rule)
{
    return rule->effect == BH_EFFECT_ALLOW && rule->has_object && rule->verbs & ~BH_VERB_READ &&
           rule->user != BH_NO_USER && policy->users[rule->user].found;
}

/* Does the rule let something be written that the pattern matches? */
static bool reaches(const struct bh_policy *policy, const struct bh_rule *rule, struct bh_pattern pattern)
{
    for (uint32_t i = 0; i < rule->n_paths; i++) {
        const struct bh_path *path = &policy->paths[rule->first_path + i];
        struct bh_pattern own = { path->kind, bh_policy_string(policy, path->text), path->len };

        if (bh_patterns_meet(own, pattern))
            return true;
    }
    return rule->n_paths == 0;
}

static void look_at_writers(const struct looking *l, const char *folder, size_t len, const char *why)
{
    for (uint32_t i = 0; i < l->policy->n_rules; i++) {
        const struct bh_rule *writer = &l->policy->rules[i];

        if (writes(l->policy, writer) &&
            reaches(l->policy, writer, (struct bh_pattern){ BH_PATH_BENEATH, folder, len }))
            say(l,
                "%s %.*s, where the rule '%s' lets files be written: keep what is run and what is written "
                "apart",
                why, (int)len, folder, bh_policy_string(l->policy, writer->name));
    }
}

static void look_at_folders(const struct looking *l)
{
    static const char *const path[] = { "/usr/local/sbin", "/usr/local/bin", "/usr/sbin",
                                        "/usr/bin",        "/sbin",          "/bin" };

    for (uint32_t i = 0; i < l->exec->n_programs; i++) {
        char folder[BH_POLICY_PATH_MAX];
        const char *program = text_of(l, l->exec->first_program + i);
        size_t len = (size_t)(strrchr(program, '/') - program);

        (void)snprintf(folder, sizeof(folder), "%.*s", len ? (int)len : 1, program);
        look_at_writers(l, folder, strlen(folder), "runs a program in");
    }
    for (size_t i = 0; i < BH_ARRAY_SIZE(path) && l->exec->flags & BH_EXEC_SEARCH; i++)
        look_at_writers(l, path[i], strlen(path[i]), "looks for programs in");
}

static void look_at_variables(const struct looking *l)
{
    for (uint32_t i = 0; i < l->exec->n_env; i++)
        if (strcmp(text_of(l, l->exec->first_env + i), "PATH") == 0)
            say(l, "lets the client set PATH, and so choose what its program starts: remove it from `env`");
}

void ctl_lint_exec(const struct bh_policy *policy, const struct bh_rule *rule, FILE *out)
{
    const struct looking l = { policy, rule, &policy->execs[rule->exec], out };

    look_at_sandbox(&l);
    look_at_sockets(&l);
    for (uint32_t i = 0; i < l.exec->n_programs; i++)
        look_at_program(&l, text_of(&l, l.exec->first_program + i));
    look_at_variables(&l);
    if (!(l.exec->flags & BH_EXEC_ANY_PROGRAM && l.exec->sandbox == BH_SANDBOX_NONE))
        look_at_folders(&l);
}
