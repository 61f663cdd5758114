/*
 * bh-filtergen: from a profile's table to the filter that the process loads, at build
 * time; the one user of libseccomp.
 *
 *   bh-filtergen NAME OUTPUT.c    const struct bh_filter bh_filter_NAME
 *   bh-filtergen --dump NAME      the profile in words, sorted: what the golden files hold
 *   bh-filtergen --probe-list NAME   one line per row: number, name, errno, conditions
 *
 * Whatever is not listed kills the process (or what the profile says instead), and so does a
 * foreign architecture (i386, x32); a deny-list holds for those too. Only numbers above every
 * call we know get ENOSYS; libseccomp cannot say that, so six instructions are put before its
 * program.
 */
#include "policy/confine/profiles.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/fd.h"
#include "protocol/base/mem.h"

#define ROWS_MAX 512
#define PROGRAM_MAX 2048 /* instructions; the kernel takes 4096 */
#define X32_BIT 0x40000000u

static const struct bh_profile *const profiles[] = {
    &bh_profile_audit,   &bh_profile_front,   &bh_profile_fs,      &bh_profile_info,    &bh_profile_opener,
    &bh_profile_policyc, &bh_profile_thaw,    &bh_profile_storage, &bh_profile_smart,   &bh_profile_exec,
    &bh_profile_spool,   &bh_profile_minimal, &bh_profile_diag,    &bh_profile_no_unix, &bh_profile_no_net,
};

/* Capabilities that profiles name; another one shows as its number. */
static const struct {
    unsigned number;
    const char *name;
} capability_names[] = {
    { CAP_DAC_OVERRIDE, "DAC_OVERRIDE" },
    { CAP_KILL, "KILL" },
    { CAP_SETGID, "SETGID" },
    { CAP_SETPCAP, "SETPCAP" },
    { CAP_SETUID, "SETUID" },
    { CAP_DAC_READ_SEARCH, "DAC_READ_SEARCH" },
    { CAP_SYS_ADMIN, "SYS_ADMIN" },
    { CAP_AUDIT_WRITE, "AUDIT_WRITE" },
};

struct rows {
    const struct bh_syscall *rows[ROWS_MAX];
    size_t n;
};

static _Noreturn void fail(const char *what, const char *which)
{
    (void)fprintf(stderr, "bh-filtergen: %s: %s\n", which, what);
    exit(1);
}

static bool has_own_row(const struct bh_profile *profile, const char *name)
{
    for (uint32_t i = 0; profile && i < profile->n_syscalls; i++)
        if (!strcmp(profile->syscalls[i].name, name))
            return true;
    return false;
}

static void add_row(struct rows *rows, const struct bh_syscall *row)
{
    if (rows->n == ROWS_MAX)
        fail("too many rows", row->name);
    rows->rows[rows->n++] = row;
}

static int by_name(const void *a, const void *b)
{
    const struct bh_syscall *const *x = a, *const *y = b;
    int order = strcmp((*x)->name, (*y)->name);

    for (unsigned i = 0; order == 0 && i < (*x)->n_args && i < (*y)->n_args; i++)
        order = ((*x)->args[i].value > (*y)->args[i].value) - ((*x)->args[i].value < (*y)->args[i].value);
    return order;
}

/* The process's rows and the base rows that it does not replace, by name. */
static void collect(const struct bh_profile *profile, struct rows *ret)
{
    ret->n = 0;
    for (uint32_t i = 0; i < bh_n_base_syscalls && profile->unlisted != BH_UNLISTED_ALLOWED; i++)
        if (!has_own_row(profile, bh_base_syscalls[i].name) &&
            !has_own_row(profile->like, bh_base_syscalls[i].name))
            add_row(ret, &bh_base_syscalls[i]);
    for (const struct bh_profile *table = profile; table; table = table->like)
        for (uint32_t i = 0; i < table->n_syscalls; i++)
            add_row(ret, &table->syscalls[i]);
    qsort(ret->rows, ret->n, sizeof(ret->rows[0]), by_name);
}

static int number_of(const struct bh_syscall *row)
{
    int number = seccomp_syscall_resolve_name(row->name);

    if (row->number)
        return row->number;
    if (number == __NR_SCMP_ERROR)
        fail("libseccomp does not know this call", row->name);
    return number;
}

static void add_rule(const struct bh_profile *profile, scmp_filter_ctx context, const struct bh_syscall *row)
{
    uint32_t action = row->error ? SCMP_ACT_ERRNO(row->error) : SCMP_ACT_ALLOW;
    struct scmp_arg_cmp conditions[BH_SYSCALL_ARGS_MAX];

    if (row->error && row->n_args && profile->unlisted != BH_UNLISTED_ALLOWED)
        fail("a refused call has no conditions", row->name);
    for (unsigned i = 0; i < row->n_args; i++)
        conditions[i] = (struct scmp_arg_cmp){ row->args[i].index, SCMP_CMP_MASKED_EQ, row->args[i].mask,
                                               row->args[i].value };
    if (seccomp_rule_add_array(context, action, number_of(row), row->n_args, conditions) < 0)
        fail("libseccomp refuses this row", row->name);
}

