/* Defaults and checks of settle.h. */
#include "broker/supervisor/settle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/places.h"
#include "policy/profiles.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

#define FIRST_INHERITED_FD 3 /* where a service manager puts sockets */

void bh_options_refuse(const struct bh_options *options, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "%s: ", options->program);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

void bh_options_add_list(const char **list, const char *names)
{
    const size_t before = *list ? strlen(*list) + 1 : 0, len = strlen(names);
    char *joined, *out;

    if (len == 0)
        return;
    joined = out = malloc(before + len + 1);
    if (!joined)
        bh_die(1, "no memory for a list of commands");
    if (*list)
        out = stpcpy(stpcpy(out, *list), ",");
    for (size_t end = len + 1; end-- > 0;) {
        size_t start = end;

        while (start > 0 && names[start - 1] != ',')
            start--;
        out = mempcpy(out, names + start, end - start);
        *out++ = start > 0 ? ',' : '\0';
        end = start;
    }
    *list = joined;
}

/* --- an inherited socket ------------------------------------------------------ */

static int listening_family(int fd)
{
    int family = -1, listens = 0;
    socklen_t len = sizeof(family);

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) < 0)
        return -1;
    len = sizeof(listens);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) < 0 || !listens)
        return -1;
    return family;
}

/* A service manager listens for us: its socket says what the method is, whatever else was said. */
static void inherit(struct bh_options *options)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");

    if (!pid || !count || strtol(pid, NULL, 10) != getpid() || strtol(count, NULL, 10) == 0)
        return;
    if (strcmp(count, "1"))
        bh_options_refuse(options, "LISTEN_FDS is %s; exactly one socket can be taken over", count);
    switch (listening_family(FIRST_INHERITED_FD)) {
    case AF_UNIX:
        options->method = "unix-listen";
        break;
    case AF_VSOCK:
        options->method = "vsock-listen";
        break;
    default:
        bh_options_refuse(
            options, "descriptor 3, left by LISTEN_FDS, is neither a unix nor a virtio socket that listens");
    }
    options->path = NULL;
    options->inherited = FIRST_INHERITED_FD;
    (void)fcntl(FIRST_INHERITED_FD, F_SETFD, FD_CLOEXEC);
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
}

/* --- defaults ------------------------------------------------------------------ */

static const struct method {
    const char *name, *path; /* NULL: one must be named */
} methods[] = {
    { "virtio-serial", BH_VIRTIO_PORT_DEFAULT },
    { "isa-serial", BH_ISA_SERIAL_DEFAULT },
    { "unix-listen", NULL },
    { "vsock-listen", NULL },
};

static const struct method *method_of(const struct bh_options *options)
{
    for (size_t i = 0; i < BH_ARRAY_SIZE(methods); i++)
        if (!strcmp(options->method, methods[i].name))
            return &methods[i];
    return NULL;
}

static _Noreturn void refuse_method(const struct bh_options *options)
{
    bh_options_refuse(options,
                      "there is no method %s; use virtio-serial, isa-serial, unix-listen or vsock-listen",
                      *options->method ? options->method : "(empty)");
}

void bh_options_default(struct bh_options *options)
{
    const struct method *method;

    if (!options->pid_file)
        options->pid_file = BH_PID_FILE_DEFAULT;
    if (!options->state_dir)
        options->state_dir = BH_STATE_DIR_DEFAULT;
    if (!options->method)
        options->method = methods[0].name;
    inherit(options);
    if (options->path || options->inherited >= 0)
        return;
    method = method_of(options);
    if (!method)
        refuse_method(options);
    if (!method->path)
        bh_options_refuse(options, "%s needs a path: say -p %s", method->name,
                          !strcmp(method->name, "unix-listen") ? "SOCKET" : "CID:PORT");
    options->path = method->path;
}

/* --- checks ----------------------------------------------------------------------- */

/* Children change their root and folder, a daemon its own, so every path is made absolute at once. */
static const char *absolute(const struct bh_options *options, const char *what, const char *path)
{
    _cleanup_free_ char *cwd = NULL;
    char *whole = NULL;

    if (!path || *path == '/')
        return path;
    if (!*path)
        bh_options_refuse(options, "the path of the %s is empty; name one", what);
    cwd = getcwd(NULL, 0);
    if (!cwd || asprintf(&whole, "%s/%s", cwd, path) < 0)
        bh_options_refuse(options, "%s: the folder it is relative to is not known; name it in full", path);
    return whole;
}

static const char *absolute_dir(const struct bh_options *options, const char *what, const char *dir)
{
    char *path = realpath(dir, NULL);
    struct stat st;

    if (!path)
        bh_options_refuse(options, "the %s %s: %s; name an existing one", what, dir, strerror(errno));
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        bh_options_refuse(options, "the %s %s is not a folder; name an existing one", what, dir);
    return path;
}

static void check_path(struct bh_options *options)
{
    if (!method_of(options))
        refuse_method(options);
    if (!options->path)
        return;
    if (strcmp(options->method, "vsock-listen"))
        options->path = absolute(options, "device or socket", options->path);
    if (!strcmp(options->method, "unix-listen") && strlen(options->path) > BH_SOCKET_PATH_MAX)
        bh_options_refuse(options, "%s is longer than the %d bytes that a socket's path may have",
                          options->path, BH_SOCKET_PATH_MAX);
}

void bh_options_check(struct bh_options *options)
{
    if (options->loose_config)
        bh_options_refuse(
            options, "%s must belong to root or to who starts the agent, and nobody else may write to it",
            options->loose_config);
    check_path(options);
    options->state_dir = absolute_dir(options, "state folder", options->state_dir);
    if (options->audit_dir)
        options->audit_dir = absolute_dir(options, "audit folder", options->audit_dir);
    options->log_file = absolute(options, "log file", options->log_file);
    if (options->daemon)
        options->pid_file = absolute(options, "pid file", options->pid_file);
    options->hook = absolute(options, "freeze hook", options->hook);
    if (options->policy && !bh_profile_find(bh_profiles, bh_n_profiles, options->policy))
        options->policy = absolute(options, "policy", options->policy);
}
