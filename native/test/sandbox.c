#include "sandbox.h"

#include "kernel.h"
#include "scope.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void must(bool good, const char *what)
{
    if (good)
        return;
    printf("Bail out! %s: %s\n", what, strerror(errno));
    exit(2);
}

static void copy_helper(const char *to)
{
    char buffer[65536];
    const char *from = getenv("HELPER");
    int source = open(from ? from : "build/helper", O_RDONLY | O_CLOEXEC);
    int target = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

    must(source >= 0 && target >= 0, "open of the helper");
    for (ssize_t length; (length = read(source, buffer, sizeof(buffer))) > 0;)
        must(write(target, buffer, (size_t)length) == length, "copy of the helper");
    close(source);
    close(target);
}

static void make_under(const char *base, const char *const *names)
{
    char path[256];

    for (; *names; names++) {
        snprintf(path, sizeof(path), "%s/%s", base, *names);
        must(mkdir(path, 0755) == 0, path);
    }
}

void sandbox_open(struct sandbox *sandbox)
{
    static const char *const parts[] = { "lower", "upper", "work", "merged", NULL };
    static const char *const root[] = { "bin", "proc", "sys", "dev", "tmp", "etc", "data", NULL };
    char path[512];

    must(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) == 0,
         "a mount namespace (root is needed)");
    snprintf(sandbox->base, sizeof(sandbox->base), "/tmp/tscompose-launch-%d", getpid());
    must(mkdir(sandbox->base, 0755) == 0, "mkdir");
    must(mount("tmpfs", sandbox->base, "tmpfs", 0, "mode=755") == 0, "tmpfs");
    snprintf(sandbox->lower, sizeof(sandbox->lower), "%s/lower", sandbox->base);
    snprintf(sandbox->merged, sizeof(sandbox->merged), "%s/merged", sandbox->base);
    snprintf(sandbox->overlay, sizeof(sandbox->overlay), "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work", sandbox->base,
             sandbox->base, sandbox->base);
    make_under(sandbox->base, parts);
    make_under(sandbox->lower, root);
    snprintf(path, sizeof(path), "%s/bin/helper", sandbox->lower);
    copy_helper(path);
}

/* The directory under /tmp is left by no run: a child of the original namespace's view removes it. */
__attribute__((destructor)) static void remove_base(void)
{
    char path[64];

    snprintf(path, sizeof(path), "/tmp/tscompose-launch-%d", getpid());
    if (umount2(path, MNT_DETACH) == 0)
        rmdir(path);
}

#define ALL_NAMESPACES \
    (KERNEL_CLONE_NEWNS | KERNEL_CLONE_NEWPID | KERNEL_CLONE_NEWUTS | KERNEL_CLONE_NEWIPC | KERNEL_CLONE_NEWNET | \
     KERNEL_CLONE_NEWCGROUP)

void add_root(struct builder *builder, const struct sandbox *sandbox)
{
    ADD(builder, .op = OP_CLONE, .x = ALL_NAMESPACES);
    ADD(builder, .op = OP_ROOT_PROPAGATION, .x = MS_SLAVE | MS_REC);
    ADD(builder, .op = OP_ROOTFS, .a = sandbox->merged, .b = sandbox->overlay);
    ADD(builder, .op = OP_MOUNT, .a = "proc", .b = "/proc", .c = "proc", .x = MS_NOSUID | MS_NODEV | MS_NOEXEC);
    ADD(builder, .op = OP_MOUNT, .a = "tmpfs", .b = "/dev", .c = "tmpfs", .d = "mode=755,size=65536k",
        .x = MS_NOSUID | MS_STRICTATIME);
    ADD(builder, .op = OP_MKNOD, .b = "/dev/null", .x = S_IFCHR | 0666, .y = 1ull << 32 | 3);
    ADD(builder, .op = OP_MOUNT, .flags = OP_MAKE_DIR, .a = "devpts", .b = "/dev/pts", .c = "devpts",
        .d = "newinstance,ptmxmode=0666,mode=0620", .x = MS_NOSUID | MS_NOEXEC);
}

void add_helper(struct builder *builder, const char *const *argv)
{
    static const char *const env[] = { "PATH=/usr/bin:/bin", "HOME=/", NULL };

    ADD(builder, .op = OP_GATE);
    ADD(builder, .op = OP_EXEC, .a_bytes = block_of(argv), .b_bytes = block_of(env));
}

void run_program(struct builder *builder, struct outcome *outcome)
{
    size_t size;
    scope_mem void *blob = builder_finish(builder, &size);

    run_blob(blob, size, outcome);
}

static bool follow_sync(int sync, struct outcome *outcome)
{
    struct launch_message message;

    while (launch_read(sync, &message, &outcome->error) == 0) {
        switch (message.kind) {
        case LAUNCH_CONSOLE:
            outcome->console = message.fd;
            break;
        case LAUNCH_READY:
            launch_release(sync, &outcome->error);
            break;
        case LAUNCH_FAILED:
            outcome->failed = true;
            outcome->error = message.error;
            break;
        case LAUNCH_DONE:
        default:
            return true;
        }
    }
    return false;
}

static void collect(int fd, struct outcome *outcome)
{
    size_t used = strlen(outcome->output);

    for (ssize_t length; used + 1 < sizeof(outcome->output); used += (size_t)length) {
        length = read(fd, outcome->output + used, sizeof(outcome->output) - 1 - used);
        if (length <= 0)
            break;
        outcome->output[used + (size_t)length] = '\0';
    }
}

void run_blob(const void *blob, size_t size, struct outcome *outcome)
{
    struct program program;
    struct launched launched;
    int output[2];

    memset(outcome, 0, sizeof(*outcome));
    outcome->code = -1;
    outcome->console = -1;
    if (program_open(blob, size, &program, &outcome->error) < 0) {
        outcome->failed = true;
        return;
    }
    must(pipe2(output, O_CLOEXEC) == 0, "pipe");
    const struct launch_io io = { .stdin_fd = -1, .stdout_fd = output[1], .stderr_fd = output[1] };
    int started = launch(&program, &io, &launched, &outcome->error);
    close(output[1]);
    scope_fd int read_end = output[0];
    if (started < 0) {
        outcome->failed = true;
        outcome->code = launch_exit_code(&outcome->error);
        return;
    }
    follow_sync(launched.sync, outcome);
    if (outcome->console >= 0)
        collect(outcome->console, outcome);
    collect(read_end, outcome);
    outcome->code = end_of(launched.pidfd);
    close(launched.pidfd);
    close(launched.sync);
    if (outcome->console >= 0)
        close(outcome->console);
}

int end_of(int pidfd)
{
    siginfo_t information;

    if (waitid((idtype_t)3 /* P_PIDFD */, (id_t)pidfd, &information, WEXITED) < 0)
        return -1;
    return information.si_code == CLD_EXITED ? information.si_status : 128 + information.si_status;
}
