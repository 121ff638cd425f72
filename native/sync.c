/* SERVE_SYNC: files into a running container, by a helper that joins its mount namespace and resolves every path below its root. */
#include "frames.h"
#include "kernel.h"
#include "paths.h"
#include "scope.h"
#include "serve.h"
#include "textfile.h"
#include "tree.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

struct sync_input {
    pid_t pid;
    uint64_t start_time;
    struct fields operations;
};

static int run_sync(void *input, uint32_t *value, struct error *error);
static int join_mounts(pid_t pid, uint64_t start_time, struct error *error);
static int run_operation(int root, struct fields *fields, struct error *error);
static void synced(struct serve *serve, uint32_t id, uint16_t type, void *context, uint32_t value, const struct error *error);

int request_sync(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error)
{
    struct sync_input input;
    struct job_request job = {.id = header->id, .type = header->type, .work = run_sync, .input = &input, .kept = -1, .done = synced};
    uint32_t length;

    input.pid = (pid_t)take_u32(fields);
    input.start_time = take_u64(fields);
    input.operations.at = take_bytes(fields, &length);
    if (!fields_done(fields))
        return malformed(error);
    input.operations.end = input.operations.at + length;
    input.operations.bad = false;
    job_start(serve, &job);
    return 0;
}

static int run_sync(void *input, uint32_t *value, struct error *error)
{
    struct sync_input *sync = input;
    scope_fd int root = -1;

    /* From here on we are among the container's processes, and must not be theirs to look into. */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (join_mounts(sync->pid, sync->start_time, error))
        return -1;
    umask(0);
    root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return fail(error, "open the container's root");
    while (sync->operations.at < sync->operations.end) {
        if (run_operation(root, &sync->operations, error))
            return -1;
        (*value)++;
    }
    return 0;
}

/* The pidfd is taken first: when the start time still fits after that, it is the process that was meant. */
static int join_mounts(pid_t pid, uint64_t start_time, struct error *error)
{
    scope_fd int pidfd = kernel_pidfd_open(pid);

    if (pidfd < 0 || process_start_time(pid) != start_time)
        return fail_with(error, ESRCH, "process %d is gone", (int)pid);
    return setns(pidfd, CLONE_NEWNS) ? fail(error, "join the mount namespace of process %d", (int)pid) : 0;
}

static int write_all(int fd, const unsigned char *bytes, uint32_t length)
{
    for (uint32_t done = 0; done < length;) {
        ssize_t count = write(fd, bytes + done, length - done);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return -1;
        done += (uint32_t)count;
    }
    return 0;
}

/* Beside the target first, so that a reader sees the old file or the new one. */
static int write_file(int root, struct fields *fields, const char *path, struct error *error)
{
    uint32_t mode = take_u32(fields), uid = take_u32(fields), gid = take_u32(fields), length;
    const unsigned char *content = take_bytes(fields, &length);
    char name[PATH_MAX];
    char fresh[64];
    scope_fd int parent = -1;
    scope_fd int fd = -1;

    if (fields->bad)
        return fail_with(error, EPROTO, "malformed operation");
    parent = parent_in_root(root, path, name, error);
    if (parent < 0)
        return -1;
    snprintf(fresh, sizeof(fresh), ".tscompose-sync-%d", (int)getpid());
    fd = openat(parent, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(error, "write %s", path);
    if (!write_all(fd, content, length) && !fchown(fd, uid, gid) && !fchmod(fd, mode & 07777) && !renameat(parent, fresh, parent, name))
        return 0;
    fail(error, "write %s", path);
    unlinkat(parent, fresh, 0);
    return -1;
}

static int make_directory(int root, struct fields *fields, const char *path, struct error *error)
{
    uint32_t mode = take_u32(fields), uid = take_u32(fields), gid = take_u32(fields);
    bool made = false;
    scope_fd int directory = make_directory_in_root(root, path, mode & 07777, &made, error);
    scope_fd int readable = -1;

    if (directory < 0)
        return -1;
    if (!made)
        return 0;
    readable = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return readable < 0 || fchown(readable, uid, gid) || fchmod(readable, mode & 07777) ? fail(error, "mkdir %s", path) : 0;
}

static int make_symlink(int root, struct fields *fields, const char *path, struct error *error)
{
    scope_mem char *target = take_text(fields);
    char name[PATH_MAX];
    scope_fd int parent = -1;

    if (!target)
        return fail_with(error, EPROTO, "malformed operation");
    parent = parent_in_root(root, path, name, error);
    if (parent < 0)
        return -1;
    if (symlinkat(target, parent, name) && errno == EEXIST && !unlinkat(parent, name, 0))
        return symlinkat(target, parent, name) ? fail(error, "symlink %s", path) : 0;
    return faccessat(parent, name, F_OK, AT_SYMLINK_NOFOLLOW) ? fail(error, "symlink %s", path) : 0;
}

static int remove_path(int root, const char *path, struct error *error)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    scope_fd int parent = -1;

    if (!slash || strlen(path) >= sizeof(directory) || !slash[1] || !strcmp(slash + 1, ".") || !strcmp(slash + 1, ".."))
        return fail_with(error, EINVAL, "remove %s", path);
    memcpy(directory, path, (size_t)(slash - path) + 1);
    directory[slash - path + 1] = '\0';
    parent = open_in_root(root, directory, O_PATH | O_DIRECTORY);
    if (parent < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail(error, "remove %s", path);
    return tree_remove_at(parent, slash + 1) ? fail(error, "remove %s", path) : 0;
}

static int run_operation(int root, struct fields *fields, struct error *error)
{
    uint32_t operation = take_u32(fields);
    scope_mem char *path = take_text(fields);

    if (!path)
        return fail_with(error, EPROTO, "malformed operation");
    switch (operation) {
    case SYNC_WRITE:
        return write_file(root, fields, path, error);
    case SYNC_MKDIR:
        return make_directory(root, fields, path, error);
    case SYNC_SYMLINK:
        return make_symlink(root, fields, path, error);
    case SYNC_REMOVE:
        return remove_path(root, path, error);
    default:
        return fail_with(error, EPROTO, "unknown operation %u", operation);
    }
}

static void synced(struct serve *serve, uint32_t id, uint16_t type, void *context, uint32_t value, const struct error *error)
{
    (void)context;
    if (error->number)
        serve_error(serve, id, error);
    else
        serve_value(serve, id, type, value);
}
