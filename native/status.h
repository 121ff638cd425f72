/* The status file: what a container's state is, for everybody who may read its run folder (protocol.h has the keys). */
#ifndef TSCOMPOSE_STATUS_H
#define TSCOMPOSE_STATUS_H

#include "error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define STATUS_MAX 2048

struct status {
    const char *state;
    pid_t shim;
    pid_t pid;
    uint64_t start_time;
    char boot[40];
    uint64_t started;  /* ms since the epoch, or 0 */
    uint64_t finished;
    int exit;          /* -1: never ended */
    bool oom;
    uint32_t restarts;
    bool stopped;
    uint64_t next;     /* ms since the epoch, or 0 */
    char error[ERROR_TEXT_MAX];
};

/* Returns the length; always fits STATUS_MAX. */
size_t status_text(const struct status *status, char text[STATUS_MAX]);
/* Replaces `status` in the directory by rename. */
int status_write(int directory, const char *text, size_t length);
/* This boot's id, for `boot`. */
void status_boot_id(char boot[40]);
/* Milliseconds since the epoch. */
uint64_t wall_ms(void);

#endif
