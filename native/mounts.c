#include "child.h"
#include "kernel.h"

#include <errno.h>
#include <stdio.h>
#include <sys/statvfs.h>

/* What a mount made before us, or in another user namespace, may have set and we must not take away (mount_namespaces(7)). */
static const struct kept_flag {
    unsigned long stat;
    unsigned long mount;
    uint64_t attribute;
} kept_flags[] = {
    { ST_RDONLY, MS_RDONLY, KERNEL_MOUNT_ATTR_RDONLY },
    { ST_NOSUID, MS_NOSUID, KERNEL_MOUNT_ATTR_NOSUID },
    { 4 /* ST_NODEV */, MS_NODEV, KERNEL_MOUNT_ATTR_NODEV },
    { 8 /* ST_NOEXEC */, MS_NOEXEC, KERNEL_MOUNT_ATTR_NOEXEC },
    { 1024 /* ST_NOATIME */, MS_NOATIME, KERNEL_MOUNT_ATTR_NOATIME },
    { 2048 /* ST_NODIRATIME */, MS_NODIRATIME, KERNEL_MOUNT_ATTR_NODIRATIME },
    { 4096 /* ST_RELATIME */, MS_RELATIME, 0 },
    { KERNEL_ST_NOSYMFOLLOW, KERNEL_MS_NOSYMFOLLOW, KERNEL_MOUNT_ATTR_NOSYMFOLLOW },
};
#define KEPT_FLAGS (sizeof(kept_flags) / sizeof(kept_flags[0]))

static unsigned long flags_of(int mount);
static uint64_t attributes_of(unsigned long flags);

int mount_onto(struct child *child, const char *source, int target, const char *type, unsigned long flags, const char *data)
{
    char path[32];

    /* Relative to the verified procfs: what the container has put on /proc is never walked. */
    if (fchdir(child->proc) < 0)
        return -1;
    snprintf(path, sizeof(path), "self/fd/%d", target);
    return mount(source, path, type, flags, data);
}

int clone_mount(int source, bool recursive)
{
    return kernel_open_tree(source, "",
                            KERNEL_OPEN_TREE_CLONE | O_CLOEXEC | KERNEL_AT_EMPTY_PATH | (recursive ? KERNEL_AT_RECURSIVE : 0));
}

int restrict_mount(struct child *child, int mount, unsigned long flags, uint64_t attributes, struct error *error)
{
    struct kernel_mount_attr own = { .set = attributes_of(flags) };
    struct kernel_mount_attr all = { .set = attributes };

    if ((own.set & KERNEL_MOUNT_ATTR_ATIME) || (flags & MS_RELATIME))
        own.clear = KERNEL_MOUNT_ATTR_ATIME;
    if (all.set & KERNEL_MOUNT_ATTR_ATIME)
        all.clear = KERNEL_MOUNT_ATTR_ATIME;
    if (attributes && kernel_mount_setattr(mount, KERNEL_AT_RECURSIVE, &all) < 0)
        return fail(error, "mount_setattr, recursive");
    if ((own.set | own.clear) == 0 || kernel_mount_setattr(mount, 0, &own) == 0)
        return 0;
    /* mount_setattr(2) is of Linux 5.12. */
    if (errno != ENOSYS || remount_keeping_locked(child, mount, flags) < 0)
        return fail(error, "setting the mount's flags");
    return 0;
}

int remount_keeping_locked(struct child *child, int mount, unsigned long flags)
{
    unsigned long now = flags_of(mount);
    unsigned long asked = MS_REMOUNT | MS_BIND | flags;

    if (flags & (MS_NOATIME | MS_RELATIME | MS_STRICTATIME))
        now &= ~(unsigned long)(MS_NOATIME | MS_RELATIME);
    if (mount_onto(child, NULL, mount, NULL, asked | (now & ~(unsigned long)MS_RDONLY), NULL) == 0)
        return 0;
    if (errno != EPERM)
        return -1;
    return mount_onto(child, NULL, mount, NULL, asked | flags_of(mount), NULL);
}

static unsigned long flags_of(int mount)
{
    struct statvfs filesystem;
    unsigned long flags = 0;

    if (fstatvfs(mount, &filesystem) < 0)
        return 0;
    for (size_t row = 0; row < KEPT_FLAGS; row++)
        if (filesystem.f_flag & kept_flags[row].stat)
            flags |= kept_flags[row].mount;
    return flags;
}

static uint64_t attributes_of(unsigned long flags)
{
    uint64_t attributes = flags & MS_STRICTATIME ? KERNEL_MOUNT_ATTR_STRICTATIME : 0;

    for (size_t row = 0; row < KEPT_FLAGS; row++)
        if (flags & kept_flags[row].mount)
            attributes |= kept_flags[row].attribute;
    return attributes;
}
