#include "launch.h"

#include "cgroup.h"
#include "child.h"
#include "kernel.h"
#include "scope.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static int launch_records(struct launcher *launcher, const struct launch_io *io, struct launched *launched, struct error *error);
static int run_before_clone(struct launcher *launcher, uint32_t *clone, struct error *error);
static int clone_child(struct launcher *launcher, uint32_t clone, const struct launch_io *io, struct launched *launched,
                       struct error *error);
static pid_t clone_process(const char *cgroup, uint64_t flags, int *pidfd, struct error *error);
static int run_after_clone(struct launcher *launcher, uint32_t clone, struct error *error);
static int run_record(struct launcher *launcher, uint32_t index, struct error *error);
static void kill_child(struct launched *launched);
static void restore_launcher(struct launcher *launcher, int was_dumpable);
static bool hides_at_once(const struct program *program);

int launch(const struct program *program, const struct launch_io *io, struct launched *launched, struct error *error)
{
    struct launcher launcher = { .program = program, .proc = -1, .pidfd = -1, .children_pidns = -1 };
    int was_dumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);

    *launched = (struct launched){ .pid = 0, .pidfd = -1, .sync = -1 };
    launcher.proc = open_proc(error);
    if (launcher.proc < 0)
        return -1;
    /* Inherited by the child: at no instant can the container look into a process of ours that is on its way in
     * (CVE-2016-9962). */
    if (hides_at_once(program))
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    int result = launch_records(&launcher, io, launched, error);
    restore_launcher(&launcher, was_dumpable);
    return result;
}

/* Without root the id maps of a non-dumpable child could not be written; then the child hides itself after that. */
static bool hides_at_once(const struct program *program)
{
    if (geteuid() == 0)
        return true;
    for (uint32_t index = 0; index < program->count; index++)
        if (program->records[index].op == OP_ID_MAPS)
            return false;
    return true;
}

static int launch_records(struct launcher *launcher, const struct launch_io *io, struct launched *launched, struct error *error)
{
    uint32_t clone;

    if (run_before_clone(launcher, &clone, error) < 0)
        return -1;
    if (clone_child(launcher, clone, io, launched, error) < 0) {
        if (error->op == 0) {
            error->op_index = (int)clone;
            error->op = OP_CLONE;
        }
        kill_child(launched);
        return -1;
    }
    if (run_after_clone(launcher, clone, error) < 0 || send_word(launched->sync, WORD_GO, error) < 0) {
        kill_child(launched);
        return -1;
    }
    return 0;
}

static int run_before_clone(struct launcher *launcher, uint32_t *clone, struct error *error)
{
    for (*clone = 0; launcher->program->records[*clone].op != OP_CLONE; (*clone)++)
        if (run_record(launcher, *clone, error) < 0)
            return -1;
    return 0;
}

static int run_record(struct launcher *launcher, uint32_t index, struct error *error)
{
    const struct program_record *record = &launcher->program->records[index];

    if (operation_of(record->op)->launcher(launcher, record, error) == 0 || (record->flags & OP_OPTIONAL))
        return 0;
    error->op_index = (int)index;
    error->op = record->op;
    return -1;
}

