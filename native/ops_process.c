/* Operations of the child on itself: who it is and what it may do. */
#include "caps.h"
#include "child.h"
#include "kernel.h"
#include "paths.h"
#include "scope.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

static int check_inside(const char *path, struct error *error);
static int set_groups(struct child *child, const struct program_record *record, struct error *error);
static void give_stdio(struct child *child, uid_t uid);
static int arm_death_signal(struct child *child, struct error *error);

int child_umask(struct child *child, const struct program_record *record, struct error *error)
{
    (void)child;
    (void)error;
    umask((mode_t)record->x & 0777);
    return 0;
}

/* What root may not enter, as on a network file system, the user may: then USER decides. */
int child_workdir(struct child *child, const struct program_record *record, struct error *error)
{
    const char *path = program_bytes(child->program, record->b, NULL);
    bool made;

    if (record->flags & OP_MAKE_DIR) {
        scope_fd int directory = make_directory_in_root(child->root, path, 0755, &made, error);
        if (directory < 0 && error->number != EACCES)
            return -1;
    }
    child->workdir = path;
    child->workdir_pending = false;
    if (chdir_in_root(child, error) == 0)
        return 0;
    child->workdir_pending = error->number == EACCES;
    return child->workdir_pending ? 0 : -1;
}

int chdir_in_root(struct child *child, struct error *error)
{
    scope_fd int directory = open_in_root(child->root, child->workdir, O_PATH | O_DIRECTORY);

    if (directory < 0 || fchdir(directory) < 0)
        return fail(error, "working directory %s", child->workdir);
    return check_inside(child->workdir, error);
}

/* getcwd(2) says "(unreachable)/…" for a directory that is not below the process's root (CVE-2024-21626). */
static int check_inside(const char *path, struct error *error)
{
    char found[PATH_MAX];

    if (syscall(SYS_getcwd, found, sizeof(found)) < 0)
        return fail(error, "working directory %s", path);
    if (found[0] != '/')
        return fail_with(error, EXDEV, "working directory %s is outside of the root", path);
    return 0;
}

int child_no_new_privs(struct child *child, const struct program_record *record, struct error *error)
{
    (void)child;
    (void)record;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? fail(error, "no_new_privs") : 0;
}

int child_bounding(struct child *child, const struct program_record *record, struct error *error)
{
    (void)child;
    return caps_bound(record->x, error);
}

int child_user(struct child *child, const struct program_record *record, struct error *error)
{
    uid_t uid = (uid_t)record->x;
    gid_t gid = (gid_t)record->y;

    give_stdio(child, uid);
    if (set_groups(child, record, error) < 0)
        return -1;
    /* For OP_CAPABILITIES; execve clears it (capabilities(7)). */
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
        return fail(error, "PR_SET_KEEPCAPS");
    if (setresgid(gid, gid, gid) < 0)
        return fail(error, "setresgid %u", gid);
    if (setresuid(uid, uid, uid) < 0)
        return fail(error, "setresuid %u", uid);
    /* The change of user has set it to fs.suid_dumpable. */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (child->workdir && (child->workdir_pending ? chdir_in_root(child, error) : check_inside(child->workdir, error)) < 0)
        return -1;
    return child->death_signal ? arm_death_signal(child, error) : 0;
}

/* So that /dev/stdout can be opened again by its user. A host's terminal or file that was handed in keeps its owner. */
static void give_stdio(struct child *child, uid_t uid)
{
    struct stat status;

    for (int stream = 0; stream < 3; stream++)
        if (fstat(stream, &status) == 0 && status.st_uid != uid &&
            (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || child->has_console) && fchown(stream, uid, (gid_t)-1) < 0)
            continue;
}

/* An empty list is set as well: else the groups of whoever started us would stay (CVE-2022-36109). */
static int set_groups(struct child *child, const struct program_record *record, struct error *error)
{
    uint32_t length;
    const char *bytes = program_bytes(child->program, record->a, &length);
    gid_t groups[NGROUPS_MAX < 1024 ? NGROUPS_MAX : 1024];
    size_t count = length / sizeof(uint32_t);

    if (count > sizeof(groups) / sizeof(groups[0]))
        return fail_with(error, E2BIG, "%zu groups", count);
    if (count > 0)
        memcpy(groups, bytes, count * sizeof(uint32_t));
    /* A user namespace with "deny" in setgroups has none to begin with. */
    if (setgroups(count, groups) < 0 && !(errno == EPERM && count == 0 && getgroups(0, NULL) <= 0))
        return fail(error, "setgroups");
    return 0;
}

int child_capabilities(struct child *child, const struct program_record *record, struct error *error)
{
    struct caps caps = { .effective = record->x, .permitted = record->y, .inheritable = record->z };

    (void)child;
    return caps_set(&caps, error);
}

int child_ambient(struct child *child, const struct program_record *record, struct error *error)
{
    (void)child;
    return caps_set_ambient(record->x, error);
}

int child_seccomp(struct child *child, const struct program_record *record, struct error *error)
{
    uint32_t length;
    const char *bytes = program_bytes(child->program, record->a, &length);
    struct sock_fprog program = { .len = (unsigned short)(length / sizeof(struct sock_filter)),
                                  .filter = (void *)(uintptr_t)bytes };

    if (length / sizeof(struct sock_filter) > BPF_MAXINSNS)
        return fail_with(error, E2BIG, "a seccomp filter of %zu instructions", length / sizeof(struct sock_filter));
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, (unsigned int)record->x, &program) == 0)
        return 0;
    if (errno == ENOSYS && record->x == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0)
        return 0;
    return fail(error, "seccomp");
}

int child_personality(struct child *child, const struct program_record *record, struct error *error)
{
    (void)child;
    return personality(record->x) < 0 ? fail(error, "personality %#llx", (unsigned long long)record->x) : 0;
}

/* Every child leads a session from its first instruction on; this record asks for what it has. */
int child_setsid(struct child *child, const struct program_record *record, struct error *error)
{
    (void)child;
    (void)record;
    return setsid() < 0 && errno != EPERM ? fail(error, "setsid") : 0;
}

int child_pdeathsig(struct child *child, const struct program_record *record, struct error *error)
{
    child->death_signal = (int)record->x;
    return arm_death_signal(child, error);
}

/* The launcher may have died just before: then its end of the socket is closed. */
static int arm_death_signal(struct child *child, struct error *error)
{
    char byte;

    if (prctl(PR_SET_PDEATHSIG, child->death_signal, 0, 0, 0) < 0)
        return fail(error, "PR_SET_PDEATHSIG");
    if (recv(child->sync, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT) == 0)
        return fail_with(error, EPIPE, "the launcher is gone");
    return 0;
}
