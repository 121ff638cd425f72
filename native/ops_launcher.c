/* Operations of the process that starts the child: cgroups before it exists, and what only the outside may do to it. */
#include "cgroup.h"
#include "child.h"
#include "kernel.h"
#include "scope.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static const struct namespace {
    uint64_t flag;
    const char *file;
} namespaces[] = {
    /* The order of joining one by one: user first, for its rights over the others; mnt last, as it takes /proc away. */
    { KERNEL_CLONE_NEWUSER, "user" },
    { KERNEL_CLONE_NEWCGROUP, "cgroup" },
    { KERNEL_CLONE_NEWIPC, "ipc" },
    { KERNEL_CLONE_NEWUTS, "uts" },
    { KERNEL_CLONE_NEWNET, "net" },
    { KERNEL_CLONE_NEWPID, "pid" },
    { KERNEL_CLONE_NEWTIME, "time" },
    { KERNEL_CLONE_NEWNS, "mnt" },
};
#define NAMESPACES (sizeof(namespaces) / sizeof(namespaces[0]))

static int open_cgroups(struct launcher *launcher, struct error *error);
static int check_start_time(int process, uint64_t expected, struct error *error);
static int join_one_by_one(int process, uint64_t flags, struct error *error);
static int write_process_file(const struct launcher *launcher, const char *file, const char *value, struct error *error);

int launcher_cgroup_create(struct launcher *launcher, const struct program_record *record, struct error *error)
{
    return cgroup_create(program_bytes(launcher->program, record->a, NULL), record->x == 1, error);
}

int launcher_cgroup_write(struct launcher *launcher, const struct program_record *record, struct error *error)
{
    uint32_t length;
    const char *value = program_bytes(launcher->program, record->b, &length);

    return write_control_file(AT_FDCWD, program_bytes(launcher->program, record->a, NULL), value, length, error);
}

int launcher_cgroup_attach(struct launcher *launcher, const struct program_record *record, struct error *error)
{
    size_t index = (size_t)(record - launcher->program->records);
    scope_fd int procs = launcher->cgroup_procs ? launcher->cgroup_procs[index] : -1;

    if (procs >= 0)
        launcher->cgroup_procs[index] = -1;
    else
        procs = cgroup_open_procs(program_bytes(launcher->program, record->a, NULL), error);
    return procs < 0 ? -1 : cgroup_attach(procs, launcher->pid, error);
}

int launcher_cgroup_devices(struct launcher *launcher, const struct program_record *record, struct error *error)
{
    uint32_t length;
    const char *instructions = program_bytes(launcher->program, record->b, &length);

    return cgroup_set_devices(program_bytes(launcher->program, record->a, NULL), instructions, length, error);
}

