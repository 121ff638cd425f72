/*
 * Running a launch program (protocol.h). The caller is the launcher: it owns the loop, this owns the order of things.
 *
 *   program_open → launch → (poll launched.sync: launch_read until READY or FAILED) → launch_release → poll sync again:
 *   end of file means that execve succeeded, FAILED carries its errno.
 */
#ifndef TSCOMPOSE_LAUNCH_H
#define TSCOMPOSE_LAUNCH_H

#include "error.h"
#include "protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct program {
    const unsigned char *blob;
    size_t size;
    const struct program_record *records;
    uint32_t count;
};

/* Checks the whole blob once: header, records, every reference, NUL after every string. `blob` must stay alive and 8-byte aligned. */
int program_open(const void *blob, size_t size, struct program *program, struct error *error);

/* A reference's bytes; NULL when absent. Only for programs that program_open accepted. */
const char *program_bytes(const struct program *program, uint32_t reference, uint32_t *length);

struct launch_io {
    int stdin_fd;  /* what becomes 0, 1, 2 of the child; ignored where the program has CONSOLE */
    int stdout_fd;
    int stderr_fd;
};

struct launched {
    pid_t pid;  /* init, in the launcher's pid namespace */
    int pidfd;
    int sync;   /* SOCK_SEQPACKET, close-on-exec */
};

/* Runs the launcher's and the parent's records and starts the child. On failure nothing of the child is left;
 * cgroups that were made are the caller's to remove. Never blocks longer than the child's own set-up. */
int launch(const struct program *program, const struct launch_io *io, struct launched *launched, struct error *error);

enum launch_message_kind {
    LAUNCH_CONSOLE = 1, /* `fd` is the terminal's master */
    LAUNCH_READY,       /* waits at the gate (a program without GATE sends none) */
    LAUNCH_FAILED,      /* `error` says what and why; the child ends */
    LAUNCH_DONE,        /* end of file: execve succeeded, or the child died: look at its pidfd */
};
struct launch_message {
    enum launch_message_kind kind;
    int fd;
    struct error error;
};
/* Reads one message from `sync`; blocks unless the descriptor is non-blocking (then -1 with EAGAIN). */
int launch_read(int sync, struct launch_message *message, struct error *error);

/* Opens the gate. */
int launch_release(int sync, struct error *error);

/* The exit code that goes with a failed launch: 127 not found, 126 not executable, 125 otherwise. */
int launch_exit_code(const struct error *error);

/* Re-executes this program from a sealed memfd unless it runs from one already (CVE-2019-5736). Returns only on success or failure. */
int run_sealed(char **argv, struct error *error);

#endif