static uint32_t default_action(const struct bh_profile *profile)
{
    static const uint32_t actions[] = { [BH_UNLISTED_KILLS] = SCMP_ACT_KILL_PROCESS,
                                        [BH_UNLISTED_REFUSED] = SCMP_ACT_ERRNO(EPERM),
                                        [BH_UNLISTED_ALLOWED] = SCMP_ACT_ALLOW };

    return actions[profile->unlisted];
}

/* Programs of the guest may be of the processor's other architectures: what a deny-list denies is denied
 * there too. */
static void add_architectures(const struct bh_profile *profile, scmp_filter_ctx context)
{
    const uint32_t x86[] = { SCMP_ARCH_X86, SCMP_ARCH_X32 }, arm[] = { SCMP_ARCH_ARM };
    const uint32_t native = seccomp_arch_native();

    if (profile->unlisted != BH_UNLISTED_ALLOWED)
        return;
    for (size_t i = 0; native == SCMP_ARCH_X86_64 && i < BH_ARRAY_SIZE(x86); i++)
        if (seccomp_arch_add(context, x86[i]) < 0)
            fail("libseccomp does not know the other architectures", profile->name);
    if (native == SCMP_ARCH_AARCH64 && seccomp_arch_add(context, arm[0]) < 0)
        fail("libseccomp does not know the other architectures", profile->name);
}

/* The program that libseccomp makes of the rows; the number of instructions. */
static size_t make_program(const struct bh_profile *profile, struct sock_filter *ret)
{
    scmp_filter_ctx context = seccomp_init(default_action(profile));
    _cleanup_close_ int fd = bh_memfd_new("filter", NULL, 0);
    struct rows rows;
    ssize_t size;

    if (!context || fd < 0 || seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) < 0 ||
        seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0)
        fail("libseccomp does not start", profile->name);
    add_architectures(profile, context);
    collect(profile, &rows);
    for (size_t i = 0; i < rows.n; i++)
        add_rule(profile, context, rows.rows[i]);
    if (seccomp_export_bpf(context, fd) < 0)
        fail("libseccomp makes no program", profile->name);
    seccomp_release(context);
    size = bh_read_file(fd, ret, PROGRAM_MAX * sizeof(*ret));
    if (size <= 0 || (size_t)size % sizeof(*ret))
        fail("the program cannot be read", profile->name);
    return (size_t)size / sizeof(*ret);
}

static uint32_t native_audit_arch(void)
{
    switch (seccomp_arch_native()) {
    case SCMP_ARCH_X86_64:
        return AUDIT_ARCH_X86_64;
    case SCMP_ARCH_AARCH64:
        return AUDIT_ARCH_AARCH64;
    case SCMP_ARCH_S390X:
        return AUDIT_ARCH_S390X;
    default:
        fail("unknown architecture", "prologue");
    }
}

/* Native, not x32, and above every known call: ENOSYS. Everything else falls through to the program. */
static size_t make_prologue(struct sock_filter ret[static 6])
{
    const struct sock_filter prologue[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, native_audit_arch(), 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, X32_BIT, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, BH_SYSCALL_NEWEST, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
    };

    memcpy(ret, prologue, sizeof(prologue));
    return BH_ARRAY_SIZE(prologue);
}

static int write_filter(const struct bh_profile *profile, const char *path)
{
    static struct sock_filter code[6 + PROGRAM_MAX];
    size_t n = make_prologue(code);
    FILE *file = fopen(path, "we");

    if (!file)
        fail("cannot be written", path);
    n += make_program(profile, code + n);
    (void)fprintf(file, "/* Made by bh-filtergen from the table of bulkhead's %s. */\n", profile->name);
    (void)fprintf(file,
                  "#include \"policy/confine/profiles.h\"\n\nstatic const struct sock_filter code[] = {\n");
    for (size_t i = 0; i < n; i++)
        (void)fprintf(file, "    { 0x%02x, %u, %u, 0x%08x },\n", code[i].code, code[i].jt, code[i].jf,
                      code[i].k);
    (void)fprintf(file, "};\n\nconst struct bh_filter bh_filter_%s = { code, %zu };\n", profile->name, n);
    return fclose(file) ? 1 : 0;
}

