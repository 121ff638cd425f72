#include "shim.h"

#include "cgroup_end.h"
#include "kernel.h"
#include "textfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/wait.h>

/* A grandchild may hold the pipes open after the end of init: this long we go on reading. */
#define DRAIN_MS 100
/* How long an end waits for the kernel to let the cgroups go. */
#define REMOVE_MOST_MS 2000
/* "The configured one", in STOP. */
#define GRACE_CONFIGURED UINT64_MAX

static void begin_launch(struct shim *shim);
static void give_back_oom_score(const struct shim *shim);
static void on_sync(struct watch *watch, uint32_t events);
static void read_sync(struct shim *shim);
static void on_end(struct watch *watch, uint32_t events);
static void executed(struct shim *shim);
static void launch_failed(struct shim *shim, const struct error *error);
static void begin_drain(struct shim *shim);
static void died_in_set_up(struct shim *shim, int wait_status);
static void decide_after_end(struct shim *shim);
static void on_restart(struct timer *timer);
static void on_kill(struct timer *timer);
static void on_drain(struct timer *timer);
static void kill_all(struct shim *shim);

bool shim_never_started(const struct shim *shim)
{
    return !shim->status.started && !shim->status.error[0];
}

void shim_publish(struct shim *shim, const char *state)
{
    char text[STATUS_MAX];
    size_t length;

    shim->status.state = state;
    length = status_text(&shim->status, text);
    status_write(AT_FDCWD, text, length);
    clients_tell_status(shim, text, length);
}

void shim_prepare(struct shim *shim)
{
    if (shim->phase == PHASE_IDLE)
        begin_launch(shim);
    else if (shim->phase != PHASE_LAUNCHING)
        clients_reply(shim, SHIM_PREPARE, NULL);
}

void shim_start(struct shim *shim)
{
    shim->start_wanted = true;
    if (shim->phase == PHASE_IDLE)
        begin_launch(shim);
    else if (shim->phase == PHASE_READY)
        shim_release_if_wanted(shim);
    else if (shim->phase > PHASE_RELEASED)
        clients_reply(shim, SHIM_START, NULL);
}

static void begin_launch(struct shim *shim)
{
    struct error error = {.op_index = -1};
    struct launch_io io;

    shim->phase = PHASE_LAUNCHING;
    shim->ran_ms = 0;
    shim->launched = (struct launched){.pidfd = -1, .sync = -1};
    if (stdio_open(shim, &io, &error)) {
        launch_failed(shim, &error);
        return;
    }
    if (launch(&shim->program, &io, &shim->launched, &error)) {
        stdio_close_io(&io);
        shim->launched = (struct launched){.pidfd = -1, .sync = -1};
        launch_failed(shim, &error);
        return;
    }
    stdio_close_io(&io);
    /* Only now: the program may have replaced the groups, and the counters begin anew with them. */
    shim->oom_kills = cgroups_oom_kills(shim->fields.cgroups);
    give_back_oom_score(shim);
    stdio_watch(shim);
    fcntl(shim->launched.sync, F_SETFL, O_NONBLOCK);
    shim->sync_watch = (struct watch){.ready = on_sync, .owner = shim};
    shim->pidfd_watch = (struct watch){.ready = on_end, .owner = shim};
    loop_watch(&shim->loop, &shim->sync_watch, shim->launched.sync, EPOLLIN);
    loop_watch(&shim->loop, &shim->pidfd_watch, shim->launched.pidfd, EPOLLIN);
}

/* The shim's own protection is not the container's. Done while it is on its way to the gate. */
static void give_back_oom_score(const struct shim *shim)
{
    char path[64];

    if (shim->has_oom_score || !shim->oom_score[0])
        return;
    snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)shim->launched.pid);
    write_text(AT_FDCWD, path, shim->oom_score);
}

static void on_sync(struct watch *watch, uint32_t events)
{
    (void)events;
    read_sync(watch->owner);
}

static void read_sync(struct shim *shim)
{
    while (shim->sync_watch.fd >= 0) {
        struct launch_message message = {.fd = -1};
        struct error error = {.op_index = -1};

        if (launch_read(shim->launched.sync, &message, &error)) {
            if (error.number != EAGAIN && errno != EAGAIN)
                loop_close_watch(&shim->loop, &shim->sync_watch);
            return;
        }
        if (message.kind == LAUNCH_CONSOLE) {
            stdio_set_terminal(shim, message.fd);
        } else if (message.kind == LAUNCH_READY) {
            shim->phase = PHASE_READY;
            clients_reply(shim, SHIM_PREPARE, NULL);
            shim_release_if_wanted(shim);
        } else if (message.kind == LAUNCH_FAILED) {
            launch_failed(shim, &message.error);
        } else {
            loop_close_watch(&shim->loop, &shim->sync_watch);
            /* Before the gate an end of file means that the child died; its pidfd will say so. */
            if (shim->phase == PHASE_RELEASED || !shim->has_gate)
                executed(shim);
        }
    }
}

