/* `core exec`: a launch program in the foreground, with our stdio or with a terminal that we relay to ours. */
#include "commands.h"
#include "kernel.h"
#include "launch.h"
#include "relay.h"
#include "scope.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#define PROGRAM_MAX (16u << 20)

struct execution {
    struct launched launched;
    int signals;
    int status;        /* where a failure is told, or -1 */
    struct relay relay;
};

static const int handled[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT };

static int execute(int source, struct execution *execution, struct error *error);
static char *read_program(int source, size_t *size, struct error *error);
static int block_signals(void);
static int wait_for_end(struct execution *execution, struct error *error);
static int hear_child(struct execution *execution, struct error *error);
static void take_signal(struct execution *execution);
static int exit_code(int pidfd, struct error *error);
static int tell_failure(int status, const struct error *error);
static int descriptor_of(const char *text);

int exec_main(int argc, char **argv)
{
    struct execution execution = { .launched = { .pid = 0, .pidfd = -1, .sync = -1 }, .signals = -1, .status = -1,
                                   .relay = { .master = -1 } };
    struct error error = { .number = 0, .op_index = -1, .op = 0, .text = "" };
    int source = argc > 2 ? descriptor_of(argv[2]) : -1;

    execution.status = argc > 3 ? descriptor_of(argv[3]) : -1;
    if (source < 0 || (argc > 3 && execution.status < 0)) {
        fprintf(stderr, "usage: %s exec FD [STATUSFD]\n", argv[0]);
        return 125;
    }
    if (run_sealed(argv, &error) < 0)
        return tell_failure(execution.status, &error);
    fcntl(source, F_SETFD, FD_CLOEXEC);
    if (execution.status >= 0)
        fcntl(execution.status, F_SETFD, FD_CLOEXEC);
    int code = execute(source, &execution, &error);
    relay_stop(&execution.relay);
    return code < 0 ? tell_failure(execution.status, &error) : code;
}

/* One strict parser: digits only, and not one of stdio's. */
static int descriptor_of(const char *text)
{
    size_t length = strlen(text);

    if (length == 0 || length > 6 || strspn(text, "0123456789") != length)
        return -1;
    int fd = atoi(text);
    return fd > 2 && fcntl(fd, F_GETFD) >= 0 ? fd : -1;
}

static int tell_failure(int status, const struct error *error)
{
    if (status >= 0)
        dprintf(status, "%d %d %d %s\n", error->op, error->op_index, error->number, error->text);
    return launch_exit_code(error);
}

static int execute(int source, struct execution *execution, struct error *error)
{
    const struct launch_io io = { .stdin_fd = STDIN_FILENO, .stdout_fd = STDOUT_FILENO, .stderr_fd = STDERR_FILENO };
    struct program program;
    size_t size;
    scope_mem char *blob = read_program(source, &size, error);

    close(source);
    if (blob == NULL || program_open(blob, size, &program, error) < 0)
        return -1;
    execution->signals = block_signals();
    if (execution->signals < 0)
        return fail(error, "signalfd");
    if (launch(&program, &io, &execution->launched, error) < 0)
        return -1;
    return wait_for_end(execution, error);
}

static char *read_program(int source, size_t *size, struct error *error)
{
    size_t room = 65536;
    char *blob = malloc(room);

    for (*size = 0; blob;) {
        ssize_t length = read(source, blob + *size, room - *size);
        if (length == 0)
            return blob;
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0 || *size + (size_t)length > PROGRAM_MAX) {
            if (length >= 0)
                errno = EFBIG;
            fail(error, "reading the launch program");
            free(blob);
            return NULL;
        }
        *size += (size_t)length;
        if (*size == room) {
            char *larger = realloc(blob, room *= 2);
            if (larger == NULL)
                free(blob);
            blob = larger;
        }
    }
    fail_with(error, ENOMEM, "reading the launch program");
    return NULL;
}

static int block_signals(void)
{
    sigset_t mask;

    sigemptyset(&mask);
    for (size_t row = 0; row < sizeof(handled) / sizeof(handled[0]); row++)
        sigaddset(&mask, handled[row]);
    signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
        return -1;
    return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int wait_for_end(struct execution *execution, struct error *error)
{
    enum { CHILD, SIGNALS, SYNC, RELAY };

    for (;;) {
        struct pollfd polled[RELAY + RELAY_POLLED] = {
            [CHILD] = { .fd = execution->launched.pidfd, .events = POLLIN },
            [SIGNALS] = { .fd = execution->signals, .events = POLLIN },
            [SYNC] = { .fd = execution->launched.sync, .events = POLLIN },
        };
        relay_poll(&execution->relay, polled + RELAY);
        if (poll(polled, RELAY + RELAY_POLLED, -1) < 0 && errno != EINTR)
            return fail(error, "poll");
        if (polled[SIGNALS].revents)
            take_signal(execution);
        if (polled[SYNC].revents && hear_child(execution, error) < 0)
            return -1;
        relay_move(&execution->relay, polled + RELAY);
        /* Words of the child come before its end: the socket is read empty first. */
        if (polled[CHILD].revents && execution->launched.sync < 0) {
            relay_drain(&execution->relay);
            return exit_code(execution->launched.pidfd, error);
        }
    }
}

static int hear_child(struct execution *execution, struct error *error)
{
    struct launch_message message;

    if (launch_read(execution->launched.sync, &message, error) < 0)
        return -1;
    switch (message.kind) {
    case LAUNCH_CONSOLE:
        return relay_start(&execution->relay, message.fd, error);
    case LAUNCH_READY:
        return launch_release(execution->launched.sync, error);
    case LAUNCH_FAILED:
        *error = message.error;
        return -1;
    case LAUNCH_DONE:
    default:
        close_scoped(&execution->launched.sync);
        execution->launched.sync = -1;
        /* Its end without a word says that the program is executing, for callers that do not wait for more. */
        close_scoped(&execution->status);
        execution->status = -1;
        return 0;
    }
}

static void take_signal(struct execution *execution)
{
    struct signalfd_siginfo information;

    while (read(execution->signals, &information, sizeof(information)) == (ssize_t)sizeof(information)) {
        int number = (int)information.ssi_signo;
        if (number == SIGWINCH || number == SIGCONT)
            relay_resize(&execution->relay);
        else
            kernel_pidfd_send_signal(execution->launched.pidfd, number);
    }
}

static int exit_code(int pidfd, struct error *error)
{
    siginfo_t information;
    int result;

    do
        result = waitid((idtype_t)3 /* P_PIDFD */, (id_t)pidfd, &information, WEXITED);
    while (result < 0 && errno == EINTR);
    if (result < 0)
        return fail(error, "waitid");
    return information.si_code == CLD_EXITED ? information.si_status : 128 + information.si_status;
}