static void print_caps(uint64_t caps)
{
    const char *gap = "";

    (void)printf("capabilities ");
    for (unsigned i = 0; i < 64; i++) {
        const char *name = NULL;

        if (!(caps & UINT64_C(1) << i))
            continue;
        for (size_t j = 0; j < BH_ARRAY_SIZE(capability_names); j++)
            if (capability_names[j].number == i)
                name = capability_names[j].name;
        if (name)
            (void)printf("%s%s", gap, name);
        else
            (void)printf("%s%u", gap, i);
        gap = " ";
    }
    (void)printf("%s\n", caps ? "" : "none");
}

static void print_view(const struct bh_profile *profile)
{
    static const char *const kinds[] = {
        [BH_VIEW_EMPTY] = "empty", [BH_VIEW_PATHS] = "paths", [BH_VIEW_ALL] = "all", [BH_VIEW_HOST] = "host"
    };

    (void)printf("view %s\n", kinds[profile->view]);
    for (uint32_t i = 0; i < profile->n_paths; i++)
        (void)printf("path %s%s%s%s%s\n", profile->paths[i].path,
                     profile->paths[i].access & BH_ACCESS_LIST ? " list" : "",
                     profile->paths[i].access & BH_ACCESS_READ ? " read" : "",
                     profile->paths[i].access & BH_ACCESS_WRITE ? " write" : "",
                     profile->paths[i].access & BH_ACCESS_ANY ? " any" : "");
}

static void print_row(const struct bh_syscall *row)
{
    (void)printf("syscall %s", row->name);
    for (unsigned i = 0; i < row->n_args; i++)
        (void)printf(" arg%u&0x%" PRIx64 "=0x%" PRIx64, row->args[i].index, row->args[i].mask,
                     row->args[i].value);
    if (row->error)
        (void)printf(" errno %d", row->error);
    (void)printf(" (%s)\n", row->why);
}

static void print_process(const struct bh_profile *profile)
{
    (void)printf("profile %s\nprogram %s\n", profile->name, profile->program);
    if (profile->uid == UINT32_MAX)
        (void)printf("uid of the rule's user\n");
    else
        (void)printf("uid %" PRIu32 "\n", profile->uid);
    print_caps(profile->caps);
    (void)printf("network %s\n", profile->own_net ? "own" : "host");
    if (profile->outlives)
        (void)printf("outlives the supervisor\n");
    if (profile->spawns)
        (void)printf("spawns programs: no limits, no no_new_privs\n");
    (void)printf("limit files %" PRIu32 "\nlimit memory %" PRIu32 " MiB\n", profile->max_fds,
                 profile->max_memory_mib);
    if (profile->filesize_max_mib == UINT32_MAX)
        (void)printf("limit filesize none\n");
    else
        (void)printf("limit filesize %" PRIu32 " MiB\n", profile->filesize_max_mib);
    print_view(profile);
}

static int dump(const struct bh_profile *profile)
{
    struct rows rows;

    if (profile->program)
        print_process(profile);
    else
        (void)printf("filter %s\n", profile->name);
    if (profile->unlisted != BH_UNLISTED_KILLS)
        (void)printf("what is not listed is %s\n",
                     profile->unlisted == BH_UNLISTED_ALLOWED ? "allowed" : "refused");
    collect(profile, &rows);
    for (size_t i = 0; i < rows.n; i++)
        print_row(rows.rows[i]);
    return 0;
}

static int probe_list(const struct bh_profile *profile)
{
    struct rows rows;

    (void)printf("newest %u\nunlisted %u\n", BH_SYSCALL_NEWEST, profile->unlisted);
    collect(profile, &rows);
    for (size_t i = 0; i < rows.n; i++) {
        const struct bh_syscall *row = rows.rows[i];

        if (number_of(row) < 0)
            continue; /* not on this architecture */
        (void)printf("row %d %s %d", number_of(row), row->name, row->error);
        for (unsigned j = 0; j < row->n_args; j++)
            (void)printf(" %u:%" PRIx64 ":%" PRIx64, row->args[j].index, row->args[j].mask,
                         row->args[j].value);
        (void)printf("\n");
    }
    return 0;
}

static const struct bh_profile *find(const char *name)
{
    for (size_t i = 0; i < BH_ARRAY_SIZE(profiles); i++)
        if (!strcmp(profiles[i]->name, name))
            return profiles[i];
    fail("there is no such profile", name);
}

int main(int argc, char **argv)
{
    if (argc != 3)
        fail("NAME OUTPUT, --dump NAME or --probe-list NAME", "usage");
    if (!strcmp(argv[1], "--dump"))
        return dump(find(argv[2]));
    if (!strcmp(argv[1], "--probe-list"))
        return probe_list(find(argv[2]));
    return write_filter(find(argv[1]), argv[2]);
}
