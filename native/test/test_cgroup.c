/* cgroups of this test's own, in whatever hierarchies the machine has. Needs root. */
#include "cgroup.h"
#include "kernel.h"
#include "sandbox.h"
#include "scope.h"
#include "tap.h"

#include <errno.h>
#include <limits.h>
#include <linux/bpf.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

static struct sandbox sandbox;
static char name[64];

/* Where a v1 controller, or cgroup2 (NULL), is mounted. */
static bool find_hierarchy(const char *controller, char *path, size_t size)
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    bool found = false;

    for (struct mntent *entry; mounts && !found && (entry = getmntent(mounts)) != NULL;) {
        found = strcmp(entry->mnt_type, controller ? "cgroup" : "cgroup2") == 0 &&
                (controller == NULL || hasmntopt(entry, controller) != NULL);
        if (found)
            snprintf(path, size, "%s", entry->mnt_dir);
    }
    if (mounts)
        endmntent(mounts);
    return found;
}

static void read_text(const char *directory, const char *file, char *text, size_t size)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/%s", directory, file);
    scope_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? 0 : read(fd, text, size - 1);
    text[length < 0 ? 0 : length] = '\0';
}

static void test_cpuset(void)
{
    char mounted[256], top[400], leaf[500], parents[256], childs[256];
    struct error error;

    if (!find_hierarchy("cpuset", mounted, sizeof(mounted))) {
        ok(true, "no v1 cpuset on this machine");
        return;
    }
    snprintf(top, sizeof(top), "%s/%s", mounted, name);
    snprintf(leaf, sizeof(leaf), "%s/%s/b/c", mounted, name);
    ok(cgroup_create(leaf, true, &error) == 0, "a cpuset three levels deep is made");
    read_text(mounted, "cpuset.cpus", parents, sizeof(parents));
    read_text(leaf, "cpuset.cpus", childs, sizeof(childs));
    ok(childs[0] != '\n' && strcmp(parents, childs) == 0, "its processors are its parent's");
    read_text(leaf, "cpuset.mems", childs, sizeof(childs));
    ok(childs[0] != '\n', "and its memory nodes are set");
    ok(cgroup_create(leaf, true, &error) == 0, "once more changes nothing");
    rmdir(leaf);
    snprintf(leaf, sizeof(leaf), "%s/b", top);
    rmdir(leaf);
    ok(rmdir(top) == 0, "and it is gone");
}

static void test_limits_and_attach(void)
{
    static const char *const argv[] = { "/bin/helper", "cat", "/proc/self/cgroup", NULL };
    char mounted[256], directory[400], file[500], value[64];
    struct builder builder = { .count = 0 };
    struct outcome outcome;

    if (!find_hierarchy("pids", mounted, sizeof(mounted)) && !find_hierarchy(NULL, mounted, sizeof(mounted))) {
        ok(false, "a hierarchy to test in");
        return;
    }
    snprintf(directory, sizeof(directory), "%s/%s", mounted, name);
    snprintf(file, sizeof(file), "%s/pids.max", directory);
    ADD(&builder, .op = OP_CGROUP_CREATE, .a = directory);
    ADD(&builder, .op = OP_CGROUP_WRITE, .flags = OP_OPTIONAL, .a = file, .b = "77");
    add_root(&builder, &sandbox);
    builder.records[2].x &= ~KERNEL_CLONE_NEWCGROUP;
    ADD(&builder, .op = OP_CGROUP_ATTACH, .flags = OP_PARENT, .a = directory);
    ADD(&builder, .op = OP_PIVOT);
    add_helper(&builder, argv);
    run_program(&builder, &outcome);
    ok(outcome.code == 0 && strstr(outcome.output, name), "the child is in the cgroup it was attached to");
    if (outcome.code)
        note("%d %s", outcome.error.op_index, outcome.error.text);
    read_text(directory, "pids.max", value, sizeof(value));
    ok(strcmp(value, "77\n") == 0 || access(file, F_OK) < 0, "a limit is written");
    ok(rmdir(directory) == 0, "and the cgroup is gone");
}

