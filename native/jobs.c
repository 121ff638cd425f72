#include "serve.h"

#include "kernel.h"
#include "report.h"
#include "scope.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>

struct job {
    struct serve *serve;
    struct watch watch;
    struct job_request request;
};

static void run_job(const struct job_request *request, int report) __attribute__((noreturn));
static void on_result(struct watch *watch, uint32_t events);
static void finish(const struct job *job, uint32_t value, const struct error *error);

void job_start(struct serve *serve, const struct job_request *request)
{
    struct error error = {.op_index = -1};
    struct job *job = calloc(1, sizeof(*job));
    int report[2] = {-1, -1};
    pid_t pid = -1;

    if (job && !pipe2(report, O_CLOEXEC))
        pid = fork();
    if (pid == 0)
        run_job(request, report[1]);
    if (pid < 0) {
        struct job failed = {.serve = serve, .request = *request};

        fail(&error, "fork");
        close_scoped(&report[0]);
        close_scoped(&report[1]);
        free(job);
        finish(&failed, 0, &error);
        return;
    }
    close(report[1]);
    *job = (struct job){.serve = serve, .request = *request, .watch = {.ready = on_result, .owner = job}};
    loop_watch(&serve->loop, &job->watch, report[0], EPOLLIN);
}

void job_arrange(int report, int kept)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    /* First out of the way of 3 and 4, then onto them. */
    report = fcntl(report, F_DUPFD_CLOEXEC, 10);
    if (kept >= 0)
        kept = fcntl(kept, F_DUPFD_CLOEXEC, 10);
    dup3(report, JOB_REPORT_FD, O_CLOEXEC);
    if (kept >= 0)
        dup3(kept, JOB_KEPT_FD, O_CLOEXEC);
    kernel_close_range(kept >= 0 ? JOB_KEPT_FD + 1 : JOB_REPORT_FD + 1, ~0u);
}

static void run_job(const struct job_request *request, int report)
{
    struct report result = {.error = {.op_index = -1}};
    ssize_t written;

    job_arrange(report, request->kept);
    request->work(request->input, &result.value, &result.error);
    written = write(JOB_REPORT_FD, &result, sizeof(result));
    _exit(written == sizeof(result) ? 0 : 1);
}

static void on_result(struct watch *watch, uint32_t events)
{
    struct job *job = watch->owner;
    struct report result = {.error = {.op_index = -1}};
    ssize_t count = read(watch->fd, &result, sizeof(result));

    (void)events;
    if (count != sizeof(result)) {
        memset(&result, 0, sizeof(result));
        fail_with(&result.error, EIO, "the helper process died");
    }
    loop_close_watch(&job->serve->loop, watch);
    finish(job, result.value, &result.error);
    free(job);
}

static void finish(const struct job *job, uint32_t value, const struct error *error)
{
    const struct job_request *request = &job->request;

    if (request->done)
        request->done(job->serve, request->id, request->type, request->context, value, error);
    else if (error->number)
        serve_error(job->serve, request->id, error);
    else
        serve_ok(job->serve, request->id, request->type);
}
