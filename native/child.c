/* The child's side of a launch: from the clone to execve. */
#include "child.h"

#include "kernel.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

static int begin(struct child *child, const struct launch_io *io, uint64_t clone_flags, struct error *error);
static void reset_signals(void);
static int take_stdio(const struct launch_io *io, struct error *error);
static int take_stream(int from, int as, struct error *error);
static int take_sync(struct child *child, struct error *error);
static int enter_user_namespace(struct error *error);
static int find_root(struct child *child, struct error *error);

void run_child(struct child *child, uint32_t first, const struct launch_io *io, uint64_t clone_flags)
{
    struct error error = { .number = 0, .op_index = -1, .op = 0, .text = "" };

    if (begin(child, io, clone_flags, &error) == 0)
        run_child_records(child, first, &error);
    send_message(child->sync, LAUNCH_FAILED, -1, &error);
    _exit(launch_exit_code(&error));
}

static int begin(struct child *child, const struct launch_io *io, uint64_t clone_flags, struct error *error)
{
    reset_signals();
    /* Modes in the program are meant as they stand; UMASK comes later. */
    umask(0);
    /* A session of its own: no terminal of the host to push characters into, no signal meant for its process group. */
    setsid();
    if (take_stdio(io, error) < 0 || take_sync(child, error) < 0 || await_word(child->sync, WORD_GO, error) < 0)
        return -1;
    if ((clone_flags & KERNEL_CLONE_NEWUSER) && enter_user_namespace(error) < 0)
        return -1;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if ((clone_flags & KERNEL_CLONE_NEWCGROUP) && unshare(CLONE_NEWCGROUP) < 0)
        return fail(error, "unshare of the cgroup namespace");
    return find_root(child, error);
}

/* What the launcher ignores, the container must not (execve(2) keeps SIG_IGN); the mask is emptied at the very end, in EXEC. */
static void reset_signals(void)
{
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
}

/* First out of the way of 0, 1, 2, as each may be any of the others. */
static int take_stdio(const struct launch_io *io, struct error *error)
{
    int streams[3] = { io->stdin_fd, io->stdout_fd, io->stderr_fd };

    for (int stream = 0; stream < 3; stream++)
        if (streams[stream] >= 0 && (streams[stream] = fcntl(streams[stream], F_DUPFD, 3)) < 0)
            return fail(error, "dup of stream %d", stream);
    for (int stream = 0; stream < 3; stream++)
        if (take_stream(streams[stream], stream, error) < 0)
            return -1;
    return 0;
}

static int take_stream(int from, int as, struct error *error)
{
    int opened = from >= 0 ? from : open("/dev/null", O_RDWR);

    if (opened < 0)
        return fail(error, "open /dev/null");
    if (opened != as && dup2(opened, as) < 0)
        return fail(error, "dup of stream %d", as);
    return 0;
}

static int take_sync(struct child *child, struct error *error)
{
    if (child->sync != 3 && dup3(child->sync, 3, O_CLOEXEC) < 0)
        return fail(error, "dup of the launcher's socket");
    child->sync = 3;
    close_others(child->sync);
    return 0;
}

/* Until now the overflow user; its own root from here on (user_namespaces(7)). */
static int enter_user_namespace(struct error *error)
{
    if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)
        return fail(error, "becoming root of the user namespace");
    return 0;
}

/* A joined process sees the container's "/" only, and must trust no procfs in it. */
static int find_root(struct child *child, struct error *error)
{
    if (!child->joined) {
        child->proc = open_proc(error);
        return child->proc < 0 ? -1 : 0;
    }
    child->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return child->root < 0 ? fail(error, "open /") : 0;
}

int run_child_records(struct child *child, uint32_t first, struct error *error)
{
    for (uint32_t index = first; index < child->program->count; index++) {
        const struct program_record *record = &child->program->records[index];
        if (record->flags & OP_PARENT)
            continue;
        if (operation_of(record->op)->child(child, record, error) < 0 && !(record->flags & OP_OPTIONAL)) {
            error->op_index = (int)index;
            error->op = record->op;
            return -1;
        }
    }
    return -1;
}
