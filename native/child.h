/* What the operations of a launch program share. Private to the launch program's files. */
#ifndef TSCOMPOSE_CHILD_H
#define TSCOMPOSE_CHILD_H

#include "launch.h"

/* The process that becomes the container's. All descriptors are close-on-exec and -1 when absent. */
struct child {
    const struct program *program;
    int sync;              /* to the launcher */
    int proc;              /* root of a verified procfs of the host; absent in a program that JOINs */
    int root;              /* the container's root; absent before ROOTFS, except where JOIN made it "/" */
    int null_mount;        /* what masks files: see ops_mask.c */
    int empty_mount;       /* what masks directories */
    bool null_attached;
    bool empty_attached;
    bool joined;
    bool has_console;      /* stdio is the container's own terminal */
    const char *workdir;   /* set by WORKDIR */
    bool workdir_pending;  /* chdir was refused before USER; to be tried again after it */
    int death_signal;
};

typedef int run_in_child(struct child *child, const struct program_record *record, struct error *error);

/* The process that starts it. */
struct launcher {
    const struct program *program;
    int proc;              /* as above */
    int pidfd;
    pid_t pid;             /* the child; 0 before CLONE */
    int children_pidns;    /* pid_for_children as it was before SETNS, to be put back */
    bool joined;
    int *cgroup_procs;     /* by record: opened before JOIN for use after it, or -1 */
};

typedef int run_in_launcher(struct launcher *launcher, const struct program_record *record, struct error *error);

/* Which references a record must have, and what they hold. */
enum reference_kind { REFERENCE_NONE = 0, REFERENCE_TEXT, REFERENCE_BYTES, REFERENCE_BLOCK, REFERENCE_WORDS, REFERENCE_FILTERS };
struct reference_rule {
    unsigned char kind;
    bool optional;
};

struct operation {
    const char *name;
    run_in_launcher *launcher; /* before CLONE, or with OP_PARENT */
    run_in_child *child;
    struct reference_rule a, b, c, d;
};

/* The row of an operation; NULL for a code that is unknown or reserved. */
const struct operation *operation_of(unsigned int op);

/* ops_launcher.c */
run_in_launcher launcher_cgroup_create, launcher_cgroup_write, launcher_cgroup_attach, launcher_cgroup_devices;
run_in_launcher launcher_join, launcher_prlimit, launcher_oom_score, launcher_id_maps, launcher_setns;
/* ops_names.c */
run_in_child child_setns, child_unshare, child_hostname, child_domainname, child_loopback_up, child_keyring;
run_in_child child_cgroup_attach, child_prlimit, child_oom_score;
/* ops_root.c, ops_mount.c, ops_files.c */
run_in_child child_root_propagation, child_rootfs, child_pivot, child_mount, child_bind, child_remount;
run_in_child child_mkdir, child_symlink, child_mknod, child_write_file;
/* ops_mask.c, ops_console.c */
run_in_child child_mask, child_readonly_path, child_sysctl, child_console;
/* ops_process.c */
run_in_child child_umask, child_workdir, child_no_new_privs, child_bounding, child_user, child_capabilities, child_ambient;
run_in_child child_seccomp, child_personality, child_setsid, child_pdeathsig;
/* ops_start.c */
run_in_child child_gate, child_init, child_exec;

/* mounts.c: mounts by descriptor; no path of the container is walked. */
/* mount(2) onto what `target` refers to. */
int mount_onto(struct child *child, const char *source, int target, const char *type, unsigned long flags, const char *data);
/* A detached clone of the mount at `source`. */
int clone_mount(int source, bool recursive);
/* Sets what `flags` (MS_*) and `attributes` (MOUNT_ATTR_*, recursively) ask for on the mount that `mount` is the root of, and
 * clears nothing. */
int restrict_mount(struct child *child, int mount, unsigned long flags, uint64_t attributes, struct error *error);
/* Remounts with the flags that must stay (mount_namespaces(7), "locked"). */
int remount_keeping_locked(struct child *child, int mount, unsigned long flags);

/* ops_mask.c. To be called before the host's /dev goes out of sight. */
int keep_null_mount(struct child *child, struct error *error);

/* ops_process.c */
int chdir_in_root(struct child *child, struct error *error);

/* messages.c */
int send_message(int sync, enum launch_message_kind kind, int fd, const struct error *error);
/* Waits for the launcher's word; -1 with EPIPE when it is gone. */
int await_word(int sync, unsigned int word, struct error *error);
int send_word(int sync, unsigned int word, struct error *error);
#define WORD_GO 0x4f47u      /* the parent's records are done */
#define WORD_RELEASE 0x5452u /* the gate is open */

/* ops_names.c: puts the loopback link of the present network namespace up. */
int loopback_up(struct error *error);

/* descriptors.c */
/* Closes every descriptor from 3 on but `kept`. */
void close_others(int kept);
/* O_PATH on a directory that is the root of a real procfs, or -1. */
int open_proc(struct error *error);
/* The descriptor again, numbered at least 3. */
int above_stdio(int fd);

/* What launch.c's child side runs. Never returns. */
void run_child(struct child *child, uint32_t first, const struct launch_io *io, uint64_t clone_flags) __attribute__((noreturn));
/* Runs the records from `first` on until one execs or fails; returns only on failure, told to the launcher. */
int run_child_records(struct child *child, uint32_t first, struct error *error);

#endif
