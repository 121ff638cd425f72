/* The last operations of the child: the gate, the init that stays, and execve. */
#include "child.h"
#include "kernel.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* What docker and runC search where the environment has no PATH. */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static void stay_as_init(pid_t child) __attribute__((noreturn));
static void forward(pid_t child, int number);
static void reap(pid_t child);
static void lead_the_terminal(void);
static char **pointers_of(const char *block, uint32_t length);
static int exec_by_path(char **argv, char **env, struct error *error);
static int explain(struct error *error, const char *path, const char *name);
static const char *value_of(char **env, const char *name);

int child_gate(struct child *child, const struct program_record *record, struct error *error)
{
    (void)record;
    if (send_message(child->sync, LAUNCH_READY, -1, NULL) < 0)
        return fail(error, "telling the launcher");
    return await_word(child->sync, WORD_RELEASE, error);
}

/* The fork goes on with the program; PID 1 keeps no descriptor but 0, 1, 2 and never runs anything of the container. */
int child_init(struct child *child, const struct program_record *record, struct error *error)
{
    sigset_t all;

    (void)child;
    (void)record;
    /* From before the fork on: no signal may fall between. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    pid_t pid = fork();
    if (pid < 0)
        return fail(error, "fork of the init's child");
    if (pid > 0)
        stay_as_init(pid);
    lead_the_terminal();
    return 0;
}

/* A group of its own, so that what the terminal sends to the foreground does not come to it twice. */
static void lead_the_terminal(void)
{
    setpgid(0, 0);
    /* SIGTTOU is blocked here, which tcsetpgrp(3) from the background needs. */
    tcsetpgrp(STDIN_FILENO, getpid());
}

static void stay_as_init(pid_t child)
{
    sigset_t all;
    siginfo_t information;

    close_others(0);
    prctl(PR_SET_NAME, "init", 0, 0, 0);
    if (chdir("/") < 0)
        _exit(125);
    sigfillset(&all);
    for (;;) {
        int number = sigwaitinfo(&all, &information);
        if (number == SIGCHLD)
            reap(child);
        else if (number > 0)
            forward(child, number);
    }
}

/* What the kernel says about the terminal is init's own; all else is the program's. */
static void forward(pid_t child, int number)
{
    if (number != SIGTTIN && number != SIGTTOU && number != SIGTSTP)
        kill(child, number);
}

static void reap(pid_t child)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == child)
            _exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

int child_exec(struct child *child, const struct program_record *record, struct error *error)
{
    uint32_t argv_length;
    uint32_t env_length;
    const char *argv_block = program_bytes(child->program, record->a, &argv_length);
    const char *env_block = program_bytes(child->program, record->b, &env_length);
    char **argv = pointers_of(argv_block, argv_length);
    char **env = pointers_of(env_block, env_length);
    sigset_t none;

    if (argv == NULL || env == NULL)
        return fail_with(error, ENOMEM, "exec");
    if (argv[0] == NULL)
        return fail_with(error, EINVAL, "exec: no command");
    /* Close-on-exec would do; but a descriptor that is gone cannot be looked at in the instant of execve (CVE-2024-21626). */
    close_others(child->sync);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    return exec_by_path(argv, env, error);
}

/* Never freed: the process becomes another. */
static char **pointers_of(const char *block, uint32_t length)
{
    size_t count = 0;

    for (uint32_t at = 0; at < length; at += (uint32_t)strlen(block + at) + 1)
        count++;
    char **pointers = calloc(count + 1, sizeof(char *));
    if (pointers == NULL)
        return NULL;
    count = 0;
    for (uint32_t at = 0; at < length; at += (uint32_t)strlen(block + at) + 1)
        pointers[count++] = (char *)(uintptr_t)(block + at);
    return pointers;
}

static int exec_by_path(char **argv, char **env, struct error *error)
{
    const char *search = value_of(env, "PATH");
    char path[PATH_MAX];
    bool denied = false;

    if (argv[0][0] == '\0')
        return fail_with(error, ENOENT, "exec: empty command");
    if (strchr(argv[0], '/')) {
        execve(argv[0], argv, env);
        return explain(error, argv[0], argv[0]);
    }
    for (const char *at = search ? search : DEFAULT_PATH; at; at = strchr(at, ':') ? strchr(at, ':') + 1 : NULL) {
        int length = (int)strcspn(at, ":");
        if (snprintf(path, sizeof(path), "%.*s/%s", length ? length : 1, length ? at : ".", argv[0]) >= (int)sizeof(path))
            continue;
        struct stat status;
        /* A directory of that name is no reason to stop looking, nor to say "permission denied". */
        if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
            continue;
        execve(path, argv, env);
        if (errno == EACCES)
            denied = true;
        else if (errno != ENOENT && errno != ENOTDIR)
            return explain(error, path, argv[0]);
        else if (access(path, F_OK) == 0)
            return explain(error, path, argv[0]);
    }
    errno = denied ? EACCES : ENOENT;
    return fail(error, "exec %s%s", argv[0], denied ? "" : ", not found in PATH");
}

/* errno alone would mislead in two cases: a file that is there is "not found", or has no known format. */
static int explain(struct error *error, const char *path, const char *name)
{
    int number = errno;

    if (number == ENOENT && access(path, F_OK) == 0)
        return fail_with(error, ENOENT, "exec %s: its interpreter or dynamic loader is missing", name);
    if (number == ENOEXEC)
        return fail_with(error, ENOEXEC, "exec %s: a script without a #! line, or a program for another machine", name);
    return fail_with(error, number, "exec %s", name);
}

/* The last one of a name counts, as for everyone who sets variables one after another. */
static const char *value_of(char **env, const char *name)
{
    size_t length = strlen(name);
    const char *value = NULL;

    for (char **entry = env; *entry; entry++)
        if (strncmp(*entry, name, length) == 0 && (*entry)[length] == '=')
            value = *entry + length + 1;
    return value;
}
