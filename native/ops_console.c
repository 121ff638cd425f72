/* The container's own terminal. */
#include "child.h"
#include "kernel.h"
#include "paths.h"
#include "scope.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <termios.h>

static int open_master(struct child *child, struct error *error);
static int open_slave(int master, const struct program_record *record, struct error *error);
static int bind_console(struct child *child, int slave, struct error *error);
static int become_stdio(int slave, struct error *error);

int child_console(struct child *child, const struct program_record *record, struct error *error)
{
    scope_fd int master = open_master(child, error);

    if (master < 0)
        return -1;
    scope_fd int slave = open_slave(master, record, error);
    if (slave < 0)
        return -1;
    /* A joined process shares /dev/console with the one that made it. */
    if (!child->joined && bind_console(child, slave, error) < 0)
        return -1;
    if (become_stdio(slave, error) < 0)
        return -1;
    child->has_console = true;
    return send_message(child->sync, LAUNCH_CONSOLE, master, NULL) < 0 ? fail(error, "sending the terminal") : 0;
}

/* It must be a devpts, not what an image calls so. */
static int open_master(struct child *child, struct error *error)
{
    struct statfs filesystem;
    scope_fd int master = open_in_root(child->root, "dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW);

    if (master < 0 || fstatfs(master, &filesystem) < 0)
        return fail(error, "open /dev/pts/ptmx");
    if (filesystem.f_type != KERNEL_DEVPTS_SUPER_MAGIC)
        return fail_with(error, EPERM, "/dev/pts is not devpts");
    return take_fd(&master);
}

/* TIOCGPTPEER (ioctl_tty(2)) opens the other end by descriptor: no path that the container could have swapped
 * (CVE-2025-52565). */
static int open_slave(int master, const struct program_record *record, struct error *error)
{
    struct winsize size = { .ws_row = (unsigned short)record->x, .ws_col = (unsigned short)record->y };
    int locked = 0;

    if (ioctl(master, TIOCSPTLCK, &locked) < 0)
        return fail(error, "unlocking the terminal");
    if (record->x && record->y && ioctl(master, TIOCSWINSZ, &size) < 0)
        return fail(error, "size of the terminal");
    int slave = ioctl(master, KERNEL_TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return slave < 0 ? fail(error, "opening the terminal") : slave;
}

static int bind_console(struct child *child, int slave, struct error *error)
{
    scope_fd int made = make_file_in_root(child->root, "dev/console", error);

    if (made < 0)
        return -1;
    scope_fd int target = open_in_root(child->root, "dev/console", O_PATH | O_NOFOLLOW);
    scope_fd int tree = clone_mount(slave, false);
    struct stat status;
    if (target < 0 || tree < 0 || fstat(target, &status) < 0)
        return fail(error, "bind on /dev/console");
    if (S_ISLNK(status.st_mode))
        return fail_with(error, ELOOP, "bind on /dev/console");
    return kernel_move_mount(tree, target) < 0 ? fail(error, "bind on /dev/console") : 0;
}

static int become_stdio(int slave, struct error *error)
{
    setsid();
    if (ioctl(slave, TIOCSCTTY, 0) < 0)
        return fail(error, "taking the terminal");
    for (int stream = 0; stream < 3; stream++)
        if (dup2(slave, stream) < 0)
            return fail(error, "terminal as stream %d", stream);
    return 0;
}
