/* Real containers: each case is a program, what the helper inside prints, and how it ends. Needs root. */
#include "kernel.h"
#include "launch.h"
#include "sandbox.h"
#include "scope.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static struct sandbox sandbox;

#define PIVOT { .op = OP_PIVOT }

struct launch_case {
    const char *name;
    struct op_input before[5]; /* before the pivot */
    struct op_input after[7];  /* after it */
    const char *argv[4];
    int code;
    const char *prints;        /* somewhere in the output; NULL: anything */
    int failing_op;            /* 0: the launch succeeds */
    int failing_errno;
};

static const struct sock_filter deny_mkdir[] = {
    { BPF_LD | BPF_W | BPF_ABS, 0, 0, 0 },
    { BPF_JMP | BPF_JEQ | BPF_K, 0, 3, SYS_mkdirat },
    { BPF_RET | BPF_K, 0, 0, 0x00050000u | EROFS },
    { BPF_RET | BPF_K, 0, 0, 0x7fff0000u },
    { BPF_RET | BPF_K, 0, 0, 0x7fff0000u },
#ifdef SYS_mkdir
    { BPF_JMP | BPF_JEQ | BPF_K, 0, 1, SYS_mkdir },
    { BPF_RET | BPF_K, 0, 0, 0x00050000u | EROFS },
#endif
    { BPF_RET | BPF_K, 0, 0, 0x7fff0000u },
};

#define HELPER "/bin/helper"

