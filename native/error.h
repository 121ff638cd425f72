/* One convention: functions return 0 (or a value >= 0) on success and -1 on failure, and the last argument, an error slot, says why. */
#ifndef TSCOMPOSE_ERROR_H
#define TSCOMPOSE_ERROR_H

#define ERROR_TEXT_MAX 256

struct error {
    int number;                 /* errno */
    int op_index;               /* record of the launch program, or -1 */
    int op;                     /* its code, or 0 */
    char text[ERROR_TEXT_MAX];  /* "openat2 /data: Not a directory" */
};

/* Fills the slot from errno and a printf text; returns -1. */
int fail(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same with a given errno. */
int fail_with(struct error *error, int number, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
