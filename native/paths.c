#include "paths.h"

#include "kernel.h"
#include "scope.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* As many as the kernel follows in one walk (path_resolution(7)). */
#define SYMLINKS_MAX 40
#define DEPTH_MAX 256
/* A rename anywhere on the system can make the kernel give up a ".." below a root (openat2(2), EAGAIN). */
#define ATTEMPTS_MAX 64

/* A walk that never leaves the directories it has descended into: ".." goes back along them, so the root cannot be passed. */
struct walk {
    int directories[DEPTH_MAX];
    int depth;
    int symlinks;
    char rest[PATH_MAX * 2];
};

static int walk_to_end(struct walk *walk, int flags);
static int enter(struct walk *walk, const char *name, bool is_last, int flags);
static int enter_directory(struct walk *walk, int directory);
static int follow(struct walk *walk, int link, bool *restart);
static bool is_magic(int link, const char *text);
static bool take_component(char *rest, char *name);
static void put_before(struct walk *walk, const char *text);
static int open_final(int directory, const char *name, int flags);
static void back_to_root(struct walk *walk);
static int expand_dangling(int parent, const char *path, size_t parent_length, size_t length, char *expanded);
static int make_component(int root, const char *path, size_t parent_length, size_t length, mode_t mode, bool *made);

int open_in_root(int root, const char *path, int flags)
{
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        int fd = kernel_openat2(root, path, (uint64_t)(unsigned int)(flags | O_CLOEXEC), 0,
                                KERNEL_RESOLVE_IN_ROOT | KERNEL_RESOLVE_NO_MAGICLINKS);
        if (fd >= 0)
            return fd;
        if (errno == ENOSYS)
            return open_in_root_by_walking(root, path, flags);
        if (errno != EAGAIN && errno != EINTR)
            return -1;
    }
    return -1;
}

int open_in_root_by_walking(int root, const char *path, int flags)
{
    struct walk walk = { .depth = 0, .symlinks = 0 };

    if (path[0] == '\0' || strlen(path) >= PATH_MAX) {
        errno = path[0] == '\0' ? ENOENT : ENAMETOOLONG;
        return -1;
    }
    snprintf(walk.rest, sizeof(walk.rest), "%s", path);
    int start = openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (start < 0)
        return -1;
    walk.directories[walk.depth++] = start;
    int fd = walk_to_end(&walk, flags);
    int kept = errno;
    back_to_root(&walk);
    close(start);
    errno = kept;
    return fd;
}

static int walk_to_end(struct walk *walk, int flags)
{
    char name[NAME_MAX + 1];

    for (;;) {
        if (walk->rest[strspn(walk->rest, "/")] == '\0')
            return openat(walk->directories[walk->depth - 1], ".", flags | O_CLOEXEC);
        if (!take_component(walk->rest, name)) {
            errno = ENAMETOOLONG;
            return -1;
        }
        bool is_last = walk->rest[0] == '\0';
        int fd = enter(walk, name, is_last, flags);
        if (fd < 0 || is_last) {
            if (fd != 0)
                return fd;
        }
    }
}