static const struct launch_case cases[] = {
    { .name = "exit code 0", .argv = { HELPER, "exit", "0" }, .code = 0 },
    { .name = "exit code 7", .argv = { HELPER, "exit", "7" }, .code = 7 },
    { .name = "death by SIGKILL of a non-init is not ours: PID 1 ignores its own SIGTERM", .argv = { HELPER, "die", "15" },
      .code = 1 },
    { .name = "PATH of the environment finds the command", .argv = { "helper", "exit", "4" }, .code = 4 },
    { .name = "a command that is not there", .argv = { "nosuch" }, .code = 127, .failing_op = OP_EXEC, .failing_errno = ENOENT },
    { .name = "a path that is not there", .argv = { "/bin/nosuch" }, .code = 127, .failing_op = OP_EXEC,
      .failing_errno = ENOENT },
    { .name = "a directory as command", .argv = { "/bin" }, .code = 126, .failing_op = OP_EXEC, .failing_errno = EACCES },
    { .name = "a file that is not executable",
      .before = { { .op = OP_WRITE_FILE, .a = "x", .b = "/bin/plain", .x = 0644 } },
      .argv = { "plain" }, .code = 126, .failing_op = OP_EXEC, .failing_errno = EACCES },
    { .name = "a script without #!",
      .before = { { .op = OP_WRITE_FILE, .a = "echo hello\n", .b = "/bin/script", .x = 0755 } },
      .argv = { "script" }, .code = 126, .failing_op = OP_EXEC, .failing_errno = ENOEXEC },
    { .name = "a script whose interpreter is missing",
      .before = { { .op = OP_WRITE_FILE, .a = "#!/bin/lost\n", .b = "/bin/script", .x = 0755 } },
      .argv = { "script" }, .code = 127, .failing_op = OP_EXEC, .failing_errno = ENOENT },
    { .name = "PID 1, leader of its session, in its own root and names",
      .before = { { .op = OP_HOSTNAME, .a = "box" } },
      .after = { { .op = OP_WORKDIR, .b = "/data" } },
      .argv = { HELPER, "where" }, .prints = "/data pid 1 sid 1 host box" },
    { .name = "a working directory is made on request",
      .after = { { .op = OP_WORKDIR, .flags = OP_MAKE_DIR, .b = "/a/b/c" } },
      .argv = { HELPER, "where" }, .prints = "/a/b/c pid 1" },
    { .name = "a working directory that is missing",
      .after = { { .op = OP_WORKDIR, .b = "/missing/directory" } },
      .argv = { HELPER, "where" }, .code = 125, .failing_op = OP_WORKDIR, .failing_errno = ENOENT },
    { .name = "a working directory through a magic link (CVE-2024-21626)",
      .after = { { .op = OP_WORKDIR, .b = "/proc/self/fd/3/.." } },
      .argv = { HELPER, "where" }, .code = 125, .failing_op = OP_WORKDIR, .failing_errno = ELOOP },
    { .name = "no descriptor but 0, 1, 2", .argv = { HELPER, "fds" }, .prints = "0 1 2 \n" },
    { .name = "no signal ignored or blocked", .argv = { HELPER, "signals" }, .prints = "0 odd" },
    { .name = "an optional record that fails is passed over",
      .after = { { .op = OP_WORKDIR, .flags = OP_OPTIONAL, .b = "/nosuch" } },
      .argv = { HELPER, "exit", "3" }, .code = 3 },
    { .name = "a mount of an unknown type names its record",
      .before = { { .op = OP_MOUNT, .b = "/data", .c = "nosuchfs" } },
      .argv = { HELPER, "exit", "0" }, .code = 125, .failing_op = OP_MOUNT, .failing_errno = ENODEV },
    { .name = "a bind whose source is missing",
      .before = { { .op = OP_BIND, .a = "/nosuch/source", .b = "/data" } },
      .argv = { HELPER, "exit", "0" }, .code = 125, .failing_op = OP_BIND, .failing_errno = ENOENT },
    { .name = "a bind of a file makes its target",
      .before = { { .op = OP_BIND, .flags = OP_MAKE_FILE, .a = "/proc/self/status", .b = "/etc/deep/name" } },
      .argv = { HELPER, "stat", "/etc/deep/name" }, .prints = "100444" },
    { .name = "a read-only bind",
      .before = { { .op = OP_BIND, .flags = OP_MAKE_DIR, .a = "/tmp", .b = "/bound", .x = MS_RDONLY | MS_NOSUID } },
      .argv = { HELPER, "write", "/bound/tscompose-never" }, .prints = "Read-only" },
    { .name = "a bind inside /proc is refused",
      .before = { { .op = OP_BIND, .a = "/tmp", .b = "/proc/1" } },
      .argv = { HELPER, "exit", "0" }, .code = 125, .failing_op = OP_BIND, .failing_errno = EPERM },
    { .name = "a bind on /proc/cpuinfo is allowed",
      .before = { { .op = OP_BIND, .a = "/dev/null", .b = "/proc/cpuinfo" } },
      .argv = { HELPER, "stat", "/proc/cpuinfo" }, .prints = "20666" },
    { .name = "proc on a symlink is refused",
      .before = { { .op = OP_SYMLINK, .a = "/data", .b = "/link" }, { .op = OP_MOUNT, .b = "/link", .c = "proc" } },
      .argv = { HELPER, "exit", "0" }, .code = 125, .failing_op = OP_MOUNT, .failing_errno = ENOTDIR },
    { .name = "a target that is an absolute symlink stays inside",
      .before = { { .op = OP_SYMLINK, .a = "/etc/../../data", .b = "/link" },
                  { .op = OP_MOUNT, .b = "/link/sub", .c = "tmpfs", .flags = OP_MAKE_DIR, .d = "mode=711" } },
      .argv = { HELPER, "stat", "/data/sub" }, .prints = "40711" },
    { .name = "a tmpfs keeps the mode of its directory",
      .before = { { .op = OP_MKDIR, .b = "/mode", .x = 01751, .y = 5, .z = 6 }, { .op = OP_MOUNT, .b = "/mode", .c = "tmpfs" } },
      .argv = { HELPER, "stat", "/mode" }, .prints = "41751 0:0" },
    { .name = "mkdir sets mode and owner",
      .before = { { .op = OP_MKDIR, .b = "/mode", .x = 01751, .y = 5, .z = 6 } },
      .argv = { HELPER, "stat", "/mode" }, .prints = "41751 5:6" },
    { .name = "a device node is what was asked for", .argv = { HELPER, "stat", "/dev/null" }, .prints = "20666 0:0 103" },
    { .name = "a node in the place of something else is refused",
      .before = { { .op = OP_SYMLINK, .a = "/etc", .b = "/dev/zero" },
                  { .op = OP_MKNOD, .b = "/dev/zero", .x = S_IFCHR | 0666, .y = 1ull << 32 | 5 } },
      .argv = { HELPER, "exit", "0" }, .code = 125, .failing_op = OP_MKNOD, .failing_errno = EEXIST },
    { .name = "a file is written with mode and owner, over a symlink",
      .before = { { .op = OP_SYMLINK, .a = "/etc/passwd", .b = "/data/file" },
                  { .op = OP_WRITE_FILE, .a = "content\n", .b = "/data/file", .x = 0640, .y = 7, .z = 8 } },
      .argv = { HELPER, "stat", "/data/file" }, .prints = "100640 7:8" },
    { .name = "a written file holds its content",
      .before = { { .op = OP_WRITE_FILE, .a = "content\n", .b = "/made/up/file", .x = 0644 } },
      .argv = { HELPER, "cat", "/made/up/file" }, .prints = "content\n" },
    { .name = "a masked file is the null device",
      .after = { { .op = OP_MASK, .b = "/proc/meminfo" }, { .op = OP_MASK, .b = "/proc/timer_list" },
                 { .op = OP_MASK, .b = "/proc/uptime" } },
      .argv = { HELPER, "stat", "/proc/uptime" }, .prints = "20666 0:0 103" },
    { .name = "a masked directory is empty",
      .after = { { .op = OP_MASK, .b = "/proc/irq" }, { .op = OP_MASK, .b = "/bin/../proc/bus" } },
      .argv = { HELPER, "list", "/proc/bus" }, .prints = "0 entries" },
    { .name = "a masked directory cannot be written",
      .after = { { .op = OP_MASK, .b = "/data" } },
      .argv = { HELPER, "write", "/data/x" }, .prints = "Read-only" },
    { .name = "a mask on what is absent", .after = { { .op = OP_MASK, .b = "/no/such" } }, .argv = { HELPER, "exit", "0" } },
    { .name = "the container's own /dev/null is not asked for a mask (CVE-2025-31133)",
      .before = { { .op = OP_MOUNT, .b = "/dev", .c = "tmpfs" }, { .op = OP_SYMLINK, .a = "/proc/version", .b = "/dev/null" } },
      .after = { { .op = OP_MASK, .b = "/proc/meminfo" } },
      .argv = { HELPER, "stat", "/proc/meminfo" }, .prints = "20666 0:0 103" },
    { .name = "a read-only path",
      .after = { { .op = OP_READONLY_PATH, .b = "/proc/sys" } },
      .argv = { HELPER, "write", "/proc/sys/kernel/hostname" }, .prints = "Read-only" },
    { .name = "a read-only root",
      .after = { { .op = OP_REMOUNT, .b = "/", .x = MS_RDONLY } },
      .argv = { HELPER, "write", "/data/x" }, .prints = "Read-only" },
    { .name = "a root that can be written", .argv = { HELPER, "write", "/data/x" }, .prints = "written" },
    { .name = "a remount keeps nosuid and the type's options",
      .after = { { .op = OP_REMOUNT, .b = "/dev", .x = MS_RDONLY } },
      .argv = { HELPER, "cat", "/proc/self/mountinfo" }, .prints = "/dev ro,nosuid" },
    { .name = "a sysctl of the container's namespace",
      .before = { { .op = OP_SYSCTL, .a = "net/ipv4/ip_forward", .b = "1" } },
      .argv = { HELPER, "cat", "/proc/sys/net/ipv4/ip_forward" }, .prints = "1" },
    { .name = "a sysctl after the pivot",
      .after = { { .op = OP_SYSCTL, .a = "kernel/msgmax", .b = "1234" } },
      .argv = { HELPER, "cat", "/proc/sys/kernel/msgmax" }, .prints = "1234" },
    { .name = "a sysctl that climbs out of sys",
      .before = { { .op = OP_SYSCTL, .a = "net/../../1/oom_score_adj", .b = "1" } },
      .argv = { HELPER, "exit", "0" }, .code = 125, .failing_op = OP_SYSCTL, .failing_errno = EINVAL },
    { .name = "loopback is up",
      .before = { { .op = OP_LOOPBACK_UP } },
      .argv = { HELPER, "cat", "/proc/net/if_inet6" }, .prints = " lo" },
    { .name = "a user with groups",
      .after = { { .op = OP_USER, .x = 1000, .y = 1001, .a_bytes = { "\12\0\0\0\24\0\0\0", 8 } } },
      .argv = { HELPER, "who" }, .prints = "1000:1001 10 20\n" },
    { .name = "a user without groups has none",
      .after = { { .op = OP_USER, .x = 1000, .y = 1000 } },
      .argv = { HELPER, "who" }, .prints = "1000:1000\n" },
    { .name = "a user has no capabilities when none are given",
      .after = { { .op = OP_USER, .x = 1000, .y = 1000 }, { .op = OP_CAPABILITIES } },
      .argv = { HELPER, "status", "CapPrm" }, .prints = "0000000000000000" },
    { .name = "the bounding set is what stays",
      .after = { { .op = OP_BOUNDING, .x = 0xa80425fb } },
      .argv = { HELPER, "status", "CapBnd" }, .prints = "00000000a80425fb" },
    { .name = "root keeps what is given, and nothing is inheritable",
      .after = { { .op = OP_BOUNDING, .x = 0x400 }, { .op = OP_USER }, { .op = OP_CAPABILITIES, .x = 0x400, .y = 0x400 } },
      .argv = { HELPER, "status", "Cap" },
      .prints = "CapInh:\t0000000000000000\nCapPrm:\t0000000000000400\nCapEff:\t0000000000000400\n"
                "CapBnd:\t0000000000000400\nCapAmb:\t0000000000000000" },
    { .name = "ambient capabilities reach a user",
      .after = { { .op = OP_BOUNDING, .x = 0x400 }, { .op = OP_USER, .x = 9, .y = 9 },
                 { .op = OP_CAPABILITIES, .x = 0x400, .y = 0x400, .z = 0x400 },
                 { .op = OP_AMBIENT, .x = 0x400 } },
      .argv = { HELPER, "status", "CapEff" }, .prints = "0000000000000400" },
    { .name = "a capability that cannot be had is left out",
      .after = { { .op = OP_CAPABILITIES, .x = ~0ull, .y = ~0ull } },
      .argv = { HELPER, "exit", "0" } },
    { .name = "no_new_privs",
      .after = { { .op = OP_NO_NEW_PRIVS } },
      .argv = { HELPER, "status", "NoNewPrivs" }, .prints = "1" },
    { .name = "a seccomp filter holds",
      .after = { { .op = OP_NO_NEW_PRIVS }, { .op = OP_SECCOMP, .a_bytes = { deny_mkdir, sizeof(deny_mkdir) } } },
      .argv = { HELPER, "mkdir", "/data/new" }, .prints = "Read-only" },
    { .name = "umask and personality",
      .after = { { .op = OP_UMASK, .x = 027 }, { .op = OP_PERSONALITY, .x = 0x40000 } },
      .argv = { HELPER, "personality" }, .prints = "40000 dumpable 1 umask 27" },
    { .name = "a limit from the parent",
      .before = { { .op = OP_PRLIMIT, .flags = OP_PARENT, .x = RLIMIT_NOFILE, .y = 100, .z = 200 } },
      .argv = { HELPER, "limit", "7" }, .prints = "100 200" },
    { .name = "a limit from the child",
      .after = { { .op = OP_PRLIMIT, .x = RLIMIT_CORE, .y = 0, .z = 0 } },
      .argv = { HELPER, "limit", "4" }, .prints = "0 0" },
    { .name = "the OOM score from the parent",
      .before = { { .op = OP_OOM_SCORE, .flags = OP_PARENT, .x = 321 } },
      .argv = { HELPER, "cat", "/proc/self/oom_score_adj" }, .prints = "321" },
    { .name = "a session keyring", .after = { { .op = OP_KEYRING, .a = "box" } }, .argv = { HELPER, "cat", "/proc/keys" },
      .prints = "box" },
    { .name = "init passes an exit code on",
      .after = { { .op = OP_INIT } }, .argv = { HELPER, "exit", "7" }, .code = 7 },
    { .name = "init passes a death by signal on",
      .after = { { .op = OP_INIT } }, .argv = { HELPER, "die", "9" }, .code = 137 },
    { .name = "init's child is not PID 1, and init is",
      .after = { { .op = OP_INIT } }, .argv = { HELPER, "where" }, .prints = "pid 2" },
    { .name = "a command that is not there, below init",
      .after = { { .op = OP_INIT } }, .argv = { "nosuch" }, .code = 127, .failing_op = OP_EXEC, .failing_errno = ENOENT },
    { .name = "no descriptor but 0, 1, 2 below init", .after = { { .op = OP_INIT } }, .argv = { HELPER, "fds" },
      .prints = "0 1 2 \n" },
    { .name = "no signal ignored or blocked below init", .after = { { .op = OP_INIT } }, .argv = { HELPER, "signals" },
      .prints = "0 odd" },
    { .name = "a terminal of its own",
      .before = { { .op = OP_CONSOLE, .x = 33, .y = 99 } },
      .argv = { HELPER, "tty" }, .prints = "tty 1 size 33x99 leader 1 console 1" },
    { .name = "a terminal after the pivot",
      .after = { { .op = OP_CONSOLE, .x = 33, .y = 99 } },
      .argv = { HELPER, "tty" }, .prints = "tty 1 size 33x99 leader 1 console 1" },
    { .name = "a terminal without devpts is refused",
      .before = { { .op = OP_MOUNT, .b = "/dev/pts", .c = "tmpfs" },
                  { .op = OP_WRITE_FILE, .a = "", .b = "/dev/pts/ptmx", .x = 0666 },
                  { .op = OP_CONSOLE } },
      .argv = { HELPER, "tty" }, .code = 125, .failing_op = OP_CONSOLE, .failing_errno = EPERM },
    { .name = "recursive mount attributes",
      .before = { { .op = OP_MOUNT, .b = "/data", .c = "tmpfs", .y = KERNEL_MOUNT_ATTR_RDONLY | KERNEL_MOUNT_ATTR_NOEXEC } },
      .argv = { HELPER, "cat", "/proc/self/mountinfo" }, .prints = "/data ro,noexec" },
    { .name = "a shared mount",
      .before = { { .op = OP_MOUNT, .b = "/data", .c = "tmpfs", .z = MS_SHARED } },
      .argv = { HELPER, "cat", "/proc/self/mountinfo" }, .prints = "shared:" },
    { .name = "a death signal that stays over a change of user",
      .after = { { .op = OP_PDEATHSIG, .x = SIGKILL }, { .op = OP_USER, .x = 5, .y = 5 } },
      .argv = { HELPER, "exit", "6" }, .code = 6 },
};