void shim_release_if_wanted(struct shim *shim)
{
    struct error error = {.op_index = -1};

    if (shim->phase != PHASE_READY || !shim->start_wanted)
        return;
    if ((shim->fields.flags & SHIM_WAIT_ATTACH) && !shim->was_attached)
        return;
    shim->phase = PHASE_RELEASED;
    if (launch_release(shim->launched.sync, &error))
        launch_failed(shim, &error);
}

static void executed(struct shim *shim)
{
    shim->phase = PHASE_RUNNING;
    shim->ran_since = clock_ms();
    shim->status.pid = shim->launched.pid;
    /* The process is not reaped before its end is handled, so the number is still its own. */
    shim->status.start_time = process_start_time(shim->launched.pid);
    shim->status.started = wall_ms();
    shim->status.next = 0;
    shim->status.error[0] = '\0';
    shim_publish(shim, "running");
    clients_reply(shim, SHIM_PREPARE, NULL);
    clients_reply(shim, SHIM_START, NULL);
}

static uint32_t exit_code_of(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128u + (uint32_t)WTERMSIG(wait_status) : (uint32_t)WEXITSTATUS(wait_status);
}

static int reap(struct shim *shim)
{
    int status = 0;

    loop_close_watch(&shim->loop, &shim->sync_watch);
    loop_close_watch(&shim->loop, &shim->pidfd_watch);
    while (waitpid(shim->launched.pid, &status, 0) < 0 && errno == EINTR)
        ;
    shim->launched = (struct launched){.pidfd = -1, .sync = -1};
    shim->status.pid = 0;
    shim->status.start_time = 0;
    shim->status.finished = wall_ms();
    return status;
}

static void note_oom(struct shim *shim)
{
    shim->status.oom = cgroups_oom_kills(shim->fields.cgroups) > shim->oom_kills;
}

static void on_end(struct watch *watch, uint32_t events)
{
    struct shim *shim = watch->owner;
    int status;

    (void)events;
    /* What the child said last may still wait to be read. */
    read_sync(shim);
    if (shim->pidfd_watch.fd < 0)
        return;
    status = reap(shim);
    note_oom(shim);
    if (shim->phase == PHASE_LAUNCHING || shim->phase == PHASE_READY) {
        died_in_set_up(shim, status);
        return;
    }
    shim->status.exit = (int)exit_code_of(status);
    shim->ran_ms = clock_ms() - shim->ran_since;
    shim->phase = PHASE_DRAINING;
    cgroups_kill(shim->fields.cgroups);
    if (stdio_ended(shim))
        shim_drained(shim);
    else
        begin_drain(shim);
}

static void begin_drain(struct shim *shim)
{
    shim->drain_timer.fire = on_drain;
    shim->drain_timer.owner = shim;
    loop_after(&shim->loop, &shim->drain_timer, DRAIN_MS);
}

static void died_in_set_up(struct shim *shim, int wait_status)
{
    struct error error = {.op_index = -1};

    if (shim->stopping) {
        stdio_close(shim);
        shim_finish(shim);
        return;
    }
    fail_with(&error, EIO, "the container's first process died during set-up (%s %d)%s", WIFSIGNALED(wait_status) ? "signal" : "exit code",
              WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status),
              shim->status.oom ? ": killed for lack of memory; the limit may be too low" : "");
    launch_failed(shim, &error);
}

/* Of the first start: told to who asked, and the end. Of a later one: an end like any other. */
static void launch_failed(struct shim *shim, const struct error *error)
{
    if (shim->launched.pidfd >= 0) {
        kernel_pidfd_send_signal(shim->launched.pidfd, SIGKILL);
        reap(shim);
    }
    shim->status.finished = wall_ms();
    shim->status.exit = launch_exit_code(error);
    snprintf(shim->status.error, sizeof(shim->status.error), "%s", error->text);
    stdio_close(shim);
    clients_reply(shim, SHIM_PREPARE, error);
    clients_reply(shim, SHIM_START, error);
    if (shim->status.started)
        decide_after_end(shim);
    else
        shim_finish(shim);
}

static void on_drain(struct timer *timer)
{
    struct shim *shim = timer->owner;

    if (stdio_held(shim))
        loop_after(&shim->loop, &shim->drain_timer, DRAIN_MS);
    else
        shim_drained(shim);
}

void shim_drained(struct shim *shim)
{
    if (shim->phase != PHASE_DRAINING)
        return;
    timer_cancel(&shim->drain_timer);
    stdio_close(shim);
    decide_after_end(shim);
}

