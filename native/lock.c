/* SERVE_LOCK: flock(2) belongs to the open file description, so a helper that shares it can wait in our place. */
#include "kernel.h"
#include "scope.h"
#include "serve.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>

struct lock {
    char *path;
    int fd;
    bool held;
    struct lock *next;
};

static int open_lock(const char *path, struct error *error);
static int wait_for_lock(void *input, uint32_t *value, struct error *error);
static void locked(struct serve *serve, uint32_t id, uint16_t type, void *context, uint32_t value, const struct error *error);
static void release(struct serve *serve, struct lock *lock);

int request_lock(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error)
{
    struct lock *lock = calloc(1, sizeof(*lock));
    struct job_request job = {.id = header->id, .type = header->type, .work = wait_for_lock, .done = locked, .context = lock};

    if (!lock)
        return fail_with(error, ENOMEM, "lock");
    lock->fd = -1;
    lock->path = take_text(fields);
    lock->next = serve->locks;
    serve->locks = lock;
    if (!fields_done(fields)) {
        release(serve, lock);
        return malformed(error);
    }
    lock->fd = open_lock(lock->path, error);
    if (lock->fd < 0) {
        release(serve, lock);
        return -1;
    }
    if (!flock(lock->fd, LOCK_EX | LOCK_NB)) {
        lock->held = true;
        serve_ok(serve, header->id, header->type);
        return 0;
    }
    if (errno != EWOULDBLOCK) {
        fail(error, "lock %s", lock->path);
        release(serve, lock);
        return -1;
    }
    job.kept = lock->fd;
    job_start(serve, &job);
    return 0;
}

static int open_lock(const char *path, struct error *error)
{
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    return fd < 0 ? fail(error, "lock %s", path) : fd;
}

static int wait_for_lock(void *input, uint32_t *value, struct error *error)
{
    (void)input;
    (void)value;
    /* Nobody would take the lock over from it. */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    while (flock(JOB_KEPT_FD, LOCK_EX))
        if (errno != EINTR)
            return fail(error, "flock");
    return 0;
}

static void locked(struct serve *serve, uint32_t id, uint16_t type, void *context, uint32_t value, const struct error *error)
{
    struct lock *lock = context;

    (void)value;
    if (error->number) {
        release(serve, lock);
        serve_error(serve, id, error);
        return;
    }
    lock->held = true;
    serve_ok(serve, id, type);
}

int request_unlock(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error)
{
    scope_mem char *path = take_text(fields);

    if (!fields_done(fields))
        return malformed(error);
    for (struct lock *lock = serve->locks; lock; lock = lock->next) {
        if (!lock->held || strcmp(lock->path, path))
            continue;
        release(serve, lock);
        serve_ok(serve, header->id, header->type);
        return 0;
    }
    return fail_with(error, ENOLCK, "%s is not locked", path);
}

static void release(struct serve *serve, struct lock *lock)
{
    struct lock **at = &serve->locks;

    while (*at != lock)
        at = &(*at)->next;
    *at = lock->next;
    if (lock->fd >= 0) {
        /* Not by close alone: a helper that was forked meanwhile may have a copy of the descriptor for an instant. */
        flock(lock->fd, LOCK_UN);
        close(lock->fd);
    }
    free(lock->path);
    free(lock);
}
