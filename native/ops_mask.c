/* Operations of the child that hide or freeze parts of its root, and write sysctls. */
#include "cgroup.h"
#include "child.h"
#include "kernel.h"
#include "paths.h"
#include "scope.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define EMPTY_MOUNT \
    (KERNEL_MOUNT_ATTR_RDONLY | KERNEL_MOUNT_ATTR_NOSUID | KERNEL_MOUNT_ATTR_NODEV | KERNEL_MOUNT_ATTR_NOEXEC)

static bool wants_null(const struct program *program);
static int mask_file(struct child *child, int target, const char *path, struct error *error);
static int mask_directory(struct child *child, int target, const char *path, struct error *error);
static int cover(int *mount, bool *attached, int target);
static int new_empty_mount(struct error *error);
static int open_sysctl(int proc, const char *name);
static int new_private_proc(void);

/*
 * Files are masked by the host's null device, cloned by a verified descriptor while it is in sight: what the container calls
 * /dev/null is never asked (CVE-2025-31133). The first mask attaches the clone; the next ones clone that.
 */
int keep_null_mount(struct child *child, struct error *error)
{
    struct stat status;

    if (child->null_mount >= 0 || !wants_null(child->program))
        return 0;
    scope_fd int null = open("/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (null < 0 || fstat(null, &status) < 0)
        return fail(error, "open /dev/null");
    if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 3))
        return fail_with(error, EPERM, "/dev/null is not the null device");
    child->null_mount = clone_mount(null, false);
    return child->null_mount < 0 ? fail(error, "clone of /dev/null") : 0;
}

static bool wants_null(const struct program *program)
{
    for (uint32_t index = 0; index < program->count; index++)
        if (program->records[index].op == OP_MASK)
            return true;
    return false;
}

int child_mask(struct child *child, const struct program_record *record, struct error *error)
{
    const char *path = program_bytes(child->program, record->b, NULL);
    struct stat status;
    scope_fd int target = open_in_root(child->root, path, O_PATH);

    if (target < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail(error, "%s", path);
    if (fstat(target, &status) < 0)
        return fail(error, "%s", path);
    return S_ISDIR(status.st_mode) ? mask_directory(child, target, path, error) : mask_file(child, target, path, error);
}

static int mask_file(struct child *child, int target, const char *path, struct error *error)
{
    if (keep_null_mount(child, error) < 0)
        return -1;
    return cover(&child->null_mount, &child->null_attached, target) < 0 ? fail(error, "masking %s", path) : 0;
}

static int mask_directory(struct child *child, int target, const char *path, struct error *error)
{
    if (child->empty_mount < 0)
        child->empty_mount = new_empty_mount(error);
    if (child->empty_mount < 0)
        return -1;
    return cover(&child->empty_mount, &child->empty_attached, target) < 0 ? fail(error, "masking %s", path) : 0;
}

static int cover(int *mount, bool *attached, int target)
{
    if (!*attached) {
        *attached = true;
        return kernel_move_mount(*mount, target);
    }
    scope_fd int another = clone_mount(*mount, false);
    return another < 0 ? -1 : kernel_move_mount(another, target);
}

static int new_empty_mount(struct error *error)
{
    scope_fd int context = kernel_fsopen("tmpfs");

    if (context < 0 || kernel_fsconfig(context, KERNEL_FSCONFIG_STRING, "mode", "0") < 0 ||
        kernel_fsconfig(context, KERNEL_FSCONFIG_STRING, "nr_blocks", "1") < 0 ||
        kernel_fsconfig(context, KERNEL_FSCONFIG_STRING, "nr_inodes", "2") < 0 ||
        kernel_fsconfig(context, KERNEL_FSCONFIG_CREATE, NULL, NULL) < 0)
        return fail(error, "the masks' tmpfs");
    int mount = kernel_fsmount(context, EMPTY_MOUNT);
    return mount < 0 ? fail(error, "the masks' tmpfs") : mount;
}

int child_readonly_path(struct child *child, const struct program_record *record, struct error *error)
{
    const char *path = program_bytes(child->program, record->b, NULL);
    scope_fd int target = open_in_root(child->root, path, O_PATH);

    if (target < 0)
        return errno == ENOENT || errno == ENOTDIR ? 0 : fail(error, "%s", path);
    scope_fd int tree = clone_mount(target, true);
    if (tree < 0 || kernel_move_mount(tree, target) < 0)
        return fail(error, "bind of %s on itself", path);
    return restrict_mount(child, tree, MS_RDONLY, 0, error);
}

/* Written through a procfs no container has ever touched, or one made for this alone (CVE-2025-52881). The namespaces are the
 * writer's in both. */
int child_sysctl(struct child *child, const struct program_record *record, struct error *error)
{
    const char *name = program_bytes(child->program, record->a, NULL);
    uint32_t length;
    const char *value = program_bytes(child->program, record->b, &length);

    if (strstr(name, "..") != NULL)
        return fail_with(error, EINVAL, "sysctl %s", name);
    scope_fd int file = open_sysctl(child->proc, name);
    if (file < 0 && (errno == EXDEV || errno == EROFS)) {
        scope_fd int proc = new_private_proc();
        if (proc >= 0)
            file = open_sysctl(proc, name);
    }
    if (file < 0 || write(file, value, length) != (ssize_t)length)
        return fail(error, "sysctl %s", name);
    return 0;
}

static int open_sysctl(int proc, const char *name)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "sys/%s", name) >= (int)sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    /* NO_XDEV: a mount over any part of it, as in a container around us, is an error. */
    int file = kernel_openat2(proc, path, O_WRONLY | O_CLOEXEC, 0,
                              KERNEL_RESOLVE_BENEATH | KERNEL_RESOLVE_NO_XDEV | KERNEL_RESOLVE_NO_SYMLINKS |
                              KERNEL_RESOLVE_NO_MAGICLINKS);
    if (file < 0 && errno == ENOSYS)
        file = openat(proc, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    return file;
}

static int new_private_proc(void)
{
    scope_fd int context = kernel_fsopen("proc");

    if (context < 0 || kernel_fsconfig(context, KERNEL_FSCONFIG_CREATE, NULL, NULL) < 0)
        return -1;
    return kernel_fsmount(context, 0);
}