static uint32_t build(struct builder *builder, const struct launch_case *row)
{
    uint32_t failing = 0;

    add_root(builder, &sandbox);
    for (size_t index = 0; index < sizeof(row->before) / sizeof(row->before[0]) && row->before[index].op; index++) {
        if ((int)row->before[index].op == row->failing_op)
            failing = (uint32_t)builder->count;
        builder_add(builder, &row->before[index]);
    }
    ADD(builder, .op = OP_PIVOT);
    for (size_t index = 0; index < sizeof(row->after) / sizeof(row->after[0]) && row->after[index].op; index++) {
        if ((int)row->after[index].op == row->failing_op)
            failing = (uint32_t)builder->count;
        builder_add(builder, &row->after[index]);
    }
    if (row->failing_op == OP_EXEC)
        failing = (uint32_t)builder->count + 1;
    add_helper(builder, row->argv);
    return failing;
}

static void test_cases(void)
{
    for (size_t index = 0; index < sizeof(cases) / sizeof(cases[0]); index++) {
        const struct launch_case *row = &cases[index];
        struct builder builder = { .count = 0 };
        struct outcome outcome;
        uint32_t failing = build(&builder, row);
        run_program(&builder, &outcome);
        bool good = outcome.code == row->code && outcome.failed == (row->failing_op != 0) &&
                    (row->prints == NULL || strstr(outcome.output, row->prints) != NULL);
        if (row->failing_op)
            good = good && outcome.error.op == row->failing_op && outcome.error.number == row->failing_errno &&
                   outcome.error.op_index == (int)failing;
        ok(good, "%s", row->name);
        if (!good)
            note("code %d, output '%.200s', failed %d: op %d record %d errno %d %s", outcome.code, outcome.output, outcome.failed,
                 outcome.error.op, outcome.error.op_index, outcome.error.number, outcome.failed ? outcome.error.text : "");
    }
}

