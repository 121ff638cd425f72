/*
 * A process that enters a container must not offer its own binary to it: /proc/PID/exe is a way to overwrite the file it was
 * started from (CVE-2019-5736). So it runs from a copy in memory that the kernel will let nobody change.
 */
#include "kernel.h"
#include "launch.h"
#include "scope.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 1u
#endif
#ifndef MFD_ALLOW_SEALING
#define MFD_ALLOW_SEALING 2u
#endif
#define KERNEL_MFD_EXEC 0x10u
#ifndef F_ADD_SEALS
#define F_ADD_SEALS 1033
#define F_GET_SEALS 1034
#define F_SEAL_SEAL 1
#define F_SEAL_SHRINK 2
#define F_SEAL_GROW 4
#define F_SEAL_WRITE 8
#endif
#define KERNEL_F_SEAL_EXEC 0x20

static const int needed_seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

extern char **environ;

static int sealed_copy(int executable, struct error *error);
static int new_memory_file(void);
static int copy_file(int from, int to, struct error *error);

int run_sealed(char **argv, struct error *error)
{
    scope_fd int executable = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    scope_fd int copy = -1;

    if (executable < 0)
        return fail(error, "open /proc/self/exe");
    int seals = fcntl(executable, F_GET_SEALS);
    if (seals >= 0 && (seals & needed_seals) == needed_seals)
        return 0;
    copy = sealed_copy(executable, error);
    if (copy < 0)
        return -1;
    syscall(SYS_execveat, copy, "", argv, environ, KERNEL_AT_EMPTY_PATH);
    return fail(error, "execveat of the sealed copy");
}

static int sealed_copy(int executable, struct error *error)
{
    scope_fd int copy = new_memory_file();

    if (copy < 0)
        return fail(error, "memfd_create");
    if (copy_file(executable, copy, error) < 0)
        return -1;
    if (fchmod(copy, 0500) < 0)
        return fail(error, "fchmod of the sealed copy");
    /* F_SEAL_EXEC exists since Linux 6.3; without it the mode could be changed, the bytes could not. */
    if (fcntl(copy, F_ADD_SEALS, needed_seals | KERNEL_F_SEAL_EXEC) < 0 && fcntl(copy, F_ADD_SEALS, needed_seals) < 0)
        return fail(error, "F_ADD_SEALS");
    return take_fd(&copy);
}

/* Since Linux 6.3 an executable memory file must say so, and older kernels refuse the flag (memfd_create(2)). */
static int new_memory_file(void)
{
    int file = (int)syscall(SYS_memfd_create, "tscompose-core", MFD_CLOEXEC | MFD_ALLOW_SEALING | KERNEL_MFD_EXEC);

    if (file < 0 && errno == EINVAL)
        file = (int)syscall(SYS_memfd_create, "tscompose-core", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return file;
}

static int copy_file(int from, int to, struct error *error)
{
    struct stat status;

    if (fstat(from, &status) < 0)
        return fail(error, "fstat of the executable");
    for (off_t done = 0; done < status.st_size;) {
        ssize_t copied = sendfile(to, from, NULL, (size_t)(status.st_size - done));
        if (copied < 0 && errno == EINTR)
            continue;
        if (copied <= 0)
            return fail(error, "sendfile to the sealed copy");
        done += copied;
    }
    return 0;
}
