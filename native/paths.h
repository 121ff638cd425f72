/*
 * Paths below a root descriptor: no symlink, no ".." and no magic link leads out of it (openat2(2), RESOLVE_IN_ROOT).
 * Results are close-on-exec. `path` may start with "/", which means the root descriptor.
 */
#ifndef TSCOMPOSE_PATHS_H
#define TSCOMPOSE_PATHS_H

#include "error.h"

#include <stdbool.h>
#include <sys/types.h>

/* Opens what is there. `flags` as for open(2), without O_CREAT. -1 and errno. */
int open_in_root(int root, const char *path, int flags);

/* The same without openat2(2); open_in_root uses it where the kernel lacks that. Only for O_PATH and for regular files. */
int open_in_root_by_walking(int root, const char *path, int flags);

/* A directory (O_PATH), made with its parents when missing; a dangling symlink's target is made inside the root. */
int make_directory_in_root(int root, const char *path, mode_t mode, bool *made, struct error *error);

/* An O_PATH descriptor of the file, made empty (0644) with its parents when missing. */
int make_file_in_root(int root, const char *path, struct error *error);

/* The parent directory (O_PATH), made when missing, and the last component. `name` has PATH_MAX bytes. Fails where the last
 * is "." or "..". */
int parent_in_root(int root, const char *path, char *name, struct error *error);

#endif
