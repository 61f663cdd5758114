/*
 * Cleanup attributes: a resource is named beside its destructor, so that every
 * return path releases it. Destructors accept NULL, -1 and half-built objects.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = every process
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BH_CLEANUP(fn) __attribute__((cleanup(fn)))

static inline void bh_free_p(void *p)
{
    free(*(void **)p);
}

/* Leaves -1 behind, so that it may also close what lives on. */
static inline void bh_close_p(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static inline void bh_fclose_p(FILE **file)
{
    if (*file)
        (void)fclose(*file);
}

#define _cleanup_free_ BH_CLEANUP(bh_free_p)
#define _cleanup_close_ BH_CLEANUP(bh_close_p)
#define _cleanup_fclose_ BH_CLEANUP(bh_fclose_p)

/* Hands a descriptor over: returns it and leaves -1 behind, so the cleanup does nothing. */
static inline int bh_take_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

/* Hands a pointer over: returns it and leaves NULL behind. */
#define bh_take_ptr(p)                                                                                       \
    ({                                                                                                       \
        __auto_type taken_ = (p);                                                                            \
        (p) = NULL;                                                                                          \
        taken_;                                                                                              \
    })

#define BH_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