/* Starts a program and leaves it before the gate. */
static bool start(struct builder *builder, struct launched *launched, int output, void **blob)
{
    struct program program;
    struct error error;
    size_t size;

    *blob = builder_finish(builder, &size);
    const struct launch_io io = { .stdin_fd = -1, .stdout_fd = output, .stderr_fd = output };
    if (program_open(*blob, size, &program, &error) == 0 && launch(&program, &io, launched, &error) == 0)
        return true;
    note("%s", error.text);
    return false;
}

static void test_gate(void)
{
    static const char *const argv[] = { HELPER, "exit", "9", NULL };
    struct builder builder = { .count = 0 };
    struct launched launched;
    struct launch_message message;
    struct error error;
    scope_mem void *blob = NULL;

    add_root(&builder, &sandbox);
    ADD(&builder, .op = OP_PIVOT);
    add_helper(&builder, argv);
    bool started = start(&builder, &launched, -1, &blob);
    ok(started && launch_read(launched.sync, &message, &error) == 0 && message.kind == LAUNCH_READY,
       "the child stops at the gate");
    struct pollfd polled = { .fd = launched.pidfd, .events = POLLIN };
    ok(poll(&polled, 1, 50) == 0, "and stays there");
    ok(launch_release(launched.sync, &error) == 0 && launch_read(launched.sync, &message, &error) == 0 &&
       message.kind == LAUNCH_DONE,
       "released, the socket ends with execve");
    ok(end_of(launched.pidfd) == 9, "and the program runs");
    close(launched.pidfd);
    close(launched.sync);
}

