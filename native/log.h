/*
 * A container's log file: CRI lines, "2026-11-22T05:56:48.123456789Z stdout F text". `F` ends a line, `P` is a piece of a line
 * longer than LOG_PIECE. Writing never blocks on anything but the disk, and a full disk costs output, never the container.
 */
#ifndef TSCOMPOSE_LOG_H
#define TSCOMPOSE_LOG_H

#include "error.h"

#include <stddef.h>
#include <stdint.h>

#define LOG_PIECE 16384u
#define LOG_BATCH 32768u

enum log_stream { LOG_STDOUT = 1, LOG_STDERR = 2 };

struct log_line {
    unsigned char bytes[LOG_PIECE];
    size_t length;
};

struct log {
    int directory;
    int fd; /* -1: nothing is kept */
    char name[256];
    uint64_t size;
    uint64_t rotate_bytes; /* 0: never */
    uint32_t keep;
    uint64_t dropped; /* bytes of output lost since the last successful write */
    int dropped_why;
    struct log_line lines[2];
    unsigned char batch[LOG_BATCH];
    size_t batched;
};

/* Opens or makes the file; mends a last line that was cut off by a crash. An empty path keeps nothing. */
int log_open(struct log *log, const char *path, uint64_t rotate_bytes, uint32_t keep, struct error *error);
/* Output of one stream, cut anywhere. Whole lines are in the file on return. */
void log_write(struct log *log, enum log_stream stream, const unsigned char *bytes, size_t length);
/* The streams ended: unfinished lines are written as they are. */
void log_finish(struct log *log);
/* When output was lost, tries to say so in the log; call it from time to time while log->dropped is not 0. */
void log_retry(struct log *log);
void log_close(struct log *log);

#endif
