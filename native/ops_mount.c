/* Operations of the child that put mounts below its root. Targets are descriptors before anything is mounted on them. */
#include "child.h"
#include "kernel.h"
#include "paths.h"
#include "scope.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* What may be covered inside /proc: files that tell of the machine. All else there is the kernel's to say (CVE-2019-16884). */
static const char *const coverable[] = {
    "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
};

static int open_target(struct child *child, const struct program_record *record, const char *path, bool directory,
                       struct error *error);
static int make_target(struct child *child, const char *path, bool directory, struct error *error);
static int refuse_inside_proc(struct child *child, int target, const char *path, struct error *error);
static int open_real_directory(struct child *child, const struct program_record *record, const char *path, struct error *error);
static const char *with_mode_of(int target, const char *type, const char *data, char *room, size_t size);
static int finish_mount(struct child *child, const struct program_record *record, const char *path, struct error *error);
static int open_source(struct child *child, const struct program_record *record, struct error *error);
static int set_propagation(struct child *child, int mount, unsigned long propagation, const char *path, struct error *error);
static int needs_root(struct child *child, struct error *error);

int child_mount(struct child *child, const struct program_record *record, struct error *error)
{
    const char *path = program_bytes(child->program, record->b, NULL);
    const char *type = program_bytes(child->program, record->c, NULL);
    const char *data = program_bytes(child->program, record->d, NULL);
    const char *source = program_bytes(child->program, record->a, NULL);
    bool is_kernels = strcmp(type, "proc") == 0 || strcmp(type, "sysfs") == 0;
    char room[4096];

    if (needs_root(child, error) < 0)
        return -1;
    scope_fd int target = is_kernels ? open_real_directory(child, record, path, error)
                                     : open_target(child, record, path, true, error);
    if (target < 0 || (!is_kernels && refuse_inside_proc(child, target, path, error) < 0))
        return -1;
    if (mount_onto(child, source ? source : type, target, type, record->x,
                   with_mode_of(target, type, data, room, sizeof(room))) < 0)
        return fail(error, "mount of %s on %s", type, path);
    return record->y || record->z ? finish_mount(child, record, path, error) : 0;
}

static int needs_root(struct child *child, struct error *error)
{
    return child->root < 0 || child->proc < 0 ? fail_with(error, EINVAL, "there is no root yet") : 0;
}

static int open_target(struct child *child, const struct program_record *record, const char *path, bool directory,
                       struct error *error)
{
    int target = open_in_root(child->root, path, O_PATH | (record->flags & OP_NO_FOLLOW ? O_NOFOLLOW : 0));
    struct stat status;

    if (target < 0 && errno == ENOENT && (record->flags & (OP_MAKE_DIR | OP_MAKE_FILE)))
        return make_target(child, path, directory, error);
    if (target < 0)
        return fail(error, "%s", path);
    if (fstat(target, &status) < 0 || S_ISLNK(status.st_mode)) {
        close(target);
        return fail_with(error, ELOOP, "%s", path);
    }
    return target;
}

static int make_target(struct child *child, const char *path, bool directory, struct error *error)
{
    bool made;

    return directory ? make_directory_in_root(child->root, path, 0755, &made, error)
                     : make_file_in_root(child->root, path, error);
}

/* A procfs or sysfs elsewhere than it says would let later writes go astray (CVE-2019-19921). */
static int open_real_directory(struct child *child, const struct program_record *record, const char *path, struct error *error)
{
    scope_fd int target = open_target(child, record, path, true, error);
    struct stat followed;
    struct stat plain;

    if (target < 0)
        return -1;
    scope_fd int itself = open_in_root(child->root, path, O_PATH | O_NOFOLLOW);
    if (itself < 0 || fstat(target, &followed) < 0 || fstat(itself, &plain) < 0)
        return fail(error, "%s", path);
    if (!S_ISDIR(plain.st_mode) || plain.st_ino != followed.st_ino || plain.st_dev != followed.st_dev)
        return fail_with(error, ENOTDIR, "%s must be a real directory", path);
    return take_fd(&target);
}

