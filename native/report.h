/* How a forked helper says what became of its work: one record through a pipe, shorter than PIPE_BUF, so whole or not at all (pipe(7)). */
#ifndef TSCOMPOSE_REPORT_H
#define TSCOMPOSE_REPORT_H

#include "error.h"

#include <stdint.h>

struct report {
    uint32_t value;
    struct error error; /* number 0: it worked */
};

#endif
