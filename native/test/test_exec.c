/* `core exec` as its caller uses it: a program on a descriptor, a status descriptor, signals, a terminal. Needs root. */
#include "kernel.h"
#include "sandbox.h"
#include "scope.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

static struct sandbox sandbox;

struct run {
    pid_t pid;
    int output;
    int status;
};

static struct run start_exec(struct builder *builder, int terminal)
{
    size_t size;
    scope_mem char *blob = builder_finish(builder, &size);
    int program[2], output[2], status[2];
    struct run run = { .pid = -1 };

    if (pipe2(program, O_CLOEXEC) < 0 || pipe2(output, O_CLOEXEC) < 0 || pipe2(status, O_CLOEXEC) < 0)
        return run;
    run.pid = fork();
    if (run.pid == 0) {
        const char *core = getenv("LAUNCH_CORE");
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (terminal >= 0) {
            setsid();
            ioctl(terminal, TIOCSCTTY, 0);
        }
        dup2(terminal >= 0 ? terminal : null, 0);
        dup2(terminal >= 0 ? terminal : output[1], 1);
        dup2(terminal >= 0 ? terminal : output[1], 2);
        dup2(program[0], 20);
        dup2(status[1], 21);
        execl(core ? core : "build/release/launch-core", "core", "exec", "20", "21", NULL);
        _exit(99);
    }
    close(program[0]);
    close(output[1]);
    close(status[1]);
    for (size_t done = 0; done < size;) {
        ssize_t written = write(program[1], blob + done, size - done);
        if (written <= 0)
            break;
        done += (size_t)written;
    }
    close(program[1]);
    run.output = output[0];
    run.status = status[0];
    return run;
}

static void read_all(int fd, char *text, size_t size)
{
    size_t used = 0;

    for (ssize_t length; used + 1 < size && (length = read(fd, text + used, size - 1 - used)) > 0;)
        used += (size_t)length;
    text[used] = '\0';
}

static bool wait_for_text(int fd, char *text, size_t size, const char *wanted)
{
    size_t used = strlen(text);

    while (strstr(text, wanted) == NULL && used + 1 < size) {
        struct pollfd polled = { .fd = fd, .events = POLLIN };
        if (poll(&polled, 1, 10000) <= 0)
            return false;
        ssize_t length = read(fd, text + used, size - 1 - used);
        if (length <= 0)
            return false;
        used += (size_t)length;
        text[used] = '\0';
    }
    return strstr(text, wanted) != NULL;
}

static int finish(const struct run *run)
{
    int status = -1;

    waitpid(run->pid, &status, 0);
    close(run->output);
    close(run->status);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void add_container(struct builder *builder, const char *const *argv, bool console, bool init)
{
    add_root(builder, &sandbox);
    if (console)
        ADD(builder, .op = OP_CONSOLE, .x = 20, .y = 30);
    ADD(builder, .op = OP_PIVOT);
    if (init)
        ADD(builder, .op = OP_INIT);
    add_helper(builder, argv);
}

static void test_codes(void)
{
    static const struct {
        const char *name;
        const char *argv[4];
        bool init;
        int code;
        const char *status;
    } rows[] = {
        { "exit code 0", { "helper", "exit", "0" }, false, 0, "" },
        { "exit code 7", { "helper", "exit", "7" }, false, 7, "" },
        { "death by signal", { "helper", "die", "9" }, true, 137, "" },
        { "a command that is not there", { "nosuch" }, false, 127,
          "70 9 2 exec nosuch, not found in PATH: No such file or directory\n" },
        { "a directory", { "/bin" }, false, 126, "70 9 13 exec /bin: Permission denied\n" },
    };

    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        struct builder builder = { .count = 0 };
        char status[512];
        add_container(&builder, rows[row].argv, false, rows[row].init);
        struct run run = start_exec(&builder, -1);
        read_all(run.status, status, sizeof(status));
        int code = finish(&run);
        ok(code == rows[row].code && strcmp(status, rows[row].status) == 0, "exec: %s", rows[row].name);
        if (code != rows[row].code || strcmp(status, rows[row].status) != 0)
            note("code %d, status '%s'", code, status);
    }
}