/* 0: go on; a descriptor (never 0, as the root holds a number below it): the end; -1: failed. */
static int enter(struct walk *walk, const char *name, bool is_last, int flags)
{
    int here = walk->directories[walk->depth - 1];

    if (strcmp(name, ".") == 0)
        return 0;
    if (strcmp(name, "..") == 0) {
        if (walk->depth > 1)
            close(walk->directories[--walk->depth]);
        return 0;
    }
    scope_fd int next = openat(here, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;
    if (next < 0 || fstat(next, &status) < 0)
        return -1;
    if (S_ISLNK(status.st_mode) && !(is_last && (flags & O_NOFOLLOW))) {
        bool restart = false;
        if (follow(walk, next, &restart) < 0)
            return -1;
        if (restart)
            back_to_root(walk);
        return 0;
    }
    if (is_last)
        return open_final(here, name, flags);
    if (!S_ISDIR(status.st_mode)) {
        errno = ENOTDIR;
        return -1;
    }
    return enter_directory(walk, take_fd(&next));
}

static int enter_directory(struct walk *walk, int directory)
{
    if (walk->depth == DEPTH_MAX) {
        close(directory);
        errno = ENAMETOOLONG;
        return -1;
    }
    walk->directories[walk->depth++] = directory;
    return 0;
}

static int follow(struct walk *walk, int link, bool *restart)
{
    char text[PATH_MAX];
    ssize_t length = readlinkat(link, "", text, sizeof(text) - 1);

    if (length < 0)
        return -1;
    text[length] = '\0';
    if (++walk->symlinks > SYMLINKS_MAX || is_magic(link, text)) {
        errno = ELOOP;
        return -1;
    }
    if (length == 0 || strlen(text) + strlen(walk->rest) + 2 > sizeof(walk->rest)) {
        errno = length == 0 ? ENOENT : ENAMETOOLONG;
        return -1;
    }
    *restart = text[0] == '/';
    put_before(walk, text);
    return 0;
}

/* procfs has plain links (self, mounts, net) and magic ones (fd, exe, cwd, root, ns); only the latter read as "/…" or
 * "pipe:[1]". */
static bool is_magic(int link, const char *text)
{
    struct statfs filesystem;

    if (fstatfs(link, &filesystem) < 0)
        return true;
    return filesystem.f_type == KERNEL_PROC_SUPER_MAGIC && (text[0] == '/' || strstr(text, ":[") != NULL);
}

static bool take_component(char *rest, char *name)
{
    size_t start = strspn(rest, "/");
    size_t length = strcspn(rest + start, "/");

    if (length > NAME_MAX)
        return false;
    memcpy(name, rest + start, length);
    name[length] = '\0';
    /* A slash at the end asks for a directory: "x/" goes on as "x" and then ".". */
    size_t end = start + length;
    size_t slashes = strspn(rest + end, "/");
    if (slashes > 0 && rest[end + slashes] == '\0') {
        memcpy(rest, ".", 2);
        return true;
    }
    memmove(rest, rest + end + slashes, strlen(rest + end + slashes) + 1);
    return true;
}

static void put_before(struct walk *walk, const char *text)
{
    size_t length = strlen(text);
    size_t rest = strlen(walk->rest);

    if (rest > 0) {
        memmove(walk->rest + length + 1, walk->rest, rest + 1);
        walk->rest[length] = '/';
    } else {
        walk->rest[length] = '\0';
    }
    memcpy(walk->rest, text, length);
}

/* The last component is not followed here: it was looked at just before, and a swap for a symlink must not lead out. */
static int open_final(int directory, const char *name, int flags)
{
    return openat(directory, name, flags | O_NOFOLLOW | O_CLOEXEC);
}

static void back_to_root(struct walk *walk)
{
    while (walk->depth > 1)
        close(walk->directories[--walk->depth]);
}

int make_directory_in_root(int root, const char *path, mode_t mode, bool *made, struct error *error)
{
    char current[PATH_MAX];
    char expanded[PATH_MAX];
    int dangling = 0;

    *made = false;
    if (snprintf(current, sizeof(current), "%s", path) >= (int)sizeof(current))
        return fail_with(error, ENAMETOOLONG, "%s", path);
    int whole = open_in_root(root, current, O_PATH | O_DIRECTORY);
    if (whole >= 0 || errno != ENOENT)
        return whole >= 0 ? whole : fail(error, "%s", path);
    for (size_t parent = 0, end = 0; current[parent] != '\0' || end == 0;) {
        end = parent + strspn(current + parent, "/");
        end += strcspn(current + end, "/");
        bool is_last = current[end + strspn(current + end, "/")] == '\0';
        int result = make_component(root, current, parent, end, is_last ? mode : 0755, made);
        if (result == 0) {
            parent = end + strspn(current + end, "/");
            continue;
        }
        scope_fd int directory = -1;
        if (errno == EEXIST) {
            char before[PATH_MAX];
            snprintf(before, sizeof(before), "%.*s/.", (int)parent, current);
            directory = open_in_root(root, parent == 0 ? "." : before, O_PATH | O_DIRECTORY);
        }
        if (directory < 0 || ++dangling > SYMLINKS_MAX || expand_dangling(directory, current, parent, end, expanded) < 0)
            return fail(error, "mkdir %s", path);
        memcpy(current, expanded, sizeof(current));
        parent = end = 0;
    }
    whole = open_in_root(root, current, O_PATH | O_DIRECTORY);
    return whole >= 0 ? whole : fail(error, "%s", path);
}

/* Makes current[0..length) where current[0..parent_length) exists. EEXIST: something there leads nowhere. */
static int make_component(int root, const char *path, size_t parent_length, size_t length, mode_t mode, bool *made)
{
    char prefix[PATH_MAX];

    *made = false;
    snprintf(prefix, sizeof(prefix), "%.*s", (int)length, path);
    scope_fd int there = open_in_root(root, prefix, O_PATH | O_DIRECTORY);
    if (there >= 0 || errno != ENOENT)
        return there >= 0 ? 0 : -1;
    char before[PATH_MAX];
    snprintf(before, sizeof(before), "%.*s", (int)parent_length, path);
    scope_fd int parent = open_in_root(root, parent_length == 0 ? "." : before, O_PATH | O_DIRECTORY);
    if (parent < 0)
        return -1;
    const char *name = prefix + parent_length + strspn(prefix + parent_length, "/");
    if (mkdirat(parent, name, mode) < 0)
        return -1;
    *made = true;
    return 0;
}

/* Puts a dangling symlink's text in its place, so that its target is made, inside the root. */
static int expand_dangling(int parent, const char *path, size_t parent_length, size_t length, char *expanded)
{
    char name[NAME_MAX + 1];
    char text[PATH_MAX];
    size_t start = parent_length + strspn(path + parent_length, "/");

    if (length - start > NAME_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    snprintf(name, sizeof(name), "%.*s", (int)(length - start), path + start);
    ssize_t read = readlinkat(parent, name, text, sizeof(text) - 1);
    if (read < 0)
        return -1;
    text[read] = '\0';
    int written = text[0] == '/' ? snprintf(expanded, PATH_MAX, "%s%s", text, path + length)
                                 : snprintf(expanded, PATH_MAX, "%.*s/%s%s", (int)parent_length, path, text, path + length);
    if (written >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return 0;
}

int make_file_in_root(int root, const char *path, struct error *error)
{
    char current[PATH_MAX];
    char expanded[PATH_MAX];
    char name[PATH_MAX];

    if (snprintf(current, sizeof(current), "%s", path) >= (int)sizeof(current))
        return fail_with(error, ENAMETOOLONG, "%s", path);
    for (int dangling = 0; dangling <= SYMLINKS_MAX; dangling++) {
        int there = open_in_root(root, current, O_PATH);
        if (there >= 0 || errno != ENOENT)
            return there >= 0 ? there : fail(error, "%s", path);
        scope_fd int parent = parent_in_root(root, current, name, error);
        if (parent < 0)
            return -1;
        if (mknodat(parent, name, S_IFREG | 0644, 0) == 0)
            return openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        size_t before = strlen(current) - strlen(name);
        if (errno != EEXIST || expand_dangling(parent, current, before, strlen(current), expanded) < 0)
            return fail(error, "create %s", path);
        memcpy(current, expanded, sizeof(current));
    }
    return fail_with(error, ELOOP, "create %s", path);
}

int parent_in_root(int root, const char *path, char *name, struct error *error)
{
    char before[PATH_MAX];
    bool made;
    const char *slash = strrchr(path, '/');
    const char *last = slash ? slash + 1 : path;

    if (last[0] == '\0' || strcmp(last, ".") == 0 || strcmp(last, "..") == 0 || strlen(last) > NAME_MAX)
        return fail_with(error, EINVAL, "%s has no last component", path);
    snprintf(name, PATH_MAX, "%s", last);
    snprintf(before, sizeof(before), "%.*s", slash ? (int)(slash - path) : 0, path);
    return make_directory_in_root(root, before[0] ? before : ".", 0755, &made, error);
}
