/* Operations of the child that make directories, links, nodes and files below its root. */
#include "child.h"
#include "kernel.h"
#include "paths.h"
#include "scope.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static int verify_node(int parent, const char *name, mode_t mode, dev_t device);
static int write_all(int fd, const char *bytes, uint32_t length);
static int give_to(int fd, const char *name, uint64_t uid, uint64_t gid);

int child_mkdir(struct child *child, const struct program_record *record, struct error *error)
{
    const char *path = program_bytes(child->program, record->b, NULL);
    bool made;
    scope_fd int directory = make_directory_in_root(child->root, path, (mode_t)record->x & 07777, &made, error);

    if (directory < 0)
        return -1;
    if (made && give_to(directory, "", record->y, record->z) < 0)
        return fail(error, "owner of %s", path);
    return 0;
}

static int give_to(int fd, const char *name, uint64_t uid, uint64_t gid)
{
    if (uid == 0 && gid == 0)
        return 0;
    return fchownat(fd, name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW | (name[0] ? 0 : KERNEL_AT_EMPTY_PATH));
}

int child_symlink(struct child *child, const struct program_record *record, struct error *error)
{
    const char *text = program_bytes(child->program, record->a, NULL);
    const char *path = program_bytes(child->program, record->b, NULL);
    char name[PATH_MAX];
    scope_fd int parent = parent_in_root(child->root, path, name, error);

    if (parent < 0)
        return -1;
    if (symlinkat(text, parent, name) < 0 && errno != EEXIST)
        return fail(error, "symlink %s", path);
    return 0;
}

int child_mknod(struct child *child, const struct program_record *record, struct error *error)
{
    const char *path = program_bytes(child->program, record->b, NULL);
    dev_t device = makedev((unsigned int)(record->y >> 32), (unsigned int)record->y);
    mode_t mode = (mode_t)record->x;
    char name[PATH_MAX];
    scope_fd int parent = parent_in_root(child->root, path, name, error);

    if (parent < 0)
        return -1;
    if (mknodat(parent, name, mode, device) < 0) {
        if (errno != EEXIST)
            return fail(error, "mknod %s", path);
    } else if (give_to(parent, name, record->z >> 32, record->z & 0xffffffffu) < 0) {
        return fail(error, "owner of %s", path);
    }
    return verify_node(parent, name, mode, device) < 0 ? fail(error, "%s is something else", path) : 0;
}

/* Whoever shares the root may have swapped it, and what is there already may be anything (CVE-2025-31133). */
static int verify_node(int parent, const char *name, mode_t mode, dev_t device)
{
    struct stat status;

    if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    bool is_device = S_ISCHR(mode) || S_ISBLK(mode);
    if ((status.st_mode & S_IFMT) == (mode & S_IFMT) && (!is_device || status.st_rdev == device))
        return 0;
    errno = EEXIST;
    return -1;
}

/* A file, link, FIFO or device that has the name already is replaced, never written through. */
int child_write_file(struct child *child, const struct program_record *record, struct error *error)
{
    const char *path = program_bytes(child->program, record->b, NULL);
    uint32_t length;
    const char *content = program_bytes(child->program, record->a, &length);
    char name[PATH_MAX];
    scope_fd int parent = parent_in_root(child->root, path, name, error);

    if (parent < 0)
        return -1;
    if (unlinkat(parent, name, 0) < 0 && errno != ENOENT)
        return fail(error, "replacing %s", path);
    scope_fd int file = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, (mode_t)record->x & 07777);
    if (file < 0 || write_all(file, content, length) < 0 || give_to(file, "", record->y, record->z) < 0)
        return fail(error, "writing %s", path);
    /* A change of owner takes set-user-ID away (chown(2)). */
    if ((record->x & 06000) && fchmod(file, (mode_t)record->x & 07777) < 0)
        return fail(error, "mode of %s", path);
    return 0;
}

static int write_all(int fd, const char *bytes, uint32_t length)
{
    for (uint32_t done = 0; done < length;) {
        ssize_t written = write(fd, bytes + done, length - done);
        if (written < 0 && errno != EINTR)
            return -1;
        done += written > 0 ? (uint32_t)written : 0;
    }
    return 0;
}
