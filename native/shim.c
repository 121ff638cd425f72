#include "shim.h"

#include "child.h"

#include "report.h"
#include "scope.h"
#include "textfile.h"
#include "title.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>

/* Static: a shim is one per process, and most of this is buffers. */
static struct shim the_shim;

static int set_up(struct shim *shim, struct error *error);
static int detach(struct shim *shim, struct error *error);
static int enter_network(struct shim *shim, struct error *error);
static int claim(struct shim *shim, struct error *error);
static int open_program(struct shim *shim, struct error *error);
static void report_to(int report, const struct error *error);

void shim_main(struct shim_fields *fields, int report)
{
    struct shim *shim = &the_shim;
    struct error error = {.op_index = -1};

    shim->fields = *fields;
    if (set_up(shim, &error)) {
        report_to(report, &error);
        _exit(1);
    }
    report_to(report, &error);
    close(report);
    loop_run(&shim->loop);
    _exit(0);
}

static int set_up(struct shim *shim, struct error *error)
{
    if (detach(shim, error) || claim(shim, error) || open_program(shim, error) || enter_network(shim, error))
        return -1;
    if (loop_open(&shim->loop))
        return fail(error, "epoll");
    shim->restart = (struct restart){.policy = shim->fields.policy, .most = shim->fields.most_restarts};
    shim->status = (struct status){.shim = getpid(), .exit = -1};
    status_boot_id(shim->status.boot);
    if (log_open(&shim->log, shim->fields.log, shim->fields.rotate_bytes, shim->fields.keep, error))
        return -1;
    stdio_init(shim);
    revive_init(shim);
    if (clients_listen(shim, error))
        return -1;
    shim_publish(shim, "created");
    return 0;
}

static void ignore_signal(int number)
{
    (void)number;
}

/* Handlers that do nothing instead of SIG_IGN, which the container's program would inherit (signal(7)). */
static void survive_signals(void)
{
    static const int numbers[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGQUIT};
    struct sigaction action = {.sa_handler = ignore_signal, .sa_flags = SA_RESTART};
    sigset_t none;

    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
        sigaction(numbers[i], &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int detach(struct shim *shim, struct error *error)
{
    const char *slash = strrchr(shim->fields.directory, '/');
    char title[64];
    scope_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        return fail(error, "open /dev/null");
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    setsid();
    umask(022);
    survive_signals();
    snprintf(title, sizeof(title), "tscompose-shim %s", slash ? slash + 1 : "");
    title_set(title);
    prctl(PR_SET_NAME, "tscompose-shim", 0, 0, 0);
    if (read_text(AT_FDCWD, "/proc/self/oom_score_adj", shim->oom_score, sizeof(shim->oom_score)) < 0)
        shim->oom_score[0] = '\0';
    /* Best effort: lowering it needs CAP_SYS_RESOURCE (proc_pid_oom_score_adj(5)). */
    write_text(AT_FDCWD, "/proc/self/oom_score_adj", "-999");
    return chdir(shim->fields.directory) ? fail(error, "chdir %s", shim->fields.directory) : 0;
}

/* One that was forked for a supervisor which died meanwhile may listen later than its successor looks for it: two shims would end each
 * other's container through the cgroups that they share. flock(2): the lock ends with this process at the latest. */
static int claim(struct shim *shim, struct error *error)
{
    shim->claim = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (shim->claim < 0 || flock(shim->claim, LOCK_EX | LOCK_NB))
        return fail(error, "take the container's run folder for this shim alone");
    return 0;
}

static int open_program(struct shim *shim, struct error *error)
{
    if (program_open(shim->fields.program, shim->fields.program_length, &shim->program, error))
        return -1;
    for (uint32_t i = 0; i < shim->program.count; i++) {
        shim->has_gate |= shim->program.records[i].op == OP_GATE;
        shim->has_oom_score |= shim->program.records[i].op == OP_OOM_SCORE;
    }
    return 0;
}

static int enter_network(struct shim *shim, struct error *error)
{
    scope_fd int wanted = -1;

    shim->host_network = -1;
    if (shim->fields.network == 0)
        return 0;
    shim->host_network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (shim->host_network < 0)
        return fail(error, "open /proc/self/ns/net");
    /* Loopback at once: a bind to 127.0.0.11 in a namespace without any route yet gets no address of its own (inet_bind). */
    if (shim->fields.network == 1)
        return unshare(CLONE_NEWNET) ? fail(error, "new network namespace") : loopback_up(error);
    wanted = open(shim->fields.namespace_path, O_RDONLY | O_CLOEXEC);
    if (wanted < 0 || setns(wanted, CLONE_NEWNET))
        return fail(error, "network namespace %s", shim->fields.namespace_path);
    return 0;
}

static void report_to(int report, const struct error *error)
{
    struct report said = {.value = (uint32_t)getpid(), .error = *error};
    ssize_t written = write(report, &said, sizeof(said));

    (void)written;
}
