/*
 * What Linux has and the C libraries' headers may lack: system call numbers and structures, under names of our own so that no
 * header, old or new, glibc's or musl's, can collide with them. Numbers from 424 on are the same on every architecture.
 */
#ifndef TSCOMPOSE_KERNEL_H
#define TSCOMPOSE_KERNEL_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

enum kernel_call {
    CALL_PIDFD_SEND_SIGNAL = 424,
    CALL_OPEN_TREE = 428,
    CALL_MOVE_MOUNT = 429,
    CALL_FSOPEN = 430,
    CALL_FSCONFIG = 431,
    CALL_FSMOUNT = 432,
    CALL_PIDFD_OPEN = 434,
    CALL_CLONE3 = 435,
    CALL_CLOSE_RANGE = 436,
    CALL_OPENAT2 = 437,
    CALL_MOUNT_SETATTR = 442,
};

/* clone3(2) */
struct kernel_clone_args {
    uint64_t flags;
    uint64_t pidfd;
    uint64_t child_tid;
    uint64_t parent_tid;
    uint64_t exit_signal;
    uint64_t stack;
    uint64_t stack_size;
    uint64_t tls;
    uint64_t set_tid;
    uint64_t set_tid_size;
    uint64_t cgroup;
};
#define KERNEL_CLONE_PIDFD 0x1000ull
#define KERNEL_CLONE_NEWTIME 0x80ull
#define KERNEL_CLONE_NEWNS 0x00020000ull
#define KERNEL_CLONE_NEWCGROUP 0x02000000ull
#define KERNEL_CLONE_NEWUTS 0x04000000ull
#define KERNEL_CLONE_NEWIPC 0x08000000ull
#define KERNEL_CLONE_NEWUSER 0x10000000ull
#define KERNEL_CLONE_NEWPID 0x20000000ull
#define KERNEL_CLONE_NEWNET 0x40000000ull
#define KERNEL_CLONE_INTO_CGROUP 0x200000000ull

/* openat2(2) */
struct kernel_open_how {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
};
#define KERNEL_RESOLVE_NO_XDEV 0x01ull
#define KERNEL_RESOLVE_NO_MAGICLINKS 0x02ull
#define KERNEL_RESOLVE_NO_SYMLINKS 0x04ull
#define KERNEL_RESOLVE_BENEATH 0x08ull
#define KERNEL_RESOLVE_IN_ROOT 0x10ull

/* mount_setattr(2) */
struct kernel_mount_attr {
    uint64_t set;
    uint64_t clear;
    uint64_t propagation;
    uint64_t userns_fd;
};
#define KERNEL_MOUNT_ATTR_RDONLY 0x01ull
#define KERNEL_MOUNT_ATTR_NOSUID 0x02ull
#define KERNEL_MOUNT_ATTR_NODEV 0x04ull
#define KERNEL_MOUNT_ATTR_NOEXEC 0x08ull
#define KERNEL_MOUNT_ATTR_ATIME 0x70ull
#define KERNEL_MOUNT_ATTR_NOATIME 0x10ull
#define KERNEL_MOUNT_ATTR_STRICTATIME 0x20ull
#define KERNEL_MOUNT_ATTR_NODIRATIME 0x80ull
#define KERNEL_MOUNT_ATTR_NOSYMFOLLOW 0x200000ull
#define KERNEL_MS_NOSYMFOLLOW 256ul
#define KERNEL_ST_NOSYMFOLLOW 0x2000

#define KERNEL_AT_EMPTY_PATH 0x1000
#define KERNEL_AT_RECURSIVE 0x8000
#define KERNEL_OPEN_TREE_CLONE 1
#define KERNEL_MOVE_F_EMPTY 0x04
#define KERNEL_MOVE_T_EMPTY 0x40
#define KERNEL_FSOPEN_CLOEXEC 1
#define KERNEL_FSMOUNT_CLOEXEC 1
#define KERNEL_FSCONFIG_FLAG 0
#define KERNEL_FSCONFIG_STRING 1
#define KERNEL_FSCONFIG_CREATE 6

#define KERNEL_PROC_SUPER_MAGIC 0x9fa0
#define KERNEL_DEVPTS_SUPER_MAGIC 0x1cd1
#define KERNEL_PROC_ROOT_INODE 1

#define KERNEL_TIOCGPTPEER 0x5441

static inline int kernel_openat2(int directory, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct kernel_open_how how = { .flags = flags, .mode = mode, .resolve = resolve };

    return (int)syscall(CALL_OPENAT2, directory, path, &how, sizeof(how));
}

static inline int kernel_open_tree(int directory, const char *path, unsigned int flags)
{
    return (int)syscall(CALL_OPEN_TREE, directory, path, flags);
}

/* Moves the mount that `from` refers to onto what `to` refers to. */
static inline int kernel_move_mount(int from, int to)
{
    return (int)syscall(CALL_MOVE_MOUNT, from, "", to, "", KERNEL_MOVE_F_EMPTY | KERNEL_MOVE_T_EMPTY);
}

static inline int kernel_mount_setattr(int mount, unsigned int flags, const struct kernel_mount_attr *attributes)
{
    return (int)syscall(CALL_MOUNT_SETATTR, mount, "", flags | KERNEL_AT_EMPTY_PATH, attributes, sizeof(*attributes));
}

static inline int kernel_fsopen(const char *type)
{
    return (int)syscall(CALL_FSOPEN, type, KERNEL_FSOPEN_CLOEXEC);
}

static inline int kernel_fsconfig(int context, unsigned int command, const char *key, const char *value)
{
    return (int)syscall(CALL_FSCONFIG, context, command, key, value, 0);
}

static inline int kernel_fsmount(int context, uint64_t attributes)
{
    return (int)syscall(CALL_FSMOUNT, context, KERNEL_FSMOUNT_CLOEXEC, (unsigned int)attributes);
}

static inline int kernel_pidfd_open(pid_t pid)
{
    return (int)syscall(CALL_PIDFD_OPEN, pid, 0);
}

static inline int kernel_pidfd_send_signal(int pidfd, int signal)
{
    return (int)syscall(CALL_PIDFD_SEND_SIGNAL, pidfd, signal, NULL, 0);
}

static inline int kernel_close_range(unsigned int first, unsigned int last)
{
    return (int)syscall(CALL_CLOSE_RANGE, first, last, 0);
}

#endif