static void decide_after_end(struct shim *shim)
{
    timer_cancel(&shim->kill_timer);
    shim->paused = false;
    if (shim->stopping || !restart_again(&shim->restart, (uint32_t)shim->status.exit, shim->ran_ms)) {
        shim_finish(shim);
        return;
    }
    shim->phase = PHASE_WAITING;
    shim->status.restarts = shim->restart.count;
    shim->status.next = wall_ms() + shim->restart.wait_ms;
    shim->restart_timer.fire = on_restart;
    shim->restart_timer.owner = shim;
    loop_after(&shim->loop, &shim->restart_timer, shim->restart.wait_ms);
    shim_publish(shim, "restarting");
}

static void on_restart(struct timer *timer)
{
    struct shim *shim = timer->owner;

    shim->start_wanted = true;
    shim->was_attached = true;
    begin_launch(shim);
}

void shim_finish(struct shim *shim)
{
    struct error cancelled = {.op_index = -1};

    shim->phase = PHASE_OVER;
    timer_cancel(&shim->restart_timer);
    timer_cancel(&shim->kill_timer);
    cgroups_remove(shim->fields.cgroups, REMOVE_MOST_MS, &cancelled);
    shim->status.shim = 0;
    shim->status.pid = 0;
    shim->status.next = 0;
    clients_unlisten(shim);
    shim_publish(shim, shim_never_started(shim) ? "created" : "exited");
    /* Before anybody is told: whoever hears of the end may start the next one at once. */
    flock(shim->claim, LOCK_UN);
    fail_with(&cancelled, ECANCELED, "the container was stopped");
    clients_reply(shim, SHIM_PREPARE, &cancelled);
    clients_reply(shim, SHIM_START, &cancelled);
    clients_reply(shim, SHIM_STOP, NULL);
    clients_reply(shim, SHIM_QUIT, NULL);
    clients_leave(shim);
}

static void thaw_if_paused(struct shim *shim)
{
    struct error ignored = {.op_index = -1};

    if (shim->paused)
        cgroups_freeze(shim->fields.cgroups, false, &ignored);
    shim->paused = false;
}

void shim_stop(struct shim *shim, uint32_t signal, uint64_t grace_ms)
{
    uint64_t grace = grace_ms == GRACE_CONFIGURED ? shim->fields.grace_ms : grace_ms;
    bool again = shim->stopping;

    shim->stopping = true;
    shim->status.stopped = true;
    if (shim->phase == PHASE_IDLE || shim->phase == PHASE_WAITING) {
        shim_finish(shim);
        return;
    }
    if (shim->phase < PHASE_RUNNING) {
        kill_all(shim);
        return;
    }
    if (shim->phase != PHASE_RUNNING)
        return;
    kernel_pidfd_send_signal(shim->launched.pidfd, (int)(signal ? signal : shim->fields.stop_signal));
    thaw_if_paused(shim);
    if (again && shim->kill_timer.due && shim->kill_timer.due <= clock_ms() + grace)
        return;
    shim->kill_timer.fire = on_kill;
    shim->kill_timer.owner = shim;
    loop_after(&shim->loop, &shim->kill_timer, grace);
}

static void on_kill(struct timer *timer)
{
    kill_all(timer->owner);
}

static void kill_all(struct shim *shim)
{
    thaw_if_paused(shim);
    if (shim->launched.pidfd >= 0)
        kernel_pidfd_send_signal(shim->launched.pidfd, SIGKILL);
    cgroups_kill(shim->fields.cgroups);
}

void shim_quit(struct shim *shim)
{
    shim->stopping = true;
    if (shim->phase == PHASE_IDLE || shim->phase == PHASE_WAITING)
        shim_finish(shim);
    else if (shim->phase != PHASE_OVER)
        kill_all(shim);
}

int shim_signal(struct shim *shim, uint32_t signal, struct error *error)
{
    if (shim->phase != PHASE_RUNNING)
        return fail_with(error, ESRCH, "the container is not running");
    if (kernel_pidfd_send_signal(shim->launched.pidfd, (int)signal))
        return fail(error, "signal %u", signal);
    /* A frozen v1 group would not even die of SIGKILL. */
    if (signal == SIGKILL)
        thaw_if_paused(shim);
    return 0;
}

int shim_pause(struct shim *shim, bool pause, struct error *error)
{
    if (shim->phase != PHASE_RUNNING)
        return fail_with(error, ESRCH, "the container is not running");
    if (cgroups_freeze(shim->fields.cgroups, pause, error))
        return -1;
    shim->paused = pause;
    shim_publish(shim, pause ? "paused" : "running");
    return 0;
}
