/* Options, usage and messages of ctl.h: the same in every subcommand. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/ctl/ctl.h"
#include "broker/places.h"
#include "protocol/base/mem.h"

int ctl_fail(int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("bulkheadctl: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return status;
}

int ctl_usage(const struct ctl_command *command, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "bulkheadctl %s: ", command->name);
    vfprintf(stderr, format, args);
    fprintf(stderr, ". See: bulkheadctl %s --help\n", command->name);
    va_end(args);
    return CTL_USAGE;
}

static void print_help(const struct ctl_command *command)
{
    printf("Usage: bulkheadctl %s%s%s\n"
           "  --state-dir DIR   the agent's -t folder (default " BH_STATE_DIR_DEFAULT ")\n"
           "  --json            output for programs\n"
           "  --help            this text\n",
           command->name, command->usage[0] == '\n' ? "" : " ", command->usage);
}

static bool is_option(const struct ctl_option *option, const char *word, size_t len)
{
    return (strlen(option->name) == len && strncmp(option->name, word, len) == 0) ||
           (option->brief && strlen(option->brief) == len && strncmp(option->brief, word, len) == 0);
}

static const struct ctl_option *find(const struct ctl_option *options, const char *word, size_t len)
{
    for (; options && options->name; options++)
        if (is_option(options, word, len))
            return options;
    return NULL;
}

/* One option at argv[*at], and its value behind '=' or in the next word. */
static int take_option(const struct ctl_command *command, const struct ctl_option *own,
                       const struct ctl_option *common, int argc, char **argv, int *at)
{
    const char *word = argv[*at], *equals = word[1] == '-' ? strchr(word, '=') : NULL;
    size_t len = equals ? (size_t)(equals - word) : strlen(word);
    const struct ctl_option *option = find(own, word, len);

    if (!option)
        option = find(common, word, len);
    if (!option)
        return ctl_usage(command, "there is no option %s", word);
    if (option->flag && equals)
        return ctl_usage(command, "%s takes no value", option->name);
    if (option->flag) {
        *option->flag = true;
        return CTL_OK;
    }
    if (!equals && *at + 1 >= argc)
        return ctl_usage(command, "%s needs a value", option->name);
    word = equals ? equals + 1 : argv[++*at];
    if (option->values)
        option->values->at[option->values->n++] = word;
    else
        *option->value = word;
    return CTL_OK;
}

int ctl_options(struct ctl *ctl, const struct ctl_command *command, int *argc, char **argv,
                const struct ctl_option *options, int *ret_status)
{
    bool help = false, only_words = false;
    const struct ctl_option common[] = {
        { "--state-dir", NULL, &ctl->state_dir, NULL },
        { "--json", NULL, NULL, &ctl->json },
        { "--help", "-h", NULL, &help },
        { 0 },
    };
    int kept = 0;

    for (int i = 0; i < *argc; i++) {
        if (only_words || argv[i][0] != '-' || argv[i][1] == '\0') {
            argv[kept++] = argv[i];
        } else if (strcmp(argv[i], "--") == 0) {
            only_words = true;
        } else {
            *ret_status = take_option(command, options, common, *argc, argv, &i);
            if (*ret_status != CTL_OK)
                return -EINVAL;
        }
    }
    *argc = kept;
    if (!help)
        return 0;
    print_help(command);
    *ret_status = CTL_OK;
    return -ECANCELED;
}

static int print_commands(FILE *out, const char *group, const struct ctl_command *const *commands)
{
    fprintf(out, "Usage: bulkheadctl %s%sCOMMAND [...]\n", group ? group : "", group ? " " : "");
    for (; *commands; commands++)
        fprintf(out, "  %-16s %s\n", (*commands)->name, (*commands)->summary);
    fprintf(out, "Each takes --state-dir DIR (the agent's -t folder, default " BH_STATE_DIR_DEFAULT
                 ") and --json.\n"
                 "bulkheadctl COMMAND --help says more; so does bulkheadctl(8).\n");
    return out == stdout ? CTL_OK : CTL_USAGE;
}

int ctl_dispatch(struct ctl *ctl, const char *group, const struct ctl_command *const *commands, int argc,
                 char **argv)
{
    if (argc < 1)
        return print_commands(stderr, group, commands);
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0)
        return print_commands(stdout, group, commands);
    for (const struct ctl_command *const *row = commands; *row; row++) {
        const char *space = strrchr((*row)->name, ' '), *word = space ? space + 1 : (*row)->name;

        if (strcmp(word, argv[0]) == 0)
            return (*row)->run(ctl, argc - 1, argv + 1);
    }
    if (argv[0][0] == '-')
        (void)ctl_fail(CTL_USAGE,
                       "%s is no option that stands before a command, or lacks what belongs behind it",
                       argv[0]);
    else
        (void)ctl_fail(CTL_USAGE, "there is no command %s%s%s", group ? group : "", group ? " " : "",
                       argv[0]);
    return print_commands(stderr, group, commands);
}

bool ctl_number(const char *text, uint64_t max, uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0' && errno == 0 && *ret <= max;
}

char *ctl_read_file(const char *path, size_t max, size_t *ret_len)
{
    _cleanup_fclose_ FILE *file = strcmp(path, "-") == 0 ? fdopen(dup(STDIN_FILENO), "r") : fopen(path, "re");
    _cleanup_free_ char *text = NULL;
    struct stat st;
    size_t n;

    if (!file || fstat(fileno(file), &st) < 0)
        return NULL;
    if (S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return NULL;
    }
    text = malloc(max + 1);
    if (!text)
        return NULL;
    n = fread(text, 1, max + 1, file);
    if (n > max || ferror(file)) {
        errno = n > max ? EFBIG : EIO;
        return NULL;
    }
    text[n] = '\0';
    *ret_len = n;
    return bh_take_ptr(text);
}
