/* Resolution below a root: the kernel's way and the walk that stands in for it must agree, and neither may leave. */
#include "kernel.h"
#include "paths.h"
#include "sandbox.h"
#include "scope.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

static struct sandbox sandbox;

/* `expected` is the path below the root that is found, or NULL with an errno. */
static const struct {
    const char *path;
    int flags;
    const char *expected;
    int number;
} cases[] = {
    { "/", 0, "/", 0 },
    { ".", 0, "/", 0 },
    { "", 0, NULL, ENOENT },
    { "data", 0, "/data", 0 },
    { "/data", 0, "/data", 0 },
    { "//data//", 0, "/data", 0 },
    { "data/file", 0, "/data/file", 0 },
    { "data/file/", 0, NULL, ENOTDIR },
    { "data/file/x", 0, NULL, ENOTDIR },
    { "data/.", 0, "/data", 0 },
    { "data/./../data/file", 0, "/data/file", 0 },
    { "nothing", 0, NULL, ENOENT },
    { "nothing/../data", 0, NULL, ENOENT },
    { "..", 0, "/", 0 },
    { "../../../../data", 0, "/data", 0 },
    { "/../data", 0, "/data", 0 },
    { "absolute", 0, "/data", 0 },
    { "absolute/file", 0, "/data/file", 0 },
    { "climbing", 0, "/data/file", 0 },
    { "chain", 0, "/data", 0 },
    { "host-etc", 0, "/etc", 0 },
    { "host-etc/passwd", 0, NULL, ENOENT },
    { "root-link", 0, "/", 0 },
    { "root-link/../..", 0, "/", 0 },
    { "loop", 0, NULL, ELOOP },
    { "dangling", 0, NULL, ENOENT },
    { "absolute", O_NOFOLLOW, "/absolute", 0 },
    { "loop", O_NOFOLLOW, "/loop", 0 },
    { "absolute/file", O_NOFOLLOW, "/data/file", 0 },
    { "absolute/", O_DIRECTORY, "/data", 0 },
    { "data/file", O_DIRECTORY, NULL, ENOTDIR },
    { "proc/self/root", 0, NULL, ELOOP },
    { "proc/self/root/etc", 0, NULL, ELOOP },
    { "proc/self/cwd", 0, NULL, ELOOP },
    { "proc/self/exe", 0, NULL, ELOOP },
    { "proc/self/fd/0", 0, NULL, ELOOP },
    { "proc/thread-self/root", 0, NULL, ELOOP },
    { "magic/etc", 0, NULL, ELOOP },
    { "proc/../data", 0, "/data", 0 },
};

static bool found_at(int fd, const char *expected)
{
    char link[32];
    char path[PATH_MAX];
    char wanted[PATH_MAX];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof(path) - 1);
    path[length < 0 ? 0 : length] = '\0';
    snprintf(wanted, sizeof(wanted), "%s%s", sandbox.lower, strcmp(expected, "/") == 0 ? "" : expected);
    return strcmp(path, wanted) == 0;
}

static void test_resolution(int root)
{
    static int (*const ways[])(int, const char *, int) = { open_in_root, open_in_root_by_walking };
    static const char *const names[] = { "openat2", "walk" };

    for (size_t way = 0; way < 2; way++)
        for (size_t row = 0; row < sizeof(cases) / sizeof(cases[0]); row++) {
            errno = 0;
            scope_fd int fd = ways[way](root, cases[row].path, O_PATH | cases[row].flags);
            int number = fd < 0 ? errno : 0;
            bool good = cases[row].expected ? fd >= 0 && found_at(fd, cases[row].expected)
                                            : fd < 0 && number == cases[row].number;
            ok(good, "%s: \"%s\"%s", names[way], cases[row].path, cases[row].flags & O_NOFOLLOW ? ", not followed" : "");
            if (!good)
                note("descriptor %d, errno %d", fd, number);
        }
}

static void test_making(int root)
{
    static const struct {
        const char *path;
        const char *expected;
        bool is_file;
        int number;
    } rows[] = {
        { "new/a/b", "/new/a/b", false, 0 },
        { "/new2", "/new2", false, 0 },
        { "absolute/made", "/data/made", false, 0 },
        { "dangling/deeper", "/nowhere/to/be/deeper", false, 0 },
        { "../../outside", "/outside", false, 0 },
        { "relative-dangling/x", "/data/away/x", false, 0 },
        { "data/file/x", NULL, false, ENOTDIR },
        { "loop/x", NULL, false, ELOOP },
        { "proc/self/root/tmp/tscompose-escape", NULL, false, ELOOP },
        { "files/x", "/files/x", true, 0 },
        { "absolute/y", "/data/y", true, 0 },
        { "dangling-file", "/some/where", true, 0 },
        { "dangling-file", "/some/where", true, 0 },
        { "data/..", "/", true, 0 },
        { "missing/..", NULL, true, EINVAL },
    };
    struct error error;
    bool made;

    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        error.number = 0;
        scope_fd int fd = rows[row].is_file ? make_file_in_root(root, rows[row].path, &error)
                                            : make_directory_in_root(root, rows[row].path, 0755, &made, &error);
        bool good = rows[row].expected ? fd >= 0 && found_at(fd, rows[row].expected) : fd < 0 && error.number == rows[row].number;
        ok(good, "making %s \"%s\"", rows[row].is_file ? "file" : "directory", rows[row].path);
        if (!good)
            note("descriptor %d, %s", fd, fd < 0 ? error.text : "");
    }
    ok(access("/tmp/tscompose-escape", F_OK) < 0 && access("/nowhere", F_OK) < 0 && access("/outside", F_OK) < 0,
       "nothing was made outside");
}

static void test_depth(int root)
{
    char path[PATH_MAX + 64];

    memset(path, 'a', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    ok(open_in_root_by_walking(root, path, O_PATH) < 0 && errno == ENAMETOOLONG, "a path that is too long");
    path[300] = '\0';
    ok(open_in_root_by_walking(root, path, O_PATH) < 0 && errno == ENAMETOOLONG, "a name that is too long");
    path[0] = '\0';
    for (int level = 0; level < 300; level++)
        strcat(path, "data/../");
    scope_fd int fd = open_in_root_by_walking(root, path, O_PATH);
    ok(fd >= 0 && found_at(fd, "/"), "300 descents and ascents");
}

static void link_in(const char *name, const char *text)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", sandbox.lower, name);
    ok(symlink(text, path) == 0, "symlink %s", name);
}

int main(void)
{
    char path[256];

    sandbox_open(&sandbox);
    snprintf(path, sizeof(path), "%s/proc", sandbox.lower);
    ok(mount("proc", path, "proc", 0, NULL) == 0, "a procfs inside the root");
    snprintf(path, sizeof(path), "%s/data/file", sandbox.lower);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    link_in("absolute", "/data");
    link_in("climbing", "../../../../../data/file");
    link_in("chain", "absolute/../absolute/");
    link_in("host-etc", "/etc");
    link_in("root-link", "/");
    link_in("loop", "loop");
    link_in("dangling", "/nowhere/to/be");
    link_in("relative-dangling", "data/away");
    link_in("dangling-file", "some/where");
    link_in("magic", "/proc/self/root");
    scope_fd int root = open(sandbox.lower, O_PATH | O_DIRECTORY | O_CLOEXEC);
    test_resolution(root);
    test_making(root);
    test_depth(root);
    return done_testing();
}