static void test_missing_cgroup(void)
{
    static const char *const argv[] = { "/bin/helper", "exit", "0", NULL };
    struct builder builder = { .count = 0 };
    struct outcome outcome;

    add_root(&builder, &sandbox);
    ADD(&builder, .op = OP_CGROUP_ATTACH, .flags = OP_PARENT, .a = "/sys/fs/cgroup/tscompose-no-such");
    ADD(&builder, .op = OP_PIVOT);
    add_helper(&builder, argv);
    run_program(&builder, &outcome);
    ok(outcome.failed && outcome.error.op == OP_CGROUP_ATTACH && outcome.error.number == ENOENT,
       "a cgroup that is not there is named");
}

static void test_clone_into(void)
{
    static const char *const argv[] = { "/bin/helper", "cat", "/proc/self/cgroup", NULL };
    char mounted[256], directory[400];
    struct builder builder = { .count = 0 };
    struct outcome outcome;

    if (!find_hierarchy(NULL, mounted, sizeof(mounted))) {
        ok(true, "no cgroup2 on this machine");
        return;
    }
    snprintf(directory, sizeof(directory), "%s/%s", mounted, name);
    ADD(&builder, .op = OP_CGROUP_CREATE, .a = directory);
    ADD(&builder, .op = OP_CLONE, .a = directory, .x = KERNEL_CLONE_NEWNS | KERNEL_CLONE_NEWPID | KERNEL_CLONE_NEWCGROUP);
    ADD(&builder, .op = OP_ROOT_PROPAGATION, .x = MS_SLAVE | MS_REC);
    ADD(&builder, .op = OP_ROOTFS, .a = sandbox.merged, .b = sandbox.overlay);
    ADD(&builder, .op = OP_MOUNT, .a = "proc", .b = "/proc", .c = "proc");
    ADD(&builder, .op = OP_PIVOT);
    add_helper(&builder, argv);
    run_program(&builder, &outcome);
    ok(outcome.code == 0 && strstr(outcome.output, "0::/\n"), "cloned into a cgroup, which is the root of its cgroup namespace");
    if (outcome.code)
        note("%d %s", outcome.error.op_index, outcome.error.text);
    ok(rmdir(directory) == 0, "and the cgroup is gone");
}

static uint32_t attached_programs(const char *directory)
{
    union bpf_attr query;
    scope_fd int cgroup = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    uint32_t ids[64];

    memset(&query, 0, sizeof(query));
    query.query.target_fd = (uint32_t)cgroup;
    query.query.attach_type = BPF_CGROUP_DEVICE;
    query.query.prog_ids = (uint64_t)(uintptr_t)ids;
    query.query.prog_cnt = 64;
    return syscall(SYS_bpf, BPF_PROG_QUERY, &query, sizeof(query)) < 0 ? 0 : query.query.prog_cnt;
}

static int opens_null_in(const char *directory)
{
    struct error error;
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        int procs = cgroup_open_procs(directory, &error);
        if (procs < 0 || cgroup_attach(procs, 0, &error) < 0)
            _exit(2);
        _exit(open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0 ? 0 : errno == EPERM ? 1 : 3);
    }
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_devices(void)
{
    /* r0 = verdict; exit */
    static const struct bpf_insn deny[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 0 }, { .code = BPF_JMP | BPF_EXIT } };
    static const struct bpf_insn allow[] = { { .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = 1 }, { .code = BPF_JMP | BPF_EXIT } };
    char mounted[256], directory[400];
    struct error error;

    if (!find_hierarchy(NULL, mounted, sizeof(mounted))) {
        ok(true, "no cgroup2 on this machine");
        return;
    }
    snprintf(directory, sizeof(directory), "%s/%s-devices", mounted, name);
    ok(cgroup_create(directory, false, &error) == 0, "a cgroup for devices");
    ok(cgroup_set_devices(directory, deny, sizeof(deny), &error) == 0, "a program that denies all is attached");
    ok(opens_null_in(directory) == 1, "and holds");
    ok(cgroup_set_devices(directory, allow, sizeof(allow), &error) == 0 && attached_programs(directory) == 1,
       "the next one takes its place");
    ok(opens_null_in(directory) == 0, "and holds");
    ok(cgroup_set_devices(directory, "\377\377\377\377\377\377\377\377", 8, &error) < 0, "what is no program is refused");
    ok(rmdir(directory) == 0, "and the cgroup is gone");
}

int main(void)
{
    alarm(60);
    snprintf(name, sizeof(name), "tscompose-test-%d", getpid());
    sandbox_open(&sandbox);
    test_cpuset();
    test_limits_and_attach();
    test_missing_cgroup();
    test_clone_into();
    test_devices();
    return done_testing();
}