static void test_launcher_dies_at_gate(void)
{
    static const char *const argv[] = { HELPER, "exit", "9", NULL };
    struct builder builder = { .count = 0 };
    struct launched launched;
    struct launch_message message;
    struct error error;
    scope_mem void *blob = NULL;

    add_root(&builder, &sandbox);
    ADD(&builder, .op = OP_PIVOT);
    add_helper(&builder, argv);
    bool started = start(&builder, &launched, -1, &blob) && launch_read(launched.sync, &message, &error) == 0;
    close(launched.sync);
    ok(started && end_of(launched.pidfd) == 125, "a child whose launcher goes away at the gate ends");
    close(launched.pidfd);
}

static void test_init_forwards(void)
{
    static const char *const argv[] = { HELPER, "wait", NULL };
    struct builder builder = { .count = 0 };
    struct launched launched;
    struct launch_message message;
    struct error error;
    char line[64] = "";
    int output[2];
    scope_mem void *blob = NULL;

    add_root(&builder, &sandbox);
    ADD(&builder, .op = OP_PIVOT);
    ADD(&builder, .op = OP_INIT);
    add_helper(&builder, argv);
    if (pipe2(output, O_CLOEXEC) < 0 || !start(&builder, &launched, output[1], &blob))
        return;
    while (launch_read(launched.sync, &message, &error) == 0 && message.kind != LAUNCH_DONE)
        launch_release(launched.sync, &error);
    ssize_t length = read(output[0], line, sizeof(line) - 1);
    ok(length > 0 && strncmp(line, "ready", 5) == 0, "a program below init starts");
    kernel_pidfd_send_signal(launched.pidfd, SIGUSR1);
    ok(end_of(launched.pidfd) == 40 + SIGUSR1, "init forwards a signal and passes the code on");
    close(launched.pidfd);
    close(launched.sync);
    close(output[0]);
    close(output[1]);
}

