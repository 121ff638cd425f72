#include "cgroup.h"

#include "kernel.h"
#include "scope.h"

#include <errno.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#ifndef BPF_F_REPLACE
#define BPF_F_REPLACE (1u << 2)
#endif

static const char *const cpuset_files[] = { "cpuset.cpus", "cpuset.mems" };

static int make_levels(const char *directory, struct error *error);
static int make_anew(const char *directory);
static int fill_cpuset(const char *directory, struct error *error);
static int fill_level(const char *directory, struct error *error);
static ssize_t read_value(const char *directory, const char *file, char *value, size_t size);
static int load_device_program(const void *instructions, size_t length, struct error *error);
static int attached_program(int cgroup);
static int bpf(int command, union bpf_attr *attributes);

int cgroup_create(const char *directory, bool cpuset, struct error *error)
{
    if (make_anew(directory) < 0 && errno != EEXIST) {
        if (errno != ENOENT)
            return fail(error, "mkdir %s", directory);
        if (make_levels(directory, error) < 0)
            return -1;
    }
    return cpuset ? fill_cpuset(directory, error) : 0;
}

/* Whoever is cloned into a group that cgroup.kill was once written to dies at once (the kernel's cgroup_post_fork compares its kill_seq
 * with that of the parent's group), so a group left from an earlier run is replaced, unless somebody is inside. */
static int make_anew(const char *directory)
{
    if (!mkdir(directory, 0755))
        return 0;
    if (errno != EEXIST || rmdir(directory) < 0) {
        errno = errno == EBUSY || errno == ENOTEMPTY ? EEXIST : errno;
        return -1;
    }
    return mkdir(directory, 0755);
}

static int make_levels(const char *directory, struct error *error)
{
    char prefix[PATH_MAX];

    if (snprintf(prefix, sizeof(prefix), "%s", directory) >= (int)sizeof(prefix))
        return fail_with(error, ENAMETOOLONG, "%s", directory);
    for (char *slash = prefix + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        if (mkdir(prefix, 0755) < 0 && errno != EEXIST && errno != EROFS)
            return fail(error, "mkdir %s", prefix);
        *slash = '/';
    }
    if (mkdir(directory, 0755) < 0 && errno != EEXIST)
        return fail(error, "mkdir %s", directory);
    return 0;
}

/* From the top down, as a level can take only what its parent has; and nothing at all when the last one is filled already. */
static int fill_cpuset(const char *directory, struct error *error)
{
    char prefix[PATH_MAX];
    char cpus[PATH_MAX];
    char mems[PATH_MAX];

    if (read_value(directory, cpuset_files[0], cpus, sizeof(cpus)) > 0 &&
        read_value(directory, cpuset_files[1], mems, sizeof(mems)) > 0)
        return 0;
    if (snprintf(prefix, sizeof(prefix), "%s", directory) >= (int)sizeof(prefix))
        return fail_with(error, ENAMETOOLONG, "%s", directory);
    for (char *slash = prefix + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        if (fill_level(prefix, error) < 0)
            return -1;
        *slash = '/';
    }
    return fill_level(directory, error);
}

static int fill_level(const char *directory, struct error *error)
{
    char value[PATH_MAX];
    char parent[PATH_MAX];

    snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(directory, '/') - directory), directory);
    for (size_t row = 0; row < sizeof(cpuset_files) / sizeof(cpuset_files[0]); row++) {
        if (read_value(directory, cpuset_files[row], value, sizeof(value)) != 0)
            continue;
        ssize_t length = read_value(parent, cpuset_files[row], value, sizeof(value));
        if (length <= 0)
            continue;
        scope_fd int level = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (level < 0)
            return fail(error, "open %s", directory);
        if (write_control_file(level, cpuset_files[row], value, (size_t)length, error) < 0)
            return -1;
    }
    return 0;
}

