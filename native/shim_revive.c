#include "shim.h"

#include "kernel.h"
#include "textfile.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

/* Time for another process to be the same supervisor already, and for the lock of the dead one to be free. */
#define REVIVE_FIRST_MS 50
#define REVIVE_AGAIN_MS 1000
/* A shim that nobody asked to start anything does not stay for ever. */
#define ABANDON_MS 60000

static void on_revive(struct timer *timer);
static void on_abandon(struct timer *timer);
static void start_supervisor(const struct shim *shim);
static void become_supervisor(const struct shim *shim) __attribute__((noreturn));

void revive_init(struct shim *shim)
{
    shim->revive_timer = (struct timer){.fire = on_revive, .owner = shim};
    shim->abandon_timer = (struct timer){.fire = on_abandon, .owner = shim};
    loop_after(&shim->loop, &shim->abandon_timer, ABANDON_MS);
}

void revive_supervisor_lost(struct shim *shim)
{
    if (shim->fields.reviver[0])
        loop_after(&shim->loop, &shim->revive_timer, REVIVE_FIRST_MS);
}

void revive_supervisor_found(struct shim *shim)
{
    timer_cancel(&shim->revive_timer);
}

static bool is_at_work(const struct shim *shim)
{
    return shim->phase == PHASE_RELEASED || shim->phase == PHASE_RUNNING || shim->phase == PHASE_DRAINING || shim->phase == PHASE_WAITING ||
           (shim->status.started && shim->phase != PHASE_OVER);
}

static void on_revive(struct timer *timer)
{
    struct shim *shim = timer->owner;

    if (clients_have_supervisor(shim) || shim->phase == PHASE_OVER)
        return;
    if (is_at_work(shim))
        start_supervisor(shim);
    loop_after(&shim->loop, timer, REVIVE_AGAIN_MS);
}

static void on_abandon(struct timer *timer)
{
    struct shim *shim = timer->owner;

    if (is_at_work(shim) || shim->phase == PHASE_OVER)
        return;
    if (!clients_any(shim))
        shim_quit(shim);
    if (shim->phase != PHASE_OVER)
        loop_after(&shim->loop, timer, ABANDON_MS);
}

/* By a child that ends at once, so that the supervisor is nobody's child here and leaves no zombie. */
static void start_supervisor(const struct shim *shim)
{
    pid_t child = fork();

    if (child == 0) {
        if (fork() == 0)
            become_supervisor(shim);
        _exit(0);
    }
    if (child > 0)
        waitpid(child, NULL, 0);
}

static void become_supervisor(const struct shim *shim)
{
    static const int numbers[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGQUIT};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        signal(numbers[i], SIG_DFL);
    if (shim->host_network >= 0 && setns(shim->host_network, CLONE_NEWNET))
        _exit(125);
    if (shim->oom_score[0])
        write_text(AT_FDCWD, "/proc/self/oom_score_adj", shim->oom_score);
    setsid();
    if (chdir("/"))
        _exit(125);
    kernel_close_range(3, ~0u);
    execvp(shim->fields.reviver[0], shim->fields.reviver);
    _exit(127);
}
