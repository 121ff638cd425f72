#include "cgroup_end.h"

#include "loop.h"
#include "scope.h"
#include "textfile.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#define PIDS_AT_ONCE 256
#define DEPTH_MOST 32
/* A frozen group that does not become so in this time has a task the kernel cannot stop. */
#define FREEZE_MOST_MS 5000

static void thaw(int directory);
static int kill_tree(int directory, int depth);
static int kill_members(int directory);
static int remove_tree(int parent, const char *name, int depth);
static void nap_ms(uint64_t ms);

static int open_directory_at(int parent, const char *name)
{
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int cgroups_kill(char *const *directories)
{
    int met = 0;

    for (; *directories; directories++) {
        scope_fd int directory = open_directory_at(AT_FDCWD, *directories);

        if (directory < 0)
            continue;
        /* A frozen v1 group does not even die of SIGKILL. */
        thaw(directory);
        if (!write_text(directory, "cgroup.kill", "1"))
            continue;
        met += kill_tree(directory, 0);
    }
    return met;
}

static void thaw(int directory)
{
    if (write_text(directory, "freezer.state", "THAWED"))
        write_text(directory, "cgroup.freeze", "0");
}

/* Calls `visit` for every child directory until it fails. */
static int each_child(int directory, int depth, int (*visit)(int parent, const char *name, int depth))
{
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *entry;
    int total = 0;

    if (!listing) {
        if (copy >= 0)
            close(copy);
        return 0;
    }
    while ((entry = readdir(listing)))
        if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            total += visit(directory, entry->d_name, depth + 1);
    closedir(listing);
    return total;
}

static int kill_child(int parent, const char *name, int depth)
{
    scope_fd int directory = open_directory_at(parent, name);

    return directory < 0 ? 0 : kill_tree(directory, depth);
}

static int kill_tree(int directory, int depth)
{
    int met = depth < DEPTH_MOST ? each_child(directory, depth, kill_child) : 0;

    return met + kill_members(directory);
}

static int read_members(int directory, pid_t *pids)
{
    scope_fd int fd = openat(directory, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    FILE *file = fd < 0 ? NULL : fdopen(dup(fd), "re");
    int count = 0;
    int pid;

    if (!file)
        return 0;
    while (count < PIDS_AT_ONCE && fscanf(file, "%d", &pid) == 1)
        if (pid > 0 && pid != getpid())
            pids[count++] = pid;
    fclose(file);
    return count;
}

static bool contains(const pid_t *pids, int count, pid_t pid)
{
    for (int i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

/* The list is read again after the pidfds are open: a number that is still in it is still the process we hold. */
static int kill_members(int directory)
{
    pid_t pids[PIDS_AT_ONCE], again[PIDS_AT_ONCE];
    int pidfds[PIDS_AT_ONCE];
    int count = read_members(directory, pids);
    int still;

    if (!count)
        return 0;
    for (int i = 0; i < count; i++)
        pidfds[i] = (int)syscall(SYS_pidfd_open, pids[i], 0);
    still = read_members(directory, again);
    for (int i = 0; i < count; i++) {
        if (pidfds[i] >= 0 && contains(again, still, pids[i]))
            syscall(SYS_pidfd_send_signal, pidfds[i], SIGKILL, NULL, 0);
        if (pidfds[i] >= 0)
            close(pidfds[i]);
    }
    return count;
}

int cgroups_remove(char *const *directories, uint64_t most_ms, struct error *error)
{
    uint64_t deadline = clock_ms() + most_ms;
    uint64_t wait = 1;

    for (char *const *directory = directories; *directory;) {
        if (!remove_tree(AT_FDCWD, *directory, 0)) {
            directory++;
            continue;
        }
        if (clock_ms() >= deadline)
            return fail_with(error, EBUSY, "remove cgroup %s", *directory);
        cgroups_kill((char *const[]){*directory, NULL});
        nap_ms(wait);
        wait = wait < 64 ? wait * 2 : 64;
    }
    return 0;
}

/* Children only when rmdir(2) says that there are some. */
static int remove_tree(int parent, const char *name, int depth)
{
    scope_fd int directory = -1;

    if (!unlinkat(parent, name, AT_REMOVEDIR) || errno == ENOENT)
        return 0;
    if (depth >= DEPTH_MOST)
        return -1;
    directory = open_directory_at(parent, name);
    if (directory < 0)
        return errno == ENOENT ? 0 : -1;
    each_child(directory, depth, remove_tree);
    return !unlinkat(parent, name, AT_REMOVEDIR) || errno == ENOENT ? 0 : -1;
}

static void nap_ms(uint64_t ms)
{
    struct timespec time = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};

    nanosleep(&time, NULL);
}

static bool is_frozen(int directory, bool old_freezer)
{
    char text[64] = "";

    if (!old_freezer)
        return keyed_number(directory, "cgroup.events", "frozen") == 1;
    read_text(directory, "freezer.state", text, sizeof(text));
    return !strcmp(text, "FROZEN\n");
}

static int freeze_one(int directory, bool old_freezer, bool freeze)
{
    const char *file = old_freezer ? "freezer.state" : "cgroup.freeze";
    const char *value = old_freezer ? (freeze ? "FROZEN" : "THAWED") : (freeze ? "1" : "0");
    uint64_t deadline = clock_ms() + FREEZE_MOST_MS;

    while (!write_text(directory, file, value)) {
        if (is_frozen(directory, old_freezer) == freeze)
            return 0;
        if (clock_ms() >= deadline) {
            thaw(directory);
            errno = EBUSY;
            return -1;
        }
        nap_ms(1);
    }
    return -1;
}

/* On a hybrid host the v1 freezer is the one that holds the tasks for sure; cgroup.freeze is taken where there is no other. */
int cgroups_freeze(char *const *directories, bool freeze, struct error *error)
{
    for (int old_freezer = 1; old_freezer >= 0; old_freezer--) {
        for (char *const *path = directories; *path; path++) {
            scope_fd int directory = open_directory_at(AT_FDCWD, *path);

            if (directory < 0 || faccessat(directory, old_freezer ? "freezer.state" : "cgroup.freeze", W_OK, 0))
                continue;
            return freeze_one(directory, old_freezer, freeze) ? fail(error, "%s %s", freeze ? "freeze" : "thaw", *path) : 0;
        }
    }
    return fail_with(error, EOPNOTSUPP, "the container has no cgroup that can be frozen");
}

uint64_t cgroups_oom_kills(char *const *directories)
{
    uint64_t kills = 0;

    for (; *directories; directories++) {
        scope_fd int directory = open_directory_at(AT_FDCWD, *directories);

        if (directory < 0)
            continue;
        kills += keyed_number(directory, "memory.events", "oom_kill");
        kills += keyed_number(directory, "memory.oom_control", "oom_kill");
    }
    return kills;
}
