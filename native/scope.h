/* Cleanup by scope: `scope_fd int fd = open(…);` closes itself. `take_fd(&fd)` hands it on. */
#ifndef TSCOMPOSE_SCOPE_H
#define TSCOMPOSE_SCOPE_H

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static inline void close_scoped(int *fd)
{
    int kept = errno;
    if (*fd >= 0)
        close(*fd);
    errno = kept;
}

static inline void free_scoped(void *pointer)
{
    free(*(void **)pointer);
}

static inline int take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

#define scope_fd __attribute__((cleanup(close_scoped)))
#define scope_mem __attribute__((cleanup(free_scoped)))

#endif