/* Without the newline; 0 when empty, -1 when there is no such file. */
static ssize_t read_value(const char *directory, const char *file, char *value, size_t size)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/%s", directory, file) >= (int)sizeof(path))
        return -1;
    scope_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t length = read(fd, value, size - 1);
    if (length > 0 && value[length - 1] == '\n')
        length--;
    if (length >= 0)
        value[length] = '\0';
    return length;
}

int write_control_file(int directory, const char *file, const char *value, size_t length, struct error *error)
{
    scope_fd int fd = openat(directory, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return fail(error, "open %s", file);
    ssize_t written;
    do
        written = write(fd, value, length);
    while (written < 0 && errno == EINTR);
    if (written != (ssize_t)length) {
        if (written >= 0)
            errno = EIO;
        return fail(error, "write %.*s to %s", (int)(length > 64 ? 64 : length), value, file);
    }
    return 0;
}

int cgroup_open_procs(const char *directory, struct error *error)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof(path), "%s/cgroup.procs", directory) >= (int)sizeof(path))
        return fail_with(error, ENAMETOOLONG, "%s", directory);
    int procs = open(path, O_WRONLY | O_CLOEXEC);
    return procs >= 0 ? procs : fail(error, "open %s", path);
}

int cgroup_attach(int procs, pid_t pid, struct error *error)
{
    char text[16];
    int length = snprintf(text, sizeof(text), "%d", pid);
    ssize_t written;

    do
        written = write(procs, text, (size_t)length);
    while (written < 0 && errno == EINTR);
    return written == length ? 0 : fail(error, "moving process %d into the cgroup", pid);
}

int cgroup_set_devices(const char *directory, const void *instructions, size_t length, struct error *error)
{
    union bpf_attr attach;
    scope_fd int cgroup = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (cgroup < 0)
        return fail(error, "open %s", directory);
    scope_fd int program = load_device_program(instructions, length, error);
    if (program < 0)
        return -1;
    /* A container that starts again finds the program of its last run: replaced in place, so that they do not pile up. */
    scope_fd int former = attached_program(cgroup);
    memset(&attach, 0, sizeof(attach));
    attach.target_fd = (uint32_t)cgroup;
    attach.attach_bpf_fd = (uint32_t)program;
    attach.attach_type = BPF_CGROUP_DEVICE;
    attach.attach_flags = BPF_F_ALLOW_MULTI;
    if (former >= 0) {
        attach.attach_flags |= BPF_F_REPLACE;
        attach.replace_bpf_fd = (uint32_t)former;
    }
    if (bpf(BPF_PROG_ATTACH, &attach) < 0)
        return fail(error, "attaching the device program to %s", directory);
    return 0;
}

static int load_device_program(const void *instructions, size_t length, struct error *error)
{
    union bpf_attr load;

    memset(&load, 0, sizeof(load));
    load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
    load.insns = (uint64_t)(uintptr_t)instructions;
    load.insn_cnt = (uint32_t)(length / 8);
    load.license = (uint64_t)(uintptr_t) "Apache-2.0";
    int program = bpf(BPF_PROG_LOAD, &load);
    return program >= 0 ? program : fail(error, "loading the device program");
}

static int attached_program(int cgroup)
{
    union bpf_attr query;
    union bpf_attr open;
    uint32_t ids[64];

    memset(&query, 0, sizeof(query));
    query.query.target_fd = (uint32_t)cgroup;
    query.query.attach_type = BPF_CGROUP_DEVICE;
    query.query.prog_ids = (uint64_t)(uintptr_t)ids;
    query.query.prog_cnt = sizeof(ids) / sizeof(ids[0]);
    if (bpf(BPF_PROG_QUERY, &query) < 0 || query.query.prog_cnt == 0)
        return -1;
    memset(&open, 0, sizeof(open));
    open.prog_id = ids[query.query.prog_cnt - 1];
    return bpf(BPF_PROG_GET_FD_BY_ID, &open);
}

static int bpf(int command, union bpf_attr *attributes)
{
    return (int)syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}
