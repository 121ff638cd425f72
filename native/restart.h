/* When a container that ended is started again: pure, the numbers of moby's restart manager. */
#ifndef TSCOMPOSE_RESTART_H
#define TSCOMPOSE_RESTART_H

#include <stdbool.h>
#include <stdint.h>

enum restart_policy { RESTART_NO, RESTART_ALWAYS, RESTART_ON_FAILURE, RESTART_UNLESS_STOPPED };

#define RESTART_FIRST_MS 100u
#define RESTART_MOST_MS 60000u
/* A run of this length makes the next wait the first one again. */
#define RESTART_CALM_MS 10000u

struct restart {
    uint32_t policy;
    uint32_t most;    /* on-failure: restarts at most; 0 without bound */
    uint32_t count;   /* restarts so far */
    uint32_t wait_ms; /* the last wait; 0 before the first */
};

/* Whether to start again after a run of `ran_ms` that ended with `exit_code`. When so, counts it and sets wait_ms. */
bool restart_again(struct restart *restart, uint32_t exit_code, uint64_t ran_ms);

#endif
