/* Runs inside the tests' containers; the first argument says what to do, and the result is printed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int do_exit(char **arguments)
{
    return atoi(arguments[0]);
}

static int do_fds(char **arguments)
{
    DIR *directory = opendir("/proc/self/fd");

    (void)arguments;
    for (struct dirent *entry; directory && (entry = readdir(directory)) != NULL;)
        if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(directory))
            printf("%s ", entry->d_name);
    printf("\n");
    return directory ? 0 : 1;
}

static int print_file(const char *path, const char *prefix)
{
    char line[512];
    FILE *file = fopen(path, "re");

    if (file == NULL) {
        printf("%s: %s\n", path, strerror(errno));
        return 1;
    }
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, prefix, strlen(prefix)) == 0)
            fputs(line, stdout);
    fclose(file);
    return 0;
}

static int do_status(char **arguments)
{
    return print_file("/proc/self/status", arguments[0]);
}

static int do_cat(char **arguments)
{
    return print_file(arguments[0], "");
}

static int do_write(char **arguments)
{
    int fd = open(arguments[0], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    printf("%s\n", fd < 0 || write(fd, "x", 1) != 1 ? strerror(errno) : "written");
    return 0;
}

static int do_list(char **arguments)
{
    DIR *directory = opendir(arguments[0]);
    int count = 0;

    if (directory == NULL) {
        printf("%s\n", strerror(errno));
        return 1;
    }
    while (readdir(directory) != NULL)
        count++;
    printf("%d entries\n", count - 2);
    closedir(directory);
    return 0;
}

static int do_stat(char **arguments)
{
    struct stat status;

    if (lstat(arguments[0], &status) < 0)
        printf("%s\n", strerror(errno));
    else
        printf("%o %u:%u %llx\n", status.st_mode, status.st_uid, status.st_gid, (unsigned long long)status.st_rdev);
    return 0;
}

static int do_who(char **arguments)
{
    gid_t groups[64];
    int count = getgroups(64, groups);

    (void)arguments;
    printf("%u:%u", getuid(), getgid());
    for (int index = 0; index < count; index++)
        printf(" %u", groups[index]);
    printf("\n");
    return 0;
}

static int do_where(char **arguments)
{
    char path[512];
    char name[65];

    (void)arguments;
    gethostname(name, sizeof(name));
    printf("%s pid %d sid %d host %s\n", getcwd(path, sizeof(path)) ? path : "?", getpid(), getsid(0), name);
    return 0;
}

static int do_tty(char **arguments)
{
    struct winsize size;
    struct stat console;
    struct stat own;

    (void)arguments;
    if (ioctl(0, TIOCGWINSZ, &size) < 0 || stat("/dev/console", &console) < 0 || fstat(1, &own) < 0)
        return 1;
    bool leads = tcgetpgrp(0) == getpid() && getsid(0) == getpid();
    printf("tty %d size %dx%d leader %d console %d\n", isatty(0) && isatty(1) && isatty(2), size.ws_row, size.ws_col, leads,
           console.st_rdev == own.st_rdev);
    return 0;
}

static int do_limit(char **arguments)
{
    struct rlimit limit;

    getrlimit(atoi(arguments[0]), &limit);
    printf("%llu %llu\n", (unsigned long long)limit.rlim_cur, (unsigned long long)limit.rlim_max);
    return 0;
}

static int do_signals(char **arguments)
{
    int ignored = 0;

    (void)arguments;
    for (int number = 1; number < 32; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            ignored++;
    }
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int number = 1; number < 32; number++)
        ignored += sigismember(&mask, number) == 1;
    printf("%d odd\n", ignored);
    return 0;
}

static volatile sig_atomic_t caught;

static void remember(int number)
{
    caught = number;
}

/* Says "ready", then exits with 40 + the first signal; a second instance as an orphan is left behind to be reaped. */
static int do_wait(char **arguments)
{
    struct sigaction action = { .sa_handler = remember };

    (void)arguments;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    if (fork() == 0) {
        if (fork() == 0)
            _exit(3);
        _exit(0);
    }
    wait(NULL);
    printf("ready %d\n", getpid());
    fflush(stdout);
    while (caught == 0)
        pause();
    return 40 + caught;
}

static int do_die(char **arguments)
{
    raise(atoi(arguments[0]));
    return 1;
}

static int do_mkdir(char **arguments)
{
    printf("%s\n", mkdir(arguments[0], 0755) < 0 ? strerror(errno) : "made");
    return 0;
}

static int do_link(char **arguments)
{
    char text[512];
    ssize_t length = readlink(arguments[0], text, sizeof(text) - 1);

    text[length < 0 ? 0 : length] = '\0';
    printf("%s\n", length < 0 ? strerror(errno) : text);
    return 0;
}

static int do_echo(char **arguments)
{
    char line[256];

    (void)arguments;
    while (fgets(line, sizeof(line), stdin))
        printf("got %s", line);
    return 5;
}

static int do_personality(char **arguments)
{
    (void)arguments;
    printf("%lx dumpable %d umask %o\n", syscall(SYS_personality, 0xffffffffUL), prctl(PR_GET_DUMPABLE), umask(0));
    return 0;
}

static const struct {
    const char *name;
    int (*run)(char **arguments);
} modes[] = {
    { "exit", do_exit },     { "fds", do_fds },     { "status", do_status }, { "cat", do_cat },       { "write", do_write },
    { "list", do_list },     { "stat", do_stat },   { "who", do_who },       { "where", do_where },   { "tty", do_tty },
    { "limit", do_limit },   { "wait", do_wait },   { "die", do_die },       { "mkdir", do_mkdir },   { "signals", do_signals },
    { "link", do_link },     { "echo", do_echo },   { "personality", do_personality },
};

int main(int argc, char **argv)
{
    for (size_t row = 0; argc > 1 && row < sizeof(modes) / sizeof(modes[0]); row++)
        if (strcmp(argv[1], modes[row].name) == 0)
            return modes[row].run(argv + 2);
    return 99;
}
