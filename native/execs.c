/*
 * SERVE_EXEC: health checks and hooks. A forked helper joins the container and is the parent of the command; serve itself reads the
 * output, keeps the time, and ends what took too long.
 */
#include "kernel.h"
#include "launch.h"
#include "process_tree.h"
#include "scope.h"
#include "serve.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define READ_MOST 65536
/* After a time-out what was killed gets this long to die; then the answer is given all the same. */
#define KILLED_MS 1000
#define CODE_KILLED 137u

struct exec {
    struct serve *serve;
    uint32_t id;
    pid_t helper;
    struct watch output;
    struct timer timeout;
    struct buffer said;
    uint32_t limit;
    bool timed_out;
    struct exec *next;
};

static int start_helper(struct exec *exec, const unsigned char *program, uint32_t length, struct error *error);
static void run_helper(const unsigned char *program, uint32_t length, int output) __attribute__((noreturn));
static int launch_and_wait(const void *blob, uint32_t length, const struct launch_io *io, struct error *error);
static int see_executed(int sync, struct error *error);
static void on_output(struct watch *watch, uint32_t events);
static bool read_output(struct exec *exec);
static void on_timeout(struct timer *timer);
static void finish(struct exec *exec, uint32_t code);

int request_exec(struct serve *serve, const struct frame_header *header, struct fields *fields, struct error *error)
{
    uint32_t length;
    const unsigned char *program = take_bytes(fields, &length);
    uint64_t timeout_ms = take_u64(fields);
    uint32_t limit = take_u32(fields);
    struct exec *exec;

    if (!fields_done(fields))
        return malformed(error);
    exec = calloc(1, sizeof(*exec));
    if (!exec)
        return fail_with(error, ENOMEM, "exec");
    *exec = (struct exec){.serve = serve, .id = ++serve->last_exec, .limit = limit, .next = serve->execs};
    exec->timeout = (struct timer){.fire = on_timeout, .owner = exec};
    if (start_helper(exec, program, length, error)) {
        free(exec);
        return -1;
    }
    serve->execs = exec;
    if (timeout_ms)
        loop_after(&serve->loop, &exec->timeout, timeout_ms);
    serve_value(serve, header->id, header->type, exec->id);
    return 0;
}

static int start_helper(struct exec *exec, const unsigned char *program, uint32_t length, struct error *error)
{
    int output[2];

    if (pipe2(output, O_CLOEXEC))
        return fail(error, "pipe");
    exec->helper = fork();
    if (exec->helper == 0)
        run_helper(program, length, output[1]);
    close(output[1]);
    if (exec->helper < 0) {
        fail(error, "fork");
        close(output[0]);
        return -1;
    }
    fcntl(output[0], F_SETFL, O_NONBLOCK);
    exec->output = (struct watch){.ready = on_output, .owner = exec};
    loop_watch(&exec->serve->loop, &exec->output, output[0], EPOLLIN);
    return 0;
}

/* Its exit code is the command's; why a command could not be started is its output. */
static void run_helper(const unsigned char *program, uint32_t length, int output)
{
    struct error error = {.op_index = -1};
    struct launch_io io;
    void *blob = malloc(length ? length : 1);
    int code = 125;

    job_arrange(output, -1);
    /* From here on we are among the container's processes, and must not be theirs to look into. */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    io = (struct launch_io){open("/dev/null", O_RDONLY | O_CLOEXEC), JOB_REPORT_FD, JOB_REPORT_FD};
    if (!blob || io.stdin_fd < 0)
        _exit(code);
    memcpy(blob, program, length);
    code = launch_and_wait(blob, length, &io, &error);
    if (code >= 0)
        _exit(code);
    if (write(JOB_REPORT_FD, error.text, strlen(error.text)) < 0)
        _exit(125);
    _exit(launch_exit_code(&error));
}