static int refuse_inside_proc(struct child *child, int target, const char *path, struct error *error)
{
    struct statfs filesystem;
    char link[32];
    char found[PATH_MAX];

    if (fstatfs(target, &filesystem) < 0)
        return fail(error, "%s", path);
    if (filesystem.f_type != KERNEL_PROC_SUPER_MAGIC)
        return 0;
    snprintf(link, sizeof(link), "self/fd/%d", target);
    ssize_t length = readlinkat(child->proc, link, found, sizeof(found) - 1);
    found[length < 0 ? 0 : length] = '\0';
    for (size_t row = 0; row < sizeof(coverable) / sizeof(coverable[0]); row++) {
        size_t end = strlen(coverable[row]);
        if ((size_t)(length < 0 ? 0 : length) >= end && strcmp(found + (size_t)length - end, coverable[row]) == 0)
            return 0;
    }
    return fail_with(error, EPERM, "%s lies inside /proc", path);
}

/* A tmpfs over a directory keeps that directory's mode unless it was given one. */
static const char *with_mode_of(int target, const char *type, const char *data, char *room, size_t size)
{
    struct stat status;

    if (strcmp(type, "tmpfs") != 0 || (data && strstr(data, "mode=")) || fstat(target, &status) < 0)
        return data;
    int length = snprintf(room, size, "%s%smode=%o", data ? data : "", data && data[0] ? "," : "", status.st_mode & 07777);
    return length < (int)size ? room : data;
}

static int finish_mount(struct child *child, const struct program_record *record, const char *path, struct error *error)
{
    scope_fd int mount = open_in_root(child->root, path, O_PATH);

    if (mount < 0)
        return fail(error, "%s", path);
    if (restrict_mount(child, mount, 0, record->y, error) < 0)
        return -1;
    return set_propagation(child, mount, record->z, path, error);
}

static int set_propagation(struct child *child, int mount, unsigned long propagation, const char *path, struct error *error)
{
    if (propagation == 0 || mount_onto(child, NULL, mount, NULL, propagation, NULL) == 0)
        return 0;
    return fail(error, "propagation of %s", path);
}

int child_bind(struct child *child, const struct program_record *record, struct error *error)
{
    const char *path = program_bytes(child->program, record->b, NULL);
    struct stat status;

    if (needs_root(child, error) < 0)
        return -1;
    scope_fd int source = open_source(child, record, error);
    if (source < 0)
        return -1;
    if (fstat(source, &status) < 0)
        return fail(error, "%s", program_bytes(child->program, record->a, NULL));
    scope_fd int target = open_target(child, record, path, S_ISDIR(status.st_mode), error);
    if (target < 0 || refuse_inside_proc(child, target, path, error) < 0)
        return -1;
    scope_fd int tree = clone_mount(source, record->flags & OP_RECURSIVE);
    if (tree < 0)
        return fail(error, "bind on %s", path);
    /* Nobody but us is in this mount namespace yet: that the flags come after the attaching is seen by no one. */
    if (kernel_move_mount(tree, target) < 0)
        return fail(error, "bind on %s", path);
    if (restrict_mount(child, tree, record->x, record->y, error) < 0)
        return -1;
    return set_propagation(child, tree, record->z, path, error);
}

static int open_source(struct child *child, const struct program_record *record, struct error *error)
{
    const char *path = program_bytes(child->program, record->a, NULL);
    int source = record->flags & OP_IN_ROOT ? open_in_root(child->root, path, O_PATH) : open(path, O_PATH | O_CLOEXEC);

    return source < 0 ? fail(error, "source %s", path) : source;
}

int child_remount(struct child *child, const struct program_record *record, struct error *error)
{
    const char *path = program_bytes(child->program, record->b, NULL);

    if (needs_root(child, error) < 0)
        return -1;
    scope_fd int mount = open_in_root(child->root, path, O_PATH);
    if (mount < 0 || remount_keeping_locked(child, mount, record->x) < 0)
        return fail(error, "remount of %s", path);
    return 0;
}
