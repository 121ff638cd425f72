#ifndef TSCOMPOSE_CGROUP_H
#define TSCOMPOSE_CGROUP_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* mkdir -p of an absolute directory. With `cpuset`, every level without processors or memory nodes gets its parent's
 * (cgroups(7), v1). */
int cgroup_create(const char *directory, bool cpuset, struct error *error);

/* Writes a whole value with one write(2), as the kernel's control files want it. */
int write_control_file(int directory, const char *file, const char *value, size_t length, struct error *error);

/* Moves a process by an open cgroup.procs; 0 is the writer itself. */
int cgroup_attach(int procs, pid_t pid, struct error *error);
/* cgroup.procs of a directory, for writing. */
int cgroup_open_procs(const char *directory, struct error *error);

/* Puts a BPF_CGROUP_DEVICE program in the place of ours that is there already (bpf(2)); `instructions` are 8 bytes each. */
int cgroup_set_devices(const char *directory, const void *instructions, size_t length, struct error *error);

#endif