int launcher_join(struct launcher *launcher, const struct program_record *record, struct error *error)
{
    char name[16];

    if (record->x == 0 || record->x > INT_MAX)
        return fail_with(error, EINVAL, "process %llu", (unsigned long long)record->x);
    scope_fd int pidfd = kernel_pidfd_open((pid_t)record->x);
    if (pidfd < 0)
        return fail(error, "process %d", (int)record->x);
    snprintf(name, sizeof(name), "%d", (int)record->x);
    scope_fd int process = openat(launcher->proc, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (process < 0)
        return fail(error, "/proc/%s", name);
    if (check_start_time(process, record->y, error) < 0)
        return -1;
    /* Alive now, and of the right age: so the descriptor is that process and no later one with its number. */
    if (kernel_pidfd_send_signal(pidfd, 0) < 0)
        return fail(error, "process %s", name);
    if (open_cgroups(launcher, error) < 0)
        return -1;
    launcher->joined = true;
    if (setns(pidfd, (int)record->z) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return fail(error, "joining the namespaces of process %s", name);
    return join_one_by_one(process, record->z, error);
}

/* Inside, the host's cgroup files are out of reach: what is needed later is opened now. */
static int open_cgroups(struct launcher *launcher, struct error *error)
{
    const struct program *program = launcher->program;
    bool cloned = false;

    launcher->cgroup_procs = malloc(program->count * sizeof(int));
    if (launcher->cgroup_procs == NULL)
        return fail(error, "memory");
    for (uint32_t index = 0; index < program->count; index++)
        launcher->cgroup_procs[index] = -1;
    for (uint32_t index = 0; index < program->count; index++) {
        const struct program_record *record = &program->records[index];
        bool is_clone = record->op == OP_CLONE;
        cloned = cloned || is_clone;
        if (record->a == 0 || !(is_clone || (cloned && record->op == OP_CGROUP_ATTACH && (record->flags & OP_PARENT))))
            continue;
        launcher->cgroup_procs[index] = cgroup_open_procs(program_bytes(program, record->a, NULL), error);
        if (launcher->cgroup_procs[index] < 0 && !(record->flags & OP_OPTIONAL))
            return -1;
    }
    return 0;
}

/* Field 22 of /proc/PID/stat (proc_pid_stat(5)), counted from the last ")" because a name may hold anything. */
static int check_start_time(int process, uint64_t expected, struct error *error)
{
    char text[2048];
    scope_fd int stat = openat(process, "stat", O_RDONLY | O_CLOEXEC);
    ssize_t length = stat < 0 ? -1 : read(stat, text, sizeof(text) - 1);

    if (length < 0)
        return fail(error, "reading the process's stat");
    if (expected == 0)
        return 0;
    text[length] = '\0';
    const char *field = strrchr(text, ')');
    for (int number = 2; field && number < 22; number++)
        field = strchr(field + 1, ' ');
    if (field == NULL || strtoull(field, NULL, 10) != expected)
        return fail_with(error, ESRCH, "the process is another one by now");
    return 0;
}

static int join_one_by_one(int process, uint64_t flags, struct error *error)
{
    int opened[NAMESPACES];
    char path[16];
    int result = 0;

    for (size_t row = 0; row < NAMESPACES; row++) {
        snprintf(path, sizeof(path), "ns/%s", namespaces[row].file);
        opened[row] = flags & namespaces[row].flag ? openat(process, path, O_RDONLY | O_CLOEXEC) : -1;
    }
    for (size_t row = 0; row < NAMESPACES && result == 0; row++)
        if ((flags & namespaces[row].flag) && setns(opened[row], (int)namespaces[row].flag) < 0)
            result = fail(error, "joining the %s namespace", namespaces[row].file);
    for (size_t row = 0; row < NAMESPACES; row++)
        close_scoped(&opened[row]);
    return result;
}

int launcher_prlimit(struct launcher *launcher, const struct program_record *record, struct error *error)
{
    struct rlimit limit = { .rlim_cur = (rlim_t)record->y, .rlim_max = (rlim_t)record->z };

    if (prlimit(launcher->pid, (int)record->x, &limit, NULL) < 0)
        return fail(error, "limit %d to %llu, %llu", (int)record->x, (unsigned long long)record->y,
                    (unsigned long long)record->z);
    return 0;
}

int launcher_oom_score(struct launcher *launcher, const struct program_record *record, struct error *error)
{
    char value[24];

    snprintf(value, sizeof(value), "%lld", (long long)(int64_t)record->x);
    return write_process_file(launcher, "oom_score_adj", value, error);
}

/* "deny" must come before gid_map where the writer has no CAP_SETGID outside (user_namespaces(7)). */
int launcher_id_maps(struct launcher *launcher, const struct program_record *record, struct error *error)
{
    if (record->x == 1 && write_process_file(launcher, "setgroups", "deny", error) < 0)
        return -1;
    if (write_process_file(launcher, "uid_map", program_bytes(launcher->program, record->a, NULL), error) < 0)
        return -1;
    return write_process_file(launcher, "gid_map", program_bytes(launcher->program, record->b, NULL), error);
}

static int write_process_file(const struct launcher *launcher, const char *file, const char *value, struct error *error)
{
    char path[48];

    snprintf(path, sizeof(path), "%d/%s", launcher->pid, file);
    return write_control_file(launcher->proc, path, value, strlen(value), error);
}

/* Only where the namespace must be there before the clone. launch() puts the launcher's own back. */
int launcher_setns(struct launcher *launcher, const struct program_record *record, struct error *error)
{
    const char *path = program_bytes(launcher->program, record->a, NULL);

    if (record->x != KERNEL_CLONE_NEWPID)
        return fail_with(error, EINVAL, "before CLONE only a pid namespace is joined");
    if (launcher->children_pidns < 0)
        launcher->children_pidns = openat(launcher->proc, "self/ns/pid", O_RDONLY | O_CLOEXEC);
    scope_fd int namespace = open(path, O_RDONLY | O_CLOEXEC);
    if (namespace < 0)
        return fail(error, "open %s", path);
    if (launcher->children_pidns < 0 || setns(namespace, CLONE_NEWPID) < 0)
        return fail(error, "setns %s", path);
    return 0;
}