static void test_descriptor_flood(void)
{
    static const char *const argv[] = { HELPER, "fds", NULL };
    struct builder builder = { .count = 0 };
    struct outcome outcome;
    int flood[200];

    for (size_t index = 0; index < 200; index++)
        flood[index] = open("/", O_RDONLY); /* not close-on-exec, on purpose */
    add_root(&builder, &sandbox);
    ADD(&builder, .op = OP_PIVOT);
    add_helper(&builder, argv);
    run_program(&builder, &outcome);
    ok(strcmp(outcome.output, "0 1 2 \n") == 0, "200 descriptors of the launcher do not reach the container");
    for (size_t index = 0; index < 200; index++)
        close(flood[index]);
}

static int open_descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void test_launcher_leaks_nothing(void)
{
    static const char *const argv[] = { "nosuch", NULL };
    int before = open_descriptors();

    for (int round = 0; round < 5; round++) {
        struct builder builder = { .count = 0 };
        struct outcome outcome;
        add_root(&builder, &sandbox);
        ADD(&builder, .op = OP_PIVOT);
        add_helper(&builder, argv);
        run_program(&builder, &outcome);
    }
    ok(open_descriptors() == before, "failed launches leave no descriptor in the launcher");
    ok(prctl(PR_GET_DUMPABLE) == 1, "and the launcher can be looked at again");
}

static void test_parent_failure(void)
{
    static const char *const argv[] = { HELPER, "exit", "0", NULL };
    struct builder builder = { .count = 0 };
    struct outcome outcome;

    add_root(&builder, &sandbox);
    ADD(&builder, .op = OP_PRLIMIT, .flags = OP_PARENT, .x = 999);
    ADD(&builder, .op = OP_PIVOT);
    add_helper(&builder, argv);
    run_program(&builder, &outcome);
    ok(outcome.failed && outcome.error.op == OP_PRLIMIT && outcome.error.op_index == 7 && outcome.error.number == EINVAL,
       "a parent's record that fails is named, and the child is gone");
}

static void test_join(void)
{
    static const char *const waiting[] = { HELPER, "wait", NULL };
    static const char *const asking[] = { HELPER, "where", NULL };
    struct builder builder = { .count = 0 };
    struct launched launched;
    struct launch_message message;
    struct error error;
    int output[2];
    char line[64] = "";
    scope_mem void *blob = NULL;

    add_root(&builder, &sandbox);
    ADD(&builder, .op = OP_HOSTNAME, .a = "joined");
    ADD(&builder, .op = OP_PIVOT);
    add_helper(&builder, waiting);
    if (pipe2(output, O_CLOEXEC) < 0 || !start(&builder, &launched, output[1], &blob))
        return;
    while (launch_read(launched.sync, &message, &error) == 0 && message.kind != LAUNCH_DONE)
        launch_release(launched.sync, &error);
    ok(read(output[0], line, sizeof(line) - 1) > 0, "a container to join runs");

    /* In a process of its own: the launcher of a JOIN stays where it went. */
    int result[2];
    if (pipe2(result, O_CLOEXEC) < 0)
        return;
    pid_t joiner = fork();
    if (joiner == 0) {
        struct builder inside = { .count = 0 };
        struct outcome outcome;
        uint64_t all = KERNEL_CLONE_NEWNS | KERNEL_CLONE_NEWPID | KERNEL_CLONE_NEWUTS | KERNEL_CLONE_NEWIPC |
                       KERNEL_CLONE_NEWNET | KERNEL_CLONE_NEWCGROUP;
        ADD(&inside, .op = OP_JOIN, .x = (uint64_t)launched.pid, .z = all);
        ADD(&inside, .op = OP_CLONE);
        ADD(&inside, .op = OP_PRLIMIT, .flags = OP_PARENT, .x = RLIMIT_NOFILE, .y = 64, .z = 64);
        ADD(&inside, .op = OP_OOM_SCORE, .flags = OP_PARENT, .x = 400);
        ADD(&inside, .op = OP_WORKDIR, .b = "/tmp");
        ADD(&inside, .op = OP_USER, .x = 3, .y = 3);
        ADD(&inside, .op = OP_CAPABILITIES);
        ADD(&inside, .op = OP_EXEC, .a_bytes = block_of(asking));
        run_program(&inside, &outcome);
        dprintf(result[1], "%d %s%s", outcome.code, outcome.output, outcome.failed ? outcome.error.text : "");
        _exit(0);
    }
    close(result[1]);
    char told[512] = "";
    ssize_t length = read(result[0], told, sizeof(told) - 1);
    told[length < 0 ? 0 : length] = '\0';
    ok(strstr(told, "0 /tmp pid ") == told && strstr(told, "host joined"), "a joined process is inside");
    if (strstr(told, "host joined") == NULL)
        note("%s", told);
    struct builder stale = { .count = 0 };
    struct outcome outcome;
    ADD(&stale, .op = OP_JOIN, .x = (uint64_t)launched.pid, .y = 12345, .z = KERNEL_CLONE_NEWUTS);
    ADD(&stale, .op = OP_CLONE);
    ADD(&stale, .op = OP_EXEC, .a_bytes = block_of(asking));
    run_program(&stale, &outcome);
    ok(outcome.failed && outcome.error.op == OP_JOIN && outcome.error.number == ESRCH,
       "a process with another start time is not joined");
    kernel_pidfd_send_signal(launched.pidfd, SIGKILL);
    ok(end_of(launched.pidfd) == 137, "the container ends");
    close(launched.pidfd);
    close(launched.sync);
    close(result[0]);
    close(output[0]);
    close(output[1]);
}

