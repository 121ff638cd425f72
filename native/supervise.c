#include "commands.h"

#include "child.h"
#include "error.h"
#include "scope.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define LOG_MOST (1024 * 1024)

/* `core supervise LOCK -- ARGV…`: becomes the project's supervisor, or returns at once where there is one. LOCK taken: exit 0. Otherwise
 * ARGV is executed in a session of its own, with its output in `supervisor.log` beside LOCK and the lock's descriptor, whose number is in
 * TSCOMPOSE_LOCK_FD: lock and supervisor end together. */

static int take_lock(const char *path, struct error *error);
static int redirect(const char *lock_path, struct error *error);
static int keep_lock(int lock, struct error *error);

int supervise_main(int argc, char **argv)
{
    struct error error = {.op_index = -1};
    const char *path = argc > 2 ? argv[2] : "";
    int lock;

    if (argc < 5 || strcmp(argv[3], "--")) {
        fprintf(stderr, "usage: tscompose-core supervise LOCK -- PROGRAM [ARGUMENT…]\n");
        return 1;
    }
    lock = take_lock(path, &error);
    if (lock < 0 && error.number == EWOULDBLOCK)
        return 0;
    if (lock < 0 || keep_lock(lock, &error) || redirect(path, &error)) {
        fprintf(stderr, "tscompose-core supervise: %s\n", error.text);
        return 1;
    }
    setsid();
    execvp(argv[4], argv + 4);
    fprintf(stderr, "tscompose-core supervise: %s: %s\n", argv[4], strerror(errno));
    return errno == ENOENT ? 127 : 126;
}

/* A supervisor that ends removes its project's folder with the lock in it: one that waited at the old file would hold a lock nobody else
 * can see. So the lock counts only when the path still leads to the file that was locked. */
static int take_lock(const char *path, struct error *error)
{
    for (;;) {
        scope_fd int lock = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        struct stat locked;
        struct stat named;

        if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) || fstat(lock, &locked))
            return fail(error, "lock %s", path);
        if (!lstat(path, &named) && named.st_ino == locked.st_ino && named.st_dev == locked.st_dev)
            return take_fd(&lock);
    }
}

/* Node leaves descriptors it does not know open, and closes them in what it starts (uv_spawn sets close-on-exec). */
static int keep_lock(int lock, struct error *error)
{
    int kept = fcntl(lock, F_DUPFD, 3);
    char number[16];

    if (kept < 0)
        return fail(error, "lock");
    if (kept != lock)
        close(lock);
    /* Whoever started us may wait for the end of a pipe: a process that stays must not hold it open. */
    close_others(kept);
    snprintf(number, sizeof(number), "%d", kept);
    return setenv("TSCOMPOSE_LOCK_FD", number, 1) ? fail(error, "setenv") : 0;
}

static int redirect(const char *lock_path, struct error *error)
{
    const char *slash = strrchr(lock_path, '/');
    char path[PATH_MAX];
    scope_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    scope_fd int log = -1;
    struct stat status;

    if (snprintf(path, sizeof(path), "%.*ssupervisor.log", slash ? (int)(slash - lock_path) + 1 : 0, lock_path) >= (int)sizeof(path))
        return fail_with(error, ENAMETOOLONG, "%s", lock_path);
    log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (null < 0)
        return fail(error, "open /dev/null");
    /* A full disk must not keep the project from being taken down. */
    if (log < 0)
        log = dup(null);
    if (!fstat(log, &status) && status.st_size > LOG_MOST && ftruncate(log, 0))
        return fail(error, "truncate %s", path);
    return dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0 ? fail(error, "redirect") : 0;
}