static void test_bad_program(void)
{
    char status[512];
    struct builder builder = { .count = 0 };

    ADD(&builder, .op = OP_CLONE);
    struct run run = start_exec(&builder, -1);
    read_all(run.status, status, sizeof(status));
    int code = finish(&run);
    ok(code == 125 && strncmp(status, "6 0 22 launch program", 21) == 0, "exec: a bad program is refused with its record");
}

static void test_signals(void)
{
    static const char *const argv[] = { "helper", "wait", NULL };
    static const int forwarded[] = { SIGTERM, SIGUSR1 };

    for (size_t row = 0; row < 2; row++) {
        struct builder builder = { .count = 0 };
        char text[512] = "";
        add_container(&builder, argv, false, false);
        struct run run = start_exec(&builder, -1);
        bool ready = wait_for_text(run.output, text, sizeof(text), "ready");
        kill(run.pid, forwarded[row]);
        ok(ready && finish(&run) == 40 + forwarded[row], "exec: signal %d is forwarded", forwarded[row]);
    }
}

static void test_sealed(void)
{
    static const char *const argv[] = { "helper", "wait", NULL };
    struct builder builder = { .count = 0 };
    char text[512] = "";
    char path[64];
    char found[256] = "";

    add_container(&builder, argv, false, false);
    struct run run = start_exec(&builder, -1);
    bool ready = wait_for_text(run.output, text, sizeof(text), "ready");
    snprintf(path, sizeof(path), "/proc/%d/exe", run.pid);
    ssize_t length = readlink(path, found, sizeof(found) - 1);
    found[length < 0 ? 0 : length] = '\0';
    ok(ready && strncmp(found, "/memfd:tscompose-core", 21) == 0, "exec: runs from the sealed copy");
    int executable = open(path, O_RDWR | O_CLOEXEC);
    ok(executable < 0 || (write(executable, "x", 1) < 0 && errno == EPERM), "exec: which nobody can write");
    close_scoped(&executable);
    kill(run.pid, SIGTERM);
    finish(&run);
}

static void test_terminal(void)
{
    static const char *const argv[] = { "helper", "echo", NULL };
    struct builder builder = { .count = 0 };
    struct termios before, during, after;
    char text[2048] = "";
    int locked = 0;
    scope_fd int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

    ioctl(master, TIOCSPTLCK, &locked);
    scope_fd int slave = ioctl(master, KERNEL_TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || slave < 0)
        return;
    tcgetattr(slave, &before);
    add_container(&builder, argv, true, false);
    struct run run = start_exec(&builder, slave);
    /* Raw mode is the sign that the relay runs. */
    for (int round = 0; round < 1000; round++) {
        tcgetattr(slave, &during);
        if ((during.c_lflag & ICANON) == 0)
            break;
        usleep(5000);
    }
    ok((during.c_lflag & (ICANON | ECHO | ISIG)) == 0, "exec: our terminal is raw while the container has one");
    ok(write(master, "hello\n", 6) == 6 && wait_for_text(master, text, sizeof(text), "got hello"),
       "exec: keys go in and output comes out");
    ok(write(master, "\004", 1) == 1 && finish(&run) == 5, "exec: Ctrl-D ends the program, whose code is passed on");
    tcgetattr(slave, &after);
    ok(after.c_lflag == before.c_lflag && after.c_iflag == before.c_iflag && after.c_oflag == before.c_oflag,
       "exec: our terminal is put back");
}

int main(void)
{
    alarm(60);
    sandbox_open(&sandbox);
    test_codes();
    test_bad_program();
    test_signals();
    test_sealed();
    test_terminal();
    return done_testing();
}