static int clone_child(struct launcher *launcher, uint32_t clone, const struct launch_io *io, struct launched *launched,
                       struct error *error)
{
    const struct program_record *record = &launcher->program->records[clone];
    const char *cgroup = program_bytes(launcher->program, record->a, NULL);
    int sync[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sync) < 0)
        return fail(error, "socketpair");
    scope_fd int ours = above_stdio(sync[0]);
    scope_fd int childs = above_stdio(sync[1]);
    /* The child makes its cgroup namespace itself, after it was placed: on v1, and before Linux 5.7, the root would be wrong
     * else. */
    uint64_t flags = record->x & ~KERNEL_CLONE_NEWCGROUP;
    /* Where setgroups is denied inside, nobody could put off the groups it was born with (user_namespaces(7)). Without CAP_SETGID
     * they stay. */
    if (flags & KERNEL_CLONE_NEWUSER)
        setgroups(0, NULL);
    launched->pid = clone_process(launcher->joined ? NULL : cgroup, flags, &launched->pidfd, error);
    if (launched->pid < 0)
        return -1;
    if (launched->pid == 0) {
        struct child child = { .program = launcher->program, .sync = childs, .proc = -1, .root = -1, .null_mount = -1,
                               .empty_mount = -1, .joined = launcher->joined };
        run_child(&child, clone + 1, io, record->x);
    }
    launcher->pid = launched->pid;
    launcher->pidfd = launched->pidfd;
    launched->sync = take_fd(&ours);
    if (cgroup && launcher->joined)
        return cgroup_attach(launcher->cgroup_procs[clone], launched->pid, error);
    return 0;
}

/* 0 in the child, as fork(2); a failed launch into a cgroup says so and does not run outside of it. */
static pid_t clone_process(const char *cgroup, uint64_t flags, int *pidfd, struct error *error)
{
    struct kernel_clone_args arguments = { .flags = flags | KERNEL_CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)pidfd,
                                           .exit_signal = SIGCHLD };
    scope_fd int directory = -1;

    if (cgroup) {
        directory = open(cgroup, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0)
            return fail(error, "open %s", cgroup);
        arguments.flags |= KERNEL_CLONE_INTO_CGROUP;
        arguments.cgroup = (uint64_t)directory;
    }
    pid_t pid = (pid_t)syscall(CALL_CLONE3, &arguments, sizeof(arguments));
    if (pid < 0 && errno == ENOSYS && cgroup == NULL)
        /* clone(2) keeps CLONE_NEWTIME's bit for the exit signal, and hands the pidfd out through parent_tid. */
        pid = (pid_t)syscall(SYS_clone, (flags & ~KERNEL_CLONE_NEWTIME) | KERNEL_CLONE_PIDFD | SIGCHLD, 0, pidfd, 0, 0);
    return pid >= 0 ? pid : fail(error, "clone%s%s", cgroup ? " into " : "", cgroup ? cgroup : "");
}

static int run_after_clone(struct launcher *launcher, uint32_t clone, struct error *error)
{
    for (uint32_t index = clone + 1; index < launcher->program->count; index++)
        if ((launcher->program->records[index].flags & OP_PARENT) && run_record(launcher, index, error) < 0)
            return -1;
    return 0;
}

/* The child of a failed launch has done nothing yet: it still waits for its word. */
static void kill_child(struct launched *launched)
{
    siginfo_t information;

    if (launched->pid > 0) {
        kernel_pidfd_send_signal(launched->pidfd, SIGKILL);
        while (waitid((idtype_t)P_PIDFD, (id_t)launched->pidfd, &information, WEXITED) < 0 && errno == EINTR)
            ;
    }
    close_scoped(&launched->pidfd);
    close_scoped(&launched->sync);
    *launched = (struct launched){ .pid = 0, .pidfd = -1, .sync = -1 };
}

static void restore_launcher(struct launcher *launcher, int was_dumpable)
{
    if (launcher->children_pidns >= 0)
        setns(launcher->children_pidns, CLONE_NEWPID);
    close_scoped(&launcher->children_pidns);
    close_scoped(&launcher->proc);
    for (uint32_t index = 0; launcher->cgroup_procs && index < launcher->program->count; index++)
        close_scoped(&launcher->cgroup_procs[index]);
    free(launcher->cgroup_procs);
    /* A process that sits in a container's namespaces stays hidden. */
    if (!launcher->joined)
        prctl(PR_SET_DUMPABLE, was_dumpable == 1, 0, 0, 0);
}

int launch_exit_code(const struct error *error)
{
    if (error->op != OP_EXEC)
        return 125;
    return error->number == ENOENT ? 127 : 126;
}
