#include "process_tree.h"

#include "kernel.h"
#include "textfile.h"

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOKS_MOST 50
#define FAMILY_MOST 4096

struct relative {
    pid_t pid;
    pid_t parent;
    pid_t group;
    pid_t session;
};

struct family {
    pid_t pids[FAMILY_MOST];
    int count;
};

static bool look(pid_t root, struct family *family);
static bool belongs(const struct relative *relative, pid_t root, const struct family *family);
static bool contains(const struct family *family, pid_t pid);

/* Looking goes on after killing: who is being killed may just have forked. */
int process_tree_kill(pid_t root)
{
    static struct family family;

    for (int looks = 0; looks < LOOKS_MOST && look(root, &family); looks++)
        for (int i = 0; i < family.count; i++)
            kill(family.pids[i], SIGKILL);
    return family.count;
}

/* Fields 4 to 6 of /proc/PID/stat (proc_pid_stat(5)). */
static bool read_relative(pid_t pid, struct relative *relative)
{
    char path[64];
    char text[1024];
    const char *at;
    int parent, group, session;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (read_text(AT_FDCWD, path, text, sizeof(text)) < 0)
        return false;
    at = strrchr(text, ')');
    if (!at || sscanf(at + 1, " %*c %d %d %d", &parent, &group, &session) != 3)
        return false;
    *relative = (struct relative){.pid = pid, .parent = parent, .group = group, .session = session};
    return true;
}

/* One pass over /proc; children have mostly higher numbers than their parents, and the next pass finds the others. */
static bool look(pid_t root, struct family *family)
{
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    bool found = false;

    if (!processes)
        return false;
    while ((entry = readdir(processes))) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        struct relative relative;

        if (pid <= 1 || pid == root || pid == getpid() || family->count == FAMILY_MOST || contains(family, pid))
            continue;
        if (!read_relative(pid, &relative) || !belongs(&relative, root, family))
            continue;
        family->pids[family->count++] = pid;
        found = true;
    }
    closedir(processes);
    return found;
}

static bool belongs(const struct relative *relative, pid_t root, const struct family *family)
{
    return relative->parent == root || contains(family, relative->parent) || contains(family, relative->group) ||
           contains(family, relative->session);
}

static bool contains(const struct family *family, pid_t pid)
{
    for (int i = 0; i < family->count; i++)
        if (family->pids[i] == pid)
            return true;
    return false;
}