static int launch_and_wait(const void *blob, uint32_t length, const struct launch_io *io, struct error *error)
{
    struct program program;
    struct launched launched;
    int status = 0;
    int failed;

    if (program_open(blob, length, &program, error) || launch(&program, io, &launched, error))
        return -1;
    failed = see_executed(launched.sync, error);
    if (failed)
        kernel_pidfd_send_signal(launched.pidfd, SIGKILL);
    /* Also after a failure: a zombie of ours would hold up the end of the container's pid namespace (pid_namespaces(7)). */
    while (waitpid(launched.pid, &status, 0) < 0)
        if (errno != EINTR)
            return fail(error, "waitpid");
    if (failed)
        return -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Up to execve: opens the gate, and hands on why it failed. */
static int see_executed(int sync, struct error *error)
{
    struct launch_message message = {.fd = -1};

    do {
        if (launch_read(sync, &message, error))
            return -1;
        if (message.kind == LAUNCH_READY && launch_release(sync, error))
            return -1;
    } while (message.kind != LAUNCH_DONE && message.kind != LAUNCH_FAILED);
    if (message.kind == LAUNCH_FAILED)
        *error = message.error;
    return message.kind == LAUNCH_FAILED ? -1 : 0;
}

static void on_output(struct watch *watch, uint32_t events)
{
    (void)events;
    read_output(watch->owner);
}

/* Keeps what fits the limit and throws the rest away. Returns whether there may be more. */
static bool read_output(struct exec *exec)
{
    static unsigned char bytes[READ_MOST];
    ssize_t count = exec->output.fd < 0 ? 0 : read(exec->output.fd, bytes, sizeof(bytes));
    size_t room = exec->limit - exec->said.length;

    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (count <= 0) {
        loop_close_watch(&exec->serve->loop, &exec->output);
        return false;
    }
    buffer_append(&exec->said, bytes, (size_t)count < room ? (size_t)count : room);
    return true;
}

void exec_child_ended(struct serve *serve, pid_t pid, int wait_status)
{
    for (struct exec *exec = serve->execs; exec; exec = exec->next) {
        if (exec->helper != pid)
            continue;
        finish(exec, WIFSIGNALED(wait_status) ? 128u + (uint32_t)WTERMSIG(wait_status) : (uint32_t)WEXITSTATUS(wait_status));
        return;
    }
}

static int kill_job(void *input, uint32_t *value, struct error *error)
{
    (void)error;
    *value = (uint32_t)process_tree_kill(*(pid_t *)input);
    return 0;
}

static void killed(struct serve *serve, uint32_t id, uint16_t type, void *context, uint32_t value, const struct error *error)
{
    (void)serve;
    (void)id;
    (void)type;
    (void)context;
    (void)value;
    (void)error;
}

/* The helper ends by itself when its child is dead. Only when that does not happen is it given up. */
static void on_timeout(struct timer *timer)
{
    struct exec *exec = timer->owner;
    struct job_request job = {.work = kill_job, .input = &exec->helper, .kept = -1, .done = killed};

    if (exec->timed_out) {
        kill(exec->helper, SIGKILL);
        finish(exec, CODE_KILLED);
        return;
    }
    exec->timed_out = true;
    job_start(exec->serve, &job);
    loop_after(&exec->serve->loop, timer, KILLED_MS);
}

static void finish(struct exec *exec, uint32_t code)
{
    struct serve *serve = exec->serve;
    struct exec **at = &serve->execs;
    size_t place;

    while (read_output(exec))
        ;
    place = frame_begin(&serve->channel.out, 0, SERVE_EXEC_EXITED);
    put_u32(&serve->channel.out, exec->id);
    put_u32(&serve->channel.out, code);
    put_u32(&serve->channel.out, exec->timed_out);
    put_bytes(&serve->channel.out, exec->said.bytes, exec->said.length);
    frame_end(&serve->channel.out, place);
    while (*at != exec)
        at = &(*at)->next;
    *at = exec->next;
    loop_close_watch(&serve->loop, &exec->output);
    loop_drop_timer(&serve->loop, &exec->timeout);
    buffer_free(&exec->said);
    free(exec);
    serve_flush(serve);
}
