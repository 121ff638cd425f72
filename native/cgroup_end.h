/* The end of cgroups: kill what is inside, remove them; and the freezer. v1 and v2, told apart by the files a directory has. */
#ifndef TSCOMPOSE_CGROUP_END_H
#define TSCOMPOSE_CGROUP_END_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

/* Thaws, then sends SIGKILL to every process in these directories and below, but for the caller. Returns how many were met. */
int cgroups_kill(char *const *directories);
/* Kills and removes the directories with their children, retrying while the kernel is busy, for at most `most_ms`. Absent is fine. */
int cgroups_remove(char *const *directories, uint64_t most_ms, struct error *error);
/* Freezes or thaws, and waits until it is so. */
int cgroups_freeze(char *const *directories, bool freeze, struct error *error);
/* How many processes the kernel's OOM killer has killed in there so far. */
uint64_t cgroups_oom_kills(char *const *directories);

#endif
