#include "tree.h"

#include "kernel.h"
#include "scope.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#define DEPTH_MOST 4096

static int remove_at(int parent, const char *name, int depth);
static int empty_directory(int directory, int depth);
static int unmount_below(const char *path, struct error *error);

int tree_remove_at(int parent, const char *name)
{
    return remove_at(parent, name, 0);
}

static int remove_at(int parent, const char *name, int depth)
{
    scope_fd int directory = -1;

    if (!unlinkat(parent, name, 0) || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -1;
    if (!unlinkat(parent, name, AT_REMOVEDIR) || errno == ENOENT)
        return 0;
    if (errno != ENOTEMPTY && errno != EEXIST)
        return -1;
    if (depth >= DEPTH_MOST) {
        errno = ELOOP;
        return -1;
    }
    directory = kernel_openat2(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0,
                               KERNEL_RESOLVE_BENEATH | KERNEL_RESOLVE_NO_XDEV | KERNEL_RESOLVE_NO_SYMLINKS);
    if (directory < 0 || empty_directory(directory, depth))
        return -1;
    return !unlinkat(parent, name, AT_REMOVEDIR) || errno == ENOENT ? 0 : -1;
}

/* Again from the start while entries were removed: a listing may lose entries when its directory changes (readdir(3)). */
static int empty_directory(int directory, int depth)
{
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy < 0 ? NULL : fdopendir(copy);
    int result = 0;
    int removed;

    if (!listing)
        return -1;
    do {
        struct dirent *entry;

        removed = 0;
        rewinddir(listing);
        while (!result && (entry = readdir(listing))) {
            if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
                continue;
            result = remove_at(directory, entry->d_name, depth + 1);
            removed++;
        }
    } while (!result && removed);
    {
        int why = errno;

        closedir(listing);
        errno = why;
    }
    return result;
}

int tree_unmount_and_remove(const char *path, struct error *error)
{
    const char *slash = strrchr(path, '/');
    char above[PATH_MAX];
    scope_fd int parent = -1;

    if (path[0] != '/' || !slash[1] || !strcmp(slash + 1, "..") || strlen(path) >= sizeof(above))
        return fail_with(error, EINVAL, "remove %s", path);
    if (unmount_below(path, error))
        return -1;
    memcpy(above, path, (size_t)(slash - path) + 1);
    above[slash - path + 1] = '\0';
    parent = open(above, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return errno == ENOENT ? 0 : fail(error, "remove %s", path);
    return tree_remove_at(parent, slash + 1) ? fail(error, "remove %s", path) : 0;
}

/* mountinfo writes blank, tab, newline and backslash as \ooo (proc_pid_mountinfo(5)). */
static void unescape(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++) {
        if (from[0] == '\\' && from[1] && from[2] && from[3]) {
            *to++ = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 3;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
}

static bool is_at_or_below(const char *path, const char *root)
{
    size_t length = strlen(root);

    return !strncmp(path, root, length) && (!path[length] || path[length] == '/');
}

/* The last such line: what was mounted later lies on top. Returns whether there is one. */
static bool last_mount_below(const char *root, char found[PATH_MAX])
{
    scope_mem char *line = NULL;
    FILE *file = fopen("/proc/self/mountinfo", "re");
    size_t size = 0;
    bool any = false;

    if (!file)
        return false;
    while (getline(&line, &size, file) > 0) {
        char target[PATH_MAX];

        if (sscanf(line, "%*s %*s %*s %*s %4095s", target) != 1)
            continue;
        unescape(target);
        if (!is_at_or_below(target, root))
            continue;
        memcpy(found, target, sizeof(target));
        any = true;
    }
    fclose(file);
    return any;
}

/* mountinfo has paths without symbolic links, so the one we look for must have none either. */
static int unmount_below(const char *path, struct error *error)
{
    char root[PATH_MAX];
    char target[PATH_MAX];

    if (!realpath(path, root))
        return errno == ENOENT ? 0 : fail(error, "remove %s", path);
    if (!strcmp(root, "/"))
        return fail_with(error, EINVAL, "remove %s", path);
    while (last_mount_below(root, target))
        if (umount2(target, MNT_DETACH | UMOUNT_NOFOLLOW))
            return fail(error, "unmount %s", target);
    return 0;
}