static void test_user_namespace(void)
{
    static const char *const argv[] = { HELPER, "cat", "/proc/self/uid_map", NULL };
    static const gid_t groups[] = { 0, 20 };
    struct builder builder = { .count = 0 };
    struct outcome outcome;
    char path[128];

    ADD(&builder, .op = OP_CLONE, .x = KERNEL_CLONE_NEWUSER | KERNEL_CLONE_NEWNS | KERNEL_CLONE_NEWPID);
    ADD(&builder, .op = OP_ID_MAPS, .flags = OP_PARENT, .a = "0 100000 65536\n", .b = "0 100000 65536\n", .x = 1);
    ADD(&builder, .op = OP_ROOT_PROPAGATION, .x = MS_SLAVE | MS_REC);
    ADD(&builder, .op = OP_ROOTFS, .a = sandbox.lower);
    ADD(&builder, .op = OP_MOUNT, .b = "/proc", .c = "proc");
    ADD(&builder, .op = OP_BIND, .a = "/dev/null", .flags = OP_MAKE_FILE, .b = "/tmp/null", .x = MS_RDONLY);
    ADD(&builder, .op = OP_PIVOT);
    ADD(&builder, .op = OP_MASK, .b = "/proc/meminfo");
    ADD(&builder, .op = OP_USER);
    add_helper(&builder, argv);
    snprintf(path, sizeof(path), "%s/tmp", sandbox.lower);
    ok(chown(sandbox.lower, 100000, 100000) == 0 && chown(path, 100000, 100000) == 0, "a root that belongs to the user namespace");
    /* As a login of root has them. */
    ok(setgroups(2, groups) == 0, "a launcher with supplementary groups");
    run_program(&builder, &outcome);
    ok(outcome.code == 0 && strstr(outcome.output, "100000"), "a container in a user namespace");
    if (outcome.code)
        note("%d %d %s", outcome.code, outcome.error.op_index, outcome.failed ? outcome.error.text : outcome.output);
}

/* More options than mount(2) takes: layers under long names, one with a comma and a colon in it. */
static void test_many_layers(void)
{
    static const char *const argv[] = { HELPER, "stat", "/layer-39", NULL };
    static char options[32768];
    struct builder builder = { .count = 0 };
    struct outcome outcome;
    char path[512];
    size_t used = 0;

    used += (size_t)snprintf(options, sizeof(options), "upperdir=%s/upper,workdir=%s/work,lowerdir=", sandbox.base, sandbox.base);
    for (int layer = 0; layer < 40; layer++) {
        snprintf(path, sizeof(path), "%s/%0100d%s", sandbox.base, layer, layer == 39 ? ",a:b" : "");
        mkdir(path, 0755);
        used += (size_t)snprintf(options + used, sizeof(options) - used, "%s/%0100d%s:", sandbox.base, layer,
                                 layer == 39 ? "\\,a\\:b" : "");
        snprintf(path + strlen(path), sizeof(path) - strlen(path), "/layer-%d", layer);
        mkdir(path, 0711);
    }
    snprintf(options + used, sizeof(options) - used, "%s", sandbox.lower);
    ADD(&builder, .op = OP_CLONE, .x = KERNEL_CLONE_NEWNS | KERNEL_CLONE_NEWPID);
    ADD(&builder, .op = OP_ROOT_PROPAGATION, .x = MS_SLAVE | MS_REC);
    ADD(&builder, .op = OP_ROOTFS, .a = sandbox.merged, .b = options);
    ADD(&builder, .op = OP_PIVOT);
    add_helper(&builder, argv);
    run_program(&builder, &outcome);
    ok(strlen(options) > 4096 && outcome.code == 0 && strstr(outcome.output, "40711"), "an overlay of 41 layers with long names");
    if (outcome.code)
        note("%d %s", outcome.code, outcome.failed ? outcome.error.text : outcome.output);
}

