/* The Test Anything Protocol, as small as it goes. */
#ifndef TSCOMPOSE_TAP_H
#define TSCOMPOSE_TAP_H

#include <stdbool.h>

void ok(bool passed, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line that explains the last failure. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints the plan; the exit code of main. */
int done_testing(void);

#endif
