#include "child.h"
#include "kernel.h"
#include "scope.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static void close_one_by_one(int kept);

void close_others(int kept)
{
    unsigned int after = kept < 3 ? 3 : (unsigned int)kept + 1;
    bool below = kept <= 3 || kernel_close_range(3, (unsigned int)kept - 1) == 0;
    bool above = kernel_close_range(after, ~0u) == 0;

    if (!below || !above)
        close_one_by_one(kept);
}

/* Kernels before 5.9, and filters around us that do not know close_range(2). */
static void close_one_by_one(int kept)
{
    long most = sysconf(_SC_OPEN_MAX);

    for (int fd = 3; fd < most; fd++)
        if (fd != kept)
            close(fd);
}

int open_proc(struct error *error)
{
    struct statfs filesystem;
    struct stat status;
    scope_fd int proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (proc < 0 || fstatfs(proc, &filesystem) < 0 || fstat(proc, &status) < 0)
        return fail(error, "open /proc");
    if (filesystem.f_type != KERNEL_PROC_SUPER_MAGIC || status.st_ino != KERNEL_PROC_ROOT_INODE)
        return fail_with(error, EPERM, "/proc is not procfs");
    return take_fd(&proc);
}

int above_stdio(int fd)
{
    if (fd < 0 || fd > 2)
        return fd;
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    close(fd);
    return moved;
}
