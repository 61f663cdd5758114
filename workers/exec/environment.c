/*
 * The environment of a program: what every login has, and the variables that the rule lets the client set.
 * Under `env any` a client's list replaces it, as with qemu-ga.
 */
#include <stdio.h>
#include <string.h>

#include "workers/exec/engine.h"

#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *value_of(const struct bh_request_to_run *request, const char *name)
{
    size_t len = strlen(name);

    for (uint32_t i = 0; i < request->n_env; i++)
        if (strncmp(request->env[i].ptr, name, len) == 0 && request->env[i].ptr[len] == '=')
            return request->env[i].ptr + len + 1;
    return NULL;
}

const char *bh_search_path(const struct bh_request_to_run *request)
{
    const char *path = value_of(request, "PATH");

    return path ? path : PATH_DEFAULT;
}

static bool is_given(const struct bh_request_to_run *request, const char *entry)
{
    char name[16];

    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(entry, "="), entry);
    return value_of(request, name) != NULL;
}

char *const *bh_environment(const struct bh_request_to_run *request, const struct bh_judged *judged)
{
    struct bh_arena *arena = request->call->arena;
    const struct bh_login *login = &judged->login;
    const struct bh_str own[] = { BH_STR("PATH=" PATH_DEFAULT),
                                  BH_STR("LANG=C.UTF-8"),
                                  bh_arena_printf(arena, "HOME=%s", login->home),
                                  bh_arena_printf(arena, "SHELL=%s", login->shell),
                                  bh_arena_printf(arena, "USER=%s", login->name),
                                  bh_arena_printf(arena, "LOGNAME=%s", login->name) };
    const size_t n_own = sizeof(own) / sizeof(own[0]);
    bool replaces = judged->exec->flags & BH_EXEC_ANY_ENV && request->has_env;
    char **list = bh_arena_array(arena, request->n_env + n_own + 1, sizeof(*list));
    size_t n = 0;

    for (size_t i = 0; list && i < n_own && !replaces; i++) {
        if (!own[i].ptr)
            return NULL;
        if (!is_given(request, own[i].ptr))
            list[n++] = (char *)(uintptr_t)own[i].ptr;
    }
    for (uint32_t i = 0; list && i < request->n_env; i++)
        list[n++] = (char *)(uintptr_t)request->env[i].ptr;
    return list;
}