static uint64_t now_in_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static int by_value(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

/* The usual container: launch to the end of a program that does nothing. Told, and held to a bound far above what it takes. */
static void test_speed(void)
{
    static const char *const argv[] = { HELPER, "exit", "0", NULL };
    static const char *const masks[] = { "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/acpi", "/proc/scsi",
                                         "/sys/firmware" };
    static const char *const frozen[] = { "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" };
    uint64_t times[21];

    for (size_t round = 0; round < 21; round++) {
        struct builder builder = { .count = 0 };
        struct outcome outcome;
        add_root(&builder, &sandbox);
        ADD(&builder, .op = OP_HOSTNAME, .a = "box");
        ADD(&builder, .op = OP_PIVOT);
        for (size_t index = 0; index < sizeof(masks) / sizeof(masks[0]); index++)
            ADD(&builder, .op = OP_MASK, .b = masks[index]);
        for (size_t index = 0; index < sizeof(frozen) / sizeof(frozen[0]); index++)
            ADD(&builder, .op = OP_READONLY_PATH, .b = frozen[index]);
        ADD(&builder, .op = OP_WORKDIR, .b = "/");
        ADD(&builder, .op = OP_BOUNDING, .x = 0xa80425fb);
        ADD(&builder, .op = OP_USER);
        ADD(&builder, .op = OP_CAPABILITIES, .x = 0xa80425fb, .y = 0xa80425fb);
        add_helper(&builder, argv);
        uint64_t start = now_in_us();
        run_program(&builder, &outcome);
        times[round] = now_in_us() - start;
    }
    qsort(times, 21, sizeof(times[0]), by_value);
    note("launch to exit: least %llu us, median %llu us", (unsigned long long)times[0], (unsigned long long)times[10]);
    ok(times[10] < 500000, "a launch takes far less than half a second");
}

static void test_closed_stdio(void)
{
    static const char *const argv[] = { HELPER, "fds", NULL };
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        struct builder builder = { .count = 0 };
        struct outcome outcome;
        for (int fd = 0; fd < 3; fd++)
            close(fd);
        add_root(&builder, &sandbox);
        ADD(&builder, .op = OP_PIVOT);
        add_helper(&builder, argv);
        run_program(&builder, &outcome);
        _exit(strcmp(outcome.output, "0 1 2 \n") == 0 ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    ok(status == 0, "a launcher whose own 0, 1, 2 are closed");
}

static void test_joined_pid_namespace(void)
{
    static const char *const waiting[] = { HELPER, "wait", NULL };
    static const char *const asking[] = { HELPER, "where", NULL };
    struct builder first = { .count = 0 };
    struct builder second = { .count = 0 };
    struct launched launched;
    struct outcome outcome;
    char path[64];
    scope_mem void *blob = NULL;

    add_root(&first, &sandbox);
    ADD(&first, .op = OP_PIVOT);
    add_helper(&first, waiting);
    if (!start(&first, &launched, -1, &blob))
        return;
    snprintf(path, sizeof(path), "/proc/%d/ns/pid", launched.pid);
    ADD(&second, .op = OP_SETNS, .a = path, .x = KERNEL_CLONE_NEWPID);
    ADD(&second, .op = OP_CLONE, .x = KERNEL_CLONE_NEWNS);
    ADD(&second, .op = OP_ROOT_PROPAGATION, .x = MS_SLAVE | MS_REC);
    ADD(&second, .op = OP_ROOTFS, .a = sandbox.lower);
    ADD(&second, .op = OP_PIVOT);
    add_helper(&second, asking);
    run_program(&second, &outcome);
    ok(outcome.code == 0 && strstr(outcome.output, "pid 2 "), "a container in another one's pid namespace");
    int status = -1;
    pid_t own = fork();
    if (own == 0)
        _exit(getppid() != 0 ? 0 : 1);
    waitpid(own, &status, 0);
    ok(status == 0, "and the launcher's later children are in its own");
    kernel_pidfd_send_signal(launched.pidfd, SIGKILL);
    end_of(launched.pidfd);
    close(launched.pidfd);
    close(launched.sync);
}

int main(void)
{
    alarm(120);
    sandbox_open(&sandbox);
    test_cases();
    test_gate();
    test_launcher_dies_at_gate();
    test_init_forwards();
    test_descriptor_flood();
    test_launcher_leaks_nothing();
    test_parent_failure();
    test_join();
    test_user_namespace();
    test_many_layers();
    test_closed_stdio();
    test_joined_pid_namespace();
    test_speed();
    return done_testing();
}
