/* A directory with a small root file system for the tests' containers, and one call that runs a container in it. */
#ifndef TSCOMPOSE_SANDBOX_H
#define TSCOMPOSE_SANDBOX_H

#include "launch.h"
#include "program_builder.h"

struct sandbox {
    char base[64];
    char lower[80];
    char merged[80];
    char overlay[320];
};

struct outcome {
    int code;            /* exit code, 128+n by signal, or launch_exit_code */
    bool failed;         /* the launch did */
    struct error error;
    char output[16384];  /* both streams */
    int console;         /* master, or -1 */
};

/* lower/bin/helper and a few directories, on a tmpfs in a mount namespace of this process's own: all goes when the process
 * does. */
void sandbox_open(struct sandbox *sandbox);

/* CLONE with all namespaces, an overlay root, /proc, a /dev with null and pts, not yet pivoted. */
void add_root(struct builder *builder, const struct sandbox *sandbox);
/* What add_root leaves open: pivot, gate, and the helper with its arguments. */
void add_helper(struct builder *builder, const char *const *argv);

/* Builds, launches, opens the gate, collects output until the end. */
void run_program(struct builder *builder, struct outcome *outcome);
void run_blob(const void *blob, size_t size, struct outcome *outcome);
/* Waits and maps to an exit code. */
int end_of(int pidfd);

#endif
